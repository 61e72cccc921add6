"""Redis only wakes: what happens to it costs a moment, never an event and never a socket."""

import asyncio
import json
import signal
import time
from pathlib import Path

import pytest
import redis
from django.db import connection
from websockets.asyncio.client import ClientConnection, connect

from apps.accounts.tests import factories
from apps.accounts.tests.factories import Person
from apps.messaging.services import notification_create
from tests.replay.stage import Stage, staged

pytestmark = [pytest.mark.system, pytest.mark.django_db(transaction=True)]
SOCKETS = 200
WITHIN_SECONDS = 10.0


def test_two_hundred_sockets_bear_a_redis_that_is_emptied_and_one_that_dies(tmp_path: Path) -> None:
    cadet = factories.cadet()
    with staged(tmp_path, daphnes=1, environment={"SOCKETS_OF_AN_ACCOUNT": str(SOCKETS)}) as stage:
        asyncio.run(played(stage, cadet))


async def played(stage: Stage, cadet: Person) -> None:
    async with asyncio.timeout(120):
        sockets = await asyncio.gather(*(opened(stage, cadet) for _ in range(SOCKETS)))
        await all_hear(sockets, await notified(cadet, 3))

        with redis.Redis.from_url(stage.redis_url) as store:
            store.flushall()
        await all_hear(sockets, await notified(cadet, 3))

        stage.redis.end(signal.SIGKILL)
        in_between = await notified(cadet, 3)
        stage.redis.begin()
        await all_hear(sockets, [*in_between, *await notified(cadet, 3)])

        await asyncio.gather(*(socket.close() for socket in sockets))


async def opened(stage: Stage, cadet: Person) -> ClientConnection:
    url = f"{stage.addresses[0]}/ws/notifications/?token={cadet.access}"
    for _ in range(100):  # the service may still be starting
        try:
            socket = await connect(url, compression=None, proxy=None, open_timeout=20)
        except OSError:
            await asyncio.sleep(0.2)
        else:
            assert json.loads(await socket.recv())["type"] == "connection.ready"
            return socket
    raise AssertionError("The channels service did not start")


async def notified(cadet: Person, count: int) -> list[int]:
    """The ids of new notifications."""

    def write() -> list[int]:
        try:
            return [
                notification_create(actor_id=None, recipient_id=cadet.user.pk, title="Formation", body="06:30").pk
                for _ in range(count)
            ]
        finally:
            connection.close()

    return await asyncio.to_thread(write)


async def all_hear(sockets: list[ClientConnection], ids: list[int]) -> None:
    """Each socket, the same one as before, gets these and nothing else, in this order, in time."""
    started = time.monotonic()

    async def heard(socket: ClientConnection) -> list[int]:
        found: list[int] = []
        while len(found) < len(ids):
            frame = json.loads(await socket.recv())
            if frame["type"] != "heartbeat":
                assert frame["type"] == "notification.created"
                found.append(frame["data"]["id"])
        return found

    async with asyncio.timeout(WITHIN_SECONDS):
        assert await asyncio.gather(*(heard(socket) for socket in sockets)) == [ids] * len(sockets)
    assert time.monotonic() - started < WITHIN_SECONDS
