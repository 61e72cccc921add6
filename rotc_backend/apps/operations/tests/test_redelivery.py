"""Jobs in a real worker: its processes are killed, and the broker was away when the job was asked for."""

import datetime as dt
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from kombu.exceptions import OperationalError

from apps.accounts.models import Mail, User
from apps.accounts.services import ToSend, mails_queue
from apps.events.models import OutboxJob
from apps.operations.jobs import ProbeRecord
from apps.operations.models import DeadLetter, Probe
from core import broker
from core.after_commit import enqueue
from core.clock import now
from core.tests.smtp_stand_in import mail_server_running
from core.tests.worker_process import wait_for, worker_running

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _empty_redis() -> Iterator[None]:
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.flushdb()
    broker.forget_connections()
    yield
    client.flushdb()
    client.close()


def held_up() -> bool:
    """Whether a worker waits for a row that the present transaction holds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )
        return bool(cursor.fetchone()[0])


def finished(probe: Probe) -> bool:
    return Probe.objects.filter(pk=probe.pk, finished_at__isnull=False).exists()


def test_a_task_whose_process_is_killed_is_done_by_another_and_once(tmp_path):
    probe = Probe.objects.create()
    with worker_running(log=tmp_path / "worker.log") as worker:
        enqueue(ProbeRecord(probe_id=probe.pk))
        wait_for(lambda: finished(probe), seconds=30, worker=worker)  # it works
        Probe.objects.filter(pk=probe.pk).update(started_at=None, finished_at=None, worker=None)
        with transaction.atomic():
            Probe.objects.select_for_update().get(pk=probe.pk)
            _enqueue_elsewhere(ProbeRecord(probe_id=probe.pk))
            wait_for(held_up, seconds=30, worker=worker)
            for pid in worker.children():
                os.kill(pid, signal.SIGKILL)
            # The message is handed out again at once, and the count of its beginnings tells that its process was lost.
            wait_for(lambda: _starts() == 2, seconds=60, worker=worker)
        wait_for(lambda: finished(probe), seconds=60, worker=worker)
        wait_for(lambda: not OutboxJob.objects.exists(), seconds=20, worker=worker)
        assert "celery@worker ready." in worker.output()
    assert not DeadLetter.objects.exists()


def _enqueue_elsewhere(job: Any) -> None:
    """From another connection, as a request would: this one holds a lock in an open transaction."""

    def work() -> None:
        try:
            enqueue(job)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)


def _starts() -> int:
    with connection.cursor() as cursor:  # committed by the worker: each statement sees it
        cursor.execute("SELECT coalesce(max(starts), 0) FROM ops.outbox")
        return int(cursor.fetchone()[0])


def test_what_could_not_be_sent_is_done_as_soon_as_a_worker_reaches_the_broker(tmp_path, monkeypatch, caplog):
    def refuse(**message: Any) -> None:
        raise OperationalError("Connection refused")

    monkeypatch.setattr(current_app.tasks[ProbeRecord.task], "apply_async", refuse)
    probe = Probe.objects.create()
    enqueue(ProbeRecord(probe_id=probe.pk))
    assert "it waits in the outbox" in caplog.text
    with worker_running(log=tmp_path / "worker.log") as worker:
        wait_for(lambda: finished(probe), seconds=30, worker=worker)
        wait_for(lambda: not OutboxJob.objects.exists(), seconds=20, worker=worker)


def test_a_worker_sends_what_an_event_causes(admin, tmp_path):
    with worker_running(log=tmp_path / "worker.log") as worker:
        with transaction.atomic():
            mails_queue(
                kind="account_approved", mails=[ToSend(recipient_id=admin.user.pk, event="user.approved:1", context={})]
            )
        # EMAIL_URL is not set for the worker, and it says so.
        wait_for(lambda: Mail.objects.filter(state="not_sent").exists(), seconds=30, worker=worker)
        wait_for(lambda: not OutboxJob.objects.exists(), seconds=20, worker=worker)
    assert "EMAIL_URL is not set" in Mail.objects.get().detail


class _Slow(dict[str, str]):
    """Lets the mail server think at DATA until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting, self.go_on = threading.Event(), threading.Event()

    def __contains__(self, verb: object) -> bool:
        if verb == "DATA" and not self.go_on.is_set():
            self.waiting.set()
            self.go_on.wait(60)
        return False


@pytest.mark.long
def test_a_worker_that_is_killed_while_it_sends_mails_nothing_twice_and_goes_on(admin, cadet, tmp_path, monkeypatch):
    User.objects.update(email="somebody@rotc.example")
    with mail_server_running() as server:
        server.answers = slow = _Slow()
        monkeypatch.setenv("EMAIL_URL", f"smtp://127.0.0.1:{server.port}")
        monkeypatch.setenv("DEFAULT_FROM_EMAIL", "RGMS <rgms@rotc.example>")
        with worker_running(log=tmp_path / "worker.log") as worker:
            with transaction.atomic():
                told = [
                    ToSend(recipient_id=one.user.pk, event=f"user.approved:{one.user.pk}:2", context={})
                    for one in (admin, cadet)
                ]
                mails_queue(kind="account_approved", mails=told)
            assert slow.waiting.wait(40), worker.output()[-3000:]
            for pid in worker.children():
                os.kill(pid, signal.SIGKILL)
            slow.go_on.set()
            # As if the lease had run out: nobody waits two minutes here.
            Mail.objects.filter(state="sending").update(claimed_at=now() - dt.timedelta(minutes=3))
            wait_for(lambda: Mail.objects.filter(state="sent").exists(), seconds=60, worker=worker)
            wait_for(lambda: not OutboxJob.objects.exists(), seconds=20, worker=worker)
    first, second = Mail.objects.order_by("claimed_at")
    assert (first.state, second.state) == ("unknown", "sent")
    assert len(server.messages) == 1
    assert server.messages[0]["Message-ID"] == f"<mail-{second.pk}@rgms>"
    assert not DeadLetter.objects.exists()
