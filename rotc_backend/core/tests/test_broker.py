import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings as django_settings

from core import broker
from core.clock import now
from scripts.stack.servers import server_running
from scripts.stack.valkey import valkey_server

WEB, WORKER = "rotc-django-web", "rotc-celery-worker"


@pytest.fixture
def empty_redis() -> Iterator["redis.Redis"]:
    client = redis.Redis.from_url(django_settings.REDIS_URL, decode_responses=True)
    client.flushdb()
    broker.forget_connections()
    yield client
    client.flushdb()
    client.close()


@pytest.fixture
def private_redis(tmp_path: Path, settings: object) -> Iterator["redis.Redis"]:
    """A server of this test's own, which it may freeze."""
    server = valkey_server(state=tmp_path, maxmemory_policy="noeviction", durable=False)
    with server_running(server, log=tmp_path / "valkey.log"):
        settings.REDIS_URL = server.url  # type: ignore[attr-defined]
        broker.forget_connections()
        client = redis.Redis.from_url(server.url, decode_responses=True)
        yield client
        client.close()
        broker.forget_connections()


def message(*, published_at: float | None) -> str:
    headers = {} if published_at is None else {broker.PUBLISHED_AT: published_at}
    return json.dumps({"body": "W10=", "headers": headers, "properties": {}})


class TestQueue:
    def test_an_empty_queue_has_no_oldest_task(self, empty_redis: "redis.Redis") -> None:
        found = broker.survey().queue
        assert (found.pending, found.unacknowledged, found.depth) == (0, 0, 0)
        assert found.oldest_age_seconds is None

    def test_waiting_and_unacknowledged_tasks_are_counted_together(self, empty_redis: "redis.Redis") -> None:
        empty_redis.lpush("rgms", *(message(published_at=None) for _ in range(3)))
        empty_redis.hset(broker.UNACKED_KEY, mapping={"one": "…", "two": "…"})
        found = broker.survey().queue
        assert (found.pending, found.unacknowledged, found.depth) == (3, 2, 5)

    def test_the_oldest_task_is_the_one_that_is_taken_next(self, empty_redis: "redis.Redis") -> None:
        # Published on the left, taken from the right.
        for age in (90, 10, 1):
            empty_redis.lpush("rgms", message(published_at=time.time() - age))
        assert broker.survey().queue.oldest_age_seconds == pytest.approx(90, abs=2)

    @pytest.mark.parametrize("text", ["no json", "[]", '{"headers": 1}', message(published_at=None)])
    def test_a_message_of_somebody_else_is_counted_and_has_no_age(self, empty_redis: "redis.Redis", text: str) -> None:
        empty_redis.lpush("rgms", text)
        found = broker.survey().queue
        assert (found.pending, found.oldest_age_seconds) == (1, None)


class TestHeartbeat:
    def test_what_a_service_says_of_itself_is_found_with_its_age(self, empty_redis: "redis.Redis") -> None:
        facts = broker.own_facts(started_at=now(), redis_id="r", database_id="d")
        broker.heartbeat_write(facts={**facts, "service": WEB})
        found = broker.survey(services=[WEB, WORKER]).heartbeats
        assert set(found) == {WEB}
        assert found[WEB].facts == {**facts, "service": WEB}
        assert 0 <= found[WEB].age_seconds < 2

    def test_its_age_is_told_by_the_clock_of_redis(self, empty_redis: "redis.Redis") -> None:
        broker.heartbeat_write(facts={"service": WEB})
        # As Redis would hold it 40 seconds later.
        empty_redis.expire(broker.HEARTBEAT_KEY + WEB, broker.HEARTBEAT_LIFETIME - 40)
        assert broker.survey(services=[WEB]).heartbeats[WEB].age_seconds == pytest.approx(40, abs=2)

    def test_a_whole_survey_is_one_command(self, empty_redis: "redis.Redis") -> None:
        broker.identity()
        broker.survey(services=[WEB])
        before = empty_redis.info("stats")["total_commands_processed"]
        broker.survey(services=[WEB])
        own, within_script = 1, 6
        assert empty_redis.info("stats")["total_commands_processed"] - before <= own + within_script + 1


class TestIdentity:
    def test_all_who_use_one_redis_see_one_name(self, empty_redis: "redis.Redis") -> None:
        name = broker.identity()
        broker.forget_connections()
        assert broker.identity() == name == broker.survey().redis_id

    def test_a_survey_names_a_redis_that_has_no_name_yet(self, empty_redis: "redis.Redis") -> None:
        assert broker.survey().redis_id == broker.identity()

    def test_another_database_of_the_same_server_has_another_name(
        self, private_redis: "redis.Redis", settings: object
    ) -> None:
        name = broker.identity()
        settings.REDIS_URL = settings.REDIS_URL.removesuffix("/0") + "/1"  # type: ignore[attr-defined]
        broker.forget_connections()
        assert broker.identity() != name


class TestAway:
    def test_a_frozen_redis_is_given_up_within_a_second_and_used_again_when_it_thaws(
        self, private_redis: "redis.Redis"
    ) -> None:
        broker.ping()
        server = int(private_redis.info("server")["process_id"])
        os.kill(server, signal.SIGSTOP)
        try:
            started = time.monotonic()
            with pytest.raises(broker.BrokerAway):
                broker.survey(services=[WEB])
            assert time.monotonic() - started < 1.0
        finally:
            os.kill(server, signal.SIGCONT)
        broker.ping()

    def test_nobody_listening_is_known_at_once_and_the_address_is_not_told(self, settings: object) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        settings.REDIS_URL = f"redis://:a-password@127.0.0.1:{port}/0"  # type: ignore[attr-defined]
        broker.forget_connections()
        with pytest.raises(broker.BrokerAway) as away:
            broker.ping()
        assert str(away.value) == "ConnectionError"
        broker.forget_connections()

    def test_a_restarted_redis_is_found_again(self, private_redis: "redis.Redis") -> None:
        broker.ping()
        private_redis.client_kill_filter(_type="normal", skipme=True)
        broker.ping()


def test_a_forked_process_opens_a_connection_of_its_own(empty_redis: "redis.Redis") -> None:
    broker.ping()
    inherited = broker._client()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, b"new" if broker._client() is not inherited else b"old")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 3) == b"new"
    os.close(reading)
    os.close(writing)


def test_threads_share_the_bounded_pool(empty_redis: "redis.Redis") -> None:
    failures: list[Exception] = []

    def ask() -> None:
        try:
            for _ in range(20):
                broker.survey(services=[WEB])
        except Exception as error:  # noqa: BLE001 - told by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
