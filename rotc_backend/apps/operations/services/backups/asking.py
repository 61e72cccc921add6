"""Backups as the rest of the system asks for them: an administrator at any time, the schedule on Sundays."""

import logging

from django.conf import settings
from django.db import transaction

from apps.accounts.services import audit_record
from apps.operations.jobs import BackupMake
from apps.operations.models import JournalEntry
from apps.operations.rules import ASKED, WEEKLY, Outcome
from apps.operations.selectors import backup_unfinished
from apps.operations.services.backups.errors import BackupError, Busy, DatabaseAway, StoreAway
from apps.operations.services.backups.writing import backup_create
from core.after_commit import enqueue
from core.clock import now
from core.errors import Conflict
from core.retries import TryLater

logger = logging.getLogger("rgms.backups")

_BUSY_SECONDS = 60


def backup_request(*, actor_id: int | None) -> JournalEntry:
    """Ask the worker for a backup. Raises Conflict (`backup_in_progress`) while another one has not ended."""
    with transaction.atomic():
        if (waiting := backup_unfinished()) is not None:
            raise Conflict(
                f"A backup was asked for at {waiting.asked_at:%H:%M} UTC and is {waiting.state}. Wait for it.",
                code="backup_in_progress",
            )
        entry = JournalEntry.objects.create(
            kind=JournalEntry.Kind.BACKUP, purpose=JournalEntry.Purpose.ASKED, asked_by=actor_id
        )
        audit_record(actor_id=actor_id, action="backup.request", target=f"backup_journal:{entry.pk}")
        enqueue(BackupMake(entry_id=entry.pk))
    entry.refresh_from_db()
    return entry


def backup_asked_make(*, entry_id: int) -> None:
    """Make what somebody has asked for; its row tells how it ended. Raises TryLater while another one is at work."""
    waiting = JournalEntry.objects.filter(pk=entry_id, finished_at=None)
    if not waiting.exists():
        return
    try:
        _refuse_unset()
        backup_create(purpose=ASKED, entry_id=entry_id)
    except Busy as busy:
        raise TryLater(seconds=_BUSY_SECONDS, why=str(busy)) from busy
    except BackupError as error:
        logger.error("The backup that was asked for failed: %s", error)
        # What refused before its first step has written nothing down.
        waiting.update(started_at=now(), finished_at=now(), outcome=JournalEntry.Outcomes.FAILED, detail=str(error))


def backup_weekly() -> Outcome:
    """Make Sunday's backup. Raises Busy, StoreAway and DatabaseAway, which may pass until the next attempt."""
    try:
        _refuse_unset()
        manifest = backup_create(purpose=WEEKLY)
    except (Busy, StoreAway, DatabaseAway):
        raise
    except BackupError as error:
        return Outcome(succeeded=False, counts={}, detail=str(error))
    return Outcome(
        succeeded=True,
        counts={
            "tables": len(manifest.tables),
            "rows": manifest.rows,
            "bytes": manifest.size,
            "parts": len(manifest.parts),
        },
        detail=f"Stored and restored on trial: {manifest.id}.",
    )


def unset_variables() -> list[str]:
    """Those without which there are no backups."""
    values = {"BACKUP_URL": settings.BACKUP_PLACE, "BACKUP_ENCRYPTION_KEY": settings.BACKUP_KEYS}
    return [name for name, value in values.items() if not value]


def _refuse_unset() -> None:
    if unset := unset_variables():
        verb = "is" if len(unset) == 1 else "are"
        raise BackupError(f"No backup was stored, because {' and '.join(unset)} {verb} not set.")
