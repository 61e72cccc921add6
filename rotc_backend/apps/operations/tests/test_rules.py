import datetime as dt

import pytest

from apps.operations import rules
from core import retries

OWN = {"version": "1.0.0", "commit": None, "service": rules.WEB, "key_fingerprint": "abc"}
CONNECTED = rules.Reading(connected=True)
GONE = rules.Reading(connected=False, problem="connection failed")
DAILY = rules.Crontab(minutes={0}, hours={2}, days_of_week=range(7), days_of_month=range(1, 32), months=range(1, 13))
QUARTERS = rules.Crontab(
    minutes={0, 15, 30, 45},
    hours=range(24),
    days_of_week=range(7),
    days_of_month=range(1, 32),
    months=range(1, 13),
)
SUNDAYS = rules.Crontab(minutes={0}, hours={4}, days_of_week={0}, days_of_month=range(1, 32), months=range(1, 13))


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def reading(**changes: object) -> rules.Reading:
    known = {"now": 100.0, "answered_at": 99.0, "asked_at": 99.0, "failures": 0, "problem": None}
    return rules.reading(**{**known, **changes})  # type: ignore[arg-type]


def process(age: float | None = 1.0, **facts: object) -> rules.Process:
    return rules.process(redis_connected=True, age_seconds=age, facts=facts)


def health(**changes: object) -> rules.Health:
    everybody = {name: process() for name in (rules.WEB, rules.CHANNELS, rules.WORKER, rules.BEAT)}
    known = {
        "database": CONNECTED,
        "redis": CONNECTED,
        "processes": {**everybody, **changes.pop("processes", {})},  # type: ignore[dict-item]
        "oldest_queued_seconds": None,
        "own_facts": OWN,
        "environment": "production",
        "timestamp": "2026-01-15T10:30:00.000Z",
    }
    return rules.health(**{**known, **changes})  # type: ignore[arg-type]


class TestReading:
    def test_a_dependency_that_answered_is_connected(self):
        assert reading().connected

    def test_one_failed_question_is_not_an_outage(self):
        assert reading(failures=1, asked_at=99.5, problem="connection lost").connected

    def test_two_failed_questions_in_a_row_are_an_outage_and_say_why(self):
        assert reading(failures=2, problem="connection lost") == rules.Reading(
            connected=False, problem="connection lost"
        )

    def test_a_dependency_that_never_answered_is_not_connected_even_after_one_failure(self):
        assert not reading(answered_at=None, failures=1, problem="connection failed").connected

    def test_before_the_first_question_nothing_is_connected(self):
        assert reading(asked_at=None, answered_at=None).problem == "no answer yet"

    def test_an_answer_of_just_under_eight_seconds_ago_counts(self):
        assert reading(asked_at=92.1, answered_at=92.1).connected

    def test_a_question_that_hangs_for_more_than_eight_seconds_is_an_outage(self):
        assert reading(asked_at=91.0, answered_at=91.0) == rules.Reading(connected=False, problem="no answer for 9 s")


class TestWorker:
    def test_a_fresh_heartbeat_without_work_is_no_problem(self):
        assert rules.worker_problem(worker=process(), oldest_queued_seconds=None) is None

    def test_a_heartbeat_is_fresh_for_25_seconds(self):
        assert process(25.0).state == "running"
        assert process(25.1).state == "stopped"

    def test_a_silent_worker_is_named_with_its_silence(self):
        assert rules.worker_problem(worker=process(41.0), oldest_queued_seconds=None) == "no heartbeat for 41 s"

    def test_a_worker_never_heard_of_has_no_heartbeat(self):
        assert rules.worker_problem(worker=process(None), oldest_queued_seconds=None) == "no heartbeat"

    def test_without_redis_nothing_is_known_of_it(self):
        unknown = rules.process(redis_connected=False, age_seconds=1.0, facts={})
        assert rules.worker_problem(worker=unknown, oldest_queued_seconds=None) == "unknown: redis is away"

    def test_a_task_far_past_its_hard_limit_means_stuck(self):
        active = [{"task": "reports.render", "seconds": 224.0, "limit": 210.0}]
        problem = rules.worker_problem(worker=process(2.0, active=active), oldest_queued_seconds=None)
        assert problem == "stuck: reports.render runs for 226 s, its limit is 210 s"

    def test_a_long_task_within_its_limit_is_no_problem(self):
        active = [{"task": "reports.render", "seconds": 200.0, "limit": 210.0}]
        assert rules.worker_problem(worker=process(active=active), oldest_queued_seconds=None) is None

    def test_an_old_queue_and_no_progress_mean_stuck(self):
        problem = rules.worker_problem(worker=process(1.0, idle_seconds=70.0), oldest_queued_seconds=90.0)
        assert problem == "stuck: a task waits for 90 s and none was completed for 71 s"

    def test_an_old_queue_with_progress_is_only_busy(self):
        assert rules.worker_problem(worker=process(idle_seconds=3.0), oldest_queued_seconds=500.0) is None

    def test_no_progress_without_a_queue_is_only_idle(self):
        assert rules.worker_problem(worker=process(idle_seconds=9000.0), oldest_queued_seconds=None) is None


