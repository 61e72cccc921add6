"""A training morning: everybody scans within ten minutes, through real HTTP, against the web service of render.yaml.

scripts/benchmark-scans --full     on a PostgreSQL and a Valkey of its own, which keep what they are told to disk

1  seed a unit with its term of training days, and training days of today
2  start web as production starts it: command, workers, settings
3  four scanners at five scans a second; latency counts from when a scan was due, so that waiting is not left out
4  the same four as fast as answers come
5  compare what was answered with what is stored
"""

import argparse
import http.client
import itertools
import json
import math
import os
import platform
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from scripts.stack import plan as planning
from scripts.stack.blueprint_file import blueprint_read
from scripts.stack.postgres import PostgresSettings, postgres_server
from scripts.stack.processes import launch
from scripts.stack.readiness import health_ask
from scripts.stack.servers import server_running
from scripts.stack.state import ROOT, State
from scripts.stack.valkey import valkey_server

WEB = "rotc-django-web"
SCANNERS = 4
PER_SECOND = 5  # 3,000 cadets in ten minutes
CADETS = 3_000
TERM_DAYS = 15
SECONDS, FULL_SECONDS, CLOSED_LOOP_SECONDS = 60, 600, 20
SPARE_DAYS = 8  # of today, for the closed loop: each cadet is scanned in once a day
RECORDED = "recorded"
_READY_WITHIN = 60.0  # seconds
_ANSWER_WITHIN = 30.0  # seconds

Whom = tuple[int, int]  # training day, cadet


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What became of a scan: `outcome` is the service's word for it, or why there was none."""

    training_day_id: int
    seconds: float
    outcome: str


@dataclass(frozen=True, kw_only=True)
class Phase:
    title: str
    answers: Sequence[Answered]
    seconds: float
    cpu_seconds: float

    @property
    def accepted(self) -> Mapping[int, int]:
        """How many scans were recorded, by training day."""
        return Counter(answer.training_day_id for answer in self.answers if answer.outcome == RECORDED)

    @property
    def failures(self) -> Mapping[str, int]:
        return Counter(answer.outcome for answer in self.answers if answer.outcome != RECORDED)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every scan was recorded, and the records are those that were answered; else 1."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="rgms-scans-") as folder, ExitStack() as stack:
        state = State(Path(folder))
        state.create()
        plan, port = _prepared(state, stack)
        morning = _seeded(options.cadets)
        web = stack.enter_context(_web_running(plan, port, log=state.logs / "web.log"))
        send = morning.sender(port)
        seconds = FULL_SECONDS if options.full else options.seconds
        phases = [
            _phase(f"{PER_SECOND}/s for {seconds} s", web, lambda: _paced(send, morning.first_day(), seconds)),
            _phase(
                f"closed loop for {options.closed_loop} s",
                web,
                lambda: _closed_loop(send, morning.spare_days(), options.closed_loop),
            ),
        ]
        stored = morning.stored()
    page, sound = page_of(phases, stored, cadets=options.cadets, workers=plan.environments[WEB]["GUNICORN_WORKERS"])
    sys.stdout.write(page)
    if options.out is not None:
        options.out.write_text(page)
    return 0 if sound else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/benchmark-scans", description=(__doc__ or "").splitlines()[0], allow_abbrev=False
    )
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of the sample at five scans a second")
    parser.add_argument("--full", action="store_true", help=f"the whole morning: {FULL_SECONDS} s")
    parser.add_argument("--closed-loop", type=int, default=CLOSED_LOOP_SECONDS, help="seconds as fast as it goes")
    parser.add_argument("--cadets", type=int, default=CADETS, help="size of the unit")
    parser.add_argument("--out", type=Path, help="also write the table to this file (Markdown)")
    return parser.parse_args(arguments)


# --- The system -------------------------------------------------------------------------------------------------------


