"""What can be asked about the running system."""

import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connection, models
from django.db.migrations.loader import MigrationLoader
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from apps.accounts.models import AuditEntry
from apps.messaging.models import Notification
from apps.operations import rules
from apps.operations.models import Probe, ScheduledRun
from core import broker, clock
from core.errors import NotFound, Unavailable

# A row of our own, since an ordinary role of a managed server may not read the server's system identifier;
# with the database's own id and name, since a template would hand the row on. It survives a restore.
DATABASE_IDENTITY = """
SELECT left(encode(sha256(convert_to(concat_ws(' ', own.id, d.oid, d.datname), 'UTF8')), 'hex'), 12)
FROM ops.database_identity own, pg_database d WHERE d.datname = current_database()
"""
FINDINGS_SHOWN = 20  # of each check
FINDINGS_COUNTED = 1000  # of each foreign key: whoever has lost more rows than that needs a backup, not their number


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


@dataclass(frozen=True, kw_only=True)
class Activity:
    """What happened in an interval."""

    sign_ins: int
    notifications: int
    audit_entries: int


def activity(*, start: dt.datetime, end: dt.datetime) -> Activity:
    """Counts of the half-open interval [start, end)."""
    entries = AuditEntry.objects.filter(at__gte=start, at__lt=end)
    return Activity(
        sign_ins=entries.filter(action="session.open").count(),
        notifications=Notification.objects.filter(created_at__gte=start, created_at__lt=end).count(),
        audit_entries=entries.count(),
    )


# --- Integrity --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is not as it must be. `id` names the row or the object inside `table`."""

    check: str
    table: str
    id: str
    detail: str
    remedy: str


def integrity() -> dict[str, Any]:
    """Run every check. Each reads with single statements, so a write at the same time cannot make it cry wolf."""
    findings: list[Finding] = []
    checks = []
    for name, check in CHECKS.items():
        found = list(check(name))
        checks.append({"name": name, "sound": not found, "count": len(found)})
        findings += found[:FINDINGS_SHOWN]
    return {
        "sound": not findings,
        "checked_at": clock.iso(clock.now()),
        "checks": checks,
        "findings": [asdict(finding) for finding in findings],
    }


