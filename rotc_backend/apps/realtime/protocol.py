from __future__ import annotations

import asyncio
import logging
import os
from typing import Any, ClassVar

from daphne.http_protocol import WebRequest
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer  # type: ignore[import-untyped]

from apps.realtime.rules import LARGEST_FRAME, CloseCode

logger = logging.getLogger("rgms.sockets")

UNREAD_MOST = 1_048_576  # bytes sent to one client that it has not confirmed
UNREAD_MOST_TOGETHER = 67_108_864  # bytes, of all clients of this process
LAST_WORDS_SECONDS = 10  # for a slow client to read why it was dropped
CONFIRM_AFTER = 16_384  # bytes after which the client is asked to confirm
_FRAME_HEAD = 10  # bytes at most
_TEXT = 1  # the opcode of a text frame (RFC 6455, 5.2)


class BoundedWebSocketProtocol(WebSocketProtocol):
    """daphne's WebSocket with what it leaves out: codes 1012 and 1013, reasons, a bound on unread bytes.

    `send` of ASGI returns at once, however much waits for a client that does not read (191 MB were seen). A
    client's frames say nothing about its reading, but its answer to a ping does, and every WebSocket client
    gives it by itself: so after each CONFIRM_AFTER bytes a ping with a word that cannot be guessed is sent
    behind them. Who leaves more than UNREAD_MOST unconfirmed is dropped (1013); so is the one furthest behind
    when all together exceed their bound.
    """

    # Options that the factory would set, were they not already there.
    failByDrop = False  # noqa: N815 - autobahn's name; violations of the protocol get their close code
    closeHandshakeTimeout = 2  # noqa: N815 - seconds
    maxFramePayloadSize = LARGEST_FRAME  # noqa: N815 - otherwise daphne would collect a megabyte first

    _open: ClassVar[set[BoundedWebSocketProtocol]] = set()
    _together: ClassVar[int] = 0

    _sent = 0
    _confirmed = 0
    _asked: tuple[bytes, int] | None = None  # the word of the ping that is under way, and how much stood before it
    _awaited: tuple[int, asyncio.Future[None]] | None = None  # who waits until no more than so many bytes are unread
    _is_dropped = False

    @property
    def unread(self) -> int:
        """Bytes sent that the client has not confirmed."""
        return self._sent - self._confirmed

    def onOpen(self) -> None:  # noqa: N802 - autobahn's name
        self._open.add(self)
        super().onOpen()

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:  # noqa: N802, N803 - autobahn's
        self._open.discard(self)
        self._confirm(self._sent)
        super().onClose(wasClean, code, reason)

    def handle_reply(self, message: dict[str, Any]) -> None:
        if message.get("type") == "rgms.frame":
            # Encoded once for all sockets; `websocket.send` would encode it for each.
            if self.state == self.STATE_OPEN:
                self.sendFrame(opcode=_TEXT, payload=message["payload"])
        elif message.get("type") == "websocket.close" and self.state == self.STATE_OPEN:
            # daphne drops the reason, and autobahn's sendClose refuses every code below 3000 but 1000.
            reason = message.get("reason") or ""
            self.sendCloseFrame(code=message.get("code") or 1000, reasonUtf8=reason.encode()[:123])
        elif message.get("type") == "rgms.read_down_to":
            self._awaited = (message["size"], message["future"])
            self._tell_awaited()
        else:
            super().handle_reply(message)

    def sendFrame(self, opcode: int, payload: bytes = b"", *arguments: Any, **options: Any) -> None:  # noqa: N802
        super().sendFrame(opcode, payload, *arguments, **options)
        size = len(payload) + _FRAME_HEAD
        self._sent += size
        BoundedWebSocketProtocol._together += size
        if self.state != self.STATE_OPEN or self._is_dropped:
            return
        self._ask()
        if self.unread > UNREAD_MOST:
            # It is slow, and the reason stands behind all that it has not read: the connection stays for that long.
            self.closeHandshakeTimeout = LAST_WORDS_SECONDS
            self._drop()
        elif self._together > UNREAD_MOST_TOGETHER:
            max(self._open, key=lambda protocol: protocol.unread, default=self)._drop()

    def onPong(self, payload: bytes) -> None:  # noqa: N802 - autobahn's name
        if self._asked is not None and payload == self._asked[0]:
            self._confirm(self._asked[1])
            self._asked = None
            self._ask()

    def _ask(self) -> None:
        if self._asked is None and self.unread >= CONFIRM_AFTER:
            self._asked = (os.urandom(8), self._sent)
            self.sendPing(self._asked[0])

    def _confirm(self, sent: int) -> None:
        BoundedWebSocketProtocol._together -= sent - self._confirmed
        self._confirmed = sent
        self._tell_awaited()

    def _tell_awaited(self) -> None:
        if self._awaited is not None and self.unread <= self._awaited[0]:
            _, future = self._awaited
            self._awaited = None
            if not future.done():
                future.set_result(None)

    def _drop(self) -> None:
        if not self._is_dropped:
            self._is_dropped = True
            logger.info("A client that leaves %s bytes unread is dropped", self.unread)
            self.sendCloseFrame(code=int(CloseCode.TRY_AGAIN_LATER), reasonUtf8=b"slow_reader")

    def _max_message_size_exceeded(self, size: int, limit: int, reason: str) -> None:
        self._fail_connection(int(CloseCode.FRAME_TOO_LARGE), "frame_too_large")


