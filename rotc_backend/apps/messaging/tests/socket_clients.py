"""What a client of the channels service does, for tests over real sockets."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import jwt
from django.conf import settings
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from apps.accounts.tests.factories import Person
from apps.messaging.services import notification_create
from apps.messaging.tests.daphne_process import Daphne

NOTIFICATIONS, UPDATES = "/ws/notifications/", "/ws/updates/"
UNHEARD_SECONDS = 1.6  # longer than the hub's slowest reading


@contextmanager
def opened(daphne: Daphne, person: Person, path: str = NOTIFICATIONS, **options: Any) -> Iterator[ClientConnection]:
    """A welcomed socket."""
    with welcomed(daphne, person, path, **options) as (client, _):
        yield client


@contextmanager
def welcomed(
    daphne: Daphne, person: Person, path: str = NOTIFICATIONS, *, last: str | None = None, **options: Any
) -> Iterator[tuple[ClientConnection, dict[str, Any]]]:
    """A socket and what its welcome said; `last` is the id that the client comes back with."""
    url = daphne.url(path, token=person.access)
    if last is not None:
        url += f"&last_event_id={quote(last)}"
    with connect(url, proxy=None, **options) as client:
        ready = receive(client)
        assert ready["type"] == "connection.ready"
        yield client, ready["data"]


def receive(client: ClientConnection, *, seconds: float = 10.0, kind: str | None = None) -> dict[str, Any]:
    """The next frame, or the next of a kind: what was written just before the welcome may still follow it."""
    frame: dict[str, Any] = json.loads(client.recv(timeout=seconds))
    assert set(frame) == {"id", "type", "at", "data"}
    if frame["type"] == "heartbeat" and kind != "heartbeat":
        return receive(client, seconds=seconds, kind=kind)
    return frame if kind in {None, frame["type"]} else receive(client, seconds=seconds, kind=kind)


def nothing_comes(client: ClientConnection, *, seconds: float = UNHEARD_SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    try:
        while json.loads(client.recv(timeout=max(0.0, deadline - time.monotonic())))["type"] == "heartbeat":
            pass
    except TimeoutError:
        return True
    return False


def tell(client: ClientConnection, frame_type: str, data: Any = None, *, ref: str | None = None) -> None:
    client.send(json.dumps({"type": frame_type, "data": data, "ref": ref}))


def asked(client: ClientConnection, frame_type: str, data: Any = None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the answer or the error to a request holds, and the events that came before it."""
    ref = f"{frame_type}-{time.monotonic_ns()}"
    tell(client, frame_type, data, ref=ref)
    before: list[dict[str, Any]] = []
    while True:
        frame = receive(client)
        if frame["type"] in {"answer", "error"}:
            assert (frame["id"], frame["data"]["ref"], frame["data"]["request"]) == (None, ref, frame_type)
            return frame["data"], before
        before.append(frame)


def error_words(client: ClientConnection, frame_type: str, data: Any = None) -> tuple[str, dict[str, str]]:
    """(code, {field: code}) of the error that a request brings."""
    answer, _ = asked(client, frame_type, data)
    return answer["code"], {error["field"]: error["code"] for error in answer["errors"]}


def is_served(client: ClientConnection) -> bool:
    tell(client, "ping")
    return receive(client, kind="pong")["type"] == "pong"


def closed(client: ClientConnection, *, seconds: float = 10.0) -> tuple[int, str]:
    """(code, reason) that the server gave, after whatever it still sent."""
    return ended(client, seconds=seconds)[0]


def ended(client: ClientConnection, *, seconds: float = 10.0) -> tuple[tuple[int, str], list[dict[str, Any]]]:
    """The same, and the frames that came before the end."""
    deadline = time.monotonic() + seconds
    frames: list[dict[str, Any]] = []
    while True:
        try:
            frames.append(json.loads(client.recv(timeout=max(0.0, deadline - time.monotonic()))))
        except ConnectionClosed as end:
            return code_of(end), frames


def code_of(end: ConnectionClosed) -> tuple[int, str]:
    assert end.rcvd is not None, "the connection was dropped without a close frame"
    return end.rcvd.code, end.rcvd.reason


def refused(url: str, **options: Any) -> tuple[int, str]:
    with connect(url, proxy=None, **options) as client:
        return closed(client)


def bearer(token: str) -> list[Subprotocol]:
    return [Subprotocol("rgms.bearer"), Subprotocol(token)]


def altered(token: str, **changes: Any) -> str:
    """The token with other claims, signed as the service signs."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode({**claims, **changes}, settings.TOKEN_KEY, algorithm="HS256")


def notify(person: Person, title: str = "Formation", body: str = "06:30") -> int:
    return notification_create(actor_id=None, recipient_id=person.user.pk, title=title, body=body).pk
