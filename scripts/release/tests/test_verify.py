import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from load.generator.plan import credentials_read
from load.profiles import profiles_read
from scripts.release.stages import REPOSITORY
from scripts.release.tests.conftest import Listen, health
from scripts.release.verify import (
    HarnessFailure,
    Paths,
    add_to_evidence,
    conclusion,
    environment_of,
    failed_critical,
    main,
    parse,
    require_agreement,
)
from smoke.evidence import Record
from smoke.target import resolve_target


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
    verdict = verification.read("verdict.json")
    assert verdict["summary"].startswith("HOLD: Smoke check wait.live failed")
    assert "not live yet" in verification.last_lines
    # What stopped the run is the finding; that it left severities without data is not another one.
    assert [one["objective"] for one in verdict["findings"]] == ["smoke_major", "load"]
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
    assert "not reachable from here: the name does not resolve" in verification.output


def test_a_channels_name_that_does_not_resolve_is_the_harness_s_failure_too(verify: Verify, listen: Listen) -> None:
    accounts = ACCOUNTS | {"SMOKE_CHANNELS_URL": "wss://rgms.invalid"}
    verification = verify(listen(health()), "--wait", "1", **accounts)
    assert verification.status == 30
    assert "wss://rgms.invalid is not reachable from here: the name does not resolve" in verification.output
    assert "[2/4]" not in verification.output


def test_a_certificate_that_nobody_vouches_for_is_the_harness_s_failure(
    verify: Verify, listen: Listen, self_signed: Path
) -> None:
    verification = verify(listen(health(), certificate=self_signed), "--wait", "1")
    assert verification.status == 30
    assert "the certificate is refused" in verification.output


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
        ("http://127.0.0.1:9", "--profile", "release"),
        ("http://127.0.0.1:9", "--baseline", "no-such-file.json"),
        ("http://127.0.0.1:9", "--baseline", str(Path(__file__).parent)),
        ("http://127.0.0.1:9", "--expect-version", "012345"),
        ("http://127.0.0.1:9", "--expect-version", "not-a-commit"),
        ("http://127.0.0.1:9", "--expect-version", ""),
        ("http://127.0.0.1:9", "--processes", "0"),
    ],
)
def test_wrong_usage_is_exit_2_at_once(verify: Verify, arguments: tuple[str, ...]) -> None:
    verification = verify(*arguments)
    assert verification.status == 2
    assert "[1/4]" not in verification.output
    assert not verification.out.exists()


def test_the_profiles_are_those_of_the_load() -> None:
    with pytest.raises(SystemExit):
        parse(["http://127.0.0.1:9", "--profile", "brutal"])
    for name in profiles_read().profiles:
        assert parse(["http://127.0.0.1:9", "--profile", name]).profile == name


def test_what_the_gate_advises_is_handed_to_the_load(
    tmp_path: Path, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: dict[str, list[str]] = {}

    def stage(*, module: str, arguments: list[str], **_: object) -> int:
        started[module] = arguments
        if module == "smoke":
            (tmp_path / "smoke.json").write_text(json.dumps(EVIDENCE))
        return 0

    monkeypatch.setattr("scripts.release.verify.run_stage", stage)
    for name, value in ACCOUNTS.items():
        monkeypatch.setenv(name, value)
    assert main([listen(health()), "--processes", "3", "--out", str(tmp_path), "--state", str(tmp_path)]) == 30
    position = started["load"].index("--processes")
    assert started["load"][position : position + 2] == ["--processes", "3"]


EVIDENCE: dict[str, Any] = {"checks": [], "residue": [], "interrupted": False, "summary": {"passed": 1}}
FAILED = {"id": "a.check", "severity": "critical", "outcome": "failed", "broken": False, "came": "it did not"}
BROKEN = FAILED | {"broken": True}


def written(path: Path, **changes: object) -> Path:
    path.write_text(json.dumps(EVIDENCE | changes))
    return path


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (0, {}),
        (1, {"checks": [FAILED]}),
        (1, {"checks": [FAILED, BROKEN]}),
        (1, {"residue": ["a row"]}),
        (1, {"checks": [BROKEN], "residue": ["unknown"]}),
        (3, {"checks": [BROKEN]}),
    ],
)
def test_smoke_s_exit_status_may_not_tell_another_story_than_its_evidence(
    tmp_path: Path, status: int, changes: dict[str, object]
) -> None:
    path = written(tmp_path / "smoke.json", **changes)
    require_agreement(status, path=path)
    for other in {0, 1, 3} - {status}:
        with pytest.raises(HarnessFailure, match="does not agree"):
            require_agreement(other, path=path)


