"""Jobs stay in the outbox until they are done, whatever happens to their messages."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from celery import current_app
from django.db import connection, transaction
from kombu.exceptions import OperationalError

from apps.events import services
from apps.events.models import OutboxJob
from apps.operations.jobs import ProbeRecord
from core.after_commit import OUTBOX_HEADER, enqueue
from core.clock import now
from core.measure import Measure, measuring

pytestmark = pytest.mark.django_db(transaction=True)
PROBE = "7f0c2c7e-9f0e-4a52-8ad5-3d1b8f7a1c11"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    task = current_app.tasks[ProbeRecord.task]
    monkeypatch.setattr(task, "apply_async", lambda **message: messages.append(message))
    return messages


@pytest.fixture
def broker_away(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def refuse(**message: Any) -> None:
        raise OperationalError("Connection refused")

    monkeypatch.setattr(current_app.tasks[ProbeRecord.task], "apply_async", refuse)
    return monkeypatch.undo


def ask() -> OutboxJob:
    with transaction.atomic():
        enqueue(ProbeRecord(probe_id=PROBE))  # type: ignore[arg-type]  # as it is written anyway
    return OutboxJob.objects.latest("pk")


def overdue(**fields: Any) -> None:
    OutboxJob.objects.update(due_at=now() - dt.timedelta(seconds=1), **fields)


def seconds_until_due(job: OutboxJob) -> float:
    job.refresh_from_db()
    return (job.due_at - now()).total_seconds()


def test_a_job_is_written_with_what_asks_for_it_and_its_message_names_it(sent: list[dict[str, Any]]) -> None:
    with measuring(Measure(request_id="request-1")), transaction.atomic():
        enqueue(ProbeRecord(probe_id=PROBE))  # type: ignore[arg-type]
        job = OutboxJob.objects.get()
        assert sent == []
    assert (job.task, job.arguments, job.request_id) == (ProbeRecord.task, {"probe_id": PROBE}, "request-1")
    (message,) = sent
    assert message["kwargs"] == {"probe_id": PROBE}
    assert message["headers"] == {"request_id": "request-1", OUTBOX_HEADER: job.pk}
    assert 100 < seconds_until_due(job) <= services.SENT_SECONDS


def test_a_transaction_that_is_rolled_back_asks_for_nothing(sent: list[dict[str, Any]]) -> None:
    with transaction.atomic():
        enqueue(ProbeRecord(probe_id=PROBE))  # type: ignore[arg-type]
        transaction.set_rollback(True)
    assert (OutboxJob.objects.count(), sent) == (0, [])


def test_a_job_that_could_not_be_sent_is_due_at_once_and_leaves_with_the_next_sweep(
    broker_away: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ask()
    assert seconds_until_due(job) <= 0
    assert services.jobs_resend() == 0  # still away
    assert seconds_until_due(job) <= 0
    broker_away()
    messages: list[dict[str, Any]] = []
    monkeypatch.setattr(current_app.tasks[ProbeRecord.task], "apply_async", lambda **message: messages.append(message))
    assert services.jobs_resend() == 1
    assert messages[0]["headers"][OUTBOX_HEADER] == job.pk
    assert services.jobs_resend() == 0


def test_a_job_is_sent_again_later_and_later_until_it_is_done(sent: list[dict[str, Any]]) -> None:
    job = ask()
    assert services.jobs_resend() == 0
    waits = []
    for _ in range(8):
        overdue()
        assert services.jobs_resend() == 1
        waits.append(round(seconds_until_due(job), -1))
    assert waits == [600, 1200, 2400, 4800, 9600, 19200, 21600, 21600]
    services.job_end(number=job.pk)
    assert services.jobs_resend() == 0
    assert len(sent) == 9


def test_while_a_worker_has_it_nobody_sends_it_again(sent: list[dict[str, Any]]) -> None:
    job = ask()
    overdue()
    assert services.job_begin(number=job.pk) == 1
    assert services.jobs_resend() == 0
    assert services.job_begin(number=job.pk) == 2  # the first one's process was killed
    services.job_wait(number=job.pk, seconds=30)
    job.refresh_from_db()
    assert job.starts == 0
    assert seconds_until_due(job) > services.TAKEN_SECONDS
    services.job_end(number=job.pk)
    assert services.job_begin(number=job.pk) is None


def test_a_job_of_another_release_does_not_keep_the_others_from_leaving(sent: list[dict[str, Any]]) -> None:
    OutboxJob.objects.create(task="operations.of_tomorrow", arguments={}, due_at=now())
    ask()
    overdue()
    services.jobs_resend()
    assert len(sent) == 2
    assert OutboxJob.objects.filter(task="operations.of_tomorrow").exists()


def test_one_job_takes_the_place_of_others_of_its_task_only(sent: list[dict[str, Any]]) -> None:
    first, second = ask(), ask()
    other = OutboxJob.objects.create(task="accounts.mails_send", arguments={}, due_at=now())
    services.jobs_absorb(task=ProbeRecord.task, into=second.pk)
    assert set(OutboxJob.objects.values_list("pk", flat=True)) == {second.pk, other.pk}
    assert services.job_begin(number=first.pk) is None


def test_the_table_is_what_the_model_says() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, is_nullable FROM information_schema.columns "
            "WHERE table_schema = 'ops' AND table_name = 'outbox'"
        )
        found = dict(cursor.fetchall())
    assert found == {field.column: "YES" if field.null else "NO" for field in OutboxJob._meta.local_fields}
