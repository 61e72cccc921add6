"""The channels service as a process of its own, and a wire to its stores that a test can cut."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.db import connection

START_SECONDS = 60.0


def database_url() -> str:
    """Of the database that this test run uses."""
    parts = connection.settings_dict
    person = f"{quote(parts['USER'], safe='')}:{quote(parts['PASSWORD'], safe='')}"
    return f"postgresql://{person}@{parts['HOST']}:{parts['PORT']}/{parts['NAME']}"


@dataclass
class Daphne:
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def url(self, path: str = "/ws/notifications/", *, token: str | None = None) -> str:
        query = f"?token={token}" if token is not None else ""
        return f"ws://127.0.0.1:{self.port}{path}{query}"

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def await_output(self, text: str, *, seconds: float = 15.0) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.output():
            assert time.monotonic() < deadline, f"daphne never said {text!r}:\n{self.output()[-4000:]}"
            time.sleep(0.02)

    def stop(self, *, seconds: float = 10.0) -> int:
        """Ask it to stop, as the platform does; returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@contextlib.contextmanager
def daphne_running(
    *, log: Path, environment: Mapping[str, str] | None = None, options: Sequence[str] = ()
) -> Iterator[Daphne]:
    """daphne with the testing settings on the test run's stores; ready when it listens."""
    variables = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "DJANGO_SETTINGS_MODULE": "config.settings.testing",
        "RENDER_SERVICE_NAME": "rotc-django-channels",
        "PYTHONUNBUFFERED": "1",
        **(environment or {}),
    }
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", "0", "-v", "1", *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "config.asgi:application"],
            cwd=settings.BASE_DIR,
            env=variables,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Daphne(process=process, port=_port_of(process, log), log=log)
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        if process.poll() is None:
            process.kill()
            process.wait(10)


def _port_of(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"Listening on TCP address 127\.0\.0\.1:(\d+)", log.read_text(errors="replace")):
            return int(found[1])
        time.sleep(0.05)
    raise AssertionError(f"daphne did not start:\n{log.read_text(errors='replace')}")


@dataclass
class Wire:
    """A TCP forwarder in front of a store. Cut, it drops what is open and refuses what comes, as a dead
    server does; frozen, it takes what comes and answers nothing."""

    host: str
    port: int
    is_cut: bool = False
    is_frozen: bool = False
    _listener: socket.socket = field(init=False)
    _open: list[socket.socket] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._start(self._accept_for_ever)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._listener.getsockname()
        return host, port

    def through(self, url: str) -> str:
        """`url` by way of this wire."""
        parts = urlsplit(url)
        person, _, _ = parts.netloc.rpartition("@")
        host, port = self.address
        return parts._replace(netloc=f"{person}@{host}:{port}" if person else f"{host}:{port}").geturl()

    def cut(self) -> None:
        self.is_cut = True
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def mend(self) -> None:
        self.is_cut = False

    def close(self) -> None:
        self.is_frozen = False
        self.cut()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept_for_ever(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self.is_cut:
                    near.close()
                    continue
                far = socket.create_connection((self.host, self.port))
                self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    self._start(self._copy, source, sink)

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                while self.is_frozen:
                    time.sleep(0.02)
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        source.close()  # the other direction's thread reads from `sink`, and closes it


@contextlib.contextmanager
def wire_to(url: str) -> Iterator[Wire]:
    """A wire to the store of `url`, closed at the end."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    wire = Wire(host=parts.hostname, port=parts.port)
    try:
        yield wire
    finally:
        wire.close()
