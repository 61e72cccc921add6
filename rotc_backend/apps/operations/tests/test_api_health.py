import time

import pytest
from rest_framework.test import APIClient

from apps.operations import rules
from core import broker
from core.clock import now
from core.version import VERSION


def everybody_beats() -> None:
    facts = broker.own_facts(started_at=now(), redis_id=broker.identity(), database_id=None)
    for name in (rules.WEB, rules.CHANNELS, rules.WORKER, rules.BEAT):
        broker.heartbeat_write(facts={**facts, "service": name})


@pytest.fixture
def as_web(settings):
    settings.SERVICE_NAME = rules.WEB


@pytest.mark.django_db(transaction=True)
class TestHealth:
    def test_it_is_the_document_of_the_deployment_guide(self, client, empty_redis, as_web):
        everybody_beats()
        answer = client.get("/api/health/")
        assert answer.status_code == 200
        body = answer.json()
        assert {key: body[key] for key in ("status", "services", "version", "environment")} == {
            "status": "healthy",
            "services": {"database": "connected", "redis": "connected", "celery": "running"},
            "version": VERSION,
            "environment": "testing",
        }
        assert body["timestamp"].endswith("Z")
        assert body["details"] == {}
        assert {name: one["state"] for name, one in body["processes"].items()} == dict.fromkeys(
            (rules.WEB, rules.CHANNELS, rules.WORKER, rules.BEAT), "running"
        )

    def test_nobody_stores_it(self, client, empty_redis, as_web):
        assert client.get("/api/health/").headers["Cache-Control"] == "no-store"

    def test_head_is_answered_and_writing_is_not(self, client, empty_redis, as_web):
        assert client.head("/api/health/").status_code == 200
        for method in (client.post, client.put, client.patch, client.delete, client.options):
            assert method("/api/health/").status_code == 405

    @pytest.mark.parametrize("accept", ["text/html", "application/xml", "*/*", "nonsense"])
    def test_whatever_is_accepted_it_is_json(self, client, empty_redis, as_web, accept):
        answer = client.get("/api/health/", headers={"accept": accept})
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")

    def test_a_broken_token_does_not_break_it(self, empty_redis, as_web):
        caller = APIClient()
        caller.credentials(HTTP_AUTHORIZATION="Bearer undefined")
        assert caller.get("/api/health/").status_code == 200

    def test_it_is_not_redirected_to_tls(self, client, empty_redis, as_web, settings):
        settings.SECURE_SSL_REDIRECT = True
        assert client.get("/api/health/").status_code == 200

    def test_it_leaves_no_trace(self, client, empty_redis, as_web, django_assert_num_queries):
        with django_assert_num_queries(0):
            client.get("/api/health/")
        assert empty_redis.keys("rgms:heartbeat:*") == []

    def test_a_silent_worker_is_named_and_the_web_service_is_not_restarted_for_it(self, client, empty_redis, as_web):
        everybody_beats()
        empty_redis.expire(broker.HEARTBEAT_KEY + rules.WORKER, broker.HEARTBEAT_LIFETIME - 26)
        answer = client.get("/api/health/")
        body = answer.json()
        assert (answer.status_code, body["status"], body["services"]["celery"]) == (200, "degraded", "stopped")
        assert body["details"][rules.WORKER].startswith("no heartbeat for 2")

    def test_with_redis_away_it_is_degraded_and_quick(self, client, closed_port, other_redis, as_web):
        other_redis(closed_port)
        started = time.monotonic()
        answer = client.get("/api/health/")
        assert time.monotonic() - started < 1.0
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert answer.json()["services"]["redis"] == "disconnected"
        assert answer.json()["details"]["celery"] == "unknown: redis is away"

    def test_with_the_database_away_it_is_unhealthy_and_quick(
        self, client, closed_port, empty_redis, as_web, monkeypatch
    ):
        from django.db import connection

        monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        monkeypatch.setitem(connection.settings_dict, "PORT", closed_port)
        started = time.monotonic()
        answer = client.get("/api/health/")
        assert time.monotonic() - started < 1.0
        assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
        assert answer.json()["services"]["database"] == "disconnected"
        assert str(closed_port) not in answer.content.decode()


def test_live_touches_nothing(client, closed_port, other_redis):
    # No database mark: a query would fail the test.
    other_redis(closed_port)
    answer = client.get("/api/health/live/")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})
