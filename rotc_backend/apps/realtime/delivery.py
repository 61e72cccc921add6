import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol

from django.conf import settings
from django.db import DatabaseError, InterfaceError

from apps.accounts.rules import Principal
from apps.events import selectors
from apps.events.rules import ResumeId, resume_id
from apps.realtime.hub import event_frame, hub
from apps.realtime.rules import HEARTBEAT, READY, RESYNC, CloseCode, Frame, SocketRefused
from apps.realtime.streams import Stream
from apps.realtime.threads import DatabaseThreads
from core.clock import iso, now
from core.errors import Unavailable
from core.version import VERSION

logger = logging.getLogger("rgms.sockets")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

DATABASE_SECONDS = 5.0
READ_SECONDS = (
    30.0  # for a client to read the next part of what it has missed, before it counts as one that does not read
)
REPLAYED_AT_ONCE = 500  # events
UNREAD_WHILE_REPLAYING = 131_072  # bytes that may wait for the client before more of the past is sent
_AWAY = (DatabaseError, InterfaceError, Unavailable, TimeoutError)
_threads = DatabaseThreads(name="sockets", size=2, renew=True)


async def in_database(function: Callable[..., Any], *arguments: object) -> Any:
    """`function(*arguments)` in a thread of its own. Raises TimeoutError after DATABASE_SECONDS."""
    async with asyncio.timeout(DATABASE_SECONDS):
        return await _threads.run(function, *arguments)


async def while_connected(
    work: Coroutine[Any, Any, None], receive: Receive, *, gone: str
) -> list[dict[str, Any]] | None:
    """Do `work`, and return what the client has said meanwhile; None when it has gone, which ends the work.

    Nobody would answer a wait for a client that has gone, and it would keep its place for as long.
    """
    said: list[dict[str, Any]] = []
    working = asyncio.ensure_future(work)
    try:
        while not working.done():
            hearing = asyncio.ensure_future(receive())
            await asyncio.wait({working, hearing}, return_when=asyncio.FIRST_COMPLETED)
            if not hearing.done():
                hearing.cancel()  # which loses nothing: it stays in the queue
            elif hearing.result()["type"] == gone:
                return None
            else:
                said.append(hearing.result())
        working.result()
    finally:
        working.cancel()
    return said


class Wire(Protocol):
    """How frames travel to one client."""

    async def send(self, frame: Frame) -> None: ...

    async def end(self, code: CloseCode, reason: str) -> None: ...

    async def read_down_to(self, size: int) -> None:
        """Return when at most `size` bytes wait for the client."""


