import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from smoke.checks import every_check
from smoke.tests.conftest import REPOSITORY, SmokeRun, Suite

Command = Callable[..., SmokeRun]


def without_target() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("SMOKE_", "PYTEST_"))}


def test_no_target_is_wrong_usage_that_names_both_ways(command: Command, tmp_path: Path) -> None:
    run = command("--state", str(tmp_path), environment=without_target())
    assert run.status == 2
    assert "SMOKE_BASE_URL" in run.output
    assert str(tmp_path / "up.json") in run.output


@pytest.mark.parametrize("arguments", [("--retries", "-1"), ("--retries", "some"), ("--unknown",)])
def test_wrong_options_are_wrong_usage(command: Command, arguments: tuple[str, ...]) -> None:
    assert command(*arguments, environment=without_target()).status == 2


def test_where_nothing_listens_the_whole_suite_fails_once_per_service(command: Command, suite: Suite) -> None:
    run = command(
        *("--base-url", "http://127.0.0.1:9", "--channels-url", "ws://127.0.0.1:9", "--out", str(suite.out)),
        environment=suite.environment(),
    )
    assert run.status == 1
    assert len(run.outcomes) == len(every_check())
    failed = [name for name, outcome in run.outcomes.items() if outcome == "failed"]
    assert failed == ["health.web", "channels.answers"]
    assert set(run.outcomes.values()) == {"failed", "blocked"}


def test_settings_of_the_callers_pytest_do_not_reach_the_suite(command: Command, suite: Suite) -> None:
    environment = suite.environment() | {
        "PYTEST_ADDOPTS": "--no-such-option",
        "PYTEST_PLUGINS": "no_such_plugin",
    }
    run = command(
        *("--base-url", "http://127.0.0.1:9", "--channels-url", "ws://127.0.0.1:9", "--out", str(suite.out)),
        environment=environment,
    )
    assert run.status == 1


def run_guides_command(environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/smoke_tests.py"],
        cwd=REPOSITORY / "rotc_backend",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_guides_command_runs_the_same_checks(suite: Suite) -> None:
    done = run_guides_command(
        suite.environment()
        | {
            "SMOKE_BASE_URL": "http://127.0.0.1:9",
            "SMOKE_CHANNELS_URL": "ws://127.0.0.1:9",
            "SMOKE_OUT": str(suite.out),
        }
    )
    run = SmokeRun(status=done.returncode, output=done.stdout, out=suite.out)
    assert run.status == 1
    assert len(run.outcomes) == len(every_check())
    assert "CRITICAL  health.web" in run.output
    assert f"2 failed, {len(every_check()) - 2} blocked" in run.output


def test_the_guides_command_refuses_an_address_without_accounts_naming_them() -> None:
    done = run_guides_command(without_target() | {"SMOKE_BASE_URL": "https://rgms.example"})
    assert done.returncode == 2
    assert "SMOKE_ADMIN_PASSWORD" in done.stdout
