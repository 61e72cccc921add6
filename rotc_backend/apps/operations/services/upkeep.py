"""What the five periodic jobs do in this release. Each returns what it has counted."""

import datetime as dt

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection, transaction

from apps.accounts.models import Role, Status, User
from apps.accounts.services import tokens_cleanup
from apps.events.services import SEQUENCED_AT_ONCE, events_expire, sequence
from apps.imports.services.retention import imports_expire, imports_resume
from apps.messaging.services import notification_create, notifications_expire
from apps.operations import selectors
from apps.operations.models import Probe, ScheduledRun
from apps.operations.rules import Outcome
from core.clock import manila_date, manila_day, now

NOTIFICATION_DAYS = 30  # a notification stays so long after it was read
EVENT_DAYS = 7  # a client that was away for longer fetches its state again
PROBE_DAYS = 7
RUN_DAYS = 90
_LARGEST_BATCHES = 100


def sessions_cleanup() -> Outcome:
    """Remove what has outlived its use: sessions, read notifications, old events, probes, records of runs, and of
    imports the files that nobody applied and the old rows.
    """
    present = now()
    sessions, _ = Session.objects.filter(expire_date__lt=present).delete()
    probes, _ = Probe.objects.filter(requested_at__lt=present - dt.timedelta(days=PROBE_DAYS)).delete()
    runs, _ = ScheduledRun.objects.filter(finished_at__lt=present - dt.timedelta(days=RUN_DAYS)).delete()
    previews, import_rows = imports_expire()
    return Outcome(
        succeeded=True,
        counts={
            "sessions": sessions,
            "notifications": notifications_expire(read_before=present - dt.timedelta(days=NOTIFICATION_DAYS)),
            "events": events_expire(before=present - dt.timedelta(days=EVENT_DAYS)),
            "probes": probes,
            "runs": runs,
            "import_previews": previews,
            "import_rows": import_rows,
        },
    )


def expired_tokens_cleanup() -> Outcome:
    return Outcome(succeeded=True, counts=tokens_cleanup())


def daily_reports(*, slot: dt.datetime) -> Outcome:
    """Tell every administrator what happened on the day in Manila before the slot's."""
    day = manila_date(slot) - dt.timedelta(days=1)
    start, end = manila_day(day)
    activity = selectors.activity(start=start, end=end)
    recipients = User.objects.filter(role=Role.ADMIN, status=Status.APPROVED, archived_at=None).order_by("pk")
    ids = list(recipients.values_list("pk", flat=True))
    for recipient_id in ids:
        notification_create(
            actor_id=None,
            recipient_id=recipient_id,
            title=f"Daily report for {day:%d %B %Y}",
            body=(
                f"Sign-ins: {activity.sign_ins}. Notifications sent: {activity.notifications}. "
                f"Entries in the audit trail: {activity.audit_entries}."
            ),
        )
    return Outcome(
        succeeded=True,
        counts={
            "sign_ins": activity.sign_ins,
            "notifications": activity.notifications,
            "audit_entries": activity.audit_entries,
            "recipients": len(ids),
        },
    )


def attendance_sync() -> Outcome:
    """Publish the changes that no channels process has published: events that still wait for their position. And let
    the worker take up imports whose message or whose worker was lost.
    """
    published = 0
    for _ in range(_LARGEST_BATCHES):
        fresh = sequence()
        published += fresh
        if fresh < SEQUENCED_AT_ONCE:
            break
    return Outcome(succeeded=True, counts={"changes_published": published, "imports_resumed": imports_resume()})


def database_backup() -> Outcome:
    """Count what a backup would hold, and say plainly that none was stored."""
    inventory = _inventory()
    return Outcome(
        succeeded=False,
        counts={"tables": len(inventory), "rows": sum(inventory.values())},
        detail=_no_backup(),
    )


def _no_backup() -> str:
    unset = [name for name in ("BACKUP_URL", "BACKUP_ENCRYPTION_KEY") if not getattr(settings, name, "")]
    if unset:
        verb = "is" if len(unset) == 1 else "are"
        return f"No backup was stored, because {' and '.join(unset)} {verb} not set."
    return "No backup was stored, because this release cannot write one."


def _inventory() -> dict[str, int]:
    """Rows by table, all as of one moment."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
            "WHERE schemaname IN ('public', 'ops') ORDER BY 1"
        )
        tables = [name for (name,) in cursor.fetchall()]
        counts = {}
        for table in tables:
            cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 - quoted by the server's own format()
            counts[table] = cursor.fetchone()[0]
    return counts
