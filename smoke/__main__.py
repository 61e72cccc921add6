"""Command line of the suite; see `python -m smoke --help`."""

import argparse
import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType

import pytest

from smoke.checks import FILES
from smoke.journal import require_journal
from smoke.plugin import SmokePlugin
from smoke.target import STATE, WrongUsage, resolve_target
from smoke.view import say, show_what_can_be_shown

PASSED, FAILED, WRONG_USAGE, INTERNAL, INTERRUPTED = 0, 1, 2, 3, 130
HERE = Path(__file__).resolve().parent
# The suite writes its own view and artefacts, redacted; these would show or keep what nobody has looked
# through.
UNWANTED = ("terminal", "cacheprovider", "junitxml", "logging", "warnings", "faulthandler")


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m smoke",
        description="Check a deployed RGMS from outside, in seconds.",
        epilog=(
            "Accounts come from SMOKE_ADMIN_USERNAME, SMOKE_ADMIN_PASSWORD, SMOKE_CADET_USERNAME and "
            "SMOKE_CADET_PASSWORD; for a system that scripts/up runs here, from its up.json. No proxy is used. "
            "SMOKE_CORS_ORIGIN names the front end's origin. "
            "Exit: 0 all passed, 1 a check failed, 2 wrong usage, 3 the suite itself failed (smoke.json, if there is "
            "one, then names the checks that broke)."
        ),
    )
    parser.add_argument("--base-url", help="address of the web service (default: SMOKE_BASE_URL, else up.json)")
    parser.add_argument("--channels-url", help="ws:// or wss:// address of the channels service")
    parser.add_argument("--expect-version", help="a commit (7 characters or more), or a version with a dot")
    parser.add_argument("--read-only", action="store_true", help="change nothing on the deployment")
    parser.add_argument(
        "--allow-writes",
        action="append",
        default=[],
        metavar="HOST",
        help="host where run-tagged notifications may be created and removed (loopback always may; repeatable)",
    )
    parser.add_argument("--retries", type=int, default=0, help="try a failed check again; a pass is then FLAKY")
    parser.add_argument("--state", type=Path, default=STATE, help="state directory of scripts/up")
    parser.add_argument("--out", type=Path, help="directory for smoke.json and junit.xml")
    options = parser.parse_args(arguments)
    if options.retries < 0:
        parser.error("--retries must not be negative")
    return options


def main(arguments: list[str], *, files: tuple[Path, ...] = FILES) -> int:
    show_what_can_be_shown()
    options = parse(arguments)
    try:
        target = resolve_target(
            environment=os.environ,
            base_url=options.base_url,
            channels_url=options.channels_url,
            expected_version=options.expect_version,
            read_only=options.read_only,
            allow_writes=tuple(options.allow_writes),
            state=options.state,
        )
        require_journal(target)
    except WrongUsage as error:
        sys.stderr.write(f"smoke: {error}\n")
        return WRONG_USAGE
    try:
        plugin = SmokePlugin(target=target, out=options.out, retries=options.retries)
        status = run(plugin, files=files)
        if plugin.evidence is not None:
            say(plugin.render(colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ))
        return exit_code(status, plugin=plugin)
    except Exception:  # noqa: BLE001 - Python's own exit status for it, 1, would mean that a check failed
        traceback.print_exc()
        return INTERNAL


def run(plugin: SmokePlugin, *, files: tuple[Path, ...]) -> int:
    """Run the checks in a pytest of their own.

    Neither the repository's settings nor other plugins take part.
    """
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        os.environ.pop(name, None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    signal.signal(signal.SIGTERM, _stop)
    return int(
        pytest.main(
            [
                f"--config-file={HERE / 'suite.ini'}",
                f"--rootdir={HERE}",
                "--noconftest",
                "--capture=no",
                "--assert=plain",
                "-psmoke.plugin",
                *(f"-pno:{name}" for name in UNWANTED),
                *(str(path) for path in files),
            ],
            plugins=[plugin],
        )
    )


def exit_code(status: int, *, plugin: SmokePlugin) -> int:
    """What pytest's exit status and the evidence mean to the caller."""
    evidence = plugin.evidence
    if status == pytest.ExitCode.INTERRUPTED and evidence is not None:
        return INTERRUPTED
    if evidence is None or status not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        return INTERNAL
    if evidence.sound:
        return PASSED
    # A check that broke proves nothing against the deployment, unless another one properly failed.
    if evidence.only_broken:
        return INTERNAL
    return FAILED


def _stop(_signal: int, _frame: FrameType | None) -> None:
    # As Ctrl-C: pytest then ends the session, and what the run created is removed.
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
