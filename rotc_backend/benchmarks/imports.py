"""What an import of cadets costs in the worker: seconds and memory against their goals, and whether all comes back.

scripts/benchmark-import --out FILE     on a PostgreSQL, a Valkey and a worker of its own, which end with it
"""

import argparse
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.service import django_started
from scripts.stack.memory import BUDGETS
from scripts.stack.processes import descendants, proportional_memory
from scripts.stack.pytest_servers import servers_running

if TYPE_CHECKING:
    from apps.accounts.rules import Principal
    from apps.imports.models import ImportRun
    from core.tests.worker_process import Worker

CADETS = 3_000
GOAL_SECONDS = 30.0  # of the preview, and of the application
GOAL_MEGABYTES = 200.0  # of the process that imports
PATIENCE = 600  # seconds, after which a run is taken for stuck
SERVICE = "rotc-celery-worker"
SAMPLE_SECONDS = 0.05
_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Step:
    """A run from the moment at which it was asked for until it had ended, and how many rows had which fate.

    `pss` is what all the worker's processes had together at most meanwhile, in megabytes, as sampled. PSS shares out
    what several processes have in common, so that the sum is what the worker takes from its machine.
    """

    title: str
    seconds: float
    pss: float
    counts: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Result:
    """`pss_idle` is of all the worker's processes before, `rss` of the largest at most, as the kernel has counted."""

    cadets: int
    kilobytes: int
    steps: Sequence[Step]
    pss_idle: float
    rss: float
    came_back: bool

    @property
    def is_in_bounds(self) -> bool:
        in_time = all(step.seconds < GOAL_SECONDS for step in self.steps)
        in_room = all(step.pss < BUDGETS[SERVICE] for step in self.steps) and self.rss < GOAL_MEGABYTES
        return self.came_back and in_time and in_room


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when all goals are met and everything came back, else 1."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="rgms-import-") as folder:
        state = Path(folder)
        state.chmod(0o711)  # PostgreSQL runs as another user when this runs as root
        with servers_running(state=state) as urls:
            django_started(urls, media=state / "media")
            os.environ["LOG_LEVEL"] = "INFO"  # the worker says when it is ready
            result = _measured(options.cadets, log=state / "worker.log")
            from django.db import connections

            connections.close_all()
    page = _page(result)
    sys.stdout.write(page)
    if options.out is not None:
        options.out.write_text(page)
    return 0 if result.is_in_bounds else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/benchmark-import", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cadets", type=int, default=CADETS, help="rows of the file")
    parser.add_argument("--out", type=Path, help="also write the table to this file (Markdown)")
    return parser.parse_args(arguments)


def _measured(cadets: int, *, log: Path) -> Result:
    from apps.accounts.models import Role
    from apps.accounts.selectors import principal_of_user
    from apps.accounts.tests.factories import user
    from apps.cadets.models import Cadet, Enrollment
    from apps.cadets.rules import CADET_SHEET_COLUMNS
    from apps.cadets.selectors import cadets_sheet
    from apps.cadets.tests import factories, sheets
    from apps.imports.services.asking import import_apply
    from core.spreadsheets.writing import xlsx_stream
    from core.tests.worker_process import worker_running

    actor = principal_of_user(user("amina", role=Role.ADMIN))
    sheets.unit_fill(cadets, term=factories.term())
    stored, exported = list(sheets.unit_stored()), list(cadets_sheet())
    content = b"".join(xlsx_stream(columns=CADET_SHEET_COLUMNS, rows=exported, sheet_name="Cadets"))
    Enrollment.objects.all().delete()
    Cadet.objects.all().delete()
    with worker_running(log=log) as worker, _Watch(worker.process.pid) as watch:
        idle = watch.most_since()

        def step(title: str, ask: Callable[[], int]) -> tuple[int, Step]:
            run, seconds = _performed(ask, worker=worker)
            return run.pk, Step(title=title, seconds=seconds, pss=watch.most_since(), counts=run.counts)

        first, preview = step("preview", lambda: _sent(actor, content))
        _, application = step("application", lambda: import_apply(actor=actor, run_id=first).pk)
        second, preview_again = step("preview of the same file", lambda: _sent(actor, content))
        _, again = step("application of the same file", lambda: import_apply(actor=actor, run_id=second).pk)
        rss = worker.peak_megabytes()
    same = stored == list(sheets.unit_stored()) and exported == list(cadets_sheet())
    return Result(
        cadets=cadets,
        kilobytes=len(content) // 1024,
        steps=[preview, application, preview_again, again],
        pss_idle=idle,
        rss=rss,
        came_back=same and again.counts["unchanged"] == cadets,
    )


def _sent(actor: "Principal", content: bytes) -> int:
    from apps.imports.services.asking import import_create

    return int(import_create(actor=actor, kind="cadets", file_name="cadets.xlsx", content=content).pk)


def _performed(ask: Callable[[], int], *, worker: "Worker") -> tuple["ImportRun", float]:
    """(the run, seconds) once the worker has ended it. Raises SystemExit when it ended otherwise than well."""
    from apps.imports.models import ImportRun, State
    from core.tests.worker_process import wait_for

    started = time.perf_counter()
    run_id = ask()
    under_way = ImportRun.objects.filter(pk=run_id, state__in=(State.QUEUED, State.RUNNING))
    wait_for(lambda: not under_way.exists(), seconds=PATIENCE, worker=worker)
    seconds = time.perf_counter() - started
    run = ImportRun.objects.get(pk=run_id)
    if run.state not in {State.READY, State.DONE}:
        raise SystemExit(f"The import is {run.state}: {run.problem}\n{worker.output()[-4000:]}")
    return run, seconds


class _Watch:
    """Samples the memory of a process and all below it, in megabytes, from a thread."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._most = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def most_since(self) -> float:
        """The most since it was last asked."""
        most, self._most = max(self._most, self._sample()), 0.0
        return most

    def _run(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self._most = max(self._most, self._sample())

    def _sample(self) -> float:
        pids = [self._pid, *(process.pid for process in descendants(pid=self._pid))]
        return sum(proportional_memory(pid=pid) or 0 for pid in pids) / _MEGABYTE


def _page(result: Result) -> str:
    lines = [
        (
            f"Import of {result.cadets:,} cadets with every column filled, from a workbook of {result.kilobytes:,} KB, "
            f"in a worker as render.yaml starts it. Python {platform.python_version()}, {os.cpu_count()} CPUs."
        ),
        "",
        f"| step | seconds (goal {GOAL_SECONDS:.0f}) | MB of all processes, PSS (budget {BUDGETS[SERVICE]}) | rows |",
        "| --- | ---: | ---: | --- |",
        f"| idle | | {result.pss_idle:.0f} | |",
        *(f"| {step.title} | {step.seconds:.1f} | {step.pss:.0f} | {_counted(step.counts)} |" for step in result.steps),
        "",
        f"The process that imports had {result.rss:.0f} MB at most (RSS; goal {GOAL_MEGABYTES:.0f}).",
        f"Every field came back as it was, and so did the export: {'yes' if result.came_back else 'NO'}.",
        "All goals are met." if result.is_in_bounds else "A GOAL IS MISSED.",
    ]
    return "\n".join(lines) + "\n"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {fate}" for fate, count in counts.items() if count)


if __name__ == "__main__":
    sys.exit(main())