def test_a_suite_that_was_interrupted_or_found_out_nothing_is_the_harness_s_failure(tmp_path: Path) -> None:
    with pytest.raises(HarnessFailure, match="does not agree"):
        require_agreement(0, path=written(tmp_path / "smoke.json", interrupted=True))
    nothing = written(tmp_path / "smoke.json", checks=[BROKEN], summary={"passed": 0})
    with pytest.raises(HarnessFailure, match="could find out nothing"):
        require_agreement(3, path=nothing)


def test_a_check_that_broke_is_no_reason_to_leave_the_load_out(tmp_path: Path) -> None:
    path = written(tmp_path / "smoke.json", checks=[BROKEN, FAILED | {"id": "another.check"}])
    assert failed_critical(path) == ["another.check"]


def test_evidence_of_an_earlier_verification_is_gone_before_the_first_stage(verify: Verify, free_port: int) -> None:
    out = verify.directory / "out"
    out.mkdir()
    for name in ("smoke.json", "junit.xml", "load.json", "verdict.json", "report.md"):
        (out / name).write_text("of last week")
    assert verify("https://rgms.invalid", "--wait", "0.1", **ACCOUNTS).status == 30
    assert {path.name for path in out.iterdir()} == {"wait.json"}


def test_a_suite_that_cannot_start_is_not_taken_for_the_one_that_passed_last_week(
    verify: Verify, listen: Listen
) -> None:
    (verify.directory / "out").mkdir()
    written(verify.directory / "out" / "smoke.json")
    verification = verify(listen(health()), "--wait", "3", "--read-only", **ACCOUNTS, PYTHONPATH=broken(verify))
    assert verification.status == 30
    assert "smoke ended with exit status 1 and left no evidence" in verification.output


def broken(verify: Verify) -> str:
    """A directory in which what only the smoke suite imports fails."""
    package = verify.directory / "broken"
    package.mkdir()
    (package / "pytest.py").write_text("raise RuntimeError('broken on purpose')")
    return str(package)


def test_a_baseline_may_be_the_directory_of_an_earlier_verification_but_not_of_this_one(tmp_path: Path) -> None:
    before = written(tmp_path / "smoke.json").parent
    assert parse(["http://127.0.0.1:9", "--baseline", str(before)]).baseline == before
    for baseline in (before, before / "smoke.json"):
        with pytest.raises(SystemExit) as stop:
            parse(["http://127.0.0.1:9", "--baseline", str(baseline), "--out", str(before)])
        assert stop.value.code == 2


def test_a_fault_of_verify_itself_is_exit_30_with_its_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fault(_options: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr("scripts.release.verify.verify", fault)
    assert main(["http://127.0.0.1:9"]) == 30
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_terminal_that_shows_ascii_only_changes_no_exit_code(verify: Verify, listen: Listen) -> None:
    odd = health(version="1.0.0-ž")
    assert verify(listen(odd), "--expect-version", "2.0.0", "--wait", "3", PYTHONIOENCODING="ascii").status == 10


def test_the_staff_account_of_the_running_system_reaches_the_load(tmp_path: Path) -> None:
    people = {role: {"username": role, "password": f"local-{role}"} for role in ("admin", "training_staff", "cadet")}
    facts = {"web_url": "http://127.0.0.1:8300", "channels_url": "ws://127.0.0.1:8301", "accounts": people}
    (tmp_path / "up.json").write_text(json.dumps(facts))
    environment = environment_of(resolve_target(environment={}, state=tmp_path))
    assert credentials_read(environment)["training_staff"].username == "training_staff"


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
