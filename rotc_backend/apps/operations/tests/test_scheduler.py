import datetime as dt
import json

import pytest
from celery import current_app as app
from celery import schedules
from django.db import connection
from django_celery_beat.models import CrontabSchedule, PeriodicTask
from kombu import Connection

from apps.operations import rules, selectors
from apps.operations.models import ScheduledRun
from apps.operations.scheduler import OWNED, RETRY_SECONDS, SlotScheduler, slot_of, table_install
from core import broker
from core.clock import now

SCHEDULE = app.conf.beat_schedule
TIMES = {
    "cleanup-old-sessions": ("operations.cleanup_old_sessions", "0 2 * * *"),
    "cleanup-expired-tokens": ("operations.cleanup_expired_tokens", "0 3 * * *"),
    "daily-reports": ("operations.daily_reports", "0 6 * * *"),
    "sync-attendance": ("operations.sync_attendance", "*/15 * * * *"),
    "database-backup": ("operations.database_backup", "0 4 * * 0"),
}


def rename(table: str, name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO {name}")


def install(table=SCHEDULE):
    table_install(table=table, app=app)


def scheduler():
    return SlotScheduler(app=app)


@pytest.mark.django_db
class TestTable:
    def test_the_five_jobs_stand_in_the_database_with_their_exact_times(self):
        install()
        assert {row["name"]: (row["task"], row["schedule"]) for row in selectors.schedule()} == TIMES
        assert {str(zone) for zone in CrontabSchedule.objects.values_list("timezone", flat=True)} == {"UTC"}

    def test_every_job_names_a_task_that_exists(self):
        assert {entry["task"] for entry in SCHEDULE.values()} <= set(app.tasks)

    def test_a_pause_survives_and_a_changed_time_does_not(self):
        install()
        row = PeriodicTask.objects.get(name="daily-reports")
        row.enabled = False
        row.crontab = CrontabSchedule.objects.get(hour="2")
        row.save()
        install()
        row.refresh_from_db()
        assert not row.enabled
        assert row.crontab is not None
        assert row.crontab.hour == "6"

    def test_the_time_of_the_last_run_survives(self):
        install()
        ran = now() - dt.timedelta(days=3)
        PeriodicTask.objects.filter(name="daily-reports").update(last_run_at=ran)
        install()
        assert PeriodicTask.objects.get(name="daily-reports").last_run_at == ran

    def test_a_job_that_the_code_no_longer_knows_goes_and_one_of_a_person_stays(self):
        install()
        PeriodicTask.objects.create(
            name="mine", task="operations.daily_reports", crontab=CrontabSchedule.objects.get(hour="2")
        )
        install({name: entry for name, entry in SCHEDULE.items() if name != "database-backup"})
        names = set(PeriodicTask.objects.values_list("name", flat=True))
        assert "mine" in names
        assert "database-backup" not in names
        assert PeriodicTask.objects.filter(description=OWNED).count() == 4


@pytest.mark.django_db(transaction=True)
class TestSending:
    def due(self, name: str, *, since: dt.timedelta = dt.timedelta(days=8)) -> None:
        install()
        PeriodicTask.objects.exclude(name=name).update(enabled=False)
        PeriodicTask.objects.filter(name=name).update(last_run_at=now() - since)

    def test_a_due_job_is_sent_once_with_its_slot_and_the_log_line_of_the_guide(self, empty_redis, caplog):
        caplog.set_level("INFO")
        self.due("daily-reports")
        beat = scheduler()
        for _ in range(4):
            beat.tick()
        messages = [json.loads(text) for text in empty_redis.lrange("rgms", 0, -1)]
        assert len(messages) == 1
        slot = dt.datetime.fromisoformat(messages[0]["headers"]["slot"])
        assert (slot.hour, slot.minute, slot.second) == (6, 0, 0)
        assert now() - dt.timedelta(days=1) <= slot <= now()
        assert "Scheduler: Sending due task daily-reports" in caplog.text
        beat.close()

    def test_a_daily_job_missed_for_days_is_caught_up_whatever_the_hour(self, empty_redis):
        # The original looks only at crontabs within two hours of now.
        hour = (now() + dt.timedelta(hours=12)).hour
        install()
        far, _ = CrontabSchedule.objects.get_or_create(minute="0", hour=str(hour), timezone="UTC")
        PeriodicTask.objects.update(enabled=False)
        PeriodicTask.objects.create(
            name="far", task="operations.daily_reports", crontab=far, last_run_at=now() - dt.timedelta(days=3)
        )
        beat = scheduler()
        for _ in range(4):
            beat.tick()
        assert empty_redis.llen("rgms") == 1
        beat.close()

    def test_a_job_that_could_not_be_sent_is_still_due(self, empty_redis, closed_port):
        self.due("daily-reports")
        due_since = PeriodicTask.objects.get(name="daily-reports").last_run_at
        away = SlotScheduler(app=app)
        away.producer = app.amqp.Producer(Connection(f"redis://127.0.0.1:{closed_port}/0"), auto_declare=False)
        away.tick()
        away.close()
        assert PeriodicTask.objects.get(name="daily-reports").last_run_at == due_since
        assert empty_redis.llen("rgms") == 0
        beat = scheduler()
        beat.tick()
        beat.tick()
        assert empty_redis.llen("rgms") == 1
        beat.close()

    def test_two_schedulers_send_the_same_slot(self, empty_redis):
        self.due("sync-attendance")
        first, second = scheduler(), scheduler()
        for beat in (first, second):
            beat._installed = True
            assert beat.schedule["sync-attendance"].is_due().is_due
        first.tick()
        second.tick()
        slots = {json.loads(text)["headers"]["slot"] for text in empty_redis.lrange("rgms", 0, -1)}
        assert empty_redis.llen("rgms") == 2
        assert len(slots) == 1
        first.close()
        second.close()


@pytest.mark.django_db(transaction=True)
class TestHeartbeat:
    def test_a_tick_says_that_beat_is_alive_and_on_which_stores(self, empty_redis, settings):
        settings.SERVICE_NAME = rules.BEAT
        beat = scheduler()
        beat.tick()
        found = broker.survey(services=[rules.BEAT]).heartbeats[rules.BEAT]
        assert found.age_seconds < 5
        assert found.facts["database_id"] == selectors.database_id()
        assert found.facts["redis_id"] == broker.identity()
        beat.close()

    def test_without_its_tables_it_waits_in_silence_and_begins_when_they_are_there(self, empty_redis, settings):
        settings.SERVICE_NAME = rules.BEAT
        rename("django_celery_beat_periodictask", "set_aside")
        try:
            beat = scheduler()
            assert beat.tick() == RETRY_SECONDS
            assert broker.survey(services=[rules.BEAT]).heartbeats == {}
        finally:
            rename("set_aside", "django_celery_beat_periodictask")
        beat.tick()
        assert rules.BEAT in broker.survey(services=[rules.BEAT]).heartbeats
        beat.close()

    def test_a_schedule_that_could_not_be_read_at_first_is_read_later(self, empty_redis):
        beat = scheduler()
        install()
        beat._installed = True
        rename("django_celery_beat_periodictask", "set_aside")
        try:
            assert beat.tick() == RETRY_SECONDS
        finally:
            rename("set_aside", "django_celery_beat_periodictask")
        beat.tick()
        assert set(beat.schedule) == set(SCHEDULE)
        beat.close()


def test_a_slot_is_a_time_that_the_crontab_holds():
    crontab = schedules.crontab(minute="*/15")
    slot = slot_of(crontab, at=dt.datetime(2026, 3, 2, 10, 44, 59, tzinfo=dt.UTC))
    assert slot == dt.datetime(2026, 3, 2, 10, 30, tzinfo=dt.UTC)
    assert selectors.crontab_of(crontab).holds(slot)


def test_an_interval_has_no_slots():
    assert slot_of(schedules.schedule(run_every=60), at=now()) is None


def test_who_asked_for_a_run_is_one_of_two():
    assert set(ScheduledRun.Trigger.values) == {"schedule", "person"}
