"""All periodic jobs, in UTC. Loaded into beat's database at every start of beat, where an administrator can
pause one.
"""

from typing import Any

from celery.schedules import crontab

QUARTER_HOUR, DAY = 15 * 60, 24 * 60 * 60

# `expire_seconds`: a message that no worker took for so long is worth nothing, since the next slot does its work.
SCHEDULE: dict[str, dict[str, Any]] = {
    "cleanup-old-sessions": {
        "task": "operations.cleanup_old_sessions",
        "schedule": crontab(minute="0", hour="2"),
        "options": {"expire_seconds": DAY},
    },
    "cleanup-expired-tokens": {
        "task": "operations.cleanup_expired_tokens",
        "schedule": crontab(minute="0", hour="3"),
        "options": {"expire_seconds": DAY},
    },
    "daily-reports": {
        "task": "operations.daily_reports",
        "schedule": crontab(minute="0", hour="6"),
        "options": {"expire_seconds": DAY},
    },
    "sync-attendance": {
        "task": "operations.sync_attendance",
        "schedule": crontab(minute="*/15"),
        "options": {"expire_seconds": QUARTER_HOUR},
    },
    "database-backup": {
        "task": "operations.database_backup",
        "schedule": crontab(minute="0", hour="4", day_of_week="0"),
        "options": {"expire_seconds": DAY},
    },
}
