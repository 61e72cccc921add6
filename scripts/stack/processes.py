"""Processes seen from outside: who belongs to whom, how each is bound to its parent, what memory it holds."""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PROC = Path("/proc")

# Loaded here and not in the child: between fork and exec nothing may allocate or take an import lock.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, kw_only=True)
class Process:
    """One line of the process table. `start_time` (clock ticks since boot) tells a reused pid from its first
    owner.
    """

    pid: int
    parent: int
    session: int
    state: str
    start_time: int

    @property
    def is_alive(self) -> bool:
        return self.state not in {"Z", "X"}


@dataclass(frozen=True, kw_only=True)
class ProcessId:
    """A pid that cannot be confused with a later process of the same number."""

    pid: int
    start_time: int

    @property
    def is_alive(self) -> bool:
        process = process_read(pid=self.pid)
        return process is not None and process.is_alive and process.start_time == self.start_time

    def send(self, signal_number: signal.Signals) -> bool:
        """Whether the signal reached the process that was meant."""
        if not self.is_alive:
            return False
        try:
            os.kill(self.pid, signal_number)
        except ProcessLookupError:
            return False
        return True


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What it takes to start one process in a session of its own, and to stop it.

    `stop_signal` asks it to finish; after `patience` seconds it is killed. The kernel sends the same signal
    when whoever launched it is gone. `user` is a name to drop to; the environment is complete, nothing is
    inherited.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    stop_signal: signal.Signals = signal.SIGTERM
    patience: float = 10.0
    user: str | None = None


def launch(what: Launch, *, output: int | IO[bytes]) -> subprocess.Popen[bytes]:
    """Start it with standard output and error going to `output`. Call from the main thread only: the kernel
    ties the death signal to the thread. Raises OSError when it cannot be started.
    """
    return subprocess.Popen(
        what.arguments,
        env=dict(what.environment),
        cwd=what.directory,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=die_with_parent(what.stop_signal),  # noqa: PLW1509 - the callers have one thread
        user=what.user,
        group=pwd.getpwnam(what.user).pw_gid if what.user is not None else None,
        extra_groups=[] if what.user is not None else None,
    )


def process_read(*, pid: int) -> Process | None:
    """The process `pid`, or None when there is none (or no /proc)."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except (OSError, UnicodeDecodeError):
        return None
    # The second field is the command in brackets and may hold spaces and brackets: count from the last one.
    fields = text[text.rindex(")") + 2 :].split()
    return Process(pid=pid, state=fields[0], parent=int(fields[1]), session=int(fields[3]), start_time=int(fields[19]))


def process_identity(*, pid: int) -> ProcessId:
    """What to remember of a process, to recognise it later. Without /proc the start time is 0 and never
    matches.
    """
    process = process_read(pid=pid)
    return ProcessId(pid=pid, start_time=process.start_time if process else 0)


def processes_all() -> Iterator[Process]:
    """Every process that can be seen."""
    if not _PROC.is_dir():
        return
    for name in os.listdir(_PROC):
        if name.isdigit() and (process := process_read(pid=int(name))) is not None:
            yield process


def session_members(*, session: int) -> list[Process]:
    """The living processes of a session, its leader among them."""
    return [process for process in processes_all() if process.session == session and process.is_alive]


def descendants(*, pid: int) -> list[Process]:
    """The living children of `pid`, their children, and so on; also those that left the session."""
    children: dict[int, list[Process]] = {}
    for process in processes_all():
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    ahead = [pid]
    while ahead:
        for process in children.get(ahead.pop(), []):
            found.append(process)
            ahead.append(process.pid)
    return [process for process in found if process.is_alive]


def signal_all(*, pids: Iterable[int], signal_number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal_number)
        except ProcessLookupError:
            continue


def session_signal(*, session: int, signal_number: signal.Signals) -> None:
    """Signal every process of a session; where the session cannot be listed, its leader's process group."""
    if _PROC.is_dir():
        signal_all(pids=[process.pid for process in session_members(session=session)], signal_number=signal_number)
        return
    try:
        os.killpg(session, signal_number)
    except (ProcessLookupError, PermissionError):
        return


def wait_until(*, condition: Callable[[], bool], seconds: float, pause: float = 0.02) -> bool:
    """Whether `condition` came true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause)
    return True


def become_subreaper() -> None:
    """Orphans of our children become our children, so that nobody leaves by losing a parent. Linux only."""
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(signal_number: signal.Signals) -> Callable[[], None]:
    """A `preexec_fn` that has the kernel send `signal_number` when the spawning thread is gone. Linux only.

    It runs after the change of user, which would clear the setting. The parent may have died before the
    call: then nobody will ever send the signal, so the child ends itself.
    """
    parent = os.getpid()

    def bind() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(111)

    return bind


def proportional_memory(*, pid: int) -> int | None:
    """PSS of a process in bytes: private pages, and its share of those that several processes map.

    None when the process is gone or may not be read (it belongs to somebody else).
    """
    try:
        text = (_PROC / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return None
