"""Whole systems for tests: fixtures that run scripts/up as a person would, and stop what they started.

Under xdist each worker that asks for `running_system` starts one of its own: keep such tests in one module,
marked `@pytest.mark.xdist_group("running_system")`, and run with `--dist loadgroup`.
"""

import json
import os
import random
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.stack.state import ROOT

_START_WITHIN = 240  # seconds, on a busy machine
_STOP_WITHIN = 200
_NOT_INHERITED = ("DATABASE_URL", "REDIS_URL", "PYTHONPATH")


@dataclass(frozen=True, kw_only=True)
class RunningSystem:
    """`document` is up.json as it was when the system became healthy; `read()` reads it again."""

    state: Path
    document: Mapping[str, Any]
    output: str

    @property
    def web_url(self) -> str:
        return str(self.document["web_url"])

    @property
    def channels_url(self) -> str:
        return str(self.document["channels_url"])

    def account(self, role: str) -> tuple[str, str]:
        """User name and password of `admin`, `training_staff` or `cadet`."""
        account = self.document["accounts"][role]
        return account["username"], account["password"]

    def pid(self, service: str) -> int:
        return int(self.read()["services"][service]["pid"])

    def read(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.state / "up.json").read_text())
        return document


class StartFailedError(AssertionError):
    """`scripts/up` did not exit with 0. `status` and `output` are its own."""

    def __init__(self, *, status: int, output: str) -> None:
        self.status = status
        self.output = output
        super().__init__(f"scripts/up ended with exit status {status}:\n{output}")


def free_ports() -> int:
    """A port N such that N and N + 1 are free."""
    for _ in range(200):
        port = random.randrange(10000, 20000, 2)  # noqa: S311 - not a secret
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("0.0.0.0", port))  # noqa: S104 - as the services will
                second.bind(("0.0.0.0", port + 1))  # noqa: S104
            except OSError:
                continue
            return port
    raise AssertionError("no two free ports side by side")


@contextmanager
def system_running(
    *options: str, state: Path | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[RunningSystem]:
    """A system started by `scripts/up --detach` with these further options. Raises StartFailedError.

    Without `state` it gets an empty one, which goes with it. A developer's .env and stores are not used.
    """
    where = state if state is not None else Path(tempfile.mkdtemp(prefix="rgms-system-"))
    where.chmod(0o711)  # PostgreSQL runs as another user when the tests run as root
    port = [] if "--port" in options else ["--port", str(free_ports())]
    inherited = {key: value for key, value in os.environ.items() if key not in _NOT_INHERITED}
    try:
        done = _run(
            ["up", "--detach", "--state", str(where), "--env-file", os.devnull, *port, *options],
            environment={**inherited, **(environment or {})},
            timeout=_START_WITHIN,
        )
        if done.returncode != 0:
            raise StartFailedError(status=done.returncode, output=done.stdout)
        document = json.loads((where / "up.json").read_text())
        yield RunningSystem(state=where, document=document, output=done.stdout)
    finally:
        _run(["down", "--state", str(where)], environment=inherited, timeout=_STOP_WITHIN)
        if state is None:
            elsewhere = where / "postgres.location"  # where the cluster is, if its user could not enter `where`
            if elsewhere.exists():
                shutil.rmtree(elsewhere.read_text().strip(), ignore_errors=True)
            shutil.rmtree(where, ignore_errors=True)


def _run(command: Sequence[str], *, environment: Mapping[str, str], timeout: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "scripts" / command[0]), *command[1:]],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=timeout,
    )


@pytest.fixture(scope="session")
def running_system() -> Iterator[RunningSystem]:
    """The four services of render.yaml, healthy, with few cadets. Shared: leave it as it was."""
    with system_running("--cadets", "20") as system:
        yield system
