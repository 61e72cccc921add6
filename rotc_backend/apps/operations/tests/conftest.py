import contextlib
import socket
from collections.abc import Iterator

import pytest
import redis
from django.conf import settings
from django.db import connection

from apps.accounts.models import Role
from apps.operations.tests.factories import Caller, caller_create
from core import broker, cache


@pytest.fixture
def empty_redis() -> Iterator["redis.Redis"]:
    """The test's Redis without a key in it."""
    client = redis.Redis.from_url(settings.REDIS_URL, decode_responses=True)
    client.flushdb()
    broker.forget_connections()
    cache.forget_failures()
    yield client
    client.flushdb()
    client.close()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never says a word, as a frozen server does."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def other_redis(settings: object) -> Iterator[object]:
    """A function that points this process to the Redis of another address, for the test."""

    def use(port: int) -> None:
        settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"  # type: ignore[attr-defined]
        broker.forget_connections()

    yield use
    broker.forget_connections()


@pytest.fixture
def no_runs(transactional_db: None) -> Iterator[None]:
    """Committed runs are removed: the schema `ops` is out of the sight of Django's flush."""
    yield
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute("DELETE FROM ops.scheduled_run")


@pytest.fixture
def admin(db: None) -> Caller:
    return caller_create(username="operator", role=Role.ADMIN)


@pytest.fixture
def cadet(db: None) -> Caller:
    return caller_create(username="cadet", role=Role.CADET)


@pytest.fixture
def staff(db: None) -> Caller:
    return caller_create(username="sergeant", role=Role.TRAINING_STAFF)
