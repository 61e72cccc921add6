"""Imports in real workers, which are killed."""

import datetime as dt
import os
import signal
from collections import Counter
from collections.abc import Iterator

import pytest
import redis
from django.conf import settings
from django.db import connection, transaction

from apps.accounts.models import AuditEntry
from apps.accounts.selectors import principal_of_user
from apps.cadets.models import Cadet, Enrollment
from apps.cadets.tests import factories as cadets
from apps.events.models import Event
from apps.grading.models import ExamScore
from apps.imports.models import Fate, ImportFile, ImportRow, ImportRun, State
from apps.imports.services import asking
from apps.imports.services.retention import imports_resume
from apps.imports.tests.factories import in_thread
from core import broker
from core.clock import now
from core.tests.worker_process import Worker, wait_for, worker_running

pytestmark = pytest.mark.django_db(transaction=True)
CADETS = 40


@pytest.fixture
def _empty_redis() -> Iterator[None]:
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.flushdb()
    broker.forget_connections()
    yield
    client.flushdb()
    client.close()


@pytest.fixture(params=["scores", "cadets"])
def run(request, _empty_redis, admin) -> ImportRun:
    """A file of a company, sent and waiting for a worker: scores of its cadets, or the cadets themselves."""
    term, company = cadets.term(), cadets.company()
    numbers = [f"2026-{number:04}" for number in range(CADETS)]
    if request.param == "cadets":
        titles, line = "Student ID,Name,Company", '{},"Cruz, Ana",Alpha'
    else:
        titles, line = "Student ID,Prelim,Midterm,Final", "{},80,85.5,90"
        made = Cadet.objects.bulk_create(
            [Cadet(student_id=number, last_name="Cruz", first_name="Ana") for number in numbers]
        )
        Enrollment.objects.bulk_create(
            [Enrollment(cadet=cadet, term=term, company=company, enrolled_on=term.starts_on) for cadet in made]
        )
    return asking.import_create(
        actor=admin.principal,
        kind=request.param,
        file_name="alpha.csv",
        content="\n".join([titles, *map(line.format, numbers)]).encode(),
        term_id=term.pk,
        dry_run=False,
    )


WRITTEN = {
    "scores": Counter({"ExamScore": 3 * CADETS, "score.record_many": 1, "scores.recorded": 1}),
    "cadets": Counter(
        dict.fromkeys(
            ("Cadet", "Enrollment", "cadet.create", "enrollment.create", "cadet.created", "enrollment.created"), CADETS
        )
    ),
}


def stored() -> Counter[str]:
    """How many rows there are of what files bring, and of what tells of them; the runs' own stories aside."""
    rows = Counter({model.__name__: model._default_manager.count() for model in (Cadet, Enrollment, ExamScore)})
    audit = AuditEntry.objects.exclude(action__startswith="import.").values_list("action", flat=True)
    events = Event.objects.exclude(type__startswith="import.").values_list("type", flat=True)
    return rows + Counter(audit) + Counter(events)


@pytest.fixture
def before(run) -> Counter[str]:
    return stored()


def waiting_for_us() -> bool:
    """Whether another connection waits for the present transaction."""
    with connection.cursor() as cursor:
        # Not from pg_stat_activity, which a transaction sees as it was when it first looked.
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )
        return bool(cursor.fetchone()[0])


def stopped_half_way(run: ImportRun, worker: Worker) -> None:
    """Returns when the worker has written all of the file and is kept from writing what became of the rows.

    Inside the caller's transaction: it holds the place of the first such row.
    """
    ImportRow.objects.create(run=run, number=1, row=2, fate=Fate.CREATE)
    wait_for(waiting_for_us, seconds=40, worker=worker)
    assert ImportRun.objects.get().state == State.RUNNING


def state_of(run: ImportRun) -> str:
    run.refresh_from_db()
    return run.state


def everything_is_there(run: ImportRun, before: Counter[str]) -> bool:
    return (
        stored() == before + WRITTEN[run.kind]
        and ImportRow.objects.filter(run=run, fate=Fate.CREATE).count() == CADETS
        and not ImportFile.objects.exists()
    )


def test_a_worker_killed_half_way_leaves_nothing_and_another_one_completes_the_import(run, before, tmp_path):
    with worker_running(log=tmp_path / "first.log") as first, transaction.atomic():
        stopped_half_way(run, first)
        first.kill()
        transaction.set_rollback(True)
    assert state_of(run) == State.RUNNING
    assert stored() == before
    assert not ImportRow.objects.exists()
    assert ImportFile.objects.exists()
    # As if the lease had run out and the quarter-hourly sweep had come; the broker's own patience is five minutes.
    ImportRun.objects.update(lease_until=now() - dt.timedelta(seconds=1))
    with worker_running(log=tmp_path / "second.log") as second:
        assert imports_resume() == 1
        wait_for(lambda: state_of(run) == State.DONE, seconds=40, worker=second)
    assert run.attempt == 2
    assert everything_is_there(run, before)


@pytest.mark.long
def test_when_only_the_process_of_the_task_is_killed_its_worker_takes_the_import_up_again(run, before, tmp_path):
    with worker_running(log=tmp_path / "worker.log") as worker:
        with transaction.atomic():
            stopped_half_way(run, worker)
            for pid in worker.children():
                os.kill(pid, signal.SIGKILL)
            transaction.set_rollback(True)
        # The message comes back at once, finds the lease held, and waits for its end.
        wait_for(lambda: state_of(run) == State.DONE, seconds=60, worker=worker)
    assert run.attempt == 2
    assert everything_is_there(run, before)


def test_one_that_is_cancelled_while_its_worker_writes_leaves_nothing(run, before, tmp_path):
    with worker_running(log=tmp_path / "worker.log") as worker:
        with transaction.atomic():
            stopped_half_way(run, worker)
            # From another connection, as a request would: this one is held up.
            _cancelled_elsewhere(run)
            transaction.set_rollback(True)
        wait_for(lambda: state_of(run) == State.CANCELLED, seconds=20, worker=worker)
    assert stored() == before
    assert not ImportRow.objects.exists()
    assert not ImportFile.objects.exists()


def _cancelled_elsewhere(run: ImportRun) -> None:
    actor = principal_of_user(run.asked_by)
    asked = in_thread(lambda: asking.import_cancel(actor=actor, run_id=run.pk))()
    assert asked.cancel_requested_at is not None, asked
