import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from smoke.tests.misbehaving import CANARY_PASSWORD, FakeService, serving

REPOSITORY = Path(__file__).resolve().parents[2]
# The command line of the suite, with other checks in place of its own.
DRIVER = (
    "import sys; from pathlib import Path; from smoke.__main__ import main;"
    "sys.exit(main(sys.argv[2:], files=(Path(sys.argv[1]),)))"
)
PREAMBLE = """
from smoke.check import check
from smoke.deployment import Deployment
from smoke.expectation import expect

def declared(id, **options):
    usual = {"id": id, "title": f"Title of {id}", "severity": "critical", "next_step": "Do this."}
    return check(**(usual | options))
"""


@dataclass
class SmokeRun:
    """A finished run of the suite in a process of its own."""

    status: int
    output: str
    out: Path

    @property
    def evidence(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.out / "smoke.json").read_text(encoding="utf-8"))
        return document

    @property
    def outcomes(self) -> dict[str, str]:
        return {check["id"]: check["outcome"] for check in self.evidence["checks"]}

    def check(self, id: str) -> dict[str, Any]:  # noqa: A002 - the word that the reports use
        return next(check for check in self.evidence["checks"] if check["id"] == id)


class Suite:
    """Runs checks given as text against the misbehaving server."""

    def __init__(self, *, directory: Path, service: FakeService) -> None:
        self.directory = directory
        self.service = service
        self.out = directory / "out"

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SMOKE_", "PYTEST_"))}
        return kept | {
            "PYTHONPATH": str(REPOSITORY),
            "SMOKE_ADMIN_USERNAME": "admin",
            "SMOKE_ADMIN_PASSWORD": CANARY_PASSWORD,
            "SMOKE_CADET_USERNAME": "cadet",
            "SMOKE_CADET_PASSWORD": CANARY_PASSWORD,
            "SMOKE_JOURNAL": str(self.directory / "journal"),
        }

    def start(self, checks: str, *arguments: str) -> "subprocess.Popen[str]":
        file = self.directory / "checks_of_this_test.py"
        file.write_text(PREAMBLE + textwrap.dedent(checks))
        channels = self.service.url.replace("http", "ws")
        return subprocess.Popen(
            [
                *(sys.executable, "-c", DRIVER, str(file)),
                *("--base-url", self.service.url, "--channels-url", channels, "--out", str(self.out)),
                *arguments,
            ],
            cwd=REPOSITORY,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, checks: str, *arguments: str) -> SmokeRun:
        return self.finish(self.start(checks, *arguments))

    def finish(self, process: "subprocess.Popen[str]") -> SmokeRun:
        output, _ = process.communicate(timeout=30)
        return SmokeRun(status=process.returncode, output=output, out=self.out)


@pytest.fixture
def service() -> Iterator[FakeService]:
    with serving(FakeService()) as running:
        yield running


@pytest.fixture
def suite(tmp_path: Path, service: FakeService) -> Suite:
    return Suite(directory=tmp_path, service=service)


@pytest.fixture
def command(suite: Suite) -> Callable[..., SmokeRun]:
    """The real command line, with the environment given."""

    def run(*arguments: str, environment: dict[str, str]) -> SmokeRun:
        done = subprocess.run(
            [sys.executable, "-m", "smoke", *arguments],
            cwd=REPOSITORY,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
            check=False,
        )
        return SmokeRun(status=done.returncode, output=done.stdout, out=suite.out)

    return run
