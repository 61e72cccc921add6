"""What the five periodic jobs do in this release. Each returns what it has counted."""

import datetime as dt

from django.contrib.sessions.models import Session

from apps.accounts.services import mails_expire, mails_resume, tokens_cleanup
from apps.events.services import SEQUENCED_AT_ONCE, events_expire, sequence
from apps.imports.services.retention import imports_expire, imports_resume
from apps.messaging.services import notifications_expire
from apps.operations.models import Probe, ScheduledRun
from apps.operations.rules import Outcome
from apps.operations.services.backups.asking import backup_weekly
from apps.operations.services.dead_letters import dead_letters_expire, outbox_sweep
from apps.pictures.services import pictures_expire, pictures_resume
from apps.reports.services.retention import reports_expire, reports_resume
from apps.training.services.closing import ended_days_close
from core.clock import manila_date, now

NOTIFICATION_DAYS = 30  # a notification stays so long after it was read
EVENT_DAYS = 7  # a client that was away for longer fetches its state again
PROBE_DAYS = 7
RUN_DAYS = 90
MAIL_DAYS = 90
DEAD_LETTER_DAYS = 90
_LARGEST_BATCHES = 100


def sessions_cleanup() -> Outcome:
    """Remove what has outlived its use: sessions, read notifications, old events, probes, records of runs, of e-mail
    and of failed tasks, of imports the files that nobody applied and the old rows, pictures that waited too long.
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
            "mails": mails_expire(before=present - dt.timedelta(days=MAIL_DAYS)),
            "dead_letters": dead_letters_expire(failed_before=present - dt.timedelta(days=DEAD_LETTER_DAYS)),
            "import_previews": previews,
            "import_rows": import_rows,
            "pictures": pictures_expire(),
            "report_files": reports_expire(),
        },
    )


def expired_tokens_cleanup() -> Outcome:
    return Outcome(succeeded=True, counts=tokens_cleanup())


def attendance_sync() -> Outcome:
    """Close the training days that have ended, and let nothing wait whose message was lost: jobs, imports,
    pictures, reports, e-mail, events.

    Scans that scanners took offline need nothing here: they are taken in when they are handed in, also for a day that
    is closed by then.
    """
    # First of all, so that a day that cannot be closed does not keep everybody's jobs and messages.
    counts = {
        "imports_resumed": imports_resume(),
        "pictures_resumed": pictures_resume(),
        "reports_resumed": reports_resume(),
        "mails_resumed": int(mails_resume()),
        "jobs_resent": outbox_sweep(),
    }
    closed = ended_days_close(today=manila_date(now()))
    counts |= {"days_closed": closed.days, "absent": closed.absent, "excused": closed.excused, "changes_published": 0}
    for _ in range(_LARGEST_BATCHES):
        fresh = sequence()
        counts["changes_published"] += fresh
        if fresh < SEQUENCED_AT_ONCE:
            break
    return Outcome(succeeded=True, counts=counts)


def database_backup() -> Outcome:
    """Store a backup of the whole database, restored on trial, or say plainly why there is none."""
    return backup_weekly()
