"""The frames that are no events of the log, as a real daphne sends them, against docs/api/asyncapi.yaml."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from websockets.sync.client import ClientConnection

from apps.accounts.services import session_end
from apps.messaging.tests.daphne_process import Daphne, daphne_running
from apps.messaging.tests.factories import Unit, unit_create
from apps.messaging.tests.socket_clients import NOTIFICATIONS, UPDATES, notify, tell, welcomed
from apps.realtime.rules import ANSWER, ERROR, HEARTBEAT, PONG, READY, RESYNC
from config.asyncapi import OWN_FRAMES
from tests.asyncapi_schemas import MESSAGES, valid


@pytest.fixture
def unit(transactional_db: None) -> Unit:
    return unit_create()


@pytest.fixture
def daphne(transactional_db: None, tmp_path: Path) -> Iterator[Daphne]:
    with daphne_running(log=tmp_path / "daphne.log") as daphne:
        yield daphne


def until(client: ClientConnection, *kinds: str) -> Iterator[dict[str, Any]]:
    """The frames that come, up to the one that completes these kinds."""
    missing = set(kinds)
    while missing:
        frame = json.loads(client.recv(timeout=10))
        missing.discard(frame["type"])
        yield frame


def streamed(daphne: Daphne, unit: Unit) -> Iterator[dict[str, Any]]:
    """The frames of an event stream whose session ends."""
    address = f"http://127.0.0.1:{daphne.port}/api/v1/events"
    with urlopen(Request(address, headers={"Authorization": f"Bearer {unit.bea.access}"}), timeout=15) as answer:
        for line in answer:
            if line.startswith(b"data: "):
                frame = json.loads(line.removeprefix(b"data: "))
                yield frame
                if frame["type"] == READY:
                    session_end(actor=unit.bea.principal)


def test_every_kind_of_frame_is_as_the_document_says(daphne: Daphne, unit: Unit) -> None:
    chat = f"/ws/chat/{unit.room(unit.alpha).pk}/"
    ready: list[dict[str, Any]] = []
    frames: list[dict[str, Any]] = []
    with welcomed(daphne, unit.liza, chat) as (client, data):
        ready.append(data)
        tell(client, "ping", {"n": 1})
        tell(client, "message.send", {"client_id": "m-1", "body": "Present."}, ref="1")
        tell(client, "message.send", {"client_id": "m 2"}, ref="2")
        tell(client, "typing")
        frames += until(client, PONG, ANSWER, ERROR, "typing", "message.created")
    with welcomed(daphne, unit.liza, NOTIFICATIONS) as (_, data):
        ready.append(data)
    notify(unit.liza)
    with welcomed(daphne, unit.liza, NOTIFICATIONS, last=data["position"]) as (client, data):
        ready.append(data)
        frames += until(client, "notification.created", HEARTBEAT)
    with welcomed(daphne, unit.liza, UPDATES, last="7") as (client, data):
        ready.append(data)
        frames += until(client, RESYNC)
    frames += streamed(daphne, unit)
    for frame in frames:
        valid(MESSAGES[frame["type"]]["payload"], frame)
    for data in ready:
        valid({"$ref": "#/components/schemas/ConnectionReady"}, data)
    assert set(OWN_FRAMES) - {frame["type"] for frame in frames} == set()
