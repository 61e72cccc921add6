"""Redis and channels processes that are killed and come again at the same addresses."""

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from apps.messaging.tests.daphne_process import database_url
from scripts.stack.processes import launch
from scripts.stack.valkey import valkey_server


class Mortal:
    """A process that can be killed and started anew at the same address."""

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self._start = start
        self.process: subprocess.Popen[bytes] = start()
        self.deaths = 0

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait(20)
        self.deaths += 1

    def begin(self) -> None:
        self.process = self._start()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


@dataclass
class Stage:
    daphnes: list[Mortal]
    addresses: list[str]
    redis: Mortal
    redis_url: str


@contextlib.contextmanager
def staged(folder: Path, *, daphnes: int, environment: Mapping[str, str] | None = None) -> Iterator[Stage]:
    """A Valkey and so many channels processes on the test's database, each of which can be killed."""
    folder.chmod(0o711)
    valkey = valkey_server(state=folder, maxmemory_policy="noeviction", durable=False)
    log = (folder / "processes.log").open("ab")
    variables = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "REDIS_URL": valkey.url,
        "DJANGO_SETTINGS_MODULE": "config.settings.testing",
        "RENDER_SERVICE_NAME": "rotc-django-channels",
        **(environment or {}),
    }

    def start_redis() -> subprocess.Popen[bytes]:
        process = launch(valkey.launch, output=log)
        deadline = time.monotonic() + 20
        while not valkey.is_ready():
            assert time.monotonic() < deadline, "Valkey does not come again"
            time.sleep(0.02)
        return process

    ports = [free_port() for _ in range(daphnes)]

    def start_daphne(port: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "-v", "0"]
        return subprocess.Popen(
            [*command, "config.asgi:application"], cwd=settings.BASE_DIR, env=variables, stdout=log, stderr=log
        )

    store = Mortal(start_redis)
    servers = [Mortal(functools.partial(start_daphne, port)) for port in ports]
    try:
        yield Stage(
            daphnes=servers,
            addresses=[f"ws://127.0.0.1:{port}" for port in ports],
            redis=store,
            redis_url=valkey.url,
        )
    finally:
        for mortal in (*servers, store):
            mortal.close()
        log.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
