"""The pytest plugin: collects checks, orders them by need, blocks what depends on a failure, keeps what came.

`python -m smoke` hands pytest a SmokePlugin of its own. A test module with this one in its `pytest_plugins`
(rotc_backend/tests/smoke_tests.py) gets one configured from the environment.
"""

import contextlib
import os
import secrets
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from smoke.check import ATTRIBUTE, Check, in_order
from smoke.deployment import Deployment
from smoke.evidence import Evidence, Outcome, Record, describe, write_json, write_junit
from smoke.expectation import Mismatch
from smoke.journal import require_journal
from smoke.redaction import Redaction
from smoke.target import Target, WrongUsage, resolve_target
from smoke.view import render


class SmokePlugin:
    """One run of the suite. `target` None: read from the environment once the first check was collected."""

    def __init__(self, *, target: Target | None = None, out: Path | None = None, retries: int = 0) -> None:
        self.redaction = Redaction()
        self.evidence: Evidence | None = None
        self._target = target
        self._out = out
        self._retries = retries
        self._deployment: Deployment | None = None
        self._attempts = 1
        self._first_mismatch: Mismatch | None = None

    # Collection
    # --------------------------------------------------------------------------------------------------

    def pytest_pycollect_makeitem(
        self, collector: pytest.Module | pytest.Class, name: str, obj: object
    ) -> pytest.Item | None:
        if not isinstance(getattr(obj, ATTRIBUTE, None), Check):
            return None
        item: pytest.Item = pytest.Function.from_parent(collector, name=name)
        return item

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Order the checks by need, before anything is deselected.

        A need that exists nowhere is always an error.
        """
        mine = {check.id: item for item in items if (check := check_of(item)) is not None}
        if not mine:
            return
        if len(mine) < sum(check_of(item) is not None for item in items):
            raise pytest.UsageError("two checks have the same id")
        try:
            order = in_order([check for item in items if (check := check_of(item)) is not None])
        except ValueError as error:
            raise pytest.UsageError(str(error)) from None
        items[:] = [item for item in items if check_of(item) is None] + [mine[check.id] for check in order]
        if self._target is None:
            try:
                self._target = resolve_target(environment=os.environ)
                require_journal(self._target)
            except WrongUsage as error:
                pytest.exit(f"smoke: {error}", returncode=2)
        self._begin(self._target)

    def _begin(self, target: Target) -> None:
        run_id = f"smoke-{secrets.token_hex(6)}"
        self._deployment = Deployment(target=target, redaction=self.redaction, run_id=run_id)
        self.evidence = Evidence(
            run_id=run_id,
            base_url=target.base_url,
            channels_url=target.channels_url,
            read_only=target.read_only,
            expected_version=target.expected_version,
        )

    @property
    def deployment(self) -> Deployment:
        """The deployment under judgement; there is one as soon as checks were collected."""
        assert self._deployment is not None
        return self._deployment

    # Each check
    # --------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        check = check_of(item)
        if check is None:
            return
        assert self.evidence is not None
        self._attempts = 1
        self._first_mismatch = None
        # None: the person who calls has deselected the need, and gets the check alone.
        parents = [parent for need in check.needs if (parent := self.evidence.of(need)) is not None]
        for parent in parents:
            if parent.outcome in {"failed", "blocked"}:
                record = Record.of(check, outcome="blocked")
                record.blocked_by = parent.blocked_by or parent.id
                self.evidence.checks.append(record)
                pytest.skip(f"BLOCKED by {record.blocked_by}")
        for parent in parents:
            if parent.outcome == "skipped":
                self._skip(check, reason=f"it needs {parent.id}, which was skipped")
        if check.writes and self.deployment.target.why_not_write is not None:
            self._skip(check, reason=f"it writes, and {self.deployment.target.why_not_write}")
        self.deployment.permission.running = check

    def _skip(self, check: Check, *, reason: str) -> None:
        assert self.evidence is not None
        record = Record.of(check, outcome="skipped")
        record.came = reason
        self.evidence.checks.append(record)
        pytest.skip(reason)

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        if check_of(pyfuncitem) is None:
            return (yield)
        try:
            return (yield)
        except Mismatch as mismatch:
            self._first_mismatch = failure = mismatch
        for _ in range(self._retries):
            self._attempts += 1
            # A kept answer would disappoint a second time, however well the deployment is by now.
            self.deployment.forget()
            try:
                pyfuncitem.obj(deployment=self.deployment)
            except Mismatch as mismatch:
                failure = mismatch
            else:
                return True
        raise failure

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        check = check_of(item)
        if check is None:
            return report
        assert self.evidence is not None
        # Captured output and logs hold what no redaction has seen.
        report.sections.clear()
        error = call.excinfo.value if call.excinfo is not None else None
        if call.when == "call" or (call.when == "setup" and report.failed):
            record = self._record(check, error=error)
            record.duration_ms = round(call.duration * 1000, 1)
            self.evidence.checks.append(record)
        if report.failed:
            known = self.evidence.of(check.id)
            report.longrepr = self.redaction.scrub(
                f"{check.id} ({check.severity}): {check.title}\n{describe(known) if known else repr(error)}"
            )
        return report

    def _record(self, check: Check, *, error: BaseException | None) -> Record:
        self.deployment.permission.running = None
        outcome: Outcome = "failed" if error is not None else "flaky" if self._first_mismatch else "passed"
        record = Record.of(check, outcome=outcome)
        record.attempts = self._attempts
        told = error if isinstance(error, Mismatch) else self._first_mismatch
        if isinstance(told, Mismatch):
            record.expected, record.came, record.request_id = told.expected, told.came, told.request_id
            record.next_step = told.next_step or check.next_step
            record.broken = outcome == "failed" and told.broken
        if error is not None and not isinstance(error, Mismatch):
            record.broken = True
            record.expected = "the check to come to an end"
            record.came = f"{type(error).__name__}: {error}{_place(error)}"
            record.next_step = (
                "This is a fault of the suite, not proof of one in the deployment: report it with smoke.json."
            )
        return record

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        if report.when == "setup" and report.skipped and "BLOCKED by" in str(report.longrepr):
            return "blocked", "b", "BLOCKED"
        return None

    # The end
    # -----------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self._deployment is None or self.evidence is None:
            return
        self.evidence.interrupted = exitstatus in {
            pytest.ExitCode.INTERRUPTED,
            pytest.ExitCode.INTERNAL_ERROR,
        }
        # Also when a person has pressed Ctrl-C, or a check stopped between creating and removing.
        self._deployment.permission.running = CLEANING
        try:
            self.evidence.residue = self._deployment.clean_up()
        except (Mismatch, OSError) as error:
            self.evidence.residue = [f"unknown: {error}"]
        # A journal that cannot be put away is read again by the next run.
        with contextlib.suppress(OSError):
            self._deployment.close()
        self.evidence.target = self._identity()
        self.evidence.finished_at = datetime.now(UTC)
        if self.evidence.residue and exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self._out is not None:
            write_json(self.evidence, path=self._out / "smoke.json", redaction=self.redaction)
            write_junit(self.evidence, path=self._out / "junit.xml", redaction=self.redaction)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.evidence is not None:
            terminalreporter.section("smoke")
            terminalreporter.write_line(self.render(colour=bool(terminalreporter.hasmarkup)))

    def render(self, *, colour: bool) -> str:
        """The terminal view of a run that has begun."""
        assert self.evidence is not None
        return render(self.evidence, redaction=self.redaction, colour=colour)

    def _identity(self) -> dict[str, str | None] | None:
        """Version, commit and environment as health gave them; None if health was never readable."""
        answer = self.deployment.asked_health
        try:
            body = answer.json() if answer is not None else None
        except Mismatch:
            return None
        if not isinstance(body, dict):
            return None
        return {
            name: str(body[name]) if body.get(name) is not None else None
            for name in ("version", "commit", "environment")
        }


CLEANING = Check(
    id="run.cleaning",
    title="What the run created is removed",
    severity="major",
    needs=(),
    next_step="",
    writes=True,
    last=True,
)


def check_of(item: pytest.Item) -> Check | None:
    """The declaration of an item that is a check."""
    found = getattr(getattr(item, "obj", None), ATTRIBUTE, None)
    return found if isinstance(found, Check) else None


def running_plugin(config: pytest.Config) -> SmokePlugin | None:
    return next((one for one in config.pluginmanager.get_plugins() if isinstance(one, SmokePlugin)), None)


def pytest_configure(config: pytest.Config) -> None:
    if running_plugin(config) is None:
        out = os.environ.get("SMOKE_OUT")
        config.pluginmanager.register(SmokePlugin(out=Path(out) if out else None))


@pytest.fixture(scope="session")
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """What every check gets; see smoke.deployment.Deployment."""
    plugin = running_plugin(request.config)
    assert plugin is not None
    return plugin.deployment


def _place(error: BaseException) -> str:
    """The innermost line of this suite in the error's traceback."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.is_relative_to(Path(__file__).parent) and path != Path(__file__):
            place = f" (smoke/{path.relative_to(Path(__file__).parent)}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place
