"""A report in real workers, of which one is killed when it has stored the file and not yet said so."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings
from django.db import connection, transaction

from apps.accounts.models import AuditEntry
from apps.events.models import Event
from apps.reports.models import Report, State
from apps.reports.services.retention import reports_resume
from apps.reports.tests import factories
from core import broker
from core.clock import now
from core.tests.worker_process import Worker, wait_for, worker_running

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _empty_redis() -> Iterator[None]:
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.flushdb()
    broker.forget_connections()
    yield
    client.flushdb()
    client.close()


@pytest.fixture
def report(admin, term) -> Report:
    factories.unit(cadets_of_each=60)
    return factories.asked(admin.principal, "grade_sheet")


def state_of(report: Report) -> str:
    report.refresh_from_db()
    return report.state


def stopped_after_storing(worker: Worker) -> None:
    """Returns when the worker has stored the file and waits for its place in the audit trail, which we hold."""
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE accounts_auditentry IN SHARE MODE")
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"

        def waiting() -> bool:
            cursor.execute(waits)
            return bool(cursor.fetchone()[0]) and len(factories.stored_files()) == 1

        wait_for(waiting, seconds=40, worker=worker)


def test_a_worker_killed_half_way_is_followed_by_another_and_there_is_one_file(report, tmp_path: Path, media: Path):
    place = {"MEDIA_ROOT": str(media)}
    with transaction.atomic():
        with worker_running(log=tmp_path / "first.log", **place) as first:
            # The message left with the commit of the fixture; who took it stands before the end of its work now.
            stopped_after_storing(first)
            first.kill()
        transaction.set_rollback(True)
    assert state_of(report) == State.RUNNING
    (orphan,) = factories.stored_files()
    assert orphan.endswith(report.file)
    assert not Event.objects.filter(type="report.ready").exists()
    # As if the lease had run out and the quarter-hourly sweep had come; the broker's own patience is five minutes.
    Report.objects.update(lease_until=now() - dt.timedelta(seconds=1))
    with worker_running(log=tmp_path / "second.log", **place) as second:
        assert reports_resume() == 1
        wait_for(lambda: state_of(report) == State.READY, seconds=40, worker=second)
    assert report.attempt == 2
    (kept,) = factories.stored_files()
    assert kept != orphan
    assert kept.endswith(report.file)
    assert len(factories.pages_of(factories.content_of(report))) == report.pages
    assert Event.objects.filter(type="report.ready").count() == 1
    assert AuditEntry.objects.filter(action="report.make").count() == 1


@pytest.mark.long
def test_three_thousand_cadets_take_little_memory(admin, term, tmp_path: Path, media: Path):
    factories.unit(cadets_of_each=600, days=15, companies=("Alpha", "Bravo", "Charlie", "Delta", "HQSCOY"))
    with worker_running(log=tmp_path / "worker.log", MEDIA_ROOT=str(media)) as worker:
        for kind in ("master_list", "grade_sheet", "attendance_term"):
            report = factories.asked(admin.principal, kind)
            wait_for(lambda: state_of(report) not in {State.QUEUED, State.RUNNING}, seconds=120, worker=worker)  # noqa: B023
            assert report.finished_at is not None
            assert report.started_at is not None
            seconds = (report.finished_at - report.started_at).total_seconds()
            print(kind, report.state, report.pages, report.file_bytes, f"{seconds:.1f} s", worker.peak_megabytes())
            assert report.state == State.READY
            assert report.rows_total == 3000 or kind == "attendance_term"
            assert seconds < 60
        assert worker.peak_megabytes() < 150