def _prepared(state: State, stack: ExitStack) -> tuple[planning.Plan, int]:
    """Servers that run, this process set up as web is, and the plan by which web starts at a free port."""
    blueprint = blueprint_read(ROOT / "render.yaml")
    database = next(iter(blueprint.databases.values()))
    postgres = postgres_server(PostgresSettings(state=state.path, database=database.database_name, user=database.user))
    key_value = next(iter(blueprint.key_values.values()))
    valkey = valkey_server(state=state.path, maxmemory_policy=key_value.maxmemory_policy)
    for server in (postgres, valkey):
        stack.enter_context(server_running(server, log=state.logs / f"{server.launch.name}.log"))
    port = _free_port()
    plan = planning.plan_make(
        blueprint=blueprint,
        root=ROOT,
        state=state,
        ports={WEB: port},
        database_url=postgres.url,
        redis_url=valkey.url,
        prompted={},
        overrides={},
        without=frozenset(blueprint.services) - {WEB},
        commit=planning.commit_read(ROOT),
    )
    os.environ.update({**plan.environments[WEB], "LOG_LEVEL": "ERROR"})
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    stack.callback(connections.close_all)
    call_command("migrate", "--no-input", verbosity=0)
    return plan, port


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _web_running(plan: planning.Plan, port: int, *, log: Path) -> Iterator[psutil.Process]:
    (what,) = plan.services
    with log.open("wb") as output:
        process = launch(what, output=output)
    try:
        deadline = time.monotonic() + _READY_WITHIN
        while health_ask(port=port, path="/api/health/").status != 200:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{WEB} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.2)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=what.patience + 10)


def _cpu_seconds(web: psutil.Process) -> float:
    """Of the master and all workers, in user and kernel mode."""
    times = [process.cpu_times() for process in (web, *web.children(recursive=True))]
    return float(sum(spent.user + spent.system for spent in times))


# --- The unit ---------------------------------------------------------------------------------------------------------


class Morning:
    """Cadets, training days of today, and scanners that are signed in."""

    def __init__(self, *, day_ids: Sequence[int], cadet_ids: Sequence[int], tokens: Sequence[str]) -> None:
        self._day_ids, self._cadet_ids, self._tokens = day_ids, cadet_ids, tokens

    def first_day(self) -> list[Whom]:
        return [(self._day_ids[0], cadet_id) for cadet_id in self._cadet_ids]

    def spare_days(self) -> Iterator[Whom]:
        return itertools.product(self._day_ids[1:], self._cadet_ids)

    def sender(self, port: int) -> Callable[[int], "Scanner"]:
        return lambda number: Scanner(port=port, token=self._tokens[number])

    def stored(self) -> Mapping[int, int]:
        """How many records the scanned days have, by day."""
        from django.db.models import Count

        from apps.training.models import AttendanceRecord

        rows = AttendanceRecord.objects.filter(training_day__in=self._day_ids, source="scan")
        return dict(rows.values("training_day").annotate(rows=Count("pk")).values_list("training_day", "rows"))


def _seeded(cadets: int) -> Morning:
    from apps.accounts.models import Role
    from apps.accounts.tests import factories
    from apps.cadets.models import Enrollment
    from apps.training.models import TrainingDay
    from benchmarks.rows import unit_load
    from core.clock import manila_date, now

    sys.stderr.write(f"loading {cadets} cadets …\n")
    staff = [factories.user(f"scanner-{number}", role=Role.TRAINING_STAFF) for number in range(SCANNERS)]
    unit = unit_load(cadets=cadets, days=TERM_DAYS, cadet_user=factories.user("liza"), issuer=staff[0])
    today = TrainingDay.objects.bulk_create(
        TrainingDay(pk=TERM_DAYS + place, term_id=unit.term_id, date=manila_date(now()), title=f"Morning {place}")
        for place in range(1, SPARE_DAYS + 2)
    )
    return Morning(
        day_ids=[day.pk for day in today],
        cadet_ids=list(Enrollment.objects.filter(term_id=unit.term_id).order_by("pk").values_list("cadet", flat=True)),
        tokens=[factories.signed_in(user).access for user in staff],
    )


# --- Scanning ---------------------------------------------------------------------------------------------------------


class Scanner:
    """One device with one connection, which stays open."""

    def __init__(self, *, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_WITHIN)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def scan(self, whom: Whom) -> str:
        """Show the scanner a code that this cadet has just fetched; the outcome."""
        training_day_id, cadet_id = whom
        body = json.dumps({"scan_id": str(uuid.uuid4()), "code": _code(training_day_id, cadet_id)})
        try:
            self._connection.request("POST", f"/api/v1/training-days/{training_day_id}/scans", body, self._headers)
            answer = self._connection.getresponse()
            content: dict[str, Any] = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._connection.close()  # the next scan opens another
            return type(error).__name__
        return str(content["result"]) if answer.status == 200 else f"{answer.status} {content.get('code')}"


def _code(training_day_id: int, cadet_id: int) -> str:
    import datetime as dt

    from django.conf import settings

    from apps.training.rules import AttendanceCode, code_spelled, instant_cut
    from core.clock import now

    code = AttendanceCode(
        training_day_id=training_day_id,
        cadet_id=cadet_id,
        issued_at=instant_cut(now()),
        lifetime=dt.timedelta(seconds=settings.ATTENDANCE_CODE_SECONDS),
        nonce=uuid.uuid4(),
    )
    return code_spelled(code, key=settings.ATTENDANCE_CODE_KEY)


