import datetime as dt
import random
import uuid
from collections.abc import Callable
from typing import Any

from celery import Task, shared_task
from django.db import DatabaseError, InterfaceError

from apps.operations import rules
from apps.operations.services import probes, runs, upkeep
from core import broker
from core.clock import iso, now

_STARTED_AT = now()


@shared_task(name="operations.probe_record")
def probe_record(*, probe_id: str) -> None:
    redis_id = broker.identity()
    worker = broker.own_facts(started_at=_STARTED_AT, redis_id=redis_id, database_id=None)
    kept = ("service", "version", "commit", "key_fingerprint", "redis_id", "pid")
    probes.probe_record(probe_id=uuid.UUID(probe_id), worker={name: worker[name] for name in kept})


def _slot(task: Task, *, job: str, perform: Callable[[dt.datetime], rules.Outcome], together: bool = False) -> None:
    """Do the slot that the message is for. Without one, a person has asked: its slot is when the message was sent."""
    headers = task.request.headers or {}
    slot = _slot_of(headers)
    jitter = random.random()  # noqa: S311 - only spreads the retries

    def again(error: Exception, *, seconds: float) -> Exception:
        # The slot goes along: without it every retry would be a slot of its own, with attempts of its own.
        stamped = {**headers, rules.SLOT_HEADER: iso(slot)}
        return task.retry(countdown=seconds, exc=error, max_retries=None, throw=False, headers=stamped)

    try:
        runs.slot_run(
            job=job, slot=slot, crontab=headers.get(rules.CRONTAB_HEADER, ""), perform=perform, together=together
        )
    except runs.SlotHeld as held:
        # Its owner may have died. To forget the message now would be to lose the slot.
        raise again(held, seconds=held.seconds + 1) from held
    except runs.RunFailed as failed:
        raise again(failed, seconds=rules.retry_delay_seconds(attempt=failed.attempt, jitter=jitter)) from failed
    except (DatabaseError, InterfaceError) as away:
        # A database that restarts just now must not cost a weekly job its week.
        raise again(away, seconds=rules.retry_delay_seconds(attempt=1, jitter=jitter)) from away


def _slot_of(headers: dict[str, Any]) -> dt.datetime:
    if stamped := headers.get(rules.SLOT_HEADER):
        return dt.datetime.fromisoformat(stamped)
    # The same at every delivery of this message, also after its worker died.
    sent = headers.get(broker.PUBLISHED_AT)
    return dt.datetime.fromtimestamp(float(sent), tz=dt.UTC) if sent else now()


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
