"""One hub per channels process reads the event log and hands each event to the sockets it is meant for.

    wake-up over Redis ─┐
    every second ───────┴→ tick:  1 where does the log end?      one cheap query; nothing new → done
                                  2 give positions to what has none
                                  3 whose token has been revoked? → those sockets end
                                  4 read position > last, encode each event once, hand it out;
                                    first ask again what those may hear whose rights it has changed
                                  5 every now and then a sign of life, with the place that all have reached

Content comes from the log only. A wake-up that is lost costs a second, never an event, and nothing is sent
twice, since `position` moves over each event exactly once.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from channels.layers import get_channel_layer
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from redis.exceptions import RedisError

from apps.accounts.rules import Principal
from apps.accounts.selectors import is_revoked
from apps.events import selectors, services
from apps.events.models import Event
from apps.events.rules import ResumeId
from apps.realtime.rules import HEARTBEAT, CloseCode, Frame, SocketRefused
from apps.realtime.streams import Told
from apps.realtime.threads import DatabaseThreads
from core.after_commit import WAKE_GROUP, WAKE_SECONDS
from core.clock import iso, now
from core.errors import Unavailable

logger = logging.getLogger("rgms.hub")

TICK_SECONDS = 1.0
BREATH_SECONDS = 0.01  # between two ticks: wake-ups that come in a burst are answered together
PATIENCE_SECONDS = 5.0  # for one reading of the log, before the database is called away
LONGEST_PAUSE = 5.0  # between two attempts on something that is away
READ_AT_ONCE = 500
GOODBYE_SECONDS = 3.0  # for the closing handshakes of all sockets
HEARTBEAT_SECONDS = 25.0  # proxies drop connections on which nothing is said for a minute or less


class Member(Protocol):
    """A client as the hub sees it."""

    principal: Principal

    def hears(self, event_type: str) -> bool: ...

    def depends_on(self, event_type: str) -> bool:
        """Whether an event of this type, addressed to the client, can change what it may hear."""

    async def deliver(self, frame: Frame) -> None: ...

    async def beat(self, frame: Frame) -> None: ...

    async def review(self) -> None: ...

    async def close(self, code: CloseCode, reason: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class _Reading:
    epoch: uuid.UUID
    position: int
    events: Sequence[Event] = ()
    revoked: frozenset[Principal] = frozenset()
    is_broken: bool = False  # it does not go on where the last reading ended


class Hub:
    def __init__(self, threads: DatabaseThreads) -> None:
        self._threads = threads
        # Recipient → its clients, in the order of their coming; and what each client stands for.
        self._members: dict[str, dict[Member, None]] = {}
        self._recipients: dict[Member, Sequence[str]] = {}
        self._head: ResumeId | None = None
        self._found = asyncio.Event()  # the end of the log is known
        self._woken = asyncio.Event()
        self._empty = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self._revocations_read_at = 0.0
        self._beaten_at = 0.0
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
            logger.info("Stopping: %s clients are told to connect elsewhere", len(members))
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
        """Hand `member` every event after the returned place in the log that is for its account or its role.

        Raises SocketRefused when the account has too many clients here, when the hub stops, or when it does not find
        the end of the log in time.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._found.wait()  # a process that has just started is asked before its first reading
        if self._closing:
            raise SocketRefused(code=CloseCode.SERVICE_RESTART, reason="service_restart")
        if self._head is None:
            raise SocketRefused(code=CloseCode.TRY_AGAIN_LATER, reason="unavailable")
        if len(self._members.get(f"user:{member.principal.user_id}", ())) >= settings.SOCKETS_OF_AN_ACCOUNT:
            raise SocketRefused(code=CloseCode.TOO_MANY, reason="too_many_sockets")
        return self.regroup(member, ())

    def regroup(self, member: Member, recipients: Sequence[str]) -> ResumeId:
        """From the returned place on, hand `member` what is for its account, its role, or any of `recipients`.

        The role always: what a member may hear can change with an event that is for everybody.
        """
        if self._head is None:
            raise SocketRefused(code=CloseCode.TRY_AGAIN_LATER, reason="unavailable")
        self._ungroup(member)
        own = (f"user:{member.principal.user_id}", f"role:{member.principal.role}")
        self._recipients[member] = tuple(dict.fromkeys((*own, *recipients)))
        for recipient in self._recipients[member]:
            self._members.setdefault(recipient, {})[member] = None
        return self._head

    def leave(self, member: Member) -> None:
        """Nothing more for `member`; harmless when it never came to join."""
        self._ungroup(member)
        if not self._recipients:
            self._empty.set()

    def _ungroup(self, member: Member) -> None:
        for recipient in self._recipients.pop(member, ()):
            members = self._members[recipient]
            del members[member]
            if not members:
                del self._members[recipient]

    async def tell(self, told: Told) -> None:
        """Let every process tell its clients something that is in no log. Lost while Redis is away."""
        message = {"type": "told", "recipients": list(told.recipients), "name": told.type, "data": dict(told.data)}
        try:
            async with asyncio.timeout(WAKE_SECONDS):
                await get_channel_layer().group_send(WAKE_GROUP, message)
        except (RedisError, OSError) as error:
            self._redis.gone(error)

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
        if self._head is None or reading.is_broken:
            logger.info("The event log is read from %s:%s on", reading.epoch, reading.position)
            # Clients come again, and are told to fetch anew what can no longer be told.
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
            # Moved first: a client that joins while this one is handed out stands behind it.
            self._head = ResumeId(epoch=reading.epoch, position=event.position or 0)
            await self._hand_out(event)
        if time.monotonic() - self._beaten_at >= HEARTBEAT_SECONDS:
            self._beaten_at = time.monotonic()
            await self._beat()
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

    async def _hand_out(self, event: Event) -> None:
        members = self._members_for(event.recipients)
        affected = [member for member in members if member.depends_on(event.type)]
        if affected:
            # Before anything later is handed out: who has lost a right must not hear what followed.
            await asyncio.gather(*(_safely(member, member.review()) for member in affected))
            members = self._members_for(event.recipients)
        await self._deliver(event_frame(event, epoch=self._head.epoch if self._head else uuid.UUID(int=0)), members)

    async def _deliver(self, frame: Frame, members: Iterable[Member]) -> None:
        for member in members:
            if member.hears(frame.type):
                await _safely(member, member.deliver(frame))

    async def _beat(self) -> None:
        if self._head is not None:
            frame = Frame(id=str(self._head), type=HEARTBEAT, at=iso(now()), data={}, position=self._head.position)
            for member in self._all_members():
                await _safely(member, member.beat(frame))

    def _members_for(self, recipients: Iterable[str]) -> list[Member]:
        return list({member: None for recipient in recipients for member in self._members.get(recipient, ())})

    def _all_members(self) -> list[Member]:
        return list(self._recipients)

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
                    message = await layer.receive(channel)
                    self._redis.back()
                    if message["type"] == "told":
                        frame = Frame(id=None, type=message["name"], at=iso(now()), data=message["data"])
                        await self._deliver(frame, self._members_for(message["recipients"]))
                    else:
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
    if head is None:
        return _Reading(epoch=end.epoch, position=end.position)
    if head.epoch != end.epoch or head.position > end.position:  # a backup's log is in its place
        return _Reading(epoch=end.epoch, position=end.position, is_broken=True)
    # Before the events: who was signed out must not hear what happened afterwards.
    revoked = frozenset(principal for principal in principals if is_revoked(principal))
    events = selectors.events_after(head.position, READ_AT_ONCE) if end.position > head.position else []
    # What this process did not read for as long as events are kept is gone; positions have no other holes.
    is_broken = end.position > head.position and (not events or events[0].position != head.position + 1)
    return _Reading(epoch=end.epoch, position=end.position, events=events, revoked=revoked, is_broken=is_broken)


def event_frame(event: Event, *, epoch: uuid.UUID) -> Frame:
    """An event that has its position, as clients get it."""
    position = event.position or 0
    place = ResumeId(epoch=epoch, position=position)
    return Frame(id=str(place), type=event.type, at=iso(event.at), data=event.data, position=position)


async def _safely(member: Member, call: Awaitable[None]) -> None:
    """Whatever happens to one client, the others are served."""
    try:
        await call
    except Exception:
        logger.exception("A client could not take what was sent and is closed")
        await _close(member, CloseCode.TRY_AGAIN_LATER, "unavailable")


async def _close(member: Member, code: CloseCode, reason: str) -> None:
    try:
        await member.close(code, reason)
    except Exception:
        logger.exception("A client could not be closed")


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

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._last = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        present = self._clock()
        is_first = present - self._last > self.silence
        self._last = present
        record.exc_info = None
        record.msg, record.args = "Redis is away; the sockets are served from the log every second", ()
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return is_first


hub = Hub(DatabaseThreads(name="hub", size=1, renew=False))
