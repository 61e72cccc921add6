"""The release pipeline against whole systems: render.yaml as it is, and broken on purpose."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from scripts.stack.testing import RunningSystem, system_running

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
NAMED_WITHIN = 30.0  # seconds until health must say which service is gone


def run(
    *command: str, cwd: Path = ROOT, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("SMOKE_")}
    return subprocess.run(
        command,
        cwd=cwd,
        env={**inherited, **(variables or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=240,
    )


def verify(system: RunningSystem, out: Path, *options: str) -> tuple[int, dict[str, Any], dict[str, Any], str]:
    """(exit status, verdict.json, smoke.json, output) of scripts/verify."""
    done = run(
        "scripts/verify",
        system.web_url,
        "--profile",
        "quick",
        "--state",
        str(system.state),
        "--out",
        str(out),
        *options,
    )
    verdict = json.loads((out / "verdict.json").read_text())
    smoke = json.loads((out / "smoke.json").read_text())
    return done.returncode, verdict, smoke, done.stdout


def failed(smoke: dict[str, Any]) -> list[str]:
    return [check["id"] for check in smoke["checks"] if check["outcome"] == "failed"]


def blocked(smoke: dict[str, Any]) -> list[str]:
    return [check["id"] for check in smoke["checks"] if check["outcome"] == "blocked"]


@dataclass(frozen=True)
class Judged:
    """What one run of scripts/verify left."""

    out: Path
    status: int
    verdict: dict[str, Any]
    smoke: dict[str, Any]
    output: str


@pytest.fixture(scope="module")
def judged(running_system: RunningSystem, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """The healthy system, judged once."""
    out = tmp_path_factory.mktemp("verify")
    status, verdict, smoke, output = verify(running_system, out)
    return Judged(out, status, verdict, smoke, output)


def test_a_healthy_release_is_kept(judged: Judged) -> None:
    assert (judged.status, judged.verdict["verdict"]) == (0, "KEEP"), judged.output
    assert failed(judged.smoke) == []
    assert judged.smoke["residue"] == []
    evidence = json.loads((judged.out / "load.json").read_text())
    assert evidence["schema"] == "rgms.load/1"
    assert "KEEP" in (judged.out / "report.md").read_text()


@pytest.mark.usefixtures("judged")
def test_each_service_fits_its_memory_after_the_load(running_system: RunningSystem) -> None:
    memory = run("scripts/memory", "--state", str(running_system.state))
    assert memory.returncode == 0, memory.stdout


def test_no_secret_stands_in_the_artefacts_or_in_the_logs(running_system: RunningSystem, judged: Judged) -> None:
    generated = json.loads((running_system.state / "generated.json").read_text())
    stores = [urlsplit(running_system.document[url]).password or "" for url in ("database_url", "redis_url")]
    secrets = [value for value in [*_texts(generated), *stores] if len(value) >= 12]
    assert len(secrets) >= 6, "the generated secrets must be found, or this test proves nothing"
    written = [*judged.out.rglob("*"), *(running_system.state / "logs").rglob("*.log*")]
    assert {path.name for path in written} >= {"smoke.json", "load.json", "runner.log", "rotc-django-web.log"}
    for path in written:
        if path.is_file():
            text = path.read_text(errors="replace")
            assert not [secret for secret in secrets if secret in text], path
            assert not re.search(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", text), path


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) else []


def test_the_guides_smoke_command_runs_the_same_suite(running_system: RunningSystem) -> None:
    credentials = {"SMOKE_BASE_URL": running_system.web_url, "SMOKE_CHANNELS_URL": running_system.channels_url}
    for role, name in (("admin", "ADMIN"), ("training_staff", "STAFF"), ("cadet", "CADET")):
        credentials[f"SMOKE_{name}_USERNAME"], credentials[f"SMOKE_{name}_PASSWORD"] = running_system.account(role)
    done = run(
        sys.executable,
        "-m",
        "pytest",
        "tests/smoke_tests.py",
        cwd=ROOT / "rotc_backend",
        variables=credentials,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d\d+ passed", done.stdout), done.stdout


def test_a_missing_worker_is_a_rollback_with_one_cause(tmp_path: Path) -> None:
    with system_running("--cadets", "5", "--without", "rotc-celery-worker") as system:
        status, verdict, smoke, output = verify(system, tmp_path)
    assert (status, verdict["verdict"]) == (20, "ROLLBACK"), output
    assert failed(smoke) == ["worker.heartbeat"]
    assert blocked(smoke)
    assert "rotc-celery-worker" in output


def test_another_secret_in_channels_is_a_rollback_with_one_cause(tmp_path: Path) -> None:
    other = "DJANGO_SECRET_KEY=qL2wE4rT6yU8iO0pA1sD3fG5hJ7kZ9xC2vB4nM6tR8e"
    with system_running("--cadets", "5", "--set", f"rotc-django-channels:{other}") as system:
        status, verdict, smoke, output = verify(system, tmp_path)
    assert (status, verdict["verdict"]) == (20, "ROLLBACK"), output
    assert len(failed(smoke)) == 1
    assert "key" in failed(smoke)[0]
    assert any(check.startswith("socket") for check in blocked(smoke))


def test_a_missing_beat_is_a_hold_that_names_beat(tmp_path: Path) -> None:
    with system_running("--cadets", "5", "--without", "rotc-celery-beat") as system:
        status, verdict, smoke, output = verify(system, tmp_path)
    assert (status, verdict["verdict"]) == (10, "HOLD"), output
    assert failed(smoke) == ["beat.heartbeat"]
    (finding,) = [finding for finding in verdict["findings"] if finding["check"] == "beat.heartbeat"]
    assert "rotc-celery-beat" in json.dumps(finding)


def test_an_address_where_nothing_listens_never_became_healthy(tmp_path: Path) -> None:
    with socket.socket() as reserved:  # bound and not listening: connections are refused
        reserved.bind(("127.0.0.1", 0))
        account = {
            f"SMOKE_{role}_{what}": "x" for role in ("ADMIN", "STAFF", "CADET") for what in ("USERNAME", "PASSWORD")
        }
        address = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        done = run("scripts/verify", address, "--wait", "3", "--out", str(tmp_path), variables=account)
    assert done.returncode == 20, done.stdout
    assert "never became healthy" in done.stdout
    assert "Traceback" not in done.stdout


def health(url: str) -> dict[str, Any]:
    return httpx.get(f"{url.replace('ws://', 'http://')}/api/health/", timeout=2.0).json()


@pytest.mark.parametrize(
    ("killed", "asked"),
    [
        (("rotc-django-channels", "rotc-celery-worker", "rotc-celery-beat"), "web"),
        (("rotc-django-web",), "channels"),
        # Each alone says that none is named in another's place; scripts/prove runs these.
        *(
            pytest.param((service,), "web", marks=pytest.mark.long)
            for service in ("rotc-django-channels", "rotc-celery-worker", "rotc-celery-beat")
        ),
    ],
)
def test_health_names_killed_services_within_thirty_seconds(killed: tuple[str, ...], asked: str) -> None:
    with system_running("--cadets", "5") as system:
        url = system.web_url if asked == "web" else system.channels_url
        assert health(url)["status"] == "healthy"
        for service in killed:
            os.kill(system.pid(service), signal.SIGKILL)
        at = time.monotonic()
        answer = health(url)
        while set(killed) - stopped(answer) and time.monotonic() - at < NAMED_WITHIN:
            time.sleep(0.5)
            answer = health(url)
    assert stopped(answer) == set(killed)
    assert answer["status"] == "degraded"
    assert answer["services"]["celery"] == ("stopped" if "rotc-celery-worker" in killed else "running")


def stopped(answer: dict[str, Any]) -> set[str]:
    return {name for name, process in answer["processes"].items() if process["state"] != "running"}