class TestHealth:
    def test_when_everything_answers_it_is_healthy_and_has_no_details(self):
        found = health()
        assert (found.http_status, found.body["status"], found.body["details"]) == (200, "healthy", {})
        assert found.body["services"] == {"database": "connected", "redis": "connected", "celery": "running"}

    def test_without_the_database_it_is_unhealthy_with_503(self):
        found = health(database=GONE)
        assert (found.http_status, found.body["status"]) == (503, "unhealthy")
        assert found.body["services"]["database"] == "disconnected"
        assert found.body["details"] == {"database": "connection failed"}

    def test_without_redis_it_is_degraded_with_200_and_the_worker_counts_as_stopped(self):
        unknown = rules.process(redis_connected=False, age_seconds=None, facts={})
        others = dict.fromkeys((rules.CHANNELS, rules.WORKER, rules.BEAT), unknown)
        found = health(redis=rules.Reading(connected=False, problem="no answer: TimeoutError"), processes=others)
        assert (found.http_status, found.body["status"]) == (200, "degraded")
        assert found.body["services"] == {"database": "connected", "redis": "disconnected", "celery": "stopped"}
        assert found.body["beat"] == "unknown"
        assert found.body["details"] == {
            "redis": "no answer: TimeoutError",
            "celery": "unknown: redis is away",
        }

    @pytest.mark.parametrize("name", [rules.WEB, rules.CHANNELS, rules.BEAT])
    def test_a_silent_service_degrades_and_is_named(self, name):
        found = health(processes={name: process(31.0)})
        assert (found.http_status, found.body["status"]) == (200, "degraded")
        assert found.body["details"] == {name: "no heartbeat for 31 s"}
        assert found.body["services"]["celery"] == "running"

    def test_a_silent_worker_stops_celery_and_is_named(self):
        found = health(processes={rules.WORKER: process(31.0)})
        assert found.body["services"]["celery"] == "stopped"
        assert found.body["details"] == {
            "celery": "no heartbeat for 31 s",
            rules.WORKER: "no heartbeat for 31 s",
        }

    def test_a_stuck_worker_stops_celery_although_its_process_runs(self):
        found = health(processes={rules.WORKER: process(1.0, idle_seconds=70.0)}, oldest_queued_seconds=90.0)
        assert found.body["services"]["celery"] == "stopped"
        assert found.body["processes"][rules.WORKER]["state"] == "running"
        assert found.body["details"]["celery"].startswith("stuck: ")


class TestCrontab:
    @pytest.mark.parametrize(
        ("crontab", "now", "slot"),
        [
            (DAILY, "2026-03-02T02:00:00", "2026-03-02T02:00:00"),
            (DAILY, "2026-03-02T01:59:59.999", "2026-03-01T02:00:00"),
            (DAILY, "2026-03-01T00:00:00", "2026-02-28T02:00:00"),
            (QUARTERS, "2026-03-02T10:44:59", "2026-03-02T10:30:00"),
            (QUARTERS, "2026-03-02T00:00:00.001", "2026-03-02T00:00:00"),
            (SUNDAYS, "2026-11-23T23:00:00", "2026-11-22T04:00:00"),
            (SUNDAYS, "2026-11-22T03:59:59", "2026-11-15T04:00:00"),
        ],
    )
    def test_the_latest_slot_is_the_last_due_minute_at_or_before_now(self, crontab, now, slot):
        assert crontab.latest(now=at(now)) == at(slot)

    def test_every_latest_slot_is_held_and_the_minute_after_a_daily_one_is_not(self):
        slot = DAILY.latest(now=at("2026-03-02T12:00:00"))
        assert slot is not None
        assert DAILY.holds(slot)
        assert not DAILY.holds(slot + dt.timedelta(minutes=1))
        assert not DAILY.holds(slot + dt.timedelta(seconds=1))

    def test_a_date_that_never_comes_has_no_slot(self):
        never = rules.Crontab(minutes={0}, hours={0}, days_of_week=range(7), days_of_month={31}, months={2})
        assert never.latest(now=at("2026-03-02T12:00:00")) is None

    def test_the_leap_day_is_found_from_any_year(self):
        leap = rules.Crontab(minutes={0}, hours={0}, days_of_week=range(7), days_of_month={29}, months={2})
        assert leap.latest(now=at("2027-12-31T00:00:00")) == at("2024-02-29T00:00:00")


def test_each_limit_is_shorter_than_what_would_hand_the_task_to_somebody_else():
    limits = [rules.SOFT_LIMIT_SECONDS, rules.HARD_LIMIT_SECONDS, rules.LEASE_SECONDS, rules.VISIBILITY_SECONDS]
    assert limits == sorted(set(limits))


def test_no_retry_waits_as_long_as_redis_waits_for_an_acknowledgement():
    delays = [retries.retry_delay_seconds(attempt=attempt, jitter=1.0) for attempt in range(1, 30)]
    assert max(delays) <= retries.LONGEST_WAIT_SECONDS < rules.VISIBILITY_SECONDS
    assert delays == sorted(delays)
    assert retries.wait_seconds(10_000) == retries.LONGEST_WAIT_SECONDS


def test_what_is_laid_aside_holds_no_secrets():
    assert rules.masked({"reset_id": "7", "access_token": "abc", "Password": "x"}) == {
        "reset_id": "7",
        "access_token": "***",
        "Password": "***",
    }
    text = "connect to postgresql://rgms:s3cret@db/rotc failed; key was hunter22"
    assert rules.without_secrets(text, secrets=["hunter22"]) == (
        "connect to postgresql://***@db/rotc failed; key was ***"
    )
