import signal

import pytest

from smoke.tests.conftest import Suite
from smoke.transport import RefusedWrite, WritePermission

NOTIFY = 'deployment.notify(recipient="cadet", title="Smoke", body="check")'
WRITING = f"""
    @declared("writes.row", writes=True)
    def row(deployment): {NOTIFY}

    @declared("writes.child", needs=["writes.row"])
    def child(deployment): pass

    @declared("reads.only")
    def reads(deployment):
        deployment.web.get("/ping", token=deployment.token("cadet")).expect_status(200)
"""


def test_what_writes_is_skipped_with_the_reason_when_the_run_is_read_only(suite: Suite) -> None:
    run = suite.run(WRITING, "--read-only")

    assert run.status == 0
    assert run.outcomes == {"writes.row": "skipped", "writes.child": "skipped", "reads.only": "passed"}
    assert run.check("writes.row")["came"] == "it writes, and the run is read-only"
    assert run.check("writes.child")["came"] == "it needs writes.row, which was skipped"
    assert run.evidence["read_only"] is True
    assert "the run is read-only" in run.output
    assert suite.service.unsafe() == []


@pytest.mark.parametrize("arguments", [(), ("--read-only",)])
def test_a_check_that_writes_without_saying_so_is_stopped_before_anything_is_sent(
    suite: Suite, arguments: tuple[str, ...]
) -> None:
    run = suite.run(
        """
        @declared("secretly.writes")
        def secretly(deployment): deployment.web.request("PUT", "/ping")
        """,
        *arguments,
    )
    assert run.status == 3
    assert "refused" in run.check("secretly.writes")["came"]
    assert suite.service.unsafe() == []


@pytest.mark.parametrize("path", ["/api/v1/auth/login", "/api/v1/auth/logout/", "/api/v1/auth/refresh"])
def test_sessions_of_the_suites_own_may_be_opened_and_closed_everywhere(path: str) -> None:
    WritePermission(why_not="the run is read-only").judge(method="POST", path=path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/v1/auth/login"),
        ("POST", "/api/v1/auth/login/../users"),
        ("POST", "/api/v1/notifications"),
    ],
)
def test_nothing_else_is_taken_for_a_session(method: str, path: str) -> None:
    with pytest.raises(RefusedWrite):
        WritePermission(why_not="the run is read-only").judge(method=method, path=path)


def test_what_a_run_creates_carries_its_id_and_is_removed_newest_first(suite: Suite) -> None:
    run = suite.run(f"""
        @declared("writes.rows", writes=True)
        def rows(deployment):
            {NOTIFY}
            {NOTIFY}
    """)
    sent = [one.body for one in suite.service.seen if one.path == "/api/v1/notifications"]
    assert (run.status, suite.service.rows, run.evidence["residue"]) == (0, {}, [])
    assert all(run.evidence["run_id"] in body for body in sent)
    assert [one for one in suite.service.unsafe() if one.startswith("DELETE")] == [
        "DELETE /api/v1/notifications/2",
        "DELETE /api/v1/notifications/1",
    ]
    assert list((suite.directory / "journal").iterdir()) == []


def test_a_check_that_fails_half_way_leaves_nothing_either(suite: Suite) -> None:
    run = suite.run(f"""
        @declared("writes.then_fails", writes=True)
        def fails(deployment):
            {NOTIFY}
            expect(False, expected="this", came="that")
    """)
    assert (run.status, suite.service.rows) == (1, {})


def test_a_row_that_does_not_go_away_is_named_and_fails_the_run(suite: Suite) -> None:
    suite.service.deletes_really = False
    run = suite.run(f"""
        @declared("writes.row", writes=True)
        def row(deployment): {NOTIFY}
    """)
    assert run.status == 1
    assert run.evidence["residue"] == ["/api/v1/notifications/1"]
    assert "Left behind on the deployment" in run.output


