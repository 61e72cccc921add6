"""What one request cost: the figures behind Server-Timing, Cache-Status and the request's log line."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass
class Measure:
    """Figures of one request. Durations are in milliseconds."""

    request_id: str
    database_ms: float = 0.0
    database_queries: int = 0
    cache_ms: float = 0.0
    cache_status: list[str] = field(default_factory=list)

    def server_timing(self, *, application_ms: float) -> str:
        """The Server-Timing header (W3C): app includes db and cache."""
        queries = "query" if self.database_queries == 1 else "queries"
        return (
            f"app;dur={application_ms:.1f}, "
            f'db;dur={self.database_ms:.1f};desc="{self.database_queries} {queries}", '
            f"cache;dur={self.cache_ms:.1f}"
        )


_current: ContextVar[Measure | None] = ContextVar("rgms_measure", default=None)


def current_measure() -> Measure | None:
    """The measure of the request that this code runs for, or None outside a request."""
    return _current.get()


def current_request_id() -> str | None:
    measure = _current.get()
    return measure.request_id if measure else None


@contextmanager
def measuring(measure: Measure) -> Iterator[Measure]:
    token = _current.set(measure)
    try:
        yield measure
    finally:
        _current.reset(token)


class DatabaseStopwatch:
    """A wrapper for `connection.execute_wrapper` that adds each query to the current measure."""

    def __init__(self, measure: Measure) -> None:
        self._measure = measure

    def __call__(self, execute, sql, params, many, context):  # type: ignore[no-untyped-def]  # Django's protocol
        started = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self._measure.database_ms += (time.perf_counter() - started) * 1000
            self._measure.database_queries += 1


@contextmanager
def cache_stopwatch() -> Iterator[None]:
    """Adds the time inside to the current request's cache time."""
    measure = _current.get()
    started = time.perf_counter()
    try:
        yield
    finally:
        if measure is not None:
            measure.cache_ms += (time.perf_counter() - started) * 1000
