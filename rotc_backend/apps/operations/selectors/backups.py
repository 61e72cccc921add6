"""The journal of backups and restores, and how old the last good backup is."""

import datetime as dt
from typing import Any

from django.db.models import QuerySet

from apps.operations.models import JournalEntry
from core import clock
from core.errors import NotFound

# So long after it was asked for, a backup that has not ended is taken for lost, and another may be asked for.
UNFINISHED_FOR = dt.timedelta(hours=1)


def journal(*, kind: str | None = None) -> QuerySet[JournalEntry]:
    """The newest first."""
    entries = JournalEntry.objects.order_by("-pk")
    return entries if kind is None else entries.filter(kind=kind)


def journal_entry_get(*, entry_id: int) -> JournalEntry:
    """Raises NotFound."""
    entry = JournalEntry.objects.filter(pk=entry_id).first()
    if entry is None:
        raise NotFound("The journal of backups has no entry with this id.")
    return entry


def backup_unfinished() -> JournalEntry | None:
    """A backup that somebody has asked for and that has not ended."""
    return JournalEntry.objects.filter(
        kind=JournalEntry.Kind.BACKUP, finished_at=None, asked_at__gt=clock.now() - UNFINISHED_FOR
    ).first()


def backup_status() -> dict[str, Any]:
    """The last good backup, and how the last attempt ended; `null` where there was none."""
    backups = JournalEntry.objects.filter(kind=JournalEntry.Kind.BACKUP)
    last = backups.exclude(finished_at=None).order_by("-pk").first()
    good = backups.filter(outcome=JournalEntry.Outcomes.SUCCEEDED).order_by("-pk").first()
    return {
        "last_good": None
        if good is None or good.finished_at is None
        else {
            "id": good.backup_id,
            "purpose": good.purpose,
            "finished_at": clock.iso(good.finished_at),
            "age_hours": round((clock.now() - good.finished_at).total_seconds() / 3600, 1),
            "bytes": good.bytes,
            "place": good.place,
        },
        "last_outcome": None if last is None else last.outcome,
        "last_detail": "" if last is None else last.detail,
    }
