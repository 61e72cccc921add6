"""The plumbing under every test run, tried from outside: pytest runs of their own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.stack.processes import descendants, process_read, wait_until
from scripts.stack.pytest_servers import SERVICE, needs_service, redis_url_of_worker
from scripts.stack.state import ROOT


@pytest.mark.parametrize(
    ("arguments", "directory", "expected"),
    [
        (["rotc_backend"], ROOT, True),
        (["rotc_backend/apps/accounts/tests/test_x.py::test_y"], ROOT, True),
        (["tests"], SERVICE, True),
        (["."], ROOT, True),
        (["smoke/tests", "rotc_backend"], ROOT, True),
        (["tests/smoke_tests.py"], SERVICE, False),
        (["rotc_backend/tests/smoke_tests.py::test_health"], ROOT, False),
        (["smoke/tests", "load/tests", "scripts"], ROOT, False),
        (["../smoke/tests"], SERVICE, False),
    ],
)
def test_servers_are_for_runs_that_hold_tests_of_the_service(
    arguments: list[str], directory: Path, expected: bool
) -> None:
    assert needs_service(arguments=arguments, directory=directory) is expected


def test_every_worker_has_a_valkey_number_of_its_own() -> None:
    url = "redis://:secret@127.0.0.1:6379/0"

    assert redis_url_of_worker(url=url, worker=None) == url
    assert redis_url_of_worker(url=url, worker="gw0") == "redis://:secret@127.0.0.1:6379/1"
    assert redis_url_of_worker(url=url, worker="gw7") == "redis://:secret@127.0.0.1:6379/8"


CLEAN = {
    key: value
    for key, value in os.environ.items()
    if not key.startswith(("TEST_", "PYTEST_", "DJANGO_", "DATABASE_", "REDIS_"))
}
# No test of the service is collected, but the run is one that could hold some.
SERVICE_RUN = (
    sys.executable,
    "-m",
    "pytest",
    "-p",
    "no:cacheprovider",
    "-q",
    str(SERVICE),
    "-k",
    "no such test",
)


def test_a_run_of_the_service_never_touches_the_database_of_a_running_system(tmp_path: Path) -> None:
    plugin = tmp_path / "tell.py"
    plugin.write_text(
        "import os\n"
        "def pytest_sessionstart(session):\n"
        "    print('TOLD', os.environ['DATABASE_URL'], os.environ['DJANGO_SETTINGS_MODULE'])\n"
    )
    done = subprocess.run(
        [*SERVICE_RUN, "-p", "tell", "-s", "--collect-only"],
        cwd=ROOT,
        env={**CLEAN, "PYTHONPATH": str(tmp_path), "DATABASE_URL": "postgresql://production.example/rotc_db"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    told = next(line for line in done.stdout.splitlines() if line.startswith("TOLD"))
    assert "production.example" not in told
    assert "127.0.0.1" in told
    assert told.endswith("config.settings.testing")


def test_the_servers_of_a_killed_run_are_gone(tmp_path: Path) -> None:
    (tmp_path / "wait.py").write_text(
        "import time\ndef pytest_sessionstart(session):\n    print('READY', flush=True)\n    time.sleep(60)\n"
    )
    run = subprocess.Popen(
        [*SERVICE_RUN, "-p", "wait", "-s"],
        cwd=ROOT,
        env={**CLEAN, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    try:
        assert any("READY" in line for line in run.stdout)
        servers = [process.pid for process in descendants(pid=run.pid)]
        assert len(servers) >= 2
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
        run.stdout.close()

    assert wait_until(condition=lambda: not any(is_alive(pid) for pid in servers), seconds=10)


def is_alive(pid: int) -> bool:
    process = process_read(pid=pid)
    return process is not None and process.is_alive
