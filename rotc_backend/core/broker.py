"""What Redis knows of the four services: who is alive, how much work waits, and which Redis this is.

Every call is bounded by settings.REDIS_TIMEOUT and never repeated, and raises BrokerAway when there is no answer.
"""

import contextlib
import datetime as dt
import functools
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from core.clock import iso
from core.version import VERSION

PUBLISHED_AT = "published_at"  # message header: seconds since 1970 at which the task was sent
UNACKED_KEY = "rgms.unacked"  # the hash in which kombu keeps what a worker has taken and not yet acknowledged
IDENTITY_KEY = "rgms:identity"
HEARTBEAT_KEY = "rgms:heartbeat:"
HEARTBEAT_LIFETIME = 86_400  # seconds; so long does health say since when a service has been silent

# One command, since a metered Redis counts them, and one moment: a task on its way from the list to the hash would be
# counted twice or not at all by two. A heartbeat's age is its lifetime minus what is left of it, so that the clocks of
# two machines need not agree. The task that waits longest stands at the right end of the list.
_SURVEY = """
local published = false
local oldest = redis.call('LINDEX', KEYS[2], -1)
if oldest then
    local readable, message = pcall(cjson.decode, oldest)
    if readable and type(message) == 'table' and type(message.headers) == 'table' then
        local at = tonumber(message.headers[ARGV[1]])
        if at then published = string.format('%.3f', at) end
    end
end
local heartbeats = {}
for index = 4, #KEYS do
    heartbeats[#heartbeats + 1] = redis.call('GET', KEYS[index])
    heartbeats[#heartbeats + 1] = redis.call('PTTL', KEYS[index])
end
return {redis.call('GET', KEYS[1]), redis.call('LLEN', KEYS[2]), redis.call('HLEN', KEYS[3]), published, heartbeats}
"""

# Another instance may have taken over already: during a deploy two of them overlap.
_REMOVE = """
local text = redis.call('GET', KEYS[1])
if text and cjson.decode(text).instance == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class BrokerAway(Exception):
    """Redis refused, hung, or broke off. The message names the kind of failure, never an address."""


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Tasks that wait and tasks that a worker holds. `oldest_age_seconds` is of those that wait; None without any."""

    pending: int
    unacknowledged: int
    oldest_age_seconds: float | None

    @property
    def depth(self) -> int:
        return self.pending + self.unacknowledged


@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """What a service last said of itself, `age_seconds` ago by the clock of Redis."""

    age_seconds: float
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Survey:
    """Everything at one moment. A service that has never been heard of is not in `heartbeats`."""

    redis_id: str
    queue: Queue
    heartbeats: Mapping[str, Heartbeat]


def ping() -> None:
    """Return if Redis answers now; raises BrokerAway."""
    with _bounded() as client:
        client.ping()


def identity() -> str:
    """A name of this Redis database, the same for every process that uses it.

    A key of our own: the server's run_id changes at its restart, is not shown by every provider, and is the
    same for two databases of one server.
    """
    with _bounded() as client:
        found = client.get(IDENTITY_KEY)
        if found is None:
            client.set(IDENTITY_KEY, uuid.uuid4().hex[:12], nx=True)  # one of several first callers names it
            found = client.get(IDENTITY_KEY)
    return str(found)


def survey(*, services: Sequence[str] = ()) -> Survey:
    """The queue and the heartbeats of `services`, in one command."""
    keys = [IDENTITY_KEY, settings.CELERY_TASK_DEFAULT_QUEUE, UNACKED_KEY, *(HEARTBEAT_KEY + name for name in services)]
    with _bounded():
        redis_id, pending, unacknowledged, published, found = _survey_script()(keys=keys, args=[PUBLISHED_AT])
    oldest = None if published is None else max(0.0, time.time() - float(published))
    return Survey(
        redis_id=redis_id or identity(),
        queue=Queue(pending=pending, unacknowledged=unacknowledged, oldest_age_seconds=oldest),
        heartbeats={
            name: Heartbeat(age_seconds=max(0.0, HEARTBEAT_LIFETIME - left / 1000), facts=json.loads(text))
            for name, text, left in zip(services, found[::2], found[1::2], strict=True)
            if text is not None
        },
    )


def own_facts(*, started_at: dt.datetime, redis_id: str | None, database_id: str | None) -> dict[str, Any]:
    """What this process says of itself in its heartbeat and in answers: who, which version, which keys and stores."""
    return {
        "service": settings.SERVICE_NAME,
        "instance": settings.INSTANCE_ID,
        "version": VERSION,
        "commit": settings.COMMIT,
        "key_fingerprint": settings.KEY_FINGERPRINT,
        "redis_id": redis_id,
        "database_id": database_id,
        "started_at": iso(started_at),
        "pid": os.getpid(),
    }


def heartbeat_write(*, facts: Mapping[str, Any]) -> None:
    """Say that the service `facts["service"]` is alive, with its facts."""
    with _bounded() as client:
        client.set(HEARTBEAT_KEY + facts["service"], json.dumps(facts), ex=HEARTBEAT_LIFETIME)


def heartbeat_remove() -> None:
    """Take back the heartbeat of this service when it stops in order, unless another instance has written since.

    Otherwise a service that was stopped would look alive until its last heartbeat has grown old. Never raises: a
    process that cannot say goodbye just leaves.
    """
    with contextlib.suppress(BrokerAway), _bounded() as client:
        client.eval(_REMOVE, 1, HEARTBEAT_KEY + settings.SERVICE_NAME, settings.INSTANCE_ID)


@functools.cache
def _client() -> "redis.Redis":
    # No retry: redis-py's default of three turns 0.3 seconds into several.
    return redis.Redis.from_url(
        settings.REDIS_URL,
        decode_responses=True,
        socket_timeout=settings.REDIS_TIMEOUT,
        socket_connect_timeout=settings.REDIS_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
        max_connections=8,
    )


@functools.cache
def _survey_script() -> Callable[..., Any]:
    script: Callable[..., Any] = _client().register_script(_SURVEY)
    return script


def forget_connections() -> None:
    """Let the next call open connections of its own: after a fork, and when settings.REDIS_URL has changed."""
    _client.cache_clear()
    _survey_script.cache_clear()


os.register_at_fork(after_in_child=forget_connections)


@contextmanager
def _bounded() -> Iterator["redis.Redis"]:
    try:
        yield _client()
    except (RedisError, OSError) as error:
        raise BrokerAway(type(error).__name__) from error
