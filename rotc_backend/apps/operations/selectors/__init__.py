"""What can be asked about the running system and its data."""

from apps.operations.selectors.findings import CHECKS, integrity
from apps.operations.selectors.running import (
    DATABASE_IDENTITY,
    activity,
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
    "activity",
    "crontab_of",
    "crontab_text",
    "database_id",
    "integrity",
    "migrations",
    "probe_get",
    "queue",
    "queue_body",
    "schedule",
    "status",
]
