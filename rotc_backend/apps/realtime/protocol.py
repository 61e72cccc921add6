from __future__ import annotations

import logging
import os
from typing import Any, ClassVar

from daphne.ws_protocol import WebSocketProtocol

from apps.realtime.rules import LARGEST_FRAME, CloseCode

logger = logging.getLogger("rgms.sockets")

UNREAD_MOST = 1_048_576  # bytes sent to one client that it has not confirmed
UNREAD_MOST_TOGETHER = 67_108_864  # bytes, of all clients of this process
CONFIRM_AFTER = 16_384  # bytes after which the client is asked to confirm
_FRAME_HEAD = 10  # bytes at most


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
        if message.get("type") == "websocket.close" and self.state == self.STATE_OPEN:
            # daphne drops the reason, and autobahn's sendClose refuses every code below 3000 but 1000.
            reason = message.get("reason") or ""
            self.sendCloseFrame(code=message.get("code") or 1000, reasonUtf8=reason.encode()[:123])
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

    def _drop(self) -> None:
        if not self._is_dropped:
            self._is_dropped = True
            logger.info("A client that leaves %s bytes unread is dropped", self.unread)
            self.sendCloseFrame(code=int(CloseCode.TRY_AGAIN_LATER), reasonUtf8=b"slow_reader")

    def _max_message_size_exceeded(self, size: int, limit: int, reason: str) -> None:
        self._fail_connection(int(CloseCode.FRAME_TOO_LARGE), "frame_too_large")
