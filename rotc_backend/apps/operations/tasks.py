import datetime as dt
import random
import uuid
from collections.abc import Callable
from typing import Any

from celery import Task, shared_task

from apps.operations import rules
from apps.operations.services import dead_letters, probes, reports, runs, upkeep
from apps.operations.services.backups import asking
from core import broker
from core.clock import iso, now
from core.retries import TryLater, retry_delay_seconds

_STARTED_AT = now()


@shared_task(name="operations.probe_record")
def probe_record(*, probe_id: str) -> None:
    redis_id = broker.identity()
    worker = broker.own_facts(started_at=_STARTED_AT, redis_id=redis_id, database_id=None)
    kept = ("service", "version", "commit", "key_fingerprint", "redis_id", "pid")
    probes.probe_record(probe_id=uuid.UUID(probe_id), worker={name: worker[name] for name in kept})


# Nothing counts how often its process is killed, so it does not come again by itself; the next sync does its work.
@shared_task(name="operations.outbox_sweep", acks_on_timeout=True)
def outbox_sweep() -> None:
    dead_letters.outbox_sweep()


def _slot(task: Task, *, job: str, perform: Callable[[dt.datetime], rules.Outcome], together: bool = False) -> None:
    """Do the slot that the message is for. Without one, a person has asked: its slot is when the message was sent."""
    headers = task.request.headers or {}
    slot = _slot_of(headers)
    if task.request.headers is not None:
        # The slot goes along: without it every retry would be a slot of its own, with attempts of its own.
        task.request.headers[rules.SLOT_HEADER] = iso(slot)
    try:
        runs.slot_run(
            job=job, slot=slot, crontab=headers.get(rules.CRONTAB_HEADER, ""), perform=perform, together=together
        )
    except runs.RunFailed as failed:
        # The run counts its attempts itself, whichever message they came by.
        jitter = random.random()  # noqa: S311 - only spreads the retries
        raise TryLater(seconds=retry_delay_seconds(attempt=failed.attempt, jitter=jitter), why=str(failed)) from failed


def _slot_of(headers: dict[str, Any]) -> dt.datetime:
    if stamped := headers.get(rules.SLOT_HEADER):
        return dt.datetime.fromisoformat(stamped)
    # The same at every delivery of this message, also after its worker died.
    sent = headers.get(broker.PUBLISHED_AT)
    return dt.datetime.fromtimestamp(float(sent), tz=dt.UTC) if sent else now()


@shared_task(name="operations.cleanup_old_sessions", bind=True)
def cleanup_old_sessions(self: Task) -> None:
    _slot(self, job="cleanup-old-sessions", perform=lambda _: upkeep.sessions_cleanup())


@shared_task(name="operations.cleanup_expired_tokens", bind=True)
def cleanup_expired_tokens(self: Task) -> None:
    _slot(self, job="cleanup-expired-tokens", perform=lambda _: upkeep.expired_tokens_cleanup())


@shared_task(name="operations.daily_reports", bind=True)
def daily_reports(self: Task, *, meant_for: str | None = None) -> None:
    """`meant_for`: the slot of a run that was given up, which is to be made up for."""
    given = dt.datetime.fromisoformat(meant_for) if meant_for else None
    try:
        _slot(self, job="daily-reports", perform=lambda slot: reports.daily_reports(slot=given or slot), together=True)
    except runs.RunGivenUp:
        # Laid aside with it: an administrator's retry is a run of its own, perhaps days later, of the same day.
        self.request.kwargs = {"meant_for": meant_for or iso(_slot_of(self.request.headers or {}))}
        raise


@shared_task(name="operations.sync_attendance", bind=True)
def sync_attendance(self: Task) -> None:
    _slot(self, job="sync-attendance", perform=lambda _: upkeep.attendance_sync())


@shared_task(name="operations.database_backup", bind=True)
def database_backup(self: Task) -> None:
    _slot(self, job="database-backup", perform=lambda _: upkeep.database_backup())


# Killed while it works, it is delivered again and begins anew; its row in the journal says whether it has ended.
@shared_task(name="operations.backup_make")
def backup_make(*, entry_id: int) -> None:
    asking.backup_asked_make(entry_id=entry_id)
