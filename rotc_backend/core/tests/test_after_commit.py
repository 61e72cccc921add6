import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import redis
from celery import Celery, current_app
from django.contrib.auth.models import Group
from django.db import transaction
from pytest_django import Settings

from core.after_commit import WAKE_GROUP, enqueue, wake
from core.measure import Measure, measuring
from core.messages import Job
from core.tests.servers import PrivateValkey

pytestmark = pytest.mark.django_db(transaction=True)

# What config.celery says about reaching the broker; the application of the test follows it.
_DELIVERY = (
    "accept_content",
    "broker_connection_timeout",
    "broker_pool_acquire_timeout",
    "broker_pool_limit",
    "broker_transport_options",
    "task_default_queue",
    "task_publish_retry",
    "task_serializer",
)
BOUND = 3.5  # seconds: one to connect, one to be told nothing, half a one for the wake; the rest for a busy machine


@dataclass(frozen=True, kw_only=True)
class BellRing(Job):
    task: ClassVar[str] = "test.bell_ring"

    times: int


@dataclass(frozen=True, kw_only=True)
class Unheard(Job):
    task: ClassVar[str] = "test.nobody_declared_this_task"


for _job in (BellRing, Unheard):
    Job.registry.pop(_job.task)  # the project's own meta-tests look at the registry


def bell_ring(times: int) -> int:
    return times


@pytest.fixture
def valkey(tmp_path: Path, settings: Settings) -> Iterator[PrivateValkey]:
    server = PrivateValkey(state=tmp_path)
    server.start()
    production, present = current_app.conf, current_app._get_current_object()
    app = Celery("rgms-test", broker=server.url, set_as_current=False)
    app.conf.update({name: production[name] for name in _DELIVERY})
    app.task(name=BellRing.task, shared=False)(bell_ring)
    app.set_current()
    settings.CHANNEL_LAYERS = {
        "default": {
            **settings.CHANNEL_LAYERS["default"],
            "CONFIG": {
                **settings.CHANNEL_LAYERS["default"]["CONFIG"],
                "hosts": [{"address": server.url, "socket_connect_timeout": 1.0}],
            },
        }
    }
    yield server
    present.set_current()
    app.close()
    server.kill()


def queued(valkey: PrivateValkey) -> list[dict[str, Any]]:
    client = redis.Redis.from_url(valkey.url)
    messages = [json.loads(text) for text in client.lrange(current_app.conf.task_default_queue, 0, -1)]
    client.close()
    return messages


class Listener:
    """A channels process that hears wake-ups."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._pubsub = self._client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self._pubsub.psubscribe(f"*{WAKE_GROUP}")
        self._pubsub.get_message(timeout=2)

    def hears(self, *, within: float) -> bool:
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            if self._pubsub.get_message(timeout=0.05):
                return True
        return False

    def close(self) -> None:
        self._pubsub.close()
        self._client.close()


@pytest.fixture
def listener(valkey: PrivateValkey) -> Iterator[Listener]:
    one = Listener(valkey.url)
    yield one
    one.close()


@transaction.atomic
def failing_after(work: Callable[[], None]) -> None:
    work()
    raise LookupError


def test_a_job_leaves_after_the_commit_with_its_fields_and_the_requests_id(valkey: PrivateValkey) -> None:
    with measuring(Measure(request_id="request-of-the-bell")), transaction.atomic():
        enqueue(BellRing(times=3))
        assert queued(valkey) == []
    (message,) = queued(valkey)
    _, keywords, _ = json.loads(base64.b64decode(message["body"]))
    assert keywords == {"times": 3}
    assert message["headers"]["task"] == "test.bell_ring"
    assert message["headers"]["request_id"] == "request-of-the-bell"


def test_a_job_of_a_transaction_that_was_rolled_back_never_leaves(valkey: PrivateValkey) -> None:
    with pytest.raises(LookupError):
        failing_after(lambda: enqueue(BellRing(times=3)))
    with transaction.atomic():
        with pytest.raises(LookupError):
            failing_after(lambda: enqueue(BellRing(times=4)))
        enqueue(BellRing(times=5))
    (message,) = queued(valkey)
    assert json.loads(base64.b64decode(message["body"]))[1] == {"times": 5}


def test_the_sockets_are_woken_after_the_commit(valkey: PrivateValkey, listener: Listener) -> None:
    with transaction.atomic():
        wake()
        assert not listener.hears(within=0.2)
    assert listener.hears(within=3)


def test_many_events_of_one_transaction_wake_the_sockets_once(valkey: PrivateValkey, listener: Listener) -> None:
    with transaction.atomic():
        with pytest.raises(LookupError):
            failing_after(wake)  # taken back with its savepoint, so the next one must ask again
        for _ in range(3):
            with transaction.atomic():
                wake()
    assert listener.hears(within=3)
    assert not listener.hears(within=0.3)


def test_the_sockets_are_not_woken_by_a_transaction_that_was_rolled_back(
    valkey: PrivateValkey, listener: Listener
) -> None:
    with pytest.raises(LookupError):
        failing_after(wake)
    assert not listener.hears(within=0.3)


def test_a_wake_outside_a_transaction_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(RuntimeError, match="belongs into the transaction"):
        wake()


def test_a_job_whose_task_nobody_declared_does_not_fail_the_request(
    valkey: PrivateValkey, caplog: pytest.LogCaptureFixture
) -> None:
    with transaction.atomic():
        enqueue(Unheard())
        enqueue(BellRing(times=1))
    assert len(queued(valkey)) == 1
    assert "test.nobody_declared_this_task" in caplog.text


@pytest.mark.parametrize("way", ["refuses", "hangs"])
def test_a_broker_that_is_away_neither_fails_the_request_nor_holds_it_for_long(
    valkey: PrivateValkey, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    def write() -> float:
        started = time.monotonic()
        with transaction.atomic():
            Group.objects.create(name="written while the broker was away")
            enqueue(BellRing(times=1))
            wake()
        return time.monotonic() - started

    if way == "refuses":
        valkey.kill()
        seconds = write()
    else:
        with valkey.frozen():
            seconds = write()
    assert seconds < BOUND
    assert Group.objects.filter(name="written while the broker was away").exists()
    assert "The job test.bell_ring could not be sent" in caplog.text
    assert "The sockets could not be woken" in caplog.text


def test_a_broker_that_comes_back_is_used_again(valkey: PrivateValkey) -> None:
    with transaction.atomic():
        enqueue(BellRing(times=1))
    valkey.kill()
    with transaction.atomic():
        enqueue(BellRing(times=2))
    valkey.start()
    with transaction.atomic():
        enqueue(BellRing(times=3))
    assert [json.loads(base64.b64decode(message["body"]))[1]["times"] for message in queued(valkey)] == [3]
