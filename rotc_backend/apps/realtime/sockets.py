import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings

from apps.accounts.rules import Principal
from apps.realtime.delivery import Delivery, Receive, Scope, Send, in_database, while_connected
from apps.realtime.hub import hub
from apps.realtime.rules import (
    ANSWER,
    ERROR,
    PONG,
    Allowance,
    ClientFrame,
    CloseCode,
    Frame,
    SocketRefused,
    client_frame,
)
from apps.realtime.streams import Stream
from core.clock import now
from core.errors import DomainError, TooManyRequests, Unavailable

logger = logging.getLogger("rgms.sockets")


def socket_of(stream: type[Stream]) -> Any:  # an ASGI application, where Django's stubs expect a view
    """What serves `stream` over a WebSocket that SocketDoor has accepted and admitted."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await Socket(stream(scope["principal"], scope["url_route"]["kwargs"]), send).serve(
            receive, last_event_id=scope["last_event_id"]
        )

    application.stream = stream  # type: ignore[attr-defined]  # for the document that describes all sockets
    return application


class Socket:
    """One client's WebSocket.

    Not channels' own consumer, which subscribes every socket to Redis, so that none could be opened while
    that is away, and goes through a thread for every frame. The hub speaks to this one directly.
    """

    def __init__(self, stream: Stream, send: Send) -> None:
        self._stream = stream
        self._send = send
        self._delivery = Delivery(stream, self)
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._allowance = Allowance(at=self._heard_at)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._ending: set[asyncio.Task[None]] = set()

    # --- The wire -----------------------------------------------------------------------------------------------------

    async def send(self, frame: Frame) -> None:
        await self._send({"type": "rgms.frame", "payload": frame.payload})

    async def end(self, code: CloseCode, reason: str) -> None:
        await self._send({"type": "websocket.close", "code": int(code), "reason": reason})

    async def read_down_to(self, size: int) -> None:
        read = self._loop.create_future()
        await self._send({"type": "rgms.read_down_to", "size": size, "future": read})
        await read

    # --- The client's side --------------------------------------------------------------------------------------------

    async def serve(self, receive: Receive, *, last_event_id: str | None) -> None:
        self._watch()
        try:
            early = await while_connected(self._delivery.begin(last_event_id), receive, gone="websocket.disconnect")
            if early is None:
                return
            for message in early:
                await self._hear(message)
            while (message := await receive())["type"] != "websocket.disconnect":
                await self._hear(message)
        except SocketRefused as refusal:
            await self._delivery.close(refusal.code, refusal.reason)
            await until_disconnected(receive)
        finally:
            for timer in self._timers.values():
                timer.cancel()
            self._delivery.finish()

    async def _hear(self, message: dict[str, Any]) -> None:
        if self._delivery.is_closed:
            return
        self._heard_at = self._loop.time()
        text = message.get("text")
        if text is None:
            raise SocketRefused(code=CloseCode.FRAME_MALFORMED, reason="frame_malformed")
        given = client_frame(text)
        if not self._allowance.takes(at=self._heard_at):
            raise SocketRefused(code=CloseCode.TOO_MANY, reason="too_many_frames")
        if given.type == "ping":
            await self._delivery.say(PONG, given.data)
        elif given.type != "ack":  # which says that the client is there and where it stands; nothing has to be done
            await self._answer(given)

    async def _answer(self, given: ClientFrame) -> None:
        about = {"ref": given.ref, "request": given.type[:64]}
        try:
            answer = await in_database(self._stream.answer, given)
        except DomainError as error:
            await self._delivery.say(ERROR, {**about, **_words(error)})
        except Exception as error:
            if not isinstance(error, TimeoutError):
                logger.exception("A frame could not be answered")
            away = Unavailable("It could not be done now, or not be told. Send the same again in a few seconds.")
            await self._delivery.say(ERROR, {**about, **_words(away)})
        else:
            if answer.told is not None:
                await hub.tell(answer.told)
            await self._delivery.say(ANSWER, {**about, "result": dict(answer.data)})

    # --- Time ---------------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        principal: Principal = self._stream.principal
        left = max(0.0, (principal.expires_at - now()).total_seconds())
        self._after("expiry", left, lambda: self._end_soon(CloseCode.TOKEN_REFUSED, "token_expired"))
        self._after("idle", settings.SOCKET_IDLE_SECONDS, self._look_idle)

    def _look_idle(self) -> None:
        left = self._heard_at + settings.SOCKET_IDLE_SECONDS - self._loop.time()
        if left > 0:
            self._after("idle", left, self._look_idle)
        else:
            self._end_soon(CloseCode.IDLE, "idle")

    def _after(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        # A timer and no task: a thousand sockets wait, and nearly all of them in vain.
        self._timers[name] = self._loop.call_later(seconds, call)

    def _end_soon(self, code: CloseCode, reason: str) -> None:
        task = self._loop.create_task(self._delivery.close(code, reason))
        self._ending.add(task)


def _words(error: DomainError) -> Mapping[str, Any]:
    """What a client is told of a refusal: the members of a problem document that fit."""
    wait = {"retry_after": error.retry_after} if isinstance(error, TooManyRequests) else {}
    fields = [{"field": one.field, "code": one.code, "detail": one.detail} for one in error.errors]
    return {"code": error.code, "detail": error.detail, "errors": fields, **wait}


async def until_disconnected(receive: Receive) -> None:
    """Wait for the closing handshake; the server drops who does not answer it."""
    while (await receive())["type"] != "websocket.disconnect":
        pass
