import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from load.run import CLEAN_UP_SECONDS
from scripts.release.stages import GRACE_SECONDS, REPOSITORY, TIMED_OUT, run_stage

# A stage that starts a worker of its own, tells both process ids, and stays.
STAYING = """
import os, signal, subprocess, sys, time
{first}
stubborn = "import signal, time; signal.signal(2, signal.SIG_IGN); time.sleep(60)"
worker = subprocess.Popen([sys.executable, "-c", stubborn])
with open({file!r} + ".partial", "w") as file:
    file.write(f"{{os.getpid()}} {{worker.pid}}")
os.rename({file!r} + ".partial", {file!r})
time.sleep(60)
"""


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module `stage_of_this_test` that the stages' Python finds; the test writes it."""
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{REPOSITORY}")
    return tmp_path / "stage_of_this_test.py"


def pids(file: Path) -> list[int]:
    deadline = time.monotonic() + 20
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return [int(pid) for pid in file.read_text().split()]


def assert_gone(numbers: list[int]) -> None:
    deadline = time.monotonic() + 10
    while any(is_running(number) for number in numbers):
        assert time.monotonic() < deadline, f"still running: {numbers}"
        time.sleep(0.02)


def is_running(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def run(*, limit_seconds: float | None = None) -> int:
    return run_stage(module="stage_of_this_test", arguments=["7"], environment=os.environ, limit_seconds=limit_seconds)


def test_the_load_is_given_longer_than_it_takes_to_remove_what_it_wrote() -> None:
    assert GRACE_SECONDS >= CLEAN_UP_SECONDS + 5


def test_a_stages_exit_status_is_handed_on(stage: Path) -> None:
    stage.write_text("import sys; sys.exit(int(sys.argv[1]))")
    assert run() == 7


def test_a_stage_that_hangs_is_stopped_with_everything_that_it_started(stage: Path, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    stage.write_text(STAYING.format(first="", file=str(file)))
    assert run(limit_seconds=2.0) == TIMED_OUT
    assert_gone(pids(file))


def test_a_stage_that_ends_leaves_no_process_of_its_own_behind(stage: Path, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    stage.write_text(STAYING.format(first="", file=str(file)).replace("time.sleep(60)\n", "pass\n"))
    assert run() == 0
    assert_gone(pids(file))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_stage_outlives_the_verification(stage: Path, tmp_path: Path, number: signal.Signals) -> None:
    file = tmp_path / "pids"
    stage.write_text(STAYING.format(first="", file=str(file)))
    caller = textwrap.dedent("""
        import os, signal, sys
        from scripts.release.stages import run_stage
        from scripts.release.verify import _stop
        signal.signal(signal.SIGTERM, _stop)
        try:
            run_stage(module="stage_of_this_test", arguments=[], environment=os.environ)
        except KeyboardInterrupt:
            sys.exit(130)
    """)
    process = subprocess.Popen([sys.executable, "-c", caller], cwd=REPOSITORY, env=os.environ)
    stage_pid, worker_pid = pids(file)
    process.send_signal(number)
    assert process.wait(timeout=20) == (-9 if number is signal.SIGKILL else 130)
    # After kill -9 nobody is left to end the stage's own workers; those are the stage's business.
    assert_gone([stage_pid] if number is signal.SIGKILL else [stage_pid, worker_pid])
    if number is signal.SIGKILL:
        os.kill(worker_pid, signal.SIGKILL)
