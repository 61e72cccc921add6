import datetime as dt
import uuid
from typing import Any

import pytest
from celery import current_app as app
from django.db import connection
from rest_framework.test import APIClient

from apps.cadets.tests import factories
from apps.events.models import Event, EventHead
from apps.grading.models import GradeSheet
from apps.operations import rules, selectors
from apps.operations.models import Probe, ScheduledRun
from apps.operations.scheduler import table_install
from apps.training.models import AttendanceRecord, TrainingDay
from core import broker
from core.clock import now

SCHEDULE = app.conf.beat_schedule
PATHS = ["queue", "integrity", "status", "probe/7f0c2c7e-9f0e-4a52-8ad5-3d1b8f7a1c11"]


@pytest.mark.django_db
@pytest.mark.parametrize("path", PATHS)
class TestWhoMayAsk:
    def test_nobody_without_a_token(self, path):
        assert APIClient().get(f"/api/v1/operations/{path}").status_code == 401

    def test_no_cadet_and_no_training_staff(self, path, cadet, staff):
        for caller in (cadet, staff):
            assert caller.client.get(f"/api/v1/operations/{path}").status_code == 403


@pytest.mark.django_db(transaction=True)
class TestProbe:
    def test_it_is_pending_until_a_worker_takes_it(self, admin, empty_redis):
        answer = admin.client.post("/api/v1/operations/probe")
        assert answer.status_code == 202
        body = answer.json()
        assert (body["state"], body["worker"], body["queue_delay_ms"]) == ("pending", None, None)
        assert answer.headers["Location"] == f"/api/v1/operations/probe/{body['id']}"
        assert empty_redis.llen("rgms") == 1
        assert admin.client.get(answer.headers["Location"]).json()["state"] == "pending"

    def test_the_worker_records_who_it_is_and_how_long_the_probe_waited(self, admin, empty_redis):
        body = admin.client.post("/api/v1/operations/probe").json()
        app.tasks["operations.probe_record"].apply(kwargs={"probe_id": body["id"]}).get()
        found = admin.client.get(f"/api/v1/operations/probe/{body['id']}").json()
        assert found["state"] == "finished"
        assert found["queue_delay_ms"] >= 0
        assert found["worker"]["redis_id"] == broker.identity()
        assert set(found["worker"]) == {"service", "version", "commit", "key_fingerprint", "redis_id", "pid"}

    def test_a_second_delivery_changes_nothing(self, admin, empty_redis):
        probe = Probe.objects.create()
        task = app.tasks["operations.probe_record"]
        task.apply(kwargs={"probe_id": str(probe.pk)}).get()
        first = Probe.objects.get(pk=probe.pk)
        task.apply(kwargs={"probe_id": str(probe.pk)}).get()
        assert Probe.objects.get(pk=probe.pk).finished_at == first.finished_at

    def test_without_redis_it_is_refused_before_anything_is_written(self, admin, closed_port, other_redis):
        other_redis(closed_port)
        answer = admin.client.post("/api/v1/operations/probe")
        assert (answer.status_code, answer.json()["code"]) == (503, "queue_unavailable")
        assert not Probe.objects.exists()

    def test_one_that_nobody_took_for_ten_minutes_has_failed(self, admin):
        probe = Probe.objects.create(requested_at=now() - dt.timedelta(minutes=11))
        assert admin.client.get(f"/api/v1/operations/probe/{probe.pk}").json()["state"] == "failed"

    def test_an_unknown_one_is_not_found(self, admin):
        answer = admin.client.get(f"/api/v1/operations/probe/{uuid.uuid4()}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.django_db
class TestQueue:
    def test_it_counts(self, admin, empty_redis):
        empty_redis.lpush("rgms", "{}", "{}")
        empty_redis.hset(broker.UNACKED_KEY, "tag", "…")
        body = admin.client.get("/api/v1/operations/queue").json()
        assert body.pop("at").endswith("Z")
        assert body == {"pending": 2, "unacknowledged": 1, "depth": 3, "oldest_age_seconds": None}

    def test_without_redis_it_is_unavailable(self, admin, closed_port, other_redis):
        other_redis(closed_port)
        answer = admin.client.get("/api/v1/operations/queue")
        assert (answer.status_code, answer.json()["code"]) == (503, "queue_unavailable")


@pytest.mark.django_db
class TestStatus:
    def test_it_shows_stores_migrations_and_the_five_jobs(self, admin, empty_redis, settings):
        table_install(table=SCHEDULE, app=app)
        facts = broker.own_facts(started_at=now(), redis_id="another", database_id="d")
        broker.heartbeat_write(facts={**facts, "service": rules.CHANNELS})
        body = admin.client.get("/api/v1/operations/status").json()
        assert body["migrations"] == {"unapplied": [], "unknown": []}
        assert sorted(job["name"] for job in body["schedule"]) == sorted(SCHEDULE)
        assert (body["redis_id"], body["database_id"]) == (broker.identity(), selectors.database_id())
        assert body["processes"][rules.CHANNELS]["redis_id"] == "another"
        assert body["processes"][rules.BEAT]["state"] == "stopped"
        assert body["queue"]["depth"] == 0
        assert (body["environment"], body["debug"], body["media_storage"]) == ("testing", False, "local")

    def test_without_redis_it_still_tells_the_rest(self, admin, closed_port, other_redis):
        other_redis(closed_port)
        body = admin.client.get("/api/v1/operations/status").json()
        assert body["queue"] is None
        assert body["redis_id"] is None
        assert {one["state"] for one in body["processes"].values()} == {"unknown"}
        assert body["database_id"] == selectors.database_id()

    def test_a_migration_of_a_newer_release_is_unknown_and_a_missing_one_unapplied(self, admin, empty_redis):
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE django_migrations SET name = '0099_later' WHERE app = 'operations' AND name = '0001_initial'"
            )
        body = admin.client.get("/api/v1/operations/status").json()
        assert body["migrations"]["unknown"] == ["operations.0099_later"]
        assert "operations.0001_initial" in body["migrations"]["unapplied"]


