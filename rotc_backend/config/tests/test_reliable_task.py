"""What every task does when it ends, has to wait, or fails."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from celery import current_app
from celery.exceptions import Reject, Retry, SoftTimeLimitExceeded
from django.db import OperationalError, connection
from kombu.exceptions import OperationalError as BrokerError

from apps.events.models import OutboxJob
from apps.operations.models import DeadLetter
from config.reliable_task import ATTEMPT_HEADER, ProcessEnded
from core import retries
from core.after_commit import OUTBOX_HEADER
from core.clock import now
from core.measure import current_request_id

pytestmark = pytest.mark.django_db(transaction=True)


class Subject:
    """A task that does what the test says, and the messages that it sends."""

    def __init__(self) -> None:
        self.does: Any = lambda: None
        self.runs = 0
        self.sent: list[dict[str, Any]] = []
        self.task = current_app.task(name="test.subject", shared=False)(self._run)
        self.task.apply_async = lambda args=None, kwargs=None, **options: self.sent.append(options)
        self.job = OutboxJob.objects.create(
            task="test.subject", arguments={"number": 7}, due_at=now() + dt.timedelta(minutes=2)
        )

    def _run(self, *, number: int) -> Any:
        self.runs += 1
        return self.does()

    def deliver(self, *, boxed: bool = True, **headers: Any) -> Any:
        given = {"request_id": "request-1", **headers, **({OUTBOX_HEADER: self.job.pk} if boxed else {})}
        self.task.push_request(
            id="1", args=[], kwargs={"number": 7}, headers=given, called_directly=False, is_eager=False, retries=0
        )
        try:
            return self.task(number=7)
        finally:
            self.task.pop_request()


@pytest.fixture
def subject() -> Iterator[Subject]:
    one = Subject()
    yield one
    current_app.tasks.pop("test.subject", None)


def raising(error: Exception) -> Any:
    def work() -> None:
        raise error

    return work


def test_a_task_that_ends_takes_its_job_out_of_the_outbox_and_a_second_message_does_nothing(subject: Subject) -> None:
    subject.does = current_request_id
    assert subject.deliver() == "request-1"
    assert not OutboxJob.objects.exists()
    assert subject.deliver() is None
    assert (subject.runs, subject.sent) == (1, [])
    assert not DeadLetter.objects.exists()


def test_a_task_that_has_to_wait_comes_again_then_and_no_attempt_is_counted(subject: Subject) -> None:
    subject.does = raising(retries.TryLater(seconds=40))
    for _ in range(retries.ATTEMPTS + 2):
        with pytest.raises(Retry):
            subject.deliver()
    assert {message["countdown"] for message in subject.sent} == {40}
    assert all(message["headers"][OUTBOX_HEADER] == subject.job.pk for message in subject.sent)
    assert all(ATTEMPT_HEADER not in message["headers"] for message in subject.sent)
    subject.job.refresh_from_db()
    assert subject.job.starts == 0
    assert not DeadLetter.objects.exists()


def test_no_message_waits_longer_than_redis_keeps_it(subject: Subject) -> None:
    subject.does = raising(retries.TryLater(seconds=5000))
    with pytest.raises(Retry):
        subject.deliver()
    assert subject.sent[0]["countdown"] == retries.LONGEST_WAIT_SECONDS


def test_what_may_pass_is_tried_again_later_each_time_and_then_laid_aside(subject: Subject) -> None:
    subject.does = raising(OperationalError("deadlock detected"))
    headers: dict[str, Any] = {}
    for attempt in range(1, retries.ATTEMPTS):
        with pytest.raises(Retry):
            subject.deliver(**headers)
        message = subject.sent[-1]
        headers = {ATTEMPT_HEADER: message["headers"][ATTEMPT_HEADER]}
        assert headers == {ATTEMPT_HEADER: attempt + 1}
        least = min(15 * 2 ** (attempt - 1), 120)
        assert least <= message["countdown"] <= 2 * least
    with pytest.raises(OperationalError):
        subject.deliver(**headers)
    letter = DeadLetter.objects.get()
    assert (letter.task, letter.arguments, letter.attempts) == ("test.subject", {"number": 7}, retries.ATTEMPTS)
    assert (letter.error, letter.detail, letter.request_id) == ("OperationalError", "deadlock detected", "request-1")
    assert "raise error" in letter.traceback
    assert not OutboxJob.objects.exists()


@pytest.mark.parametrize("error", [ValueError("a mistake of ours"), SoftTimeLimitExceeded()])
def test_any_other_error_is_laid_aside_at_once(subject: Subject, error: Exception) -> None:
    subject.does = raising(error)
    with pytest.raises(type(error)):
        subject.deliver()
    assert DeadLetter.objects.get().attempts == 1
    assert (subject.sent, OutboxJob.objects.count()) == ([], 0)


def test_a_task_whose_process_is_killed_again_and_again_is_laid_aside(subject: Subject) -> None:
    OutboxJob.objects.update(starts=retries.STARTS)
    with pytest.raises(ProcessEnded):
        subject.deliver()
    assert (DeadLetter.objects.get().error, subject.runs) == ("ProcessEnded", 0)
    assert not OutboxJob.objects.exists()


def test_a_task_that_fails_while_the_database_is_away_is_not_lost(subject: Subject) -> None:
    def lose(*_: Any) -> Any:
        raise OperationalError("terminating connection due to administrator command")

    subject.does = raising(ValueError())
    with connection.execute_wrapper(lose), pytest.raises(Retry):
        subject.deliver(attempt=retries.ATTEMPTS)
    assert len(subject.sent) == 1
    assert OutboxJob.objects.exists()


def test_a_message_without_a_job_is_run_and_laid_aside_alike(subject: Subject) -> None:
    subject.does = raising(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        subject.deliver(boxed=False)
    assert DeadLetter.objects.count() == 1
    assert OutboxJob.objects.exists()


def test_a_retry_of_the_tasks_own_keeps_its_job(subject: Subject) -> None:
    subject.does = raising(Retry(when=30))
    for _ in range(retries.STARTS + 2):
        with pytest.raises(Retry):
            subject.deliver()
    assert not DeadLetter.objects.exists()
    assert OutboxJob.objects.get().starts == 0


@pytest.mark.parametrize("boxed", [True, False])
def test_when_no_message_can_be_sent_for_the_next_attempt_the_work_is_not_lost(subject: Subject, boxed: bool) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise BrokerError("Connection refused")

    subject.does = raising(retries.TryLater(seconds=40))
    subject.task.apply_async = refuse
    with pytest.raises(Reject) as rejected:
        subject.deliver(boxed=boxed)
    # A job comes from the outbox again. What the scheduler has sent is in its message alone: that one goes back.
    assert rejected.value.requeue is not boxed
    assert OutboxJob.objects.exists()


def test_a_lost_connection_of_a_backups_own_may_pass(subject: Subject) -> None:
    subject.does = raising(psycopg.OperationalError("server closed the connection unexpectedly"))
    with pytest.raises(Retry):
        subject.deliver()
    assert not DeadLetter.objects.exists()
