"""A Valkey of a test's own, which it may freeze, kill and start again, and a door before a server that can be shut."""

import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scripts.stack.processes import launch, wait_until
from scripts.stack.servers import free_port
from scripts.stack.valkey import valkey_server


class PrivateValkey:
    """`url` stays the same over `kill` and `start`; what was stored does not."""

    def __init__(self, *, state: Path) -> None:
        self._server = valkey_server(state=state, maxmemory_policy="noeviction", durable=False)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = self._server.url

    def start(self) -> None:
        self._process = launch(self._server.launch, output=subprocess.DEVNULL)
        assert wait_until(condition=self._server.is_ready, seconds=10), "valkey did not start"

    def kill(self) -> None:
        """Nobody listens on its port any more: connections are refused."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It accepts connections and never answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


class Door:
    """A TCP port that leads to another one while it is open; shut, it refuses, and cuts who has gone through."""

    def __init__(self, *, host: str, port: int) -> None:
        self._target = (host, port)
        self.port = free_port()
        self._listener: socket.socket | None = None
        self._inside: list[socket.socket] = []

    def open(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port))
        self._listener = listener
        threading.Thread(target=self._admit, args=[listener], daemon=True).start()

    def shut(self) -> None:
        if self._listener is not None:
            # Without the shutdown a thread that waits in accept() would keep the port open.
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for connection in self._inside:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._inside.clear()

    def _admit(self, listener: socket.socket) -> None:
        while True:
            try:
                outer, _ = listener.accept()
                inner = socket.create_connection(self._target, timeout=5)
            except OSError:
                return
            inner.settimeout(None)
            self._inside += [outer, inner]
            for source, sink in ((outer, inner), (inner, outer)):
                threading.Thread(target=_pump, args=[source, sink], daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
