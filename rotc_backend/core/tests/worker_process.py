"""The worker as a process of its own, on the test run's database and Redis."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection

# As render.yaml starts it.
_COMMAND = ("worker", "--concurrency", "2", "--loglevel", "info", "--without-gossip", "--without-mingle",
            "--without-heartbeat")  # fmt: skip


@dataclass
class Worker:
    process: "subprocess.Popen[bytes]"
    log: Path

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def children(self) -> list[int]:
        """The processes in which tasks run."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def kill(self) -> None:
        """As a machine that fails: the worker and all its processes at once, without a word."""
        for pid in [*self.children(), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)

    def peak_megabytes(self) -> float:
        """The most that any of its processes has ever had in the memory."""
        return max(_peak_kilobytes(pid) for pid in [*self.children(), self.process.pid]) / 1024


def _peak_kilobytes(pid: int) -> int:
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1])


def wait_for(condition: Callable[[], Any], *, seconds: float, worker: Worker | None = None) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, worker.output()[-4000:] if worker else "in vain"
        time.sleep(0.05)
    return found


@contextlib.contextmanager
def worker_running(*, log: Path, **variables: str) -> Iterator[Worker]:
    """A worker that takes messages, with further environment variables; gone at the end, with what it was doing."""
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    environment = {
        **os.environ,
        "DATABASE_URL": database,
        "REDIS_URL": settings.REDIS_URL,
        "MEDIA_STORAGE": "local",
        "PYTHONPATH": str(settings.BASE_DIR),
        "RENDER_SERVICE_NAME": "rotc-celery-worker",
        "REMAP_SIGTERM": "SIGQUIT",
        **variables,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-q", "-A", "config", *_COMMAND, "-n", f"celery@{log.stem}"],
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    worker = Worker(process=process, log=log)
    try:
        wait_for(lambda: "ready." in worker.output(), seconds=60, worker=worker)
        yield worker
    finally:
        if process.poll() is None:
            worker.kill()
