"""Starts processes, follows their output, notices their end, stops them in order. One thread, one loop.

The one thread is a condition, not a taste: the kernel ties the death signal of a child to the thread that
started it.
"""

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from subprocess import Popen

from scripts.stack.console import BoundedLog, Console, LineSplitter
from scripts.stack.processes import Launch, descendants, launch, session_signal, signal_all

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0  # seconds before a dead service is started again
_STEADY_AFTER = 60.0  # seconds of life after which the next pause is the first again


class StopRequestedError(Exception):
    """Somebody wants the system to stop: Ctrl-C, SIGTERM, a closed terminal."""


class ProcessFailedError(Exception):
    """A process ended while the system was starting. The text says which and how, with its last lines."""


class Kind(Enum):
    SERVER = auto()  # PostgreSQL, Valkey
    STEP = auto()  # runs to its end: build, pre-deploy, seed
    SERVICE = auto()


@dataclass(kw_only=True, eq=False)
class Child:
    """One started process and what became of it."""

    launch: Launch
    kind: Kind
    process: Popen[bytes]
    log: BoundedLog
    started_at: float
    splitter: LineSplitter = field(default_factory=LineSplitter)
    is_ended: bool = False
    pause: float = _FIRST_PAUSE

    @property
    def name(self) -> str:
        return self.launch.name

    @property
    def how_it_ended(self) -> str:
        code = self.process.returncode
        if code is not None and code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit status {code}"


