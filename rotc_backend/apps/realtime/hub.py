"""One hub per channels process reads the event log and hands each event to the sockets it is meant for.

    wake-up over Redis ─┐
    every second ───────┴→ tick:  1 where does the log end?      one cheap query; nothing new → done
                                  2 give positions to what has none
                                  3 whose token has been revoked? → those sockets end
                                  4 read position > last, encode each event once, hand it out

Content comes from the log only. A wake-up that is lost costs a second, never an event, and nothing is sent
twice, since `position` moves over each event exactly once.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from channels.layers import get_channel_layer
from django.db import DatabaseError, InterfaceError
from redis.exceptions import RedisError

from apps.accounts.rules import Principal
from apps.accounts.selectors import is_revoked
from apps.events import selectors, services
from apps.events.models import Event
from apps.events.rules import ResumeId
from apps.realtime.rules import CloseCode, SocketRefused, frame
from apps.realtime.threads import DatabaseThreads
from core.after_commit import WAKE_GROUP
from core.clock import iso
from core.errors import Unavailable

logger = logging.getLogger("rgms.hub")

TICK_SECONDS = 1.0
BREATH_SECONDS = 0.01  # between two ticks: wake-ups that come in a burst are answered together
PATIENCE_SECONDS = 5.0  # for one reading of the log, before the database is called away
LONGEST_PAUSE = 5.0  # between two attempts on something that is away
READ_AT_ONCE = 500
GOODBYE_SECONDS = 3.0  # for the closing handshakes of all sockets


class Member(Protocol):
    """A socket as the hub sees it."""

    principal: Principal
    recipients: Sequence[str]

    @property
    def event_types(self) -> frozenset[str]: ...

    async def deliver(self, text: str) -> None: ...

    async def close(self, code: CloseCode, reason: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class _Reading:
    epoch: uuid.UUID
    position: int
    events: Sequence[Event]
    revoked: frozenset[Principal]


class Hub:
    def __init__(self, threads: DatabaseThreads) -> None:
        self._threads = threads
        # Recipient → its sockets, in the order of their coming.
        self._members: dict[str, dict[Member, None]] = {}
        self._count = 0
        self._head: ResumeId | None = None
        self._found = asyncio.Event()  # the end of the log is known
        self._woken = asyncio.Event()
        self._empty = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self._revocations_read_at = 0.0
        self._database = Presence("The database")
        self._redis = Presence("Redis, which wakes the sockets,")

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to read the log, on `loop`."""
        logging.getLogger("channels_redis.pubsub").addFilter(OncePerOutage())
        self._tasks = [loop.create_task(self._read_for_ever()), loop.create_task(self._listen_for_ever())]

    async def stop(self) -> None:
        """Close every socket with 1012, wait for them to go, and end."""
        self._closing = True
        self._found.set()
        members = self._all_members()
        if members:
            logger.info("Stopping: %s sockets are told to connect elsewhere", len(members))
            self._empty.clear()
            for member in members:
                await _close(member, CloseCode.SERVICE_RESTART, "service_restart")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await self._empty.wait()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            # Bounded: unsubscribing waits for a Redis that may be frozen.
            await asyncio.wait(self._tasks, timeout=1.0)

    async def join(self, member: Member) -> ResumeId:
        """Hand `member` every event after the returned place in the log.

        Raises SocketRefused when the hub stops, or does not find the end of the log in time.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._found.wait()  # a process that has just started is asked before its first reading
        if self._closing:
            raise SocketRefused(code=CloseCode.SERVICE_RESTART, reason="service_restart")
        if self._head is None:
            raise SocketRefused(code=CloseCode.TRY_AGAIN_LATER, reason="unavailable")
        for recipient in member.recipients:
            self._members.setdefault(recipient, {})[member] = None
        self._count += 1
        return self._head

    def leave(self, member: Member) -> None:
        for recipient in member.recipients:
            members = self._members.get(recipient, {})
            members.pop(member, None)
            if not members:
                self._members.pop(recipient, None)
        self._count -= 1
        if not self._count:
            self._empty.set()

    # --- Reading --------------------------------------------------------------------------------------------

    async def _read_for_ever(self) -> None:
        pause = TICK_SECONDS
        while True:
            try:
                more = await self.tick()
                self._database.back()
                pause = TICK_SECONDS
                if not more:
                    await asyncio.sleep(BREATH_SECONDS)
                    await self._next_tick()
                continue
            except (DatabaseError, InterfaceError, Unavailable) as error:
                self._database.gone(error)
            except Exception:
                # Whatever it is: a hub that ends leaves every socket open and silent.
                logger.exception("The event log could not be read")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _next_tick(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TICK_SECONDS - BREATH_SECONDS):
                await self._woken.wait()

    async def tick(self) -> bool:
        """Read and hand out once; returns whether there may be more at once."""
        self._woken.clear()  # before reading: a wake-up that comes from here on is for the next tick
        reading = await self._read()
        if self._head is None or _is_another_log(self._head, epoch=reading.epoch, position=reading.position):
            logger.info("The event log is read from %s:%s on", reading.epoch, reading.position)
            # After a restore positions mean something else, and clients have to fetch again what they show.
            for member in self._all_members():
                await _close(member, CloseCode.SERVICE_RESTART, "service_restart")
            self._head = ResumeId(epoch=reading.epoch, position=reading.position)
            self._found.set()
            return False
        if reading.revoked:
            for member in self._all_members():
                if member.principal in reading.revoked:
                    await _close(member, CloseCode.TOKEN_REFUSED, "token_revoked")
        for event in reading.events:
            # Moved first: a socket that joins while this one is handed out stands behind it.
            self._head = ResumeId(epoch=reading.epoch, position=event.position or 0)
            await self._hand_out(event, id=str(self._head))
        return len(reading.events) == READ_AT_ONCE

    async def _read(self) -> _Reading:
        principals: frozenset[Principal] = frozenset()
        # At most twice a second, however many wake-ups come: the list itself is up to two seconds old.
        if time.monotonic() - self._revocations_read_at >= TICK_SECONDS / 2:
            principals = frozenset(member.principal for member in self._all_members())
            self._revocations_read_at = time.monotonic()
        reading = asyncio.ensure_future(self._threads.run(_read_log, self._head, principals))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await asyncio.shield(reading)
        except TimeoutError as error:
            self._database.gone(error)
            # Still the same call: a second one would only fill another thread and connection.
            return await reading

    async def _hand_out(self, event: Event, *, id: str) -> None:  # noqa: A002 - the name on the wire
        members = {
            member: None
            for recipient in event.recipients
            for member in self._members.get(recipient, ())
            if event.type in member.event_types
        }
        if not members:
            return
        text = frame(id=id, type=event.type, at=iso(event.at), data=event.data)
        for member in members:
            try:
                await member.deliver(text)
            except Exception:
                logger.exception("A socket could not take an event and is closed")
                await _close(member, CloseCode.TRY_AGAIN_LATER, "unavailable")

    def _all_members(self) -> list[Member]:
        return list({member: None for members in self._members.values() for member in members})

    # --- Being woken ----------------------------------------------------------------------------------------

    async def _listen_for_ever(self) -> None:
        pause = TICK_SECONDS
        while True:
            layer = get_channel_layer()
            try:
                # One receiver for the whole process, whatever the number of its sockets.
                channel = await layer.new_channel()
                await layer.group_add(WAKE_GROUP, channel)
                self._redis.back()
                self._woken.set()  # what happened before the subscription was not heard
                pause = TICK_SECONDS
                while True:
                    await layer.receive(channel)
                    self._redis.back()
                    self._woken.set()
            except (RedisError, OSError) as error:
                self._redis.gone(error)
            except Exception:
                logger.exception("The channel layer could not be heard")
            with contextlib.suppress(Exception):
                await layer.flush()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)


def _read_log(head: ResumeId | None, principals: Iterable[Principal]) -> _Reading:
    """The database's part of a tick, in a thread. Idle, it is one query."""
    end = selectors.head()
    if end.waiting:
        while services.sequence() == services.SEQUENCED_AT_ONCE:
            pass
        end = selectors.head()
    if head is None or _is_another_log(head, epoch=end.epoch, position=end.position):
        return _Reading(epoch=end.epoch, position=end.position, events=(), revoked=frozenset())
    # Before the events: who was signed out must not hear what happened afterwards.
    revoked = frozenset(principal for principal in principals if is_revoked(principal))
    events = selectors.events_after(head.position, READ_AT_ONCE) if end.position > head.position else []
    return _Reading(epoch=end.epoch, position=end.position, events=events, revoked=revoked)


def _is_another_log(head: ResumeId, *, epoch: uuid.UUID, position: int) -> bool:
    return head.epoch != epoch or head.position > position


async def _close(member: Member, code: CloseCode, reason: str) -> None:
    try:
        await member.close(code, reason)
    except Exception:
        logger.exception("A socket could not be closed")


class Presence:
    """Whether something is there, told to the log when it changes and not a thousand times in between."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_away = False

    def gone(self, error: BaseException) -> None:
        if not self._is_away:
            self._is_away = True
            logger.warning("%s is away: %s", self._what, type(error).__name__)

    def back(self) -> None:
        if self._is_away:
            self._is_away = False
            logger.info("%s is back", self._what)


class OncePerOutage(logging.Filter):
    """While Redis is away the channel layer writes a traceback a second; one line says as much."""

    silence = 30.0  # seconds without a record that separate two outages

    def __init__(self) -> None:
        super().__init__()
        self._last = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        present = time.monotonic()
        is_first = present - self._last > self.silence
        self._last = present
        record.exc_info = None
        record.msg, record.args = "Redis is away; the sockets are served from the log every second", ()
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return is_first


hub = Hub(DatabaseThreads(name="hub", size=1, renew=False))