@pytest.mark.django_db
class TestIntegrity:
    def findings(self, admin) -> list[dict[str, str]]:
        body = admin.client.get("/api/v1/operations/integrity").json()
        assert body["sound"] == (not body["findings"])
        assert [check["name"] for check in body["checks"]] == list(selectors.CHECKS)
        return body["findings"]

    def one(self, admin, check: str) -> dict[str, str]:
        (found,) = self.findings(admin)
        assert found["check"] == check
        assert all(found[key] for key in ("table", "id", "detail", "remedy"))
        return found

    def test_a_sound_database_has_no_findings(self, admin):
        table_install(table=SCHEDULE, app=app)
        assert self.findings(admin) == []

    def test_an_unvalidated_constraint_is_found(self, admin):
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE operations_probe ADD CONSTRAINT later CHECK (id IS NOT NULL) NOT VALID")
        found = self.one(admin, "constraints_validated")
        assert (found["table"], found["id"]) == ("operations_probe", "later")
        with connection.cursor() as cursor:
            cursor.execute(found["remedy"].partition(": ")[2])
        assert self.findings(admin) == []

    def test_a_reference_to_a_row_that_is_gone_is_found(self, admin):
        probe = Probe.objects.create(requested_by=admin.user)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            cursor.execute("UPDATE operations_probe SET requested_by_id = 999999 WHERE id = %s", [probe.pk])
        found = self.one(admin, "references_exist")
        assert (found["table"], found["id"]) == ("operations_probe", str(probe.pk))
        Probe.objects.all().delete()

    def test_a_hole_between_event_positions_is_found(self, admin):
        for position in (1, 2, 4):
            Event.objects.create(type="notification.removed", recipients=["user:1"], data={}, position=position)
        EventHead.objects.update(position=4)
        assert self.one(admin, "event_positions_dense")["table"] == "event"

    def test_a_head_that_is_not_where_the_log_ends_is_found(self, admin):
        Event.objects.create(type="notification.removed", recipients=["user:1"], data={}, position=7)
        EventHead.objects.update(position=5)
        assert self.one(admin, "event_positions_dense")["table"] == "event_head"

    def test_a_log_whose_oldest_events_have_expired_is_sound(self, admin):
        for position in (5, 6, 7):
            Event.objects.create(type="notification.removed", recipients=["user:1"], data={}, position=position)
        EventHead.objects.update(position=7)
        assert self.findings(admin) == []

    def run_at(self, slot: dt.datetime, *, crontab: str = "0 6 * * *", **fields: Any) -> ScheduledRun:
        ended = {"finished_at": now(), "outcome": "succeeded"}
        return ScheduledRun.objects.create(
            job="daily-reports",
            slot=slot,
            trigger=ScheduledRun.Trigger.SCHEDULE if crontab else ScheduledRun.Trigger.PERSON,
            crontab=crontab,
            owner=uuid.uuid4(),
            lease_until=now(),
            **{**ended, **fields},
        )

    def test_a_slot_that_its_schedule_does_not_hold_is_found(self, admin):
        yesterday = (now() - dt.timedelta(days=1)).replace(hour=6, minute=0, second=0, microsecond=0)
        self.run_at(yesterday)
        assert self.findings(admin) == []
        self.run_at(yesterday + dt.timedelta(minutes=3))
        assert "daily-reports" in self.one(admin, "slots_once")["detail"]

    def test_a_slot_of_an_earlier_schedule_is_measured_by_that_one(self, admin):
        table_install(table=SCHEDULE, app=app)
        self.run_at(dt.datetime(2026, 3, 2, 5, 30, tzinfo=dt.UTC), crontab="30 5 * * 1")
        assert self.findings(admin) == []

    def test_a_run_that_a_person_asked_for_may_be_at_any_time(self, admin):
        self.run_at(now() - dt.timedelta(minutes=3), crontab="")
        assert self.findings(admin) == []

    def test_a_run_that_nobody_will_take_up_again_is_found(self, admin):
        slot = dt.datetime(2026, 3, 2, 6, 0, tzinfo=dt.UTC)
        run = self.run_at(slot, finished_at=None, outcome=None)
        assert self.findings(admin) == []
        ScheduledRun.objects.update(lease_until=now() - dt.timedelta(minutes=16))
        found = self.one(admin, "slots_ended")
        assert found["id"] == str(run.pk)
        with connection.cursor() as cursor:
            cursor.execute(found["remedy"].partition("then: ")[2])
        assert self.findings(admin) == []

    def test_an_account_of_a_cadet_and_of_a_staff_profile_at_once_is_found(self, admin):
        cadet = factories.cadet(user=admin.user)
        assert self.findings(admin) == []
        factories.staff_profile(user=admin.user)
        assert self.one(admin, "accounts_linked_once")["detail"].startswith(
            f"The account is linked to cadet {cadet.pk}"
        )

    def test_attendance_that_no_grade_counts_is_found(self, admin):
        term = factories.term()
        day = TrainingDay.objects.create(term=term, date=term.ends_on, title="Drill")
        record = AttendanceRecord.objects.create(training_day=day, cadet=factories.cadet(), status="present")
        assert self.one(admin, "attendance_within_terms")["id"] == str(record.pk)
        factories.enroll(record.cadet, term=term)
        assert self.findings(admin) == []
        TrainingDay.objects.update(date=term.ends_on + dt.timedelta(days=1))
        assert self.one(admin, "attendance_within_terms")["table"] == "training_trainingday"

    def test_a_sheet_of_an_older_term_that_was_tampered_with_is_found(self, admin):
        older, latest = factories.former_term(), factories.term()
        for term in (older, latest):
            factories.enroll(factories.cadet(), term=term)
            assert admin.client.post(f"/api/v1/terms/{term.pk}/close").status_code == 200
        assert self.findings(admin) == []
        sheet = GradeSheet.objects.get(enrollment__term=older)
        GradeSheet.objects.filter(pk=sheet.pk).update(result={**sheet.result, "equivalent": "1.00"})
        assert {found["check"] for found in self.findings(admin)} == {"sheets_verified"}

    def test_a_migration_that_is_missing_is_found(self, admin):
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_migrations WHERE app = 'operations' AND name = '0001_initial'")
        assert self.one(admin, "migrations_applied")["id"] == "operations.0001_initial"


@pytest.mark.django_db
class TestAdminSite:
    @pytest.mark.parametrize("page", ["probe", "scheduledrun"])
    def test_evidence_is_shown_and_cannot_be_changed(self, client, admin, page):
        Probe.objects.create()
        ScheduledRun.objects.create(
            job="daily-reports", slot=now(), trigger="person", owner=uuid.uuid4(), lease_until=now()
        )
        client.force_login(admin.user)
        assert client.get(f"/admin/operations/{page}/").status_code == 200
        assert client.get(f"/admin/operations/{page}/add/").status_code == 403
