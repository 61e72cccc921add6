"""Real runs of `python -m load run` against a small real server: what was counted against what was seen."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from load.__main__ import main, writes_allowed
from load.gate import Evidence, decide
from load.results import LoadEvidence, Outcome, load_evidence_read
from load.slo import DEFAULT_POLICY, policy_read
from load.tests.evidence import smoke_evidence
from load.tests.fault_server import Faults, FaultServer
from load.verdict import Verdict, Word

ROOT = Path(__file__).resolve().parents[2]
PROFILES = Path(__file__).with_name("profiles.toml")
KINDS = {
    "GET /notifications": "notifications_list",
    "GET /notifications/unread-count": "notifications_unread_count",
    "GET /auth/me": "auth_me",
    "POST /notifications": "notification_create",
}
# The brief profile: one second of warm-up and two measured, 75 requests a second.
ASKED, EVENTS = 225, 15


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


@dataclass
class Finished:
    code: int
    output: str
    evidence: LoadEvidence
    seconds: float


def command(server: FaultServer, out: Path, *options: str, profile: str = "brief") -> list[str]:
    return [
        sys.executable, "-m", "load", "run", "--base-url", server.base_url, "--channels-url",
        server.channels_url, "--profiles", str(PROFILES), "--profile", profile, "--out", str(out), *options,
    ]  # fmt: skip


def environment(server: FaultServer) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SMOKE_")}
    return {**kept, **server.environment}


def run(server: FaultServer, out: Path, *options: str) -> Finished:
    started = time.monotonic()
    process = subprocess.run(
        command(server, out, *options),
        cwd=ROOT,
        env=environment(server),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    output = process.stdout + process.stderr
    assert process.returncode == 0, output
    evidence = load_evidence_read(out / "load.json")
    return Finished(process.returncode, output, evidence, time.monotonic() - started)


def sent(evidence: LoadEvidence) -> dict[str, int]:
    return {
        name: request.warm_up.sent + sum(one.sent for one in request.slices)
        for name, request in evidence.requests.items()
    }


def seen(server: FaultServer) -> dict[str, int]:
    return {KINDS[name]: count for name, count in server.seen.items() if name in KINDS}


def judge(server: FaultServer, evidence: LoadEvidence) -> Verdict:
    smoke = smoke_evidence(base_url=server.base_url, target=evidence.target.start)
    return decide(evidence=Evidence(smoke=smoke, load=evidence), policy=policy_read())


def quick_probes(directory: Path) -> Path:
    """The policy with its sixty probes in two seconds, to keep the test short."""
    policy = directory / "slo.toml"
    text = DEFAULT_POLICY.read_text(encoding="utf-8")
    policy.write_text(text.replace("probe_seconds = 10", "probe_seconds = 2", 1), encoding="utf-8")
    return policy


@pytest.mark.parametrize("processes", [1, 2])
def test_a_sound_run_counts_what_the_server_saw_and_leaves_nothing(
    server: FaultServer, tmp_path: Path, processes: int
) -> None:
    finished = run(server, tmp_path, "--processes", str(processes))
    evidence = finished.evidence
    assert evidence.outcome is Outcome.COMPLETED
    assert sum(sent(evidence).values()) == ASKED
    # The lists at the end look for rows of the run that are left: one for each account.
    assert sent(evidence) == seen(server) | {
        "notifications_list": server.seen["GET /notifications"] - len(server.passwords)
    }
    assert sum(process.asked for process in evidence.processes) == ASKED
    assert len(evidence.processes) == evidence.processes_expected == (1 if processes == 1 else 3)

    sockets = evidence.sockets.total()
    assert (sockets.sent, sockets.received, sockets.lost, sockets.doubled) == (EVENTS, EVENTS, 0, 0)
    assert evidence.queue.maximum == 3
    assert evidence.integrity.sound is True
    assert evidence.target.start == evidence.target.end

    assert evidence.residue == 0
    assert not server.rows
    assert server.seen["DELETE /notifications/N"] == EVENTS
    assert dict(server.logins) == {"admin": 1, "staff": 1, "cadet": 1}
    assert set(server.forwarded) == {"https"}
    assert server.agents == {"rgms-load"}

    measured = [one for request in evidence.requests.values() for one in request.slices]
    assert sum(one.identified for one in measured) == sum(one.succeeded for one in measured)
    cached = [evidence.requests[name].slices[0] for name in ("notifications_list", "notifications_unread_count")]
    assert all(one.cache_reported == one.sent and 0 < one.cache_missed < one.sent for one in cached)

    for secret in (*server.passwords.values(), *server.issued):
        assert secret not in finished.output
        for artefact in tmp_path.iterdir():
            assert secret not in artefact.read_text(encoding="utf-8")
    assert len((tmp_path / "load.json").read_text(encoding="utf-8")) < 40_000


def test_each_failure_is_counted_once_under_its_owner(server: FaultServer, tmp_path: Path) -> None:
    server.faults = Faults(broken_every=9, edge_every=10, throttled_every=13, hang_up_every=31, lose_every=7)
    evidence = run(server, tmp_path).evidence
    owners = {
        owner: sum(
            getattr(one, owner) for request in evidence.requests.values() for one in (request.warm_up, *request.slices)
        )
        for owner in ("application", "edge", "throttle", "client")
    }
    injected = server.injected
    assert evidence.outcome is Outcome.COMPLETED
    assert owners == {
        "application": injected["broken"] + injected["hang up"],
        "edge": injected["edge"],
        "throttle": injected["throttled"],
        "client": 0,
    }
    assert all(injected[kind] for kind in ("broken", "edge", "throttled", "hang up"))
    assert evidence.failure_kinds["application: HTTP 500"] == injected["broken"]
    assert any(sample.request_id for sample in evidence.failure_samples)
    sockets = evidence.sockets.total()
    assert sockets.lost == sockets.sent // 7
    assert sockets.sent == sockets.received + sockets.lost
    # What the hang-ups hid from the client is found and removed all the same.
    assert (evidence.residue, len(server.rows)) == (0, 0)


def test_an_outage_stops_the_load_and_the_probes_confirm_it(server: FaultServer, tmp_path: Path) -> None:
    down_at: list[float] = []

    def go_down(name: str) -> None:
        if server.measured >= 140 and not down_at:
            down_at.append(time.monotonic())
            server.faults.hang_up_every = 1

    server.on_request = go_down
    finished = run(server, tmp_path, "--policy", str(quick_probes(tmp_path)))
    evidence = finished.evidence
    assert evidence.outcome is Outcome.STOPPED_EARLY
    assert evidence.early_stop is not None
    assert evidence.early_stop.bad == 6
    assert evidence.early_stop.probes.sent == evidence.early_stop.probes.application == 60
    # 140 requests are 1.9 s; six failures later nothing more was sent.
    assert evidence.early_stop.at_seconds < 1.9 + 2.0
    verdict = judge(server, evidence)
    assert verdict.verdict is Word.ROLLBACK
    assert {one.effect for one in verdict.findings if one.objective == "errors"} >= {Word.ROLLBACK}


def test_a_stall_stops_the_load_but_is_not_confirmed_once_it_is_over(server: FaultServer, tmp_path: Path) -> None:
    def stall_once(name: str) -> None:
        if server.measured == 100:
            server.on_request = None
            server.stall(2.5)

    server.on_request = stall_once
    evidence = run(server, tmp_path, "--policy", str(quick_probes(tmp_path))).evidence
    assert evidence.outcome is Outcome.STOPPED_EARLY
    assert evidence.early_stop is not None
    assert evidence.early_stop.probes.sent == evidence.early_stop.probes.succeeded == 60
    # Open arrivals: about a second's worth of requests was due while nothing was answered.
    slow = sum(
        one.slower[evidence.rungs.latency_ms.index(1000)]
        for request in evidence.requests.values()
        for one in request.slices
    )
    assert slow > 40
    verdict = judge(server, evidence)
    assert verdict.verdict is Word.HOLD
    assert "early_stop" in {one.objective for one in verdict.findings}


def test_a_read_only_run_writes_nothing_and_says_what_it_cannot_know(server: FaultServer, tmp_path: Path) -> None:
    evidence = run(server, tmp_path, "--read-only").evidence
    assert evidence.read_only
    assert server.seen["POST /notifications"] == 0
    assert not [name for name in server.seen if name.startswith("DELETE")]
    assert evidence.sockets.unavailable == "a read-only run causes no events"
    verdict = judge(server, evidence)
    assert verdict.verdict is Word.HOLD
    assert any("--allow-writes" in one.next_step for one in verdict.findings)
    # What it was to send is told without the writes that it left out, so it is as sound as any other run.
    assert (evidence.profile.rate_per_second, sum(sent(evidence).values())) == (70, ASKED - EVENTS)
    assert "generator" not in {one.objective for one in verdict.findings}


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        (Faults(refuse_sign_in=True), "admin could not sign in: HTTP 401 credentials_wrong"),
        (Faults(silent=True), "admin could not sign in: no answer in time"),
    ],
)
def test_a_service_that_lets_nobody_in_gives_evidence_of_that_in_bounded_time(
    server: FaultServer, tmp_path: Path, faults: Faults, reason: str
) -> None:
    server.faults = faults
    finished = run(server, tmp_path)
    assert finished.evidence.outcome is Outcome.NOT_STARTED
    assert finished.evidence.incidents[0].startswith(reason)
    assert finished.seconds < 30
    verdict = judge(server, finished.evidence)
    assert verdict.verdict is Word.HOLD
    assert any(reason in one.by_how_much for one in verdict.findings)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_no_process_and_no_row(
    server: FaultServer, tmp_path: Path, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        command(server, tmp_path, profile="endless"),
        cwd=ROOT,
        env=environment(server),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    family: list[psutil.Process] = []
    try:
        wait_for(lambda: len(server.rows) >= 3, seconds=30)
        family = psutil.Process(process.pid).children(recursive=True)
        assert family
        process.send_signal(number)
        code = process.wait(timeout=45)
        assert code == (30 if number is signal.SIGTERM else -signal.SIGKILL)
        _, alive = psutil.wait_procs(family, timeout=30)
        assert alive == []
        assert not server.rows
    finally:
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        if process.poll() is None:
            process.kill()
            process.wait()


def wait_for(condition: Callable[[], bool], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


# --- the command line ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--profile", "soke"], "unknown profile 'soke'; known are"),
        (["--base-url", "ftp://127.0.0.1"], "must be an address with http or https"),
        (["--base-url", "http://user:word@127.0.0.1"], "must hold no credentials"),
        (["--processes", "0"], "must be a number from 1 to 64"),
        (["--password", "x"], "unrecognized arguments"),
    ],
)
def test_wrong_usage_is_two_and_named(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("ADMIN", "CADET"):
        monkeypatch.setenv(f"SMOKE_{name}_USERNAME", "somebody")
        monkeypatch.setenv(f"SMOKE_{name}_PASSWORD", "secret")
    base = ["run", "--base-url", "http://127.0.0.1:1", "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as stop:
        main([*base, *arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_missing_credentials_are_named_and_never_asked_for_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        if name.startswith("SMOKE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SMOKE_ADMIN_USERNAME", "admin")
    with pytest.raises(SystemExit) as stop:
        main(["run", "--base-url", "http://127.0.0.1:1", "--out", str(tmp_path)])
    assert stop.value.code == 2
    told = capsys.readouterr().err
    assert "SMOKE_ADMIN_PASSWORD, SMOKE_CADET_USERNAME, SMOKE_CADET_PASSWORD" in told


@pytest.mark.parametrize(
    ("url", "allowed", "read_only", "may"),
    [
        ("http://127.0.0.1:8000", [], False, True),
        ("http://localhost:8000", [], False, True),
        ("http://[::1]:8000", [], False, True),
        ("http://127.0.0.1:8000", ["127.0.0.1"], True, False),
        ("https://rotc-django-web.onrender.com", [], False, False),
        ("https://rotc-django-web.onrender.com", ["rotc-django-web.onrender.com"], False, True),
        ("https://rotc-django-web.onrender.com", ["onrender.com"], False, False),
        ("https://localhost.example.com", [], False, False),
    ],
)
def test_only_loopback_and_named_hosts_are_written_to(url: str, allowed: list[str], read_only: bool, may: bool) -> None:
    assert writes_allowed(base_url=url, allowed_hosts=allowed, read_only=read_only) is may


def test_an_older_load_json_is_gone_before_anything_can_fail(server: FaultServer, tmp_path: Path) -> None:
    (tmp_path / "load.json").write_text(json.dumps({"schema": "rgms.load/1"}), encoding="utf-8")
    process = subprocess.run(
        command(server, tmp_path),
        cwd=ROOT,
        env={**environment(server), "PYTHONPATH": str(broken_locust(tmp_path))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 30, process.stderr
    assert not (tmp_path / "load.json").exists()


def broken_locust(directory: Path) -> Path:
    """A directory in which `import locust` fails."""
    package = directory / "broken"
    package.mkdir()
    (package / "locust.py").write_text("raise RuntimeError('broken on purpose')", encoding="utf-8")
    return package
