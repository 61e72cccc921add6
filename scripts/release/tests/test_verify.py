import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.release.stages import REPOSITORY
from scripts.release.tests.conftest import Listen, health
from scripts.release.verify import HarnessFailure, Paths, add_to_evidence, conclusion, failed_critical
from smoke.evidence import Record


class Verification:
    def __init__(self, *, done: "subprocess.CompletedProcess[str]", out: Path) -> None:
        self.status, self.output, self.out = done.returncode, done.stdout, out

    def read(self, name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.out / name).read_text())
        return document

    @property
    def last_lines(self) -> str:
        return "\n".join(self.output.rstrip().splitlines()[-8:])


class Verify:
    """Runs the command in a process of its own, with a state directory where nothing runs."""

    def __init__(self, *, directory: Path, environment: dict[str, str]) -> None:
        self.directory, self.environment = directory, environment

    def __call__(self, *arguments: str, **accounts: str) -> Verification:
        out = self.directory / "out"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "scripts.release.verify", *arguments),
                *("--out", str(out), "--state", str(self.directory / "state")),
            ],
            cwd=REPOSITORY,
            env=self.environment | accounts,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return Verification(done=done, out=out)


@pytest.fixture
def verify(tmp_path: Path, plain_environment: dict[str, str]) -> Verify:
    return Verify(directory=tmp_path, environment=plain_environment)


ACCOUNTS = {
    "SMOKE_ADMIN_USERNAME": "admin",
    "SMOKE_ADMIN_PASSWORD": "canary-password-1",
    "SMOKE_CADET_USERNAME": "cadet",
    "SMOKE_CADET_PASSWORD": "canary-password-2",
    "SMOKE_CHANNELS_URL": "ws://127.0.0.1:9",
}


def test_an_address_where_nothing_listens_is_a_rollback_that_never_became_healthy(
    verify: Verify, free_port: int
) -> None:
    verification = verify(f"http://127.0.0.1:{free_port}", "--wait", "1")

    assert verification.status == 20
    assert "ROLLBACK" in verification.last_lines
    assert "never became healthy" in verification.last_lines
    assert str(verification.out / "report.md") in verification.last_lines
    assert "Traceback" not in verification.output
    assert verification.read("verdict.json")["verdict"] == "ROLLBACK"
    checks = verification.read("smoke.json")["checks"]
    assert [(one["id"], one["severity"], one["outcome"]) for one in checks] == [("wait.healthy", "critical", "failed")]


def test_the_old_version_answering_steadily_is_hold_not_live_yet(verify: Verify, listen: Listen) -> None:
    verification = verify(listen(health()), "--expect-version", "2.0.0", "--wait", "3")
    assert verification.status == 10
    assert "HOLD" in verification.last_lines
    assert "not live yet" in verification.last_lines
    assert verification.read("smoke.json")["target"]["version"] == "1.0.0"


def test_a_service_that_answers_and_does_nothing_else_is_a_rollback_without_load(
    verify: Verify, listen: Listen
) -> None:
    verification = verify(listen(health()), "--wait", "3", **ACCOUNTS)
    assert verification.status == 20
    assert "load   not needed: health.web" in verification.output
    assert not (verification.out / "load.json").exists()
    for file in verification.out.rglob("*"):
        assert "canary-password" not in file.read_text()
    assert "canary-password" not in verification.output


def test_a_name_that_does_not_resolve_is_the_harness_s_failure(verify: Verify) -> None:
    verification = verify("https://rgms.invalid", "--wait", "1", **ACCOUNTS)
    assert verification.status == 30
    assert "Nothing is said about the release" in verification.output
    assert "name unknown" in verification.output


def test_a_certificate_that_nobody_vouches_for_is_the_harness_s_failure(
    verify: Verify, listen: Listen, self_signed: Path
) -> None:
    verification = verify(listen(health(), certificate=self_signed), "--wait", "1")
    assert verification.status == 30
    assert "certificate refused" in verification.output


def test_missing_accounts_of_a_far_deployment_are_named_before_anything_is_asked(verify: Verify) -> None:
    verification = verify("https://rgms.example")
    assert verification.status == 2
    assert "SMOKE_ADMIN_PASSWORD" in verification.output
    assert "[1/4]" not in verification.output


def test_missing_accounts_matter_on_this_machine_as_soon_as_something_answers(verify: Verify, listen: Listen) -> None:
    verification = verify(listen(health()), "--wait", "3")
    assert verification.status == 2
    assert "SMOKE_ADMIN_PASSWORD" in verification.output


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("no-address",),
        ("http://127.0.0.1:9", "--wait", "0"),
        ("http://127.0.0.1:9", "--wait", "nan"),
        ("http://127.0.0.1:9", "--profile", "brutal"),
        ("http://127.0.0.1:9", "--baseline", "no-such-file.json"),
    ],
)
def test_wrong_usage_is_exit_2(verify: Verify, arguments: tuple[str, ...]) -> None:
    assert verify(*arguments).status == 2


def test_an_added_check_is_counted_in_the_summary(tmp_path: Path) -> None:
    path = tmp_path / "smoke.json"
    path.write_text(json.dumps({"checks": [], "summary": {"failed": 0}}))
    record = Record(id="wait.steady", title="Steady", severity="major", outcome="failed", needs=[])
    add_to_evidence(record, path=path)
    evidence = json.loads(path.read_text())
    assert evidence["summary"] == {"failed": 1}
    assert evidence["checks"][0]["id"] == "wait.steady"


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_unreadable_evidence_is_the_harness_s_failure_not_a_pass(tmp_path: Path, text: str) -> None:
    path = tmp_path / "smoke.json"
    path.write_text(text)
    with pytest.raises(HarnessFailure):
        failed_critical(path)


def test_the_last_lines_give_the_word_each_cause_its_next_step_and_the_report(tmp_path: Path) -> None:
    finding = {"effect": "HOLD", "what": "beat is away", "by_how_much": "1 check", "next_step": "restart it"}
    text = conclusion(
        {"verdict": "HOLD", "summary": "HOLD: one check failed.", "findings": [finding]},
        paths=Paths(out=tmp_path),
        seconds=12.3,
    )
    assert text.splitlines() == [
        "HOLD: one check failed.",
        "  HOLD: beat is away (1 check)",
        "    next step: restart it",
        f"  report: {tmp_path / 'report.md'}",
        "  took 12 s",
    ]
