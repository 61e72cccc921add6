import ssl
import xml.etree.ElementTree as ET

import pytest

from smoke.network import obstacle
from smoke.tests.conftest import Suite

DISAPPOINTED = """
    @declared("ping.answers", title="The ping is answered", severity="major")
    def ping(deployment):
        deployment.web.get("/ping").expect_status(200).expect_at("status", "pong")
"""


def test_a_failure_says_what_was_expected_what_came_the_request_and_what_to_do(suite: Suite) -> None:
    suite.service.failures_before_pong = 1
    run = suite.run(DISAPPOINTED)

    failed = run.check("ping.answers")
    assert run.status == 1
    assert failed["outcome"] == "failed"
    assert failed["severity"] == "major"
    assert failed["expected"] == "GET /ping: status 200"
    assert failed["came"] == 'status 503, application/json: {"detail": "busy"}'
    assert failed["request_id"] == "request-503"
    assert failed["next_step"] == "Do this."
    for fact in ("GET /ping: status 200", "request-503", "Do this."):
        assert fact in run.output


def test_a_wrong_value_is_told_with_its_place_in_the_answer(suite: Suite) -> None:
    run = suite.run("""
        @declared("ping.pang")
        def pang(deployment): deployment.web.get("/ping").expect_at("status", "pang")
    """)
    assert run.check("ping.pang")["expected"] == 'GET /ping: status is "pang"'
    assert run.check("ping.pang")["came"] == 'status is "pong"'


def test_a_server_that_is_gone_is_a_failure_and_no_stack_trace(suite: Suite) -> None:
    run = suite.run("""
        from smoke.transport import Web
        @declared("gone.away")
        def gone(deployment):
            deployment.web.get("/ping")
            Web(base_url="http://127.0.0.1:9", permission=deployment.permission,
                redaction=deployment._redaction, run_id="x").get("/ping")
    """)
    assert run.status == 1
    assert "refused" in run.check("gone.away")["came"].lower()
    assert "Traceback" not in run.output


def test_the_first_failure_counts_unless_retries_were_asked_for(suite: Suite) -> None:
    suite.service.failures_before_pong = 1
    assert suite.run(DISAPPOINTED).outcomes == {"ping.answers": "failed"}


def test_a_pass_on_retry_is_flaky_and_keeps_what_the_first_attempt_saw(suite: Suite) -> None:
    suite.service.failures_before_pong = 2
    run = suite.run(DISAPPOINTED, "--retries", "2")

    flaky = run.check("ping.answers")
    assert run.status == 0
    assert (flaky["outcome"], flaky["attempts"]) == ("flaky", 3)
    assert "503" in flaky["came"]
    assert "FLAKY  ping.answers" in run.output
    assert "FLAKY" in (run.out / "junit.xml").read_text()


def test_a_check_that_fails_on_every_retry_has_failed(suite: Suite) -> None:
    suite.service.failures_before_pong = 9
    run = suite.run(DISAPPOINTED, "--retries", "2")
    assert (run.status, run.outcomes) == (1, {"ping.answers": "failed"})
    assert len(suite.service.seen) == 3


def test_a_check_that_is_itself_at_fault_ends_the_suite_with_3_not_1(suite: Suite) -> None:
    run = suite.run("""
        @declared("broken.check")
        def broken(deployment): {}["missing"]
    """)
    assert run.status == 3
    assert run.check("broken.check")["broken"] is True
    assert "KeyError" in run.check("broken.check")["came"]
    assert "fault of the suite" in run.output