class Delivery:
    """Brings one client what its stream hears, exactly once and in the order of the log.

        1 join the hub as the account alone; what comes is held back
        2 ask the database what the stream may hear, and join as that; here lives `place`, the log's end
        3 read what was missed between the client's resume id and `place`
        4 connection.ready      5 what was missed, or resync_required      6 what was held back, then live

    A change of what the client may hear that commits before 2 reads is seen there; one that commits later comes as an
    event, since 1 stands before 2, and lets 2 be asked again.
    """

    def __init__(self, stream: Stream, wire: Wire) -> None:
        self.stream = stream
        self.principal: Principal = stream.principal
        self._wire = wire
        self._held: list[Frame] | None = []
        self._position = 0  # the last that was sent
        self._recipients: Sequence[str] | None = None  # as of `place`: what was missed is replayed for these
        self._is_stale = False
        self._is_closed = False

    # --- The hub's side -----------------------------------------------------------------------------------------------

    def hears(self, event_type: str) -> bool:
        return self.stream.hears(event_type)

    def depends_on(self, event_type: str) -> bool:
        return event_type in self.stream.standing_types

    async def deliver(self, frame: Frame) -> None:
        """Send what the stream hears, or keep it until the client has been welcomed."""
        if self._held is not None:
            self._held.append(frame)
        elif frame.position > self._position or not frame.position:
            await self._say(frame)

    async def beat(self, frame: Frame) -> None:
        """Send a sign of life that tells how far the log has been handed out."""
        # Not to who has heard more already, from another process: its id would lead the client back.
        if self._held is None and frame.position >= self._position:
            await self._say(frame)

    async def review(self) -> None:
        """Ask again what the client may hear: something has changed that it depends on."""
        self._is_stale = True
        if self._recipients is None:
            return  # step 2 asks once more
        try:
            recipients = await self._allowed()
        except SocketRefused as refusal:
            await self.close(refusal.code, refusal.reason)
        else:
            if not self._is_closed:  # who has left meanwhile would be a member for ever
                hub.regroup(self, recipients)

    async def close(self, code: CloseCode, reason: str) -> None:
        """End it. Nothing is sent any more."""
        if not self._is_closed:
            self._is_closed = True
            await self._wire.end(code, reason)

    # --- The transport's side -----------------------------------------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    async def say(self, frame_type: str, data: Any) -> None:
        """Send a frame that is not an event of the log."""
        await self._say(Frame(id=None, type=frame_type, at=iso(now()), data=data))

    async def begin(self, last_event_id: str | None) -> None:
        """Steps 1 to 6. Raises SocketRefused; `finish` must follow in every case."""
        await hub.join(self)
        self._recipients = await self._allowed()
        place = hub.regroup(self, self._recipients)
        self._held = [frame for frame in self._held or () if frame.position > place.position]
        self._position = place.position
        missed: Sequence[Frame] = ()
        problem = since = None
        if last_event_id:
            since = resume_id(last_event_id)
            problem, missed = await self._missed(since, place)
        data = {
            "user": {
                "id": self.principal.user_id,
                "username": self.principal.username,
                "role": self.principal.role,
            },
            "version": VERSION,
            "key_fingerprint": settings.KEY_FINGERPRINT,
            "position": str(place if since is None or problem else since),
            "resumed": since is not None and problem is None,
            **await self._asked(self.stream.welcome),
        }
        await self.say(READY, data)
        if problem is None and since is not None:
            problem = await self._replay(missed, place)
        if problem is not None:
            await self._say(_placed(RESYNC, place, {"reason": problem}))
        elif since is not None:
            # So that the id moves on also where nothing was missed.
            await self._say(_placed(HEARTBEAT, ResumeId(epoch=place.epoch, position=self._position), {}))
        held, self._held = self._held, None  # nothing below waits, so nothing can come in between
        for frame in held:
            await self.deliver(frame)

    def finish(self) -> None:
        """The client is gone: nothing more for it."""
        self._is_closed = True
        hub.leave(self)

    async def _say(self, frame: Frame) -> None:
        self._position = max(self._position, frame.position)
        if not self._is_closed:
            await self._wire.send(frame)

    # --- What was missed ----------------------------------------------------------------------------------------------

    async def _missed(self, since: ResumeId | None, place: ResumeId) -> tuple[str | None, Sequence[Frame]]:
        """Why the client has to fetch everything again, or None with the first part of what it has missed."""
        if since is None:
            return "malformed", ()
        if since.epoch != place.epoch:
            return "epoch_changed", ()
        if since.position > place.position:
            # Another process was ahead of this one; or the client has invented it.
            end = await self._asked(selectors.head)
            if end.epoch != since.epoch or since.position > end.position:
                return "unknown_position", ()
            self._position = since.position
            return None, ()
        return await self._page(since.position, place)

    async def _page(self, position: int, place: ResumeId) -> tuple[str | None, Sequence[Frame]]:
        recipients = self._recipients or ()
        page = await self._asked(
            lambda: selectors.events_missed(
                after=position, to=place.position, recipients=recipients, limit=REPLAYED_AT_ONCE
            )
        )
        if page is None:
            return "expired", ()
        return None, [event_frame(event, epoch=place.epoch) for event in page]

    async def _replay(self, missed: Sequence[Frame], place: ResumeId) -> str | None:
        """Send `missed` and all pages after it; returns why the client has to fetch again after all, or None."""
        while missed:
            for frame in missed:
                if self._is_closed:
                    return None
                if self.hears(frame.type):
                    await self._say(frame)
                    await self._until_read()
            if len(missed) < REPLAYED_AT_ONCE:
                break
            problem, missed = await self._page(missed[-1].position, place)
            if problem is not None:
                return problem
        return None

    async def _until_read(self) -> None:
        """Let the client keep up: what was missed may be many times what may wait for it. Raises SocketRefused."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                await self._wire.read_down_to(UNREAD_WHILE_REPLAYING)
        except TimeoutError as error:
            raise SocketRefused(code=CloseCode.TRY_AGAIN_LATER, reason="slow_reader") from error

    # --- The database -------------------------------------------------------------------------------------------------

    async def _allowed(self) -> Sequence[str]:
        while True:
            self._is_stale = False
            recipients: Sequence[str] = await self._asked(self.stream.recipients)
            if not self._is_stale:
                return recipients

    async def _asked(self, function: Callable[[], Any]) -> Any:
        """What the database says. Raises SocketRefused."""
        try:
            return await in_database(function)
        except SocketRefused:
            raise
        except Exception as error:
            if not isinstance(error, _AWAY):
                logger.exception("A client could not be served")
            raise SocketRefused(code=CloseCode.TRY_AGAIN_LATER, reason="unavailable") from error


def _placed(frame_type: str, place: ResumeId, data: Any) -> Frame:
    return Frame(id=str(place), type=frame_type, at=iso(now()), data=data, position=place.position)