def _paced(send: Callable[[int], Scanner], whom: Sequence[Whom], seconds: int) -> list[Answered]:
    """Scans due at PER_SECOND, whether or not those before have been answered, in turn by the scanners."""
    due_in_all = list(enumerate(whom[: seconds * PER_SECOND]))
    began = time.perf_counter()

    def work(number: int) -> Iterator[Answered]:
        scanner = send(number)
        for place, one in due_in_all[number::SCANNERS]:
            due = began + place / PER_SECOND
            time.sleep(max(0.0, due - time.perf_counter()))
            outcome = scanner.scan(one)
            yield Answered(training_day_id=one[0], seconds=time.perf_counter() - due, outcome=outcome)

    return _all_scanners(work)


def _closed_loop(send: Callable[[int], Scanner], whom: Iterator[Whom], seconds: int) -> list[Answered]:
    """Each scanner scans again as soon as it has an answer."""
    ends, lock = time.perf_counter() + seconds, threading.Lock()

    def work(number: int) -> Iterator[Answered]:
        scanner = send(number)
        while time.perf_counter() < ends:
            with lock:
                one = next(whom, None)
            if one is None:
                return
            began = time.perf_counter()
            outcome = scanner.scan(one)
            yield Answered(training_day_id=one[0], seconds=time.perf_counter() - began, outcome=outcome)

    return _all_scanners(work)


def _all_scanners(work: Callable[[int], Iterator[Answered]]) -> list[Answered]:
    answers: list[list[Answered]] = [[] for _ in range(SCANNERS)]
    threads = [
        threading.Thread(target=lambda number=number: answers[number].extend(work(number)))
        for number in range(SCANNERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(itertools.chain.from_iterable(answers))


def _phase(title: str, web: psutil.Process, scan: Callable[[], list[Answered]]) -> Phase:
    sys.stderr.write(f"{title} …\n")
    cpu_before, began = _cpu_seconds(web), time.perf_counter()
    answers = scan()
    return Phase(
        title=title,
        answers=answers,
        seconds=time.perf_counter() - began,
        cpu_seconds=_cpu_seconds(web) - cpu_before,
    )


# --- The page ---------------------------------------------------------------------------------------------------------


def percentile(values: Sequence[float], share: float) -> float:
    """The least of `values` that at least this share of them does not exceed. There must be some."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


def page_of(phases: Sequence[Phase], stored: Mapping[int, int], *, cadets: int, workers: str) -> tuple[str, bool]:
    """The table, and whether it is as it must be."""
    accepted: Counter[int] = Counter()
    for phase in phases:
        accepted.update(phase.accepted)
    same = dict(accepted) == dict(stored)
    failed = sum(sum(phase.failures.values()) for phase in phases)
    lines = [
        (
            f"Scans of a training morning: {cadets:,} cadets, {SCANNERS} scanners with a connection each, {workers} "
            f"gunicorn workers, PostgreSQL that keeps what it has told. Scanners, web and servers share "
            f"{os.cpu_count()} CPUs (load {os.getloadavg()[0]:.1f}). Python {platform.python_version()}."
        ),
        "",
        "| phase | scans | scans/s | p50 ms | p95 ms | p99 ms | errors | web CPU ms/scan |",
        "| --- |" + " ---: |" * 7,
        *(_row(phase) for phase in phases),
        "",
        f"Accepted: {sum(accepted.values()):,}. Records: {sum(stored.values()):,}"
        + (", the same on every day." if same else " — NOT THE SAME."),
    ]
    for phase in phases:
        lines += [f"{phase.title}: {number} times {outcome}" for outcome, number in phase.failures.items()]
    return "\n".join(lines) + "\n", same and not failed and all(phase.answers for phase in phases)


def _row(phase: Phase) -> str:
    number = len(phase.answers)
    if not number:
        return f"| {phase.title} | 0 |" + " |" * 6
    milliseconds = [answer.seconds * 1000 for answer in phase.answers]
    latencies = " | ".join(f"{percentile(milliseconds, share):.1f}" for share in (0.5, 0.95, 0.99))
    cpu = phase.cpu_seconds * 1000 / number
    rate = number / phase.seconds
    return f"| {phase.title} | {number:,} | {rate:.1f} | {latencies} | {sum(phase.failures.values())} | {cpu:.1f} |"


if __name__ == "__main__":
    sys.exit(main())
