"""What an exchange of the tables leaves to do outside of them. Each of it can be done twice."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import redis
from django.conf import settings
from django.core.cache import cache
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from apps.operations.services.backups.database import Connection
from apps.operations.services.backups.errors import Unfinished

_PATIENCE_SECONDS = 5.0
_TASKS_READ = 1000


@dataclass(frozen=True, kw_only=True)
class Settled:
    """`tasks` counts the messages in the queue by task, of those that were looked at."""

    cache_keys: int
    queued: int
    outbox: int
    tasks: Mapping[str, int]


def settle(control: Connection) -> Settled:
    """Empty the cache, and look at the work that waits. Raises Unfinished when Redis is away."""
    client = redis.Redis.from_url(
        settings.REDIS_URL,
        decode_responses=True,
        socket_timeout=_PATIENCE_SECONDS,
        socket_connect_timeout=_PATIENCE_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        # Not the whole of Redis: the queue and the heartbeats are in it as well.
        removed = 0
        for key in client.scan_iter(match=cache.make_key("*"), count=500):
            removed += int(client.unlink(key))
        queue = settings.CELERY_TASK_DEFAULT_QUEUE
        queued = int(client.llen(queue))
        messages = [str(message) for message in client.lrange(queue, -_TASKS_READ, -1)]
    except (RedisError, OSError) as error:
        raise Unfinished(
            f"The tables are exchanged, but Redis is away ({type(error).__name__}), and its cache may hold answers "
            "from before. Run the same command again when it is back, before the services start."
        ) from error
    finally:
        client.close()
    return Settled(cache_keys=removed, queued=queued, outbox=_outbox(control), tasks=Counter(map(_task, messages)))


def _task(message: str) -> str:
    try:
        return str(json.loads(message)["headers"]["task"])
    except (ValueError, KeyError, TypeError):
        return "unreadable"


def _outbox(control: Connection) -> int:
    row = control.execute("SELECT to_regclass('ops.outbox') IS NOT NULL").fetchone()
    if not (row and row[0]):
        return 0
    row = control.execute("SELECT count(*) FROM ops.outbox").fetchone()
    return int(row[0]) if row else 0
