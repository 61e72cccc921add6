import datetime as dt
import random
import uuid
from collections.abc import Callable
from typing import Any

from celery import Task, shared_task

from apps.operations import rules
from apps.operations.models import ScheduledRun
from apps.operations.services import probes, runs, upkeep
from core import broker
from core.clock import now

_STARTED_AT = now()


@shared_task(name="operations.probe_record")
def probe_record(*, probe_id: str) -> None:
    redis_id = broker.identity()
    worker = broker.own_facts(started_at=_STARTED_AT, redis_id=redis_id, database_id=None)
    kept = ("service", "version", "commit", "key_fingerprint", "redis_id", "pid")
    probes.probe_record(probe_id=uuid.UUID(probe_id), worker={name: worker[name] for name in kept})


def _slot(task: Task, *, job: str, perform: Callable[[dt.datetime], rules.Outcome], together: bool = False) -> None:
    """Do the slot that the message is for. Without one, a person has asked: that is a slot of its own, now."""
    stamped = (task.request.headers or {}).get(rules.SLOT_HEADER)
    try:
        runs.slot_run(
            job=job,
            slot=dt.datetime.fromisoformat(stamped) if stamped else now(),
            trigger=ScheduledRun.Trigger.SCHEDULE if stamped else ScheduledRun.Trigger.PERSON,
            perform=perform,
            together=together,
        )
    except runs.SlotHeld as held:
        # Its owner may have died. To forget the message now would be to lose the slot.
        raise _again(task, held, seconds=held.seconds + 1) from held
    except runs.RunFailed as failed:
        jitter = random.random()  # noqa: S311 - only spreads the retries
        seconds = rules.retry_delay_seconds(attempt=failed.attempt, jitter=jitter)
        raise _again(task, failed, seconds=seconds) from failed


def _again(task: Task, error: Exception, *, seconds: float) -> Exception:
    return task.retry(countdown=seconds, exc=error, max_retries=None, throw=False)


# A slot whose task was killed at its time limit is handed out again: the lease decides whether it is tried again.
_periodic: dict[str, Any] = {"bind": True, "acks_on_timeout": False}


@shared_task(name="operations.cleanup_old_sessions", **_periodic)
def cleanup_old_sessions(self: Task) -> None:
    _slot(self, job="cleanup-old-sessions", perform=lambda _: upkeep.sessions_cleanup())


@shared_task(name="operations.cleanup_expired_tokens", **_periodic)
def cleanup_expired_tokens(self: Task) -> None:
    _slot(self, job="cleanup-expired-tokens", perform=lambda _: upkeep.expired_tokens_cleanup())


@shared_task(name="operations.daily_reports", **_periodic)
def daily_reports(self: Task) -> None:
    _slot(self, job="daily-reports", perform=lambda slot: upkeep.daily_reports(slot=slot), together=True)


@shared_task(name="operations.sync_attendance", **_periodic)
def sync_attendance(self: Task) -> None:
    _slot(self, job="sync-attendance", perform=lambda _: upkeep.attendance_sync())


@shared_task(name="operations.database_backup", **_periodic)
def database_backup(self: Task) -> None:
    _slot(self, job="database-backup", perform=lambda _: upkeep.database_backup())