HELD = f"""
    @declared("writes.and_hangs", writes=True)
    def hangs(deployment):
        {NOTIFY}
        deployment.web.get("/hold")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_removes_what_it_created_and_says_so(suite: Suite, number: signal.Signals) -> None:
    process = suite.start(HELD)
    assert suite.service.holds.wait(timeout=20)
    process.send_signal(number)
    run = suite.finish(process)

    assert run.status == 130
    assert suite.service.rows == {}
    assert run.evidence["interrupted"] is True
    assert run.output.rstrip().splitlines()[-1].startswith("INTERRUPTED")


def test_the_next_run_removes_what_a_killed_one_left(suite: Suite) -> None:
    process = suite.start(HELD)
    assert suite.service.holds.wait(timeout=20)
    process.kill()
    suite.finish(process)
    assert len(suite.service.rows) == 1

    run = suite.run("""
        @declared("reads.only")
        def reads(deployment): deployment.web.get("/ping").expect_status(200)
    """)
    assert (run.status, suite.service.rows) == (0, {})
    assert list((suite.directory / "journal").iterdir()) == []


def test_a_read_only_run_leaves_a_killed_ones_rows_to_a_run_that_may_write(suite: Suite) -> None:
    process = suite.start(HELD)
    assert suite.service.holds.wait(timeout=20)
    process.kill()
    suite.finish(process)

    suite.run(WRITING, "--read-only")
    assert len(suite.service.rows) == 1
    assert len(list((suite.directory / "journal").iterdir())) == 1


def test_two_runs_at_once_leave_each_others_rows_alone(suite: Suite) -> None:
    first = suite.start(HELD)
    assert suite.service.holds.wait(timeout=20)
    second = suite.run(WRITING)
    assert second.status == 0
    assert [row["id"] for row in suite.service.rows.values()] == [1]

    suite.service.hold.set()
    assert suite.finish(first).status == 0
    assert suite.service.rows == {}


def test_a_journal_that_cannot_be_written_stops_a_run_that_may_write_before_its_first_check(suite: Suite) -> None:
    (suite.directory / "journal").write_text("a file where a directory is due")
    run = suite.run(WRITING)
    assert run.status == 2
    assert "SMOKE_JOURNAL" in run.output
    assert suite.service.seen == []
    assert suite.run(WRITING, "--read-only").status == 0


def test_what_is_no_journal_of_ours_is_left_alone(suite: Suite) -> None:
    journal = suite.directory / "journal"
    (journal / "directory.jsonl").mkdir(parents=True)
    (journal / "vanished.jsonl").symlink_to(journal / "nowhere")
    (journal / "binary.jsonl").write_bytes(b"\xff\xfe")
    (journal / "list.jsonl").write_text('["intended", "marker"]\n{"intended": "row"}\n{"removed": 3}\n')
    run = suite.run(WRITING)
    assert (run.status, suite.service.rows, run.evidence["residue"]) == (0, {}, [])
    assert len(list(journal.iterdir())) == 4


def test_a_journal_that_is_lost_during_the_run_leaves_the_residue_unknown_and_the_evidence_written(
    suite: Suite,
) -> None:
    run = suite.run(f"""
        @declared("writes.row", writes=True)
        def row(deployment):
            {NOTIFY}
            deployment.journal._file.close()
            deployment.journal._file = open("/dev/full", "a")
    """)
    assert run.status == 1
    assert run.outcomes == {"writes.row": "passed"}
    assert [one.partition(":")[0] for one in run.evidence["residue"]] == ["unknown"]


def test_requests_on_this_machine_say_that_they_came_over_tls_as_renders_proxy_does(suite: Suite) -> None:
    suite.run(WRITING)
    assert suite.service.seen
    assert {one.headers.get("x-forwarded-proto") for one in suite.service.seen} == {"https"}


def test_every_session_that_was_opened_is_closed(suite: Suite) -> None:
    suite.run(WRITING)
    paths = [one.path for one in suite.service.seen]
    assert paths.count("/api/v1/auth/login") == paths.count("/api/v1/auth/logout") == 2