@implementer(IPushProducer)
class BoundedWebRequest(WebRequest):
    """daphne's HTTP request with what an answer without end needs: no time limit, a bound on unread bytes, no token in
    the access log.

    What the kernel takes counts as read: it bounds its own buffers, and HTTP has no word for having read.
    """

    uri: bytes

    _full: ClassVar[set[BoundedWebRequest]] = set()  # whose bytes the kernel does not take
    _together: ClassVar[int] = 0

    _is_stream = False
    _unread = 0  # bytes written since the kernel took no more
    _awaited: asyncio.Future[None] | None = None

    def process(self) -> Any:
        processed = super().process()
        # The application has its query; the access log would write it down, with the token.
        self.uri = self.uri.partition(b"?")[0]
        return processed

    def handle_reply(self, message: dict[str, Any]) -> None:
        if message.get("type") == "rgms.read_down_to":
            self._awaited = message["future"]
            self._tell_awaited()
            return
        if message.get("type") == "http.response.start" and _is_event_stream(message):
            self._is_stream = True
            self.registerProducer(self, True)
        super().handle_reply(message)
        if self in self._full:
            self._count(len(message.get("body", b"")))

    def _count(self, size: int) -> None:
        self._unread += size
        BoundedWebRequest._together += size
        if self._unread > UNREAD_MOST:
            self._drop()
        elif self._together > UNREAD_MOST_TOGETHER:
            max(self._full, key=lambda request: request._unread)._drop()

    def _drop(self) -> None:
        logger.info("A client that leaves %s bytes unread is dropped", self._unread)
        self._take_all()
        if self.channel is not None:
            self.channel.abortConnection()

    def _take_all(self) -> None:
        BoundedWebRequest._together -= self._unread
        self._unread = 0
        self._full.discard(self)
        self._tell_awaited()

    def connectionLost(self, reason: Any) -> None:  # noqa: N802 - Twisted's name
        self._take_all()
        super().connectionLost(reason)

    def finish(self) -> None:
        self._take_all()
        if self._is_stream and self.producer is not None:
            self.unregisterProducer()
        super().finish()

    def check_timeouts(self) -> None:
        if not self._is_stream:
            super().check_timeouts()

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        self._full.add(self)

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        self._take_all()

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        """The connection is lost; `connectionLost` follows."""

    def _tell_awaited(self) -> None:
        if self._awaited is not None and self not in self._full:
            if not self._awaited.done():
                self._awaited.set_result(None)
            self._awaited = None


def _is_event_stream(message: dict[str, Any]) -> bool:
    return (b"content-type", b"text/event-stream") in [tuple(pair) for pair in message.get("headers", ())]