def _rows(statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


def _constraints_validated(check: str) -> Iterator[Finding]:
    for table, name in _rows(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace "
        "WHERE NOT convalidated AND n.nspname IN ('public', 'ops') ORDER BY 1, 2"
    ):
        yield Finding(
            check=check,
            table=table,
            id=name,
            detail="The constraint was added without looking at the rows that were there before.",
            remedy=f'Correct the rows that break it, then: ALTER TABLE {table} VALIDATE CONSTRAINT "{name}";',
        )


def _indexes_valid(check: str) -> Iterator[Finding]:
    for table, name in _rows(
        "SELECT indrelid::regclass::text, indexrelid::regclass::text FROM pg_index i "
        "JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE NOT indisvalid AND n.nspname IN ('public', 'ops') ORDER BY 1, 2"
    ):
        yield Finding(
            check=check,
            table=table,
            id=name,
            detail="The index is incomplete; a unique one does not keep its promise.",
            remedy=f"REINDEX INDEX CONCURRENTLY {name};",
        )


def _references_exist(check: str) -> Iterator[Finding]:
    """Every foreign key of our own tables, asked of the rows: a restore can load rows before its constraints."""
    quote = connection.ops.quote_name
    for model in apps.get_models(include_auto_created=True):
        if not model.__module__.startswith("apps.") or not model._meta.managed:
            continue
        for field in model._meta.local_fields:
            if not isinstance(field, models.ForeignKey):
                continue
            target = field.remote_field.model
            own, other = quote(model._meta.db_table), quote(target._meta.db_table)
            key_column, column, target_column = (
                quote(one.column or "") for one in (model._meta.pk, field, field.target_field)
            )
            statement = (
                f"SELECT r.{key_column}, r.{column} FROM {own} r "  # noqa: S608 - names of our own models
                f"WHERE r.{column} IS NOT NULL "
                f"AND NOT EXISTS (SELECT FROM {other} t WHERE t.{target_column} = r.{column}) LIMIT {FINDINGS_COUNTED}"
            )
            for key, value in _rows(statement):
                yield Finding(
                    check=check,
                    table=model._meta.db_table,
                    id=str(key),
                    detail=f"{field.column} names {value}, which is not in {target._meta.db_table}.",
                    remedy="Restore the missing row from a backup, or delete this one.",
                )


def _event_positions_dense(check: str) -> Iterator[Finding]:
    ((heads, head, least, greatest, count),) = _rows(
        "SELECT (SELECT count(*) FROM event_head), (SELECT position FROM event_head), min(position), max(position), "
        "count(position) FROM event"
    )
    to_head = "UPDATE event_head SET epoch = gen_random_uuid()"  # clients of the old epoch fetch their state again
    if heads != 1:
        yield Finding(
            check=check,
            table="event_head",
            id="-",
            detail="The head row is missing, so no event can be delivered.",
            remedy="Run `manage.py migrate`, which puts it back.",
        )
    elif greatest is not None and greatest != head:
        yield Finding(
            check=check,
            table="event_head",
            id=str(head),
            detail=f"The head stands at {head}, the last event at {greatest}.",
            remedy=f"{to_head}, position = {max(head, greatest)};",
        )
    if count and greatest - least + 1 != count:
        yield Finding(
            check=check,
            table="event",
            id=f"{least}-{greatest}",
            detail=f"{greatest - least + 1 - count} positions between {least} and {greatest} have no event.",
            remedy=f"{to_head};",
        )


def _slots_once(check: str) -> Iterator[Finding]:
    """A slot is one row, so it can run twice only under a wrong scheduled time, or if its uniqueness was lost."""
    for job, slot, count in _rows(
        "SELECT job, slot, count(*) FROM ops.scheduled_run GROUP BY job, slot HAVING count(*) > 1"
    ):
        yield Finding(
            check=check,
            table="ops.scheduled_run",
            id=f"{job} {clock.iso(slot)}",
            detail=f"The slot was run {count} times.",
            remedy="Delete the later rows and restore the unique constraint scheduled_run_job_slot.",
        )
    # By the schedule of its time: a row keeps the crontab that gave its slot, which a later release may have changed.
    scheduled = ScheduledRun.objects.filter(trigger=ScheduledRun.Trigger.SCHEDULE).exclude(crontab="")
    for text in scheduled.order_by("crontab").values_list("crontab", flat=True).distinct():
        fields = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
        crontab = crontab_of(CrontabSchedule(**dict(zip(fields, text.split(), strict=True))).schedule)
        for run in scheduled.filter(crontab=text).order_by("slot"):
            if not crontab.holds(run.slot):
                yield Finding(
                    check=check,
                    table="ops.scheduled_run",
                    id=str(run.pk),
                    detail=f"{run.job} ran for {clock.iso(run.slot)}, a time that its schedule {text} does not hold.",
                    remedy="Look whether the slot before it ran as well: two schedulers may disagree on the schedule.",
                )


def _slots_ended(check: str) -> Iterator[Finding]:
    """A run that nobody will take up again: its lease is long over and its message is gone."""
    closing = "UPDATE ops.scheduled_run SET finished_at = now(), outcome = 'failed'"
    over = clock.now() - dt.timedelta(seconds=rules.OVERDUE_SECONDS)
    for run in ScheduledRun.objects.filter(finished_at=None, lease_until__lt=over).order_by("slot"):
        yield Finding(
            check=check,
            table="ops.scheduled_run",
            id=str(run.pk),
            detail=f"{run.job} of {clock.iso(run.slot)} has not come to its end. {run.detail}".strip(),
            remedy=f"Run the job again in the admin site under Periodic tasks, then: {closing} WHERE id = {run.pk};",
        )


def crontab_of(schedule: Any) -> rules.Crontab:
    """Celery's crontab as sets of numbers in UTC."""
    return rules.Crontab(
        minutes=frozenset(schedule.minute),
        hours=frozenset(schedule.hour),
        days_of_week=frozenset(schedule.day_of_week),
        days_of_month=frozenset(schedule.day_of_month),
        months=frozenset(schedule.month_of_year),
    )


def _migrations_applied(check: str) -> Iterator[Finding]:
    found: Mapping[str, list[str]] = migrations()
    for name in found["unapplied"]:
        yield Finding(
            check=check,
            table="django_migrations",
            id=name,
            detail="This code expects a migration that the database does not have.",
            remedy="python manage.py migrate --noinput",
        )


def _names_unambiguous(check: str) -> Iterator[Finding]:
    for name, count in _rows(
        "SELECT lower(username), count(*) FROM accounts_user GROUP BY 1 HAVING count(*) > 1 ORDER BY 1"
    ):
        yield Finding(
            check=check,
            table="accounts_user",
            id=name,
            detail=f"{count} accounts differ in upper and lower case only.",
            remedy="Rename or archive all but one in the admin site.",
        )


CHECKS: dict[str, Callable[[str], Iterator[Finding]]] = {
    "constraints_validated": _constraints_validated,
    "indexes_valid": _indexes_valid,
    "references_exist": _references_exist,
    "usernames_unambiguous": _names_unambiguous,
    "event_positions_dense": _event_positions_dense,
    "slots_once": _slots_once,
    "slots_ended": _slots_ended,
    "migrations_applied": _migrations_applied,
}
