"""What can be asked about the running system."""

import uuid
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django_celery_beat.models import PeriodicTask

from apps.operations import rules
from apps.operations.models import Probe
from apps.operations.selectors.backups import backup_status
from apps.operations.selectors.laid_aside import waiting_status
from core import broker, clock
from core.errors import NotFound, Unavailable

# A row of our own, since an ordinary role of a managed server may not read the server's system identifier;
# with the database's own id and name, since a template would hand the row on. It survives a restore.
DATABASE_IDENTITY = """
SELECT left(encode(sha256(convert_to(concat_ws(' ', own.id, d.oid, d.datname), 'UTF8')), 'hex'), 12)
FROM ops.database_identity own, pg_database d WHERE d.datname = current_database()
"""


def probe_get(*, probe_id: uuid.UUID) -> Probe:
    """Raises NotFound."""
    probe = Probe.objects.filter(pk=probe_id).first()
    if probe is None:
        raise NotFound("There is no such probe; they are kept for a week.")
    return probe


def queue() -> dict[str, Any]:
    """Tasks by where they are, and the age in seconds of the one that waits longest. Raises Unavailable."""
    try:
        found = broker.survey().queue
    except broker.BrokerAway as error:
        raise Unavailable("Redis is away, so nobody can count the queue.", code="queue_unavailable") from error
    return queue_body(found)


def queue_body(found: broker.Queue) -> dict[str, Any]:
    return {
        "pending": found.pending,
        "unacknowledged": found.unacknowledged,
        "depth": found.depth,
        "oldest_age_seconds": None if found.oldest_age_seconds is None else round(found.oldest_age_seconds, 3),
        "at": clock.iso(clock.now()),
    }


def database_id() -> str | None:
    with connection.cursor() as cursor:
        cursor.execute(DATABASE_IDENTITY)
        row = cursor.fetchone()
    return row[0] if row else None


def status() -> dict[str, Any]:
    """Everything an operator compares between the services. `queue` is null and processes are unknown without Redis."""
    try:
        survey: broker.Survey | None = broker.survey(services=settings.SERVICE_NAMES)
    except broker.BrokerAway:
        survey = None
    redis_id, this_database = survey.redis_id if survey else None, database_id()
    own = broker.own_facts(started_at=clock.now(), redis_id=redis_id, database_id=this_database)
    return {
        "service": own["service"],
        "version": own["version"],
        "commit": own["commit"],
        "environment": settings.DJANGO_ENV,
        "debug": settings.DEBUG,
        "processes": {name: _process(survey, name) for name in settings.SERVICE_NAMES},
        "redis_id": redis_id,
        "database_id": this_database,
        "migrations": migrations(),
        "schedule": schedule(),
        "queue": queue_body(survey.queue) if survey else None,
        "media_storage": settings.MEDIA_STORAGE,
        "backup": backup_status(),
        **waiting_status(),
    }


def _process(survey: broker.Survey | None, name: str) -> dict[str, Any]:
    beat = survey.heartbeats.get(name) if survey else None
    one = rules.process(
        redis_connected=survey is not None,
        age_seconds=beat.age_seconds if beat else None,
        facts=beat.facts if beat else {},
    )
    further = {key: one.facts.get(key) for key in ("instance", "started_at", "redis_id", "database_id")}
    return {**rules.process_summary(one), **further}


def migrations() -> dict[str, list[str]]:
    """`unapplied`: known to this code and not to the database; `unknown`: the reverse, so the code is older."""
    loader = MigrationLoader(connection)
    applied = set(loader.applied_migrations)
    known = set(loader.disk_migrations or {})
    installed = {app for app, _ in known}
    # A squashed migration counts as applied when all that it replaces is.
    replaced = {old for new in applied & known for old in loader.disk_migrations[new].replaces}
    return {
        "unapplied": sorted(f"{app}.{name}" for app, name in set(loader.graph.nodes) - applied),
        "unknown": sorted(f"{app}.{name}" for app, name in applied - known - replaced if app in installed),
    }


def schedule() -> list[dict[str, Any]]:
    """The periodic jobs as beat reads them from the database; times are UTC."""
    rows = PeriodicTask.objects.select_related("crontab", "interval").order_by("name")
    return [
        {
            "name": row.name,
            "task": row.task,
            "schedule": crontab_text(row.crontab) if row.crontab else str(row.schedule),
            "enabled": row.enabled,
            "last_run_at": clock.iso(row.last_run_at) if row.last_run_at else None,
        }
        for row in rows
    ]


def crontab_text(row: Any) -> str:
    """The five fields of crontab(5)."""
    return f"{row.minute} {row.hour} {row.day_of_month} {row.month_of_year} {row.day_of_week}"


def crontab_of(schedule: Any) -> rules.Crontab:
    """Celery's crontab as sets of numbers in UTC."""
    return rules.Crontab(
        minutes=frozenset(schedule.minute),
        hours=frozenset(schedule.hour),
        days_of_week=frozenset(schedule.day_of_week),
        days_of_month=frozenset(schedule.day_of_month),
        months=frozenset(schedule.month_of_year),
    )
