"""What health answers from: threads that ask database and Redis every few seconds, so that no request has to.

    thread per dependency   ask, bounded; remember when it answered, how often in a row it did not, and why
    health                  reads the memory; whatever hangs, it hangs in the thread

A hanging question leaves its memory to grow old, which is an answer too (`rules.reading`). Two threads, since
a database that hangs must not make Redis look dead. Where none run (`runserver`, tests), health asks once, in
passing.
"""

import logging
import os
import select
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import psycopg
from django.conf import settings
from django.db import connections
from psycopg import pq

from apps.operations import rules
from apps.operations.selectors import DATABASE_IDENTITY
from core import broker, cache
from core.clock import now

logger = logging.getLogger("rgms.sampler")

FIRST_SAMPLE_SECONDS = 0.8  # how long health waits for the first answers of a process that has just started
CONNECT_SECONDS = 2  # the least that libpq accepts
ANSWER_SECONDS = 1.0
_GOING_AWAY = b"57P"  # SQLSTATE of a server that shuts down, crashes or ends this session

Answer = TypeVar("Answer")


class NoAnswer(Exception):
    """A question that came to nothing; the message says how, in words and without an address."""


@dataclass(frozen=True, kw_only=True)
class Memory(Generic[Answer]):
    """What is known of one dependency. Instants are seconds of the watch's clock."""

    answer: Answer | None = None
    answered_at: float | None = None
    asked_at: float | None = None
    failures: int = 0
    problem: str | None = None