@pytest.mark.parametrize(
    ("reach", "came"),
    [
        ('web("http://rgms.invalid").get("/ping")', "the name does not resolve"),
        ('web("http://127.255.255.255").get("/ping")', "there is no way to it"),
        ('sockets("ws://rgms.invalid").open(token="token")', "the name does not resolve"),
        ('sockets("ws://127.255.255.255").open(token="token")', "there is no way to it"),
    ],
)
def test_what_cannot_be_reached_from_here_is_no_failure_of_the_deployment(suite: Suite, reach: str, came: str) -> None:
    run = suite.run(f"""
        from smoke.redaction import Redaction
        from smoke.sockets import Sockets
        from smoke.transport import Web, WritePermission

        def web(url):
            return Web(base_url=url, permission=WritePermission(why_not=None), redaction=Redaction(), run_id="x")

        def sockets(url):
            return Sockets(channels_url=url, redaction=Redaction(), run_id="x")

        @declared("way.there")
        def way(deployment): {reach}
    """)
    told = run.check("way.there")
    assert (run.status, told["outcome"], told["broken"]) == (3, "failed", True)
    assert told["came"].startswith(f"not reachable from here: {came}")
    assert "Nothing is said about the deployment" in told["next_step"]


def test_a_certificate_that_is_refused_is_found_behind_whatever_wraps_it() -> None:
    error = RuntimeError("wrapping")
    error.__cause__ = ssl.SSLCertVerificationError(1, "it has expired")
    assert "it has expired" in (obstacle(error) or "")
    assert obstacle(ConnectionRefusedError(111, "refused")) is None


def test_a_fault_of_the_suite_s_own_running_is_3_not_1(suite: Suite) -> None:
    suite.out.write_text("a file where a directory is due")
    run = suite.run(DISAPPOINTED)
    assert run.status == 3
    assert "Traceback" in run.output


def test_a_terminal_that_shows_ascii_only_changes_no_exit_code(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    assert suite.run(DISAPPOINTED).status == 0


def test_a_proper_failure_beside_a_broken_check_still_counts(suite: Suite) -> None:
    run = suite.run("""
        @declared("broken.check")
        def broken(deployment): {}["missing"]

        @declared("proper.failure")
        def proper(deployment): expect(False, expected="this", came="that")
    """)
    assert run.status == 1


def test_junit_tells_failures_and_blocked_checks_in_the_words_of_ci(suite: Suite) -> None:
    run = suite.run("""
        @declared("a.fails", severity="major")
        def fails(deployment): expect(False, expected="this", came="that", request_id="request-7")

        @declared("b.waits", needs=["a.fails"])
        def waits(deployment): pass
    """)
    root = ET.fromstring((run.out / "junit.xml").read_text())  # noqa: S314 - written by the suite just now
    found = root.find("testsuite")
    assert found is not None
    assert (found.get("tests"), found.get("failures"), found.get("skipped")) == ("2", "1", "1")
    failure = found.find("testcase[@name='a.fails']/failure")
    assert failure is not None
    assert failure.get("type") == "major"
    assert "request-7" in (failure.text or "")
    skipped = found.find("testcase[@name='b.waits']/skipped")
    assert skipped is not None
    assert skipped.get("message") == "BLOCKED by a.fails"


def test_junit_stays_readable_when_the_server_sends_control_characters(suite: Suite) -> None:
    run = suite.run("""
        @declared("garbage.served")
        def garbage(deployment): deployment.web.get("/garbage").expect_status(200)
    """)
    ET.fromstring((run.out / "junit.xml").read_text())  # noqa: S314 - written by the suite just now
    assert run.outcomes == {"garbage.served": "failed"}


def test_smoke_json_has_the_keys_that_the_gate_reads(suite: Suite) -> None:
    evidence = suite.run(DISAPPOINTED, "--expect-version", "1.0.0").evidence
    assert evidence["schema"] == "rgms.smoke/1"
    assert evidence["run_id"].startswith("smoke-")
    assert (evidence["base_url"], evidence["read_only"]) == (suite.service.url, False)
    assert evidence["channels_url"] == suite.service.url.replace("http", "ws")
    assert evidence["expected_version"] == "1.0.0"
    assert evidence["started_at"].endswith("Z")
    assert evidence["finished_at"] > evidence["started_at"]
    assert evidence["duration_seconds"] > 0
    assert evidence["target"] is None
    assert evidence["residue"] == []
    assert set(evidence["checks"][0]) >= {
        *("id", "title", "severity", "outcome", "needs", "blocked_by"),
        *("expected", "came", "request_id", "next_step", "duration_ms"),
    }
