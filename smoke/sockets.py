"""WebSockets as the suite uses them: every frame kept, every wait bounded."""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from smoke.expectation import Mismatch
from smoke.redaction import Redaction
from smoke.target import is_loopback
from smoke.transport import unreachable

PATH = "/ws/notifications/"
OPEN_SECONDS = 5.0
FRAME_SECONDS = 5.0

Frame = dict[str, Any]


class Socket:
    """One open socket of one person."""

    def __init__(self, *, connection: ClientConnection) -> None:
        self._connection = connection
        self.frames: list[Frame] = []

    def send(self, *, type: str, data: Frame) -> None:  # noqa: A002 - the protocol's word
        try:
            self._connection.send(json.dumps({"type": type, "data": data}))
        except ConnectionClosed as error:
            raise Mismatch(expected=f"to send {type!r}", came=_closing(error)) from None

    def expect_frame(
        self,
        *,
        type: str,  # noqa: A002 - the protocol's word
        where: Callable[[Frame], bool] = lambda _frame: True,
        within_seconds: float = FRAME_SECONDS,
    ) -> Frame:
        """Return the next frame of this type whose data satisfy `where`.

        Raises Mismatch if it does not come.
        """
        deadline = time.monotonic() + within_seconds
        seen: list[str] = []
        while (frame := self._next(deadline=deadline, expected=f"a {type!r} frame")) is not None:
            if frame.get("type") == type and isinstance(frame.get("data"), dict) and where(frame["data"]):
                return frame
            seen.append(str(frame.get("type")))
        raise Mismatch(
            expected=f"a {type!r} frame within {within_seconds:g} s",
            came=f"other frames only: {', '.join(seen)}" if seen else "nothing",
        )

    def listen(self, *, seconds: float) -> list[Frame]:
        """Keep reading for `seconds`; return every frame since the socket was opened."""
        deadline = time.monotonic() + seconds
        while self._next(deadline=deadline, expected="the socket to stay open") is not None:
            pass
        return self.frames

    def expect_close(self, *, code: int, reason: str | None = None, within_seconds: float = FRAME_SECONDS) -> None:
        """Expect the server to close with this code, and with this reason if one is given."""
        wanted = f"the socket to be closed with {code}" + (f" {reason}" if reason else "")
        try:
            frame = self._connection.recv(timeout=within_seconds)
        except TimeoutError:
            raise Mismatch(expected=wanted, came=f"still open after {within_seconds:g} s") from None
        except ConnectionClosed as error:
            came = error.rcvd
            if came is None or came.code != code or (reason is not None and came.reason != reason):
                raise Mismatch(expected=wanted, came=_closing(error)) from None
            return
        raise Mismatch(expected=wanted, came=f"it was served: {str(frame)[:200]}")

    def close(self) -> None:
        self._connection.close()

    def _next(self, *, deadline: float, expected: str) -> Frame | None:
        """The next frame, or None when none comes before the deadline."""
        try:
            raw = self._connection.recv(timeout=max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            return None
        except ConnectionClosed as error:
            raise Mismatch(expected=expected, came=_closing(error)) from None
        try:
            frame = json.loads(raw)
        except ValueError:
            frame = None
        if not isinstance(frame, dict):
            raise Mismatch(expected="frames that are JSON objects", came=repr(raw)[:200])
        self.frames.append(frame)
        return frame


class Sockets:
    """Opens sockets to the channels service."""

    def __init__(self, *, channels_url: str, redaction: Redaction, run_id: str) -> None:
        self._channels_url = channels_url
        self._redaction = redaction
        self._run_id = run_id
        self._stack = ExitStack()

    def open(self, *, token: str, origin: str | None = None) -> Socket:
        """Connect as a browser would, with the token in the query.

        Raises Mismatch if there is no handshake.
        """
        self._redaction.learn(secret=token)
        near = is_loopback(self._channels_url)
        expected = f"a WebSocket handshake at {self._channels_url}{PATH}"
        try:
            connection = self._stack.enter_context(
                connect(
                    f"{self._channels_url}{PATH}?token={quote(token, safe='')}",
                    origin=None if origin is None else Origin(origin),
                    additional_headers={"X-Forwarded-Proto": "https"} if near else None,
                    user_agent_header=f"rgms-smoke ({self._run_id})",
                    open_timeout=OPEN_SECONDS,
                    close_timeout=2,
                    proxy=None,
                )
            )
        except TimeoutError:
            raise Mismatch(expected=expected, came=f"none within {OPEN_SECONDS:g} s") from None
        except (InvalidHandshake, InvalidMessage, WebSocketException, OSError) as error:
            raise unreachable(error, expected=expected) or Mismatch(
                expected=expected, came=str(error) or type(error).__name__
            ) from None
        return Socket(connection=connection)

    def close(self) -> None:
        """Close every socket that was opened and is still open."""
        self._stack.close()


def _closing(error: ConnectionClosed) -> str:
    if error.rcvd is None:
        return "the connection was lost without a closing frame"
    return f"the socket was closed with {error.rcvd.code} {error.rcvd.reason}".rstrip()
