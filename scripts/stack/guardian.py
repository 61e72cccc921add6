"""A second process that outlives the runner when somebody kills it, and cleans up behind it.

    guardian ── runner ── rotc-django-web ── gunicorn's workers
                       ├─ …
                       └─ postgres ── its backends

Killed the runner: the kernel signals its children, orphans fall to the guardian, which waits, then kills
what is left. Killed the guardian: the kernel sends the runner SIGTERM, which stops everything in order.
Killed both: the kernel signals the main process of every service and server.
"""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable

from scripts.stack.processes import become_subreaper, descendants, die_with_parent, signal_all

_ORPHANS_MAY_TAKE = 5.0  # seconds to finish by themselves after the runner was killed


def run_guarded(run: Callable[[], int], *, clean: Callable[[], None]) -> int:
    """Call `run` in a child process and return its exit status (128 + n if signal n ended it).

    `clean` is called in the guardian when everything is gone. Call while the process has one thread and no
    children.
    """
    become_subreaper()
    bind = die_with_parent(signal.SIGTERM)
    runner = os.fork()
    if runner == 0:
        bind()
        os._exit(_status_of(run))
    # Ctrl-C reaches the whole foreground group: the runner acts on it, the guardian waits for the runner.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal_all(pids=[runner], signal_number=signal.SIGTERM))
    status = _wait_for(runner)
    _end_orphans()
    clean()
    return status


def _status_of(run: Callable[[], int]) -> int:
    try:
        become_subreaper()
        return run()
    except BaseException:  # noqa: BLE001 - the process ends here; nothing above may run twice
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _wait_for(runner: int) -> int:
    while True:
        pid, status = os.wait()
        if pid == runner:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _end_orphans() -> None:
    deadline = time.monotonic() + _ORPHANS_MAY_TAKE
    while left := descendants(pid=os.getpid()):
        if time.monotonic() > deadline:
            signal_all(pids=[process.pid for process in left], signal_number=signal.SIGKILL)
        _reap()
        time.sleep(0.05)
    _reap()


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return
