"""What is read often, kept in Redis under version keys that writes move.

Every cached value carries the versions of the things that it was computed from. A write moves those versions after
its commit (`touch`), so a value from before can never be served again, whatever its key: the failure of the replaced
system, where the keys that were invalidated never matched the keys that were cached, cannot be written here.

    reader   1 versions and value in one round trip     2 stamps equal? hit     3 else compute, store with the
                                                                                stamps read in 1
    writer   commits, then gives its versions new random names

A reader that computed before the commit stores under the old stamps, which no longer match. When Redis is away the
database answers; versions that could not be moved meanwhile are kept in this process and moved before its next use of
the cache, and by `settle`, which the health sampler calls every few seconds and the worker after every task. A value
lives `ttl` seconds at the most.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from redis.exceptions import RedisError

from core.measure import cache_stopwatch, current_measure
from core.version import VERSION

logger = logging.getLogger("rgms.cache")

AWAY_SECONDS = 2.0  # after a failure the cache is left alone for so long, or every request would wait for its time-out
VERSION_TTL = 86_400
NAME = "rgms"
_FAILURES = (RedisError, OSError)

_lock = threading.Lock()
_away_until = 0.0
_unmoved: dict[str, object] = {}  # version -> the touch that it still owes


class JsonSerializer:
    """Django's Redis cache pickles unless told; JSON cannot carry code into a process that reads it."""

    def dumps(self, value: Any) -> bytes | int:
        # Integers stay bare, so that Redis can count them.
        return value if type(value) is int else json.dumps(value, separators=(",", ":")).encode()

    def loads(self, data: bytes) -> Any:
        return json.loads(data)


def read_through(*, key: str, versions: Sequence[str], ttl: int, compute: Callable[[], Any]) -> Any:
    """The JSON value under `key`, computed when it is missing or older than any of `versions`.

    Adds its outcome to the request's Cache-Status (RFC 9211): `hit`, `fwd=uri-miss; stored`, `fwd=stale; stored`, or
    `fwd=bypass; detail=redis-away`, in which case `compute` answers and nothing is stored. Errors of `compute` pass
    through: a failed read is never cached.
    """
    # With the release: during a deploy the old code and the new one share this store, not their answers' shapes.
    value_key = f"value:{settings.COMMIT or VERSION}:{key}"
    version_keys = [f"version:{version}" for version in versions]
    found = _guarded(lambda: _fetch(value_key, version_keys))
    if found is None:
        _report("fwd=bypass; detail=redis-away")
        return compute()
    entry, stamps = found
    if entry is not None and entry["stamps"] == stamps:
        _report("hit")
        return entry["value"]
    value = compute()
    stored = _guarded(lambda: _store(value_key, {"stamps": stamps, "value": value}, ttl))
    outcome = "fwd=uri-miss" if entry is None else "fwd=stale"
    _report(f"{outcome}; stored" if stored else f"{outcome}; detail=redis-away")
    return value


def touch(*versions: str) -> None:
    """Declare that what `versions` name has changed; takes effect after the present transaction's commit."""
    transaction.on_commit(lambda: _move(versions), robust=True)


def settle() -> None:
    """Move the versions that could not be moved while Redis was away. Cheap when there are none."""
    if _unmoved:
        _guarded(lambda: True)


def forget_failures() -> None:
    """Use the cache again at once, instead of after AWAY_SECONDS; for tests that take Redis away and back."""
    global _away_until  # noqa: PLW0603 - one state per process, like the connection pool that it speaks of
    _away_until = 0.0


def _fetch(value_key: str, version_keys: list[str]) -> tuple[dict[str, Any] | None, list[str]]:
    found = cache.get_many([value_key, *version_keys])
    for version_key in version_keys:
        if version_key not in found:
            # `add` lets one of several first readers win; the others take its name.
            cache.add(version_key, _new_name(), timeout=VERSION_TTL)
            found[version_key] = cache.get(version_key)
    return found.get(value_key), [found[version_key] for version_key in version_keys]


def _store(value_key: str, entry: dict[str, Any], ttl: int) -> bool:
    cache.set(value_key, entry, timeout=ttl)
    return True


def _move(versions: Iterable[str]) -> None:
    # A touch of its own for each commit: another thread that has just moved the same version did so too early for
    # this one, and must not strike it off.
    with _lock:
        _unmoved.update({version: object() for version in versions})
    _guarded(lambda: True)


def _move_pending() -> None:
    with _lock:
        pending = dict(_unmoved)
    if pending:
        cache.set_many({f"version:{version}": _new_name() for version in pending}, timeout=VERSION_TTL)
        with _lock:
            for version, touched in pending.items():
                if _unmoved.get(version) is touched:
                    del _unmoved[version]


def _guarded(use: Callable[[], Any]) -> Any:
    """The result of `use` after pending versions are moved, or None when Redis is away."""
    global _away_until  # noqa: PLW0603 - one state per process, like the connection pool that it speaks of
    if time.monotonic() < _away_until:
        return None
    try:
        with cache_stopwatch():
            _move_pending()
            return use()
    except _FAILURES as error:
        _away_until = time.monotonic() + AWAY_SECONDS
        logger.warning("The cache is left alone for %s s: %s", AWAY_SECONDS, type(error).__name__)
        return None


def _new_name() -> str:
    return uuid.uuid4().hex


def _report(outcome: str) -> None:
    measure = current_measure()
    if measure is not None:
        measure.cache_status.append(f"{NAME}; {outcome}")