class Supervisor:
    """`relaunch` may change what is started again after a death; `changed` hears of new pids."""

    def __init__(
        self,
        *,
        console: Console,
        logs: Path,
        restart: bool = False,
        relaunch: Callable[[Launch], Launch] = lambda launch: launch,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._console = console
        self._logs = logs
        self._restart = restart
        self._relaunch = relaunch
        self._changed = changed
        self._children: dict[str, Child] = {}  # in the order of their start
        self._due: dict[str, tuple[float, Child]] = {}  # services to start again, and when
        self._log_files: dict[str, BoundedLog] = {}
        self._selector = selectors.DefaultSelector()
        self._requests = 0
        self._is_stopping = False
        self._is_started = False
        self._listen_to_signals()

    def _listen_to_signals(self) -> None:
        self._wake, wake = socket.socketpair()
        self._wake.setblocking(False)
        wake.setblocking(False)
        self._wake_writer = wake
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._request_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(self._wake, selectors.EVENT_READ, None)

    def _request_stop(self, *_: object) -> None:
        self._requests += 1

    @property
    def running(self) -> dict[str, Child]:
        """The servers and services that live, in the order of their start."""
        return {name: child for name, child in self._children.items() if not child.is_ended}

    def start(self, what: Launch, *, kind: Kind) -> Child:
        log = self._log_files.get(what.name)
        if log is None:
            log = self._log_files[what.name] = BoundedLog(self._logs / f"{what.name}.log")
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            process = launch(what, output=writer)
        except OSError as error:
            os.close(reader)
            raise ProcessFailedError(f"{what.name} could not be started: {error}") from error
        finally:
            os.close(writer)
        os.set_blocking(reader, False)
        child = Child(launch=what, kind=kind, process=process, log=log, started_at=time.monotonic())
        self._children[what.name] = child
        self._selector.register(reader, selectors.EVENT_READ, child)
        return child

    def complete(self, steps: Iterable[Child]) -> None:
        """Wait for steps to end well. Raises ProcessFailedError, StopRequestedError."""
        waiting = list(steps)
        while not all(step.is_ended for step in waiting):
            self.pump(0.1)

    def started(self) -> None:
        """From here on a process that ends is reported, and started again if so wished, instead of ending
        the start.
        """
        self._is_started = True

    def follow(self) -> None:
        """Until somebody asks to stop: raises StopRequestedError."""
        while True:
            self.pump(0.5)

    def pump(self, seconds: float) -> None:
        """Follow output and ends for at most `seconds`.

        Raises StopRequestedError; during the start ProcessFailedError too.
        """
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                self._drain_wake()
            else:
                self._read(key)
        for child in self._reap():
            self._ended(child)
        self._start_what_is_due()
        if self._requests and not self._is_stopping:
            raise StopRequestedError

    def stop(self) -> None:
        """Stop everything in the reverse order of its start, each given its own time; a second request ends
        the wait.
        """
        self._is_stopping = True
        self._due.clear()
        asked_before = self._requests
        for child in reversed(list(self._children.values())):
            if child.is_ended:
                continue
            self._console.say(f"Stopping {child.name}")
            asked_at = time.monotonic()
            signal_all(pids=[child.process.pid], signal_number=child.launch.stop_signal)
            while not child.is_ended:
                waited = time.monotonic() - asked_at
                if waited > child.launch.patience or self._requests > max(asked_before, 1):
                    self._console.say(f"{child.name} did not stop within {waited:.0f} s and is killed")
                    session_signal(session=child.process.pid, signal_number=signal.SIGKILL)
                    child.process.wait()
                self.pump(0.05)
        self._end_strays()
        for log in self._log_files.values():
            log.close()

    def _end_strays(self) -> None:
        """What left its session and lost its parents was handed to us by the kernel."""
        while left := descendants(pid=os.getpid()):
            signal_all(pids=[process.pid for process in left], signal_number=signal.SIGKILL)
            self._reap()
            time.sleep(0.02)

    # --- output ---------------------------------------------------------------------------------------------

    def _drain_wake(self) -> None:
        try:
            while self._wake.recv(4096):
                pass
        except BlockingIOError:
            return

    def _read(self, key: selectors.SelectorKey) -> bool:
        """Take what the pipe has now. Whether there may be more at once."""
        child: Child = key.data
        try:
            data = os.read(key.fd, 65536)
        except BlockingIOError:
            return False
        for line in child.splitter.lines(data) if data else child.splitter.last():
            child.log.write(line)
            self._console.show(name=child.name, line=line)
        if not data:
            self._forget(key.fd)
        return bool(data)

    def _read_rest(self, child: Child) -> None:
        for key in [key for key in self._selector.get_map().values() if key.data is child]:
            while self._read(key):
                pass
            self._forget(key.fd)  # somebody outside the session may still hold the other end

    def _forget(self, descriptor: int) -> None:
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)
            os.close(descriptor)

    # --- ends -----------------------------------------------------------------------------------------------

    def _reap(self) -> list[Child]:
        """Children that ended since the last call; orphans that were handed to us are forgotten silently."""
        by_pid = {child.process.pid: child for child in self._children.values() if not child.is_ended}
        ended = [child for child in by_pid.values() if child.process.poll() is not None]
        while True:
            try:
                # Only looked at: the status of a known child belongs to its Popen.
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            if found is None:
                break
            child_of_ours = by_pid.get(found.si_pid)
            if child_of_ours is None:
                os.waitpid(found.si_pid, os.WNOHANG)
            elif child_of_ours.process.poll() is not None and child_of_ours not in ended:
                ended.append(child_of_ours)
        return ended

    def _ended(self, child: Child) -> None:
        child.is_ended = True
        # Its workers would go on serving, or hold the port against its successor.
        session_signal(session=child.process.pid, signal_number=signal.SIGKILL)
        self._read_rest(child)
        if self._is_stopping or (child.kind is Kind.STEP and child.process.returncode == 0):
            return
        if not self._is_started:
            raise ProcessFailedError(failure_report(child))
        self._console.say(f"!!! {child.name} {child.how_it_ended}; the others go on")
        if self._restart:
            if time.monotonic() - child.started_at > _STEADY_AFTER:
                child.pause = _FIRST_PAUSE
            self._console.say(f"!!! {child.name} is started again in {child.pause:.0f} s")
            self._due[child.name] = (time.monotonic() + child.pause, child)
        self._changed()

    def _start_what_is_due(self) -> None:
        for name, (due, dead) in list(self._due.items()):
            if time.monotonic() >= due and not self._is_stopping:
                del self._due[name]
                child = self.start(self._relaunch(dead.launch), kind=dead.kind)
                child.pause = min(dead.pause * 2, _LONGEST_PAUSE)
                self._changed()


def failure_report(child: Child) -> str:
    lines = "\n".join(f"    {line}" for line in child.log.tail) or "    (it wrote nothing)"
    return f"{child.name} {child.how_it_ended} during the start. Its last lines:\n{lines}"
