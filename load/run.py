"""Starting Locust for one run, watching it, and reading what it wrote."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from load.generator.plan import MARGIN_SECONDS, VARIABLE, Plan, plan_write
from load.profiles import DEFAULT_PROFILES, profile_select, profiles_read
from load.results import LoadEvidence, load_evidence_read
from load.slo import DEFAULT_POLICY, policy_read

_LOCUSTFILE = Path(__file__).with_name("locustfile.py")
# After SIGTERM Locust still removes what the run wrote. Whoever stops this process must wait for longer.
CLEAN_UP_SECONDS = 35
_START_SECONDS = 20


class LoadRunError(RuntimeError):
    """The harness failed; the service was not judged."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to run. `profiles` and `policy` are files."""

    base_url: str
    channels_url: str | None
    profile: str
    out: Path
    read_only: bool
    processes: int = 1
    profiles: Path = DEFAULT_PROFILES
    policy: Path = DEFAULT_POLICY


def load_run(request: Request) -> LoadEvidence:
    """Run one profile and return its evidence, which is then in `out/load.json`.

    Takes at most the profile's time and a fixed margin, whatever the service does, and leaves no process.

    Raises:
        LoadRunError: if Locust failed or was interrupted.
        RecordError: if the profiles, the policy or the evidence cannot be read.
        UnknownProfileError: listing the known profiles.
    """
    profile = profile_select(name=request.profile, file=profiles_read(request.profiles))
    policy_read(request.policy)
    request.out.mkdir(parents=True, exist_ok=True)
    evidence = request.out / "load.json"
    # Evidence of an earlier run must not be taken for this one's.
    evidence.unlink(missing_ok=True)
    plan = Plan(
        run_id=f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}",
        base_url=request.base_url,
        channels_url=request.channels_url,
        read_only=request.read_only,
        profile=request.profile,
        profiles_path=str(request.profiles.resolve()),
        policy_path=str(request.policy.resolve()),
        out=str(request.out.resolve()),
        processes=request.processes,
        parent_pid=os.getpid(),
    )
    process = subprocess.Popen(
        _command(request.processes),
        env=_environment(os.environ, plan),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    code = _supervise(process, seconds=_START_SECONDS + profile.seconds + MARGIN_SECONDS)
    if code != 0:
        raise LoadRunError(f"the load generator ended with {code} and did not finish its run")
    return load_evidence_read(evidence)


def _command(processes: int) -> Sequence[str]:
    command = [sys.executable, "-m", "locust", "--locustfile", str(_LOCUSTFILE), "--headless"]
    command += [
        "--users",
        str(processes),
        "--spawn-rate",
        str(processes),
        "--skip-log-setup",
        "--only-summary",
    ]
    if processes > 1:
        port = _free_port()
        command += ["--processes", str(processes), "--master-bind-host", "127.0.0.1"]
        command += ["--master-bind-port", str(port), "--master-port", str(port)]
        command += ["--expect-workers-max-wait", str(_START_SECONDS)]
    return command


def _environment(environment: Mapping[str, str], plan: Plan) -> dict[str, str]:
    # LOCUST_* variables are options of Locust, and would change the run behind our back.
    kept = {name: value for name, value in environment.items() if not name.startswith("LOCUST_")}
    root = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(part for part in (root, kept.get("PYTHONPATH", "")) if part)
    return {**kept, VARIABLE: plan_write(plan), "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _supervise(process: subprocess.Popen[bytes], *, seconds: float) -> int:
    """Wait for Locust; on a signal or after `seconds` let it clean up, then end its whole process group."""
    interrupted: list[int] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        interrupted.append(number)
        raise InterruptedError

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        try:
            return process.wait(timeout=seconds)
        except (subprocess.TimeoutExpired, InterruptedError):
            for number in before:
                signal.signal(number, signal.SIG_IGN)
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=CLEAN_UP_SECONDS)
            why = "was interrupted" if interrupted else f"took longer than {seconds:g} s"
            raise LoadRunError(f"the load run {why}") from None
    finally:
        _end_group(process)
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the session that Locust led: itself, or workers that outlived it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
