"""scripts/down: stop what scripts/up started, and wait until nothing of it is left."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.stack.processes import wait_until
from scripts.stack.state import DEFAULT_STATE, State

_ORDERLY_STOP_WITHIN = 150.0  # seconds: six processes, each with its own limit
_FORCED_STOP_WITHIN = 30.0  # seconds for the guardian after the runner was killed


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/down", description="Stop the system that scripts/up started.")
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE, metavar="DIR", help="the one given to scripts/up")
    state = State(parser.parse_args(arguments).state.resolve())
    if not state.path.is_dir() or not state.is_running:
        print(f"Nothing is running in {state.path}.")
        if state.path.is_dir():
            state.up_remove()  # left by a machine that lost power
        return 0
    processes = state.runner_read()
    print("Stopping …", flush=True)
    asked = any(processes[role].send(signal.SIGTERM) for role in ("runner", "guardian") if role in processes)
    if asked and _is_stopped(state, seconds=_ORDERLY_STOP_WITHIN):
        print("Stopped.")
        return 0
    if "runner" in processes and processes["runner"].send(signal.SIGKILL):
        print("The runner does not answer and is killed; its guardian stops the rest.", flush=True)
    if _is_stopped(state, seconds=_FORCED_STOP_WITHIN):
        print("Stopped.")
        return 0
    print(f"Something in {state.path} could not be stopped. See {state.logs}.", file=sys.stderr)
    return 1


def _is_stopped(state: State, *, seconds: float) -> bool:
    return wait_until(condition=lambda: not state.is_running, seconds=seconds, pause=0.1)


if __name__ == "__main__":
    sys.exit(main())
