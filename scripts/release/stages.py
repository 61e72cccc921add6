"""The stages of a verification as processes of their own, none of which outlives this one."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from load.run import CLEAN_UP_SECONDS

REPOSITORY = Path(__file__).resolve().parents[2]
# Long enough for the slowest stage, load, to remove what it created; one that is still there afterwards hangs.
GRACE_SECONDS = CLEAN_UP_SECONDS + 10.0
PR_SET_PDEATHSIG = 1
TIMED_OUT = 124


def run_stage(
    *,
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    limit_seconds: float | None = None,
    quiet: bool = False,
) -> int:
    """Run `python -m module arguments…` in the repository, its output on ours, and return its exit status.

    If `quiet`, only what it writes to standard error is shown.

    TIMED_OUT if it had to be stopped after `limit_seconds`. On KeyboardInterrupt the stage's whole process
    group is asked to stop as by Ctrl-C, then ended, before the interrupt goes on.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=REPOSITORY,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if quiet else None,
        # A group of its own, so that also the workers which a stage starts are reached.
        start_new_session=True,
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - no threads here
    )
    try:
        return process.wait(timeout=limit_seconds)
    except subprocess.TimeoutExpired:
        return TIMED_OUT
    finally:
        _stop_group(process)


def _stop_group(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing of the stage behind, whether it ended by itself or not."""
    if process.poll() is None:
        for stop, patience in ((signal.SIGINT, GRACE_SECONDS), (signal.SIGTERM, 5.0)):
            _signal_group(process, stop)
            try:
                process.wait(timeout=patience)
                break
            except subprocess.TimeoutExpired:
                continue
    # The group's id stays taken as long as one member lives, so it cannot mean somebody else by now.
    deadline = time.monotonic() + 1.0
    while _signal_group(process, signal.SIGKILL) and time.monotonic() < deadline:
        process.poll()
        time.sleep(0.02)
    process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> bool:
    """Send a signal to the stage's group; False if nothing of it is left."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _end_with_parent() -> None:
    # Also kill -9 of this process must not leave a load generator running against a deployment.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
