"""A socket per account, each with its own reader, that hears the events which the run causes."""

import json
import time
from collections.abc import Callable

import gevent
from gevent.event import Event
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from load.generator.deliveries import DeliveryBook

SUBPROTOCOL = Subprotocol("rgms.bearer")

_MOST_RECONNECTS = 20
_PAUSE_SECONDS = 0.5
_LARGEST_FRAME_BYTES = 1 << 20


class Listener:
    """Hears the notifications of one account until it is stopped.

    The token travels as a subprotocol, since an address with a token in it ends up in access logs. `trouble`
    says in words why the socket is not (or no longer) open.
    """

    def __init__(
        self,
        *,
        account: str,
        channels_url: str,
        token: Callable[[], str],
        book: DeliveryBook,
        now: Callable[[], float],
    ) -> None:
        self.account = account
        self._url = f"{channels_url.rstrip('/')}/ws/notifications/"
        self._token = token
        self._book = book
        self._now = now
        self._connection: ClientConnection | None = None
        self._reader: gevent.Greenlet | None = None
        self._stopping = Event()
        self.ready = Event()
        self.reconnects = 0
        self.trouble: str | None = "it never became ready"

    def start(self) -> None:
        self._reader = gevent.spawn(self._run)

    def stop(self) -> None:
        """Close the socket; bounded, whatever the service does."""
        self._stopping.set()
        with gevent.Timeout(2, False):
            if self._connection is not None:
                self._connection.close()
        if self._reader is not None:
            self._reader.kill(timeout=1)

    def _run(self) -> None:
        for attempt in range(_MOST_RECONNECTS + 1):
            if attempt:
                gevent.sleep(_PAUSE_SECONDS)
            if self._stopping.is_set():
                return
            try:
                self._listen()
            except ConnectionClosed as error:
                code = error.rcvd.code if error.rcvd is not None else 1006
                reason = error.rcvd.reason if error.rcvd is not None else ""
                self.trouble = f"closed with {code} {reason[:60]}".strip()
            except (WebSocketException, OSError) as error:
                # Only the kind: the text of a handshake error may quote the request and its token.
                self.trouble = type(error).__name__
            if self._stopping.is_set():
                return
            if self.ready.is_set():
                self.reconnects += 1

    def _listen(self) -> None:
        secure = self._url.startswith("wss:")
        with connect(
            self._url,
            subprotocols=[SUBPROTOCOL, Subprotocol(self._token())],
            additional_headers=None if secure else {"X-Forwarded-Proto": "https"},
            user_agent_header="rgms-load",
            compression=None,
            proxy=None,
            open_timeout=5,
            close_timeout=1,
            ping_interval=None,
            max_size=_LARGEST_FRAME_BYTES,
        ) as self._connection:
            while True:
                frame = self._connection.recv()
                self._hear(frame, self._now())

    def _hear(self, frame: str | bytes, at: float) -> None:
        try:
            document = json.loads(frame)
        except ValueError:
            return
        if not isinstance(document, dict):
            return
        data = document.get("data")
        if document.get("type") == "connection.ready":
            self.trouble = None
            self.ready.set()
        elif document.get("type") == "notification.created" and isinstance(data, dict):
            self._book.hear(correlation_id=data.get("correlation_id"), account=self.account, at=at)


def listeners_ready(listeners: list[Listener], *, seconds: float) -> str | None:
    """Wait until every socket is ready; else say which is not and why."""
    deadline = time.monotonic() + seconds
    for listener in listeners:
        listener.ready.wait(timeout=max(0.0, deadline - time.monotonic()))
    silent = [f"{one.account}: {one.trouble}" for one in listeners if not one.ready.is_set()]
    return f"sockets did not become ready ({'; '.join(silent)})" if silent else None
