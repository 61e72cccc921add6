import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from django.conf import settings

from apps.accounts.rules import Principal
from apps.realtime.hub import hub
from apps.realtime.rules import ClientFrame, CloseCode, SocketRefused, client_frame, frame
from apps.realtime.threads import DatabaseThreads
from core.clock import iso, now
from core.version import VERSION

logger = logging.getLogger("rgms.sockets")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

DATABASE_SECONDS = 5.0
_threads = DatabaseThreads(name="sockets", size=2, renew=True)


async def in_database(function: Callable[..., Any], *arguments: object) -> Any:
    """`function(*arguments)` in a thread of its own. Raises TimeoutError after DATABASE_SECONDS."""
    async with asyncio.timeout(DATABASE_SECONDS):
        return await _threads.run(function, *arguments)


class Socket:
    """One client's socket, already accepted and authenticated; subclasses say what it hears and answers.

    Not channels' own consumer, which subscribes every socket to Redis, so that none could be opened while
    that is away, and goes through a thread for every frame. The hub speaks to this one directly.

        1 join the hub; events are held back     2 ask the database for the welcome     3 connection.ready
        4 what was held back, then live          5 the client's frames until either side ends it
    """

    event_types: frozenset[str] = frozenset()

    def __init__(self, scope: Scope, send: Send) -> None:
        self.principal: Principal = scope["principal"]
        self.arguments: Mapping[str, Any] = scope["url_route"]["kwargs"]
        self.recipients: Sequence[str] = self.recipients_of(self.principal)
        self._send = send
        self._held: list[str] | None = []
        self._closed = False

    @classmethod
    def as_asgi(cls) -> Any:  # an ASGI application, where Django's stubs expect a view
        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            await cls(scope, send).serve(receive)

        return application

    def recipients_of(self, principal: Principal) -> Sequence[str]:
        """The recipients of the log whose events this socket hears, as far as `event_types` names them."""
        return (f"user:{principal.user_id}",)

    async def welcome(self) -> dict[str, Any]:
        """What connection.ready tells beyond who is connected."""
        return {}

    async def answer(self, given: ClientFrame) -> None:
        """A frame of the client other than `ping`. One of an unknown type is answered, not punished."""
        detail = f"This socket does not know frames of type {given.type[:64]!r}."
        await self.say("error", {"code": "type_unknown", "detail": detail})

    # --- The hub's side -------------------------------------------------------------------------------------

    async def deliver(self, text: str) -> None:
        """Send an event's frame, or keep it until the client has been welcomed."""
        if self._held is not None:
            self._held.append(text)
        else:
            await self._send_text(text)

    async def close(self, code: CloseCode, reason: str) -> None:
        """End the socket. Nothing is sent to it any more; `serve` returns when the client has gone."""
        if not self._closed:
            self._closed = True
            await self._send({"type": "websocket.close", "code": int(code), "reason": reason})

    # --- The client's side ----------------------------------------------------------------------------------

    async def say(self, type: str, data: Any) -> None:  # noqa: A002 - the name on the wire
        """Send a frame that is not an event of the log."""
        await self._send_text(frame(id=None, type=type, at=iso(now()), data=data))

    async def serve(self, receive: Receive) -> None:
        place = await hub.join(self)
        expiry = asyncio.ensure_future(self._end_with_token())
        try:
            try:
                await self._open(position=str(place))
            except Exception as error:
                if not isinstance(error, TimeoutError):
                    logger.exception("A socket could not be welcomed")
                raise SocketRefused(code=CloseCode.TRY_AGAIN_LATER, reason="unavailable") from error
            while True:
                message = await receive()
                if message["type"] == "websocket.disconnect":
                    return
                if message["type"] == "websocket.receive" and not self._closed:
                    await self._hear(message)
        except SocketRefused as refusal:
            await self.close(refusal.code, refusal.reason)
            await until_disconnected(receive)
        finally:
            expiry.cancel()
            hub.leave(self)

    async def _open(self, *, position: str) -> None:
        person = self.principal
        data = {
            "user": {"id": person.user_id, "username": person.username, "role": person.role},
            "version": VERSION,
            "key_fingerprint": settings.KEY_FINGERPRINT,
            "position": position,
            **await self.welcome(),
        }
        await self.say("connection.ready", data)
        while self._held:
            await self._send_text(self._held.pop(0))
        self._held = None

    async def _hear(self, message: dict[str, Any]) -> None:
        text = message.get("text")
        if text is None:
            raise SocketRefused(code=CloseCode.FRAME_MALFORMED, reason="frame_malformed")
        given = client_frame(text)
        if given.type == "ping":
            await self.say("pong", given.data)
        else:
            await self.answer(given)

    async def _end_with_token(self) -> None:
        await asyncio.sleep(max(0.0, (self.principal.expires_at - now()).total_seconds()))
        await self.close(CloseCode.TOKEN_REFUSED, "token_expired")

    async def _send_text(self, text: str) -> None:
        if not self._closed:
            await self._send({"type": "websocket.send", "text": text})


async def until_disconnected(receive: Receive) -> None:
    """Wait for the closing handshake; the server drops who does not answer it."""
    while (await receive())["type"] != "websocket.disconnect":
        pass
