import os
import signal
import time
from typing import Any

import psycopg
import pytest
from django.conf import settings as django_settings
from django.db import connection

from apps.operations import rules, sampler, selectors
from core import broker


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Dependency:
    """Answers, or fails, as told."""

    def __init__(self) -> None:
        self.works = True

    def __call__(self) -> str:
        if not self.works:
            raise sampler.NoAnswer("connection lost")
        return "here"


def parameters(**changes: Any) -> dict[str, Any]:
    found = connection.get_connection_params()
    for of_django in ("cursor_factory", "context", "prepare_threshold"):
        found.pop(of_django, None)
    return {**found, "autocommit": True, "connect_timeout": sampler.CONNECT_SECONDS, **changes}


class TestWatch:
    def test_two_failures_in_a_row_disconnect_and_one_answer_reconnects(self):
        dependency, clock = Dependency(), Clock()
        watch = sampler.Watch(name="it", ask=dependency, clock=clock)
        watch.sample()
        assert watch.reading().connected
        dependency.works = False
        watch.sample()
        assert watch.reading().connected
        watch.sample()
        assert watch.reading() == rules.Reading(connected=False, problem="connection lost")
        dependency.works = True
        watch.sample()
        assert watch.reading().connected

    def test_a_failure_an_answer_and_a_failure_are_not_two_in_a_row(self):
        dependency = Dependency()
        watch = sampler.Watch(name="it", ask=dependency)
        for works in (True, False, True, False):
            dependency.works = works
            watch.sample()
        assert watch.reading().connected

    def test_a_question_that_hangs_disconnects_by_its_age(self):
        clock = Clock()
        watch = sampler.Watch(name="it", ask=Dependency(), clock=clock)
        watch.sample()
        clock.now += rules.SAMPLE_DEAD_SECONDS
        assert watch.reading().connected
        clock.now += 1
        assert watch.reading().problem == "no answer for 9 s"

    def test_a_mistake_of_ours_is_a_failure_and_does_not_end_the_watch(self, caplog):
        watch = sampler.Watch(name="it", ask=lambda: 1 // 0)
        watch.sample()
        assert watch.reading() == rules.Reading(connected=False, problem="ZeroDivisionError")
        assert "unexpected" in caplog.text

    def test_its_thread_ends_when_it_is_stopped_and_closes_what_it_opened(self):
        closed = []
        watch = sampler.Watch(name="it", ask=Dependency(), close=lambda: closed.append(True))
        watch.start()
        watch.wait_for_first(seconds=1)
        watch.stop(seconds=1)
        assert closed == [True]


@pytest.mark.django_db(transaction=True)
class TestDatabaseQuestion:
    def test_it_answers_with_the_id_that_django_sees(self):
        question = sampler.DatabaseQuestion(parameters())
        try:
            assert question() == selectors.database_id()
            assert question() == selectors.database_id()
        finally:
            question.close()

    def test_a_frozen_backend_is_given_up_after_a_second_and_the_next_question_connects_anew(self):
        question = sampler.DatabaseQuestion(parameters())
        question()
        assert question._connection is not None
        backend = question._connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        try:
            started = time.monotonic()
            with pytest.raises(sampler.NoAnswer, match="no answer within 1 s"):
                question()
            assert time.monotonic() - started < 1.5
            assert question() is not None
        finally:
            os.kill(backend, signal.SIGCONT)
            question.close()

    def test_a_terminated_backend_is_a_lost_connection_and_the_next_question_connects_anew(self):
        question = sampler.DatabaseQuestion(parameters())
        question()
        assert question._connection is not None
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 1000)", [question._connection.info.backend_pid])
        with pytest.raises(sampler.NoAnswer, match="connection lost"):
            question()
        assert question() is not None
        question.close()

    def test_a_server_that_accepts_and_never_speaks_is_given_up_within_three_seconds(self, silent_port):
        question = sampler.DatabaseQuestion(parameters(host="127.0.0.1", port=silent_port))
        started = time.monotonic()
        with pytest.raises(sampler.NoAnswer, match="connection failed"):
            question()
        assert time.monotonic() - started < 3.5

    def test_nobody_listening_is_told_at_once_and_without_the_address(self, closed_port):
        question = sampler.DatabaseQuestion(parameters(host="127.0.0.1", port=closed_port))
        with pytest.raises(sampler.NoAnswer) as raised:
            question()
        assert str(raised.value) == "connection failed"

    def test_before_its_migration_the_database_answers_without_an_id(self):
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE ops.database_identity RENAME TO set_aside")
        question = sampler.DatabaseQuestion(parameters())
        try:
            assert question() is None
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE ops.set_aside RENAME TO database_identity")
        assert question() is not None
        question.close()