class Watch(Generic[Answer]):
    """Asks one dependency again and again in a daemon thread. `ask` raises NoAnswer; `memory` is read without
    a lock.
    """

    def __init__(
        self,
        *,
        name: str,
        ask: Callable[[], Answer],
        close: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._ask, self._close, self._clock = name, ask, close, clock
        self.memory: Memory[Answer] = Memory()
        self._asked_once = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def sample(self) -> None:
        """Ask once and remember what came of it."""
        before = self.memory
        try:
            answer = self._ask()
        except NoAnswer as error:
            problem = str(error)
        except Exception as error:
            # A mistake of ours must not end the thread: health would call a sound dependency dead for ever.
            logger.exception("The question to %s failed in an unexpected way", self._name)
            problem = type(error).__name__
        else:
            at = self._clock()
            self.memory = Memory(answer=answer, answered_at=at, asked_at=at)
            if before.failures:
                logger.info("%s answers again", self._name)
            self._asked_once.set()
            return
        self.memory = replace(before, asked_at=self._clock(), failures=before.failures + 1, problem=problem)
        if before.failures + 1 == rules.FAILURES:
            logger.warning("%s does not answer: %s", self._name, problem)
        self._asked_once.set()

    def reading(self) -> rules.Reading:
        memory = self.memory
        return rules.reading(
            now=self._clock(),
            answered_at=memory.answered_at,
            asked_at=memory.asked_at,
            failures=memory.failures,
            problem=memory.problem,
        )

    def age(self) -> float:
        """Seconds since the last answer; 0 without one."""
        answered_at = self.memory.answered_at
        return 0.0 if answered_at is None else self._clock() - answered_at

    def start(self, *, once: bool = False) -> None:
        self._thread = threading.Thread(
            target=self._run, kwargs={"once": once}, name=f"sampler-{self._name}", daemon=True
        )
        self._thread.start()

    def wait_for_first(self, *, seconds: float) -> None:
        self._asked_once.wait(max(0.0, seconds))

    def stop(self, *, seconds: float) -> None:
        """Ask no more, and give the thread `seconds` to close its connection."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self, *, once: bool) -> None:
        try:
            while not self._stopped.is_set():
                started = time.monotonic()
                self.sample()
                if once:
                    return
                self._stopped.wait(max(0.5, rules.SAMPLE_SECONDS - (time.monotonic() - started)))
        finally:
            self._close()


class DatabaseQuestion:
    """Asks PostgreSQL whether it answers and which database it is, on a connection of its own.

    libpq's non-blocking calls, since a frozen server ignores `statement_timeout` and psycopg waits for ever.
    After a failure the next question opens a new connection.
    """

    def __init__(self, parameters: dict[str, Any]) -> None:
        self._parameters = parameters
        self._connection: psycopg.Connection[Any] | None = None
        self._database_id: str | None = None

    def __call__(self) -> str | None:
        """The database's id, None before its table is migrated. Raises NoAnswer within about three seconds."""
        connecting = self._connection is None
        try:
            if self._connection is None:
                self._connection = psycopg.connect(**self._parameters)
            pgconn = self._connection.pgconn
            migrated = _value(pgconn, "SELECT to_regclass('ops.database_identity') IS NOT NULL") == b"t"
            if migrated and self._database_id is None:
                self._database_id = (_value(pgconn, DATABASE_IDENTITY) or b"").decode() or None
            return self._database_id
        except psycopg.OperationalError as error:
            self.close()
            raise NoAnswer("connection failed" if connecting else "connection lost") from error
        except NoAnswer:
            self.close()
            raise

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _value(pgconn: pq.abc.PGconn, statement: str) -> bytes | None:
    """The first column of the first row. Raises NoAnswer after ANSWER_SECONDS."""
    deadline = time.monotonic() + ANSWER_SECONDS
    pgconn.send_query(statement.encode())
    found: bytes | None = None
    while True:
        while pgconn.is_busy():
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([pgconn.socket], [], [], left)[0]:
                raise NoAnswer(f"no answer within {ANSWER_SECONDS:.0f} s")
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            return found
        if result.status != pq.ExecStatus.TUPLES_OK:
            state = result.error_field(pq.DiagnosticField.SQLSTATE) or b""
            raise NoAnswer("connection lost" if state.startswith(_GOING_AWAY) else "the server refuses queries")
        found = result.get_value(0, 0) if result.ntuples else None


class BrokerQuestion:
    """Asks Redis for the queue and all heartbeats; in a background thread it also says that this service is alive."""

    def __init__(self, *, beats: bool, database_id: Callable[[], str | None]) -> None:
        self._beats, self._database_id = beats, database_id
        self._started_at = now()
        self._written: dict[str, Any] = {}
        self._written_at: float | None = None

    def __call__(self) -> broker.Survey:
        try:
            survey = broker.survey(services=settings.SERVICE_NAMES)
            if self._beats:
                self._beat(survey.redis_id)
        except broker.BrokerAway as error:
            raise NoAnswer(f"no answer: {error}") from error
        if self._beats:
            cache.settle()
        return survey

    def own_facts(self, *, redis_id: str | None) -> dict[str, Any]:
        return broker.own_facts(started_at=self._started_at, redis_id=redis_id, database_id=self._database_id())

    def _beat(self, redis_id: str) -> None:
        facts = self.own_facts(redis_id=redis_id)
        # What has changed is told at once: which database this is, after it was away at the start.
        if facts != self._written or rules.heartbeat_due(now=time.monotonic(), written_at=self._written_at):
            broker.heartbeat_write(facts=facts)
            self._written, self._written_at = facts, time.monotonic()


@dataclass(frozen=True, kw_only=True)
class Sample:
    """All that health needs to know, as of now."""

    database: rules.Reading
    redis: rules.Reading
    processes: dict[str, rules.Process]
    oldest_queued_seconds: float | None
    own_facts: dict[str, Any]


class Sampler:
    """The two watches of one process."""

    def __init__(self, *, background: bool) -> None:
        parameters = connections["default"].get_connection_params()
        for of_django in ("cursor_factory", "context", "prepare_threshold"):
            parameters.pop(of_django, None)
        parameters |= {
            "autocommit": True,
            "connect_timeout": CONNECT_SECONDS,
            "application_name": f"{settings.SERVICE_NAME} health",
        }
        self._background = background
        question = DatabaseQuestion(parameters)
        self.database: Watch[str | None] = Watch(name="The database", ask=question, close=question.close)
        self._broker_question = BrokerQuestion(beats=background, database_id=lambda: self.database.memory.answer)
        self.redis: Watch[broker.Survey] = Watch(name="Redis", ask=self._broker_question)

    def start(self) -> None:
        self.database.start(once=not self._background)
        self.redis.start(once=not self._background)

    def stop(self, *, seconds: float = 0.2) -> None:
        deadline = time.monotonic() + seconds
        self.database.stop(seconds=seconds)
        self.redis.stop(seconds=max(0.0, deadline - time.monotonic()))

    def sample(self) -> Sample:
        """What is known now; waits at most FIRST_SAMPLE_SECONDS, and only for the very first answers."""
        deadline = time.monotonic() + FIRST_SAMPLE_SECONDS
        self.database.wait_for_first(seconds=FIRST_SAMPLE_SECONDS)
        self.redis.wait_for_first(seconds=deadline - time.monotonic())
        redis, survey = self.redis.reading(), self.redis.memory.answer
        own = self._broker_question.own_facts(redis_id=survey.redis_id if survey else None)
        since = self.redis.age()
        processes = {}
        for name in settings.SERVICE_NAMES:
            beat = survey.heartbeats.get(name) if survey else None
            processes[name] = rules.process(
                redis_connected=redis.connected,
                age_seconds=None if beat is None else beat.age_seconds + since,
                facts={} if beat is None else beat.facts,
            )
        if own["service"] in processes:
            # Whoever answers is alive, whether or not Redis can tell.
            processes[own["service"]] = rules.Process(state="running", age_seconds=0.0, facts=own)
        return Sample(
            database=self.database.reading(),
            redis=redis,
            processes=processes,
            oldest_queued_seconds=survey.queue.oldest_age_seconds if survey else None,
            own_facts=own,
        )


_running: Sampler | None = None
_starting = threading.Lock()


def start_sampler() -> None:
    """Sample in the background of this process from now on. Call it after the fork; further calls do nothing."""
    global _running  # noqa: PLW0603 - one sampler per process, like the threads that it owns
    with _starting:
        if _running is None:
            _running = Sampler(background=True)
            _running.start()


def stop_sampler() -> None:
    """End what `start_sampler` began."""
    global _running
    with _starting:
        sampler, _running = _running, None
    if sampler is not None:
        sampler.stop()


def _forget_sampler() -> None:
    # Threads do not survive a fork: what the parent knew would grow old unseen.
    global _running, _starting
    _running, _starting = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_sampler)


def latest() -> Sample:
    """What is known of all dependencies; within FIRST_SAMPLE_SECONDS and a little, whatever hangs."""
    running = _running
    if running is not None:
        return running.sample()
    passing = Sampler(background=False)
    passing.start()
    try:
        return passing.sample()
    finally:
        passing.stop(seconds=0.1)
