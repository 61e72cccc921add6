"""What can be asked about the running system and its data."""

from apps.operations.selectors.backups import backup_status, backup_unfinished, journal, journal_entry_get
from apps.operations.selectors.findings import CHECKS, integrity
from apps.operations.selectors.laid_aside import dead_letter_get, dead_letters, secrets_known
from apps.operations.selectors.running import (
    DATABASE_IDENTITY,
    crontab_of,
    crontab_text,
    database_id,
    migrations,
    probe_get,
    queue,
    queue_body,
    schedule,
    status,
)

__all__ = [
    "CHECKS",
    "DATABASE_IDENTITY",
    "backup_status",
    "backup_unfinished",
    "crontab_of",
    "crontab_text",
    "database_id",
    "dead_letter_get",
    "dead_letters",
    "integrity",
    "journal",
    "journal_entry_get",
    "migrations",
    "probe_get",
    "queue",
    "queue_body",
    "schedule",
    "secrets_known",
    "status",
]