@pytest.mark.django_db
class TestBrokerQuestion:
    def test_in_the_background_it_writes_a_heartbeat_with_every_fact(self, empty_redis, settings):
        settings.SERVICE_NAME = rules.WEB
        question = sampler.BrokerQuestion(beats=True, database_id=lambda: "the-database")
        question()
        beat = broker.survey(services=[rules.WEB]).heartbeats[rules.WEB]
        assert beat.age_seconds < 2
        assert set(beat.facts) == {
            "service", "instance", "version", "commit", "key_fingerprint", "redis_id", "database_id",
            "started_at", "pid",
        }  # fmt: skip
        assert beat.facts["database_id"] == "the-database"
        assert beat.facts["redis_id"] == broker.identity()

    def test_in_passing_it_writes_nothing(self, empty_redis):
        sampler.BrokerQuestion(beats=False, database_id=lambda: None)()
        assert empty_redis.keys("rgms:heartbeat:*") == []

    def test_it_beats_every_ten_seconds_and_at_once_when_a_fact_changes(self, empty_redis, settings):
        settings.SERVICE_NAME = rules.WEB
        facts: dict[str, str | None] = {"id": None}
        question = sampler.BrokerQuestion(beats=True, database_id=lambda: facts["id"])
        question()
        empty_redis.delete(broker.HEARTBEAT_KEY + rules.WEB)
        question()
        assert empty_redis.exists(broker.HEARTBEAT_KEY + rules.WEB) == 0
        facts["id"] = "found"
        question()
        assert empty_redis.exists(broker.HEARTBEAT_KEY + rules.WEB) == 1


@pytest.mark.django_db(transaction=True)
class TestLatest:
    def test_without_a_background_sampler_it_asks_in_passing_and_leaves_no_connection(self, empty_redis):
        sample = sampler.latest()
        assert sample.database.connected
        assert sample.redis.connected
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND application_name LIKE '%% health'",
                [],
            )
            assert cursor.fetchone() == (0,)

    def test_in_the_background_it_samples_until_it_is_stopped(self, empty_redis, settings):
        settings.SERVICE_NAME = rules.CHANNELS
        sampler.start_sampler()
        try:
            sample = sampler.latest()
            assert sample.database.connected
            assert sample.processes[rules.CHANNELS].state == "running"
            assert sample.processes[rules.WORKER].state == "stopped"
            assert broker.survey(services=[rules.CHANNELS]).heartbeats[rules.CHANNELS].age_seconds < 5
        finally:
            sampler.stop_sampler()

    def test_a_silent_database_and_a_silent_redis_keep_nobody_waiting_for_a_second(
        self, silent_port, other_redis, monkeypatch
    ):
        other_redis(silent_port)
        monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        monkeypatch.setitem(connection.settings_dict, "PORT", silent_port)
        started = time.monotonic()
        sample = sampler.latest()
        assert time.monotonic() - started < 1.0
        assert not sample.database.connected
        assert not sample.redis.connected

    def test_a_database_that_hangs_does_not_make_redis_look_dead(self, silent_port, empty_redis, monkeypatch):
        monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        monkeypatch.setitem(connection.settings_dict, "PORT", silent_port)
        sample = sampler.latest()
        assert not sample.database.connected
        assert sample.redis.connected

    def test_who_answers_is_running_even_when_redis_cannot_tell(self, closed_port, other_redis, settings):
        settings.SERVICE_NAME = rules.WEB
        other_redis(closed_port)
        sample = sampler.latest()
        assert sample.processes[rules.WEB].state == "running"
        assert sample.processes[rules.WORKER].state == "unknown"


def test_the_database_id_needs_no_privilege_beyond_connecting(db):
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == (False,)
    assert selectors.database_id()
    assert isinstance(psycopg.conninfo.make_conninfo(dbname=django_settings.DATABASES["default"]["NAME"]), str)
