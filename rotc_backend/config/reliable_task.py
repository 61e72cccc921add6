"""How every task is run: its job in the outbox, its retries, and what becomes of one that fails for good.

begin    its job is done (another message was faster)          → nothing to do
         its process was killed STARTS times in a row          → laid aside: the next one would be killed, too
run      it ended                                              → the job is done
         TryLater: somebody holds what it needs                → again then; no attempt is counted
         an error that may pass, not the last attempt          → again, later each time, each task at another moment
         any other error                                       → laid aside, with what an administrator needs to know
"""

import contextlib
import random
from typing import Any

import psycopg
from celery import Task
from celery.exceptions import Ignore, Reject, Retry
from django.db import DatabaseError, InterfaceError, OperationalError

from core import retries
from core.after_commit import OUTBOX_HEADER
from core.broker import BrokerAway
from core.errors import Unavailable
from core.measure import Measure, measuring

ATTEMPT_HEADER = "attempt"  # of a message: which attempt it is for, from 1
# After these the world may be as it should at the next attempt. Backups have connections of their own.
PASSING = (OperationalError, InterfaceError, psycopg.OperationalError, BrokerAway, Unavailable)


class ProcessEnded(Exception):
    """The task's process was killed, again and again: it took too long or too much memory, or it crashes."""


class ReliableTask(Task):
    """Runs under the id of the request that caused it, so that its log lines can be found."""

    abstract = True
    # Killed at its time limit, a task comes again; its claim, or the count of its beginnings, says how often.
    acks_on_timeout = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.request.called_directly:
            return self.run(*args, **kwargs)
        with measuring(Measure(request_id=self._header("request_id") or self.request.id or "")):
            return self._attempt(*args, **kwargs)

    def _attempt(self, *args: Any, **kwargs: Any) -> Any:
        from apps.events import services as outbox

        number = self._header(OUTBOX_HEADER)
        try:
            if number is not None:
                starts = outbox.job_begin(number=number)
                if starts is None:
                    return None
                if starts > retries.STARTS:
                    raise ProcessEnded(f"Its process was killed {retries.STARTS} times in a row.")
            result = self.run(*args, **kwargs)
            if number is not None:
                outbox.job_end(number=number)
        except Retry as retry:  # by the task itself
            self._wait(number, seconds=float(retry.when) if isinstance(retry.when, int | float) else 0.0)
            raise
        except (Ignore, Reject):
            raise
        except retries.TryLater as later:
            raise self._again(later, seconds=later.seconds) from later
        except Exception as error:
            if (again := self._after_failure(error)) is not None:
                raise again from error
            raise
        return result

    def _after_failure(self, error: Exception) -> Exception | None:
        """The Retry to raise, or None once the task is laid aside."""
        from apps.operations.services import dead_letters

        attempt = int(self._header(ATTEMPT_HEADER) or 1)
        jitter = random.random()  # noqa: S311 - only spreads the retries
        if isinstance(error, PASSING) and attempt < retries.ATTEMPTS:
            seconds = retries.retry_delay_seconds(attempt=attempt, jitter=jitter)
            return self._again(error, seconds=seconds, attempt=attempt + 1)
        try:
            dead_letters.dead_letter_record(
                task=self.name,
                arguments=self.request.kwargs or {},
                request_id=self._header("request_id") or "",
                attempts=attempt,
                error=error,
                job_number=self._header(OUTBOX_HEADER),
            )
        except (DatabaseError, InterfaceError):
            # Given up without a trace it would be lost; so it goes on trying until the database is back.
            return self._again(error, seconds=retries.retry_delay_seconds(attempt=attempt, jitter=jitter))
        return None

    def _again(self, error: Exception, *, seconds: float, attempt: int | None = None) -> Exception:
        """A message for the next attempt is under way; the job of this one waits for it."""
        wait = retries.wait_seconds(seconds)
        headers = dict(self.request.headers or {})
        if attempt is not None:
            headers[ATTEMPT_HEADER] = attempt
        # Sent before the job is told: were it the other way about and Redis away, nobody would send it for a while.
        number = self._header(OUTBOX_HEADER)
        try:
            retry: Exception = self.retry(countdown=wait, exc=error, max_retries=None, throw=False, headers=headers)
        except Reject as rejected:  # the broker is away
            # A job is sent again from the outbox. A slot of the schedule is in this message alone, and would be lost.
            raise Reject(rejected.reason, requeue=number is None) from error
        self._wait(number, seconds=wait)
        return retry

    def _wait(self, number: int | None, *, seconds: float) -> None:
        from apps.events import services as outbox

        if number is not None:
            with contextlib.suppress(DatabaseError, InterfaceError):  # then it is sent once more than needed
                outbox.job_wait(number=number, seconds=seconds)

    def _header(self, name: str) -> Any:
        return (self.request.headers or {}).get(name)
