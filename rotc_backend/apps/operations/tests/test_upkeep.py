import datetime as dt

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction

from apps.events.models import Event, OutboxJob
from apps.events.services import publish
from apps.imports.models import ImportFile, ImportRun
from apps.messaging.events import NotificationRemoved
from apps.messaging.models import Notification
from apps.operations.models import Probe
from apps.operations.services import upkeep
from apps.operations.services.backups.errors import DatabaseAway
from core.clock import now

DAY = dt.timedelta(days=1)


@pytest.mark.django_db
def test_old_sessions_read_notifications_old_events_and_old_probes_go_and_the_others_stay(cadet):
    present = now()
    for key, expires in (("old", present - DAY), ("new", present + DAY)):
        Session.objects.create(session_key=key, session_data="", expire_date=expires)
    for read_at in (present - 31 * DAY, present - 29 * DAY, None):
        Notification.objects.create(recipient=cadet.user, title="t", body="b", read_at=read_at)
    for position, age in ((1, 8), (2, 6)):
        Event.objects.create(
            type="notification.removed", recipients=["user:1"], data={}, at=present - age * DAY, position=position
        )
    for age in (8, 6):
        Probe.objects.create(requested_at=present - age * DAY)
    outcome = upkeep.sessions_cleanup()
    assert outcome.succeeded
    assert outcome.counts == {
        "sessions": 1,
        "notifications": 1,
        "events": 1,
        "probes": 1,
        "runs": 0,
        "mails": 0,
        "dead_letters": 0,
        "import_previews": 0,
        "import_rows": 0,
        "pictures": 0,
        "report_files": 0,
    }
    assert [session.session_key for session in Session.objects.all()] == ["new"]
    assert Notification.objects.count() == 2
    assert [event.position for event in Event.objects.exclude(position=None)] == [2]


@pytest.mark.django_db
def test_expired_tokens_are_counted_by_the_accounts():
    assert set(upkeep.expired_tokens_cleanup().counts) == {
        "sessions",
        "revocations",
        "invitations",
        "password_resets",
        "attempts",
    }


@pytest.mark.django_db(transaction=True)
def test_the_sync_gives_positions_to_all_events_that_wait_for_one():
    with transaction.atomic():
        for number in range(3):
            publish(event=NotificationRemoved(id=number, unread=0), recipients=["user:1"])
    assert upkeep.attendance_sync().counts == {
        "days_closed": 0,
        "absent": 0,
        "excused": 0,
        "imports_resumed": 0,
        "pictures_resumed": 0,
        "reports_resumed": 0,
        "mails_resumed": 0,
        "jobs_resent": 0,
        "changes_published": 3,
    }
    assert not Event.objects.filter(position=None).exists()
    assert upkeep.attendance_sync().counts["changes_published"] == 0


def an_import(caller, **fields):
    run = ImportRun.objects.create(
        kind="cadets", file_name="a.csv", file_bytes=4, created_by=caller.user, asked_by=caller.user, **fields
    )
    ImportFile.objects.create(run=run, content=b"Name")
    return run


@pytest.mark.django_db
def test_the_cleanup_ends_imports_that_nobody_applied(admin):
    run = an_import(admin, state="ready", finished_at=now() - 2 * DAY)
    assert upkeep.sessions_cleanup().counts["import_previews"] == 1
    run.refresh_from_db()
    assert run.state == "cancelled"
    assert not ImportFile.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_sync_asks_again_for_imports_that_wait_for_too_long(admin, empty_redis):
    run = an_import(admin)
    ImportRun.objects.filter(pk=run.pk).update(queued_at=now() - DAY)
    assert upkeep.attendance_sync().counts["imports_resumed"] == 1
    (message,) = empty_redis.lrange(settings.CELERY_TASK_DEFAULT_QUEUE, 0, -1)
    assert "imports.import_run_perform" in message


@pytest.mark.django_db(transaction=True)
def test_the_backup_says_that_none_was_stored_and_why():
    outcome = upkeep.database_backup()
    assert not outcome.succeeded
    assert outcome.detail == "No backup was stored, because BACKUP_URL and BACKUP_ENCRYPTION_KEY are not set."
    assert outcome.counts == {}


@pytest.mark.django_db(transaction=True)
def test_a_day_that_cannot_be_closed_does_not_keep_the_jobs_of_others(monkeypatch, empty_redis):
    def fail(**_):
        raise ValueError("a fault of ours")

    monkeypatch.setattr(upkeep, "ended_days_close", fail)
    OutboxJob.objects.create(task="operations.outbox_sweep", arguments={}, due_at=now() - DAY)
    with pytest.raises(ValueError, match="a fault of ours"):
        upkeep.attendance_sync()
    assert empty_redis.llen(settings.CELERY_TASK_DEFAULT_QUEUE) == 1


@pytest.mark.django_db(transaction=True)
def test_a_database_that_takes_no_connection_does_not_cost_the_week_its_backup(settings, tmp_path, closed_port):
    settings.BACKUP_PLACE, settings.BACKUP_KEYS = {"kind": "file", "path": str(tmp_path)}, ["k" * 48]
    settings.DATABASE_DIRECT = {"HOST": "127.0.0.1", "PORT": closed_port}
    with pytest.raises(DatabaseAway):  # which is tried again, where an outcome would be the last word
        upkeep.database_backup()
