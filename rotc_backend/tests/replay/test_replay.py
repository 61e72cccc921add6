"""Whatever dies: what clients fold from events equals what they would fetch, and each has heard exactly its own events.

Four processes write at random; clients on bad networks resume at either of two channels processes; both of these and
Redis are killed and stopped again and again. REPLAY_EVENTS sets how many events there are; scripts/prove asks for many.
"""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings

from apps.accounts.tests import factories
from apps.accounts.tests.factories import Person
from apps.events import selectors, services
from apps.events.models import Event
from apps.messaging.routing import STREAMS
from apps.messaging.tests.daphne_process import database_url
from apps.messaging.tests.factories import Unit, enroll, unit_create
from tests.replay.listener import Listener
from tests.replay.stage import Stage, staged

pytestmark = [pytest.mark.system, pytest.mark.django_db(transaction=True)]
EVENTS = int(os.environ.get("REPLAY_EVENTS", "600"))
WRITERS = 4
SEED = int(os.environ.get("REPLAY_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
LONGEST_SECONDS = 60 + EVENTS / 10


async def haunted(stage: Stage, dice: random.Random) -> None:
    """Kill one after another, for as long as the task lasts; what has died comes again within half a second."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(dice.uniform(0.5, 2.0))
        match dice.choice(["daphne", "daphne", "stop", "redis", "flush"]):
            case "daphne":
                victim, number = dice.choice(stage.daphnes), signal.SIGKILL
            case "stop":
                victim, number = dice.choice(stage.daphnes), signal.SIGTERM
            case "redis":
                victim, number = stage.redis, signal.SIGKILL
            case _:
                with redis.Redis.from_url(stage.redis_url) as store:
                    store.flushall()
                continue
        await loop.run_in_executor(None, victim.end, number)
        await asyncio.sleep(dice.uniform(0, 0.5))
        victim.begin()  # in the main thread, to which the kernel ties a server's life


@contextlib.contextmanager
def writing(stage: Stage, *, log: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    environment = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "REDIS_URL": stage.redis_url,
        "PYTHONPATH": os.pathsep.join(["..", "."]),
        "LOG_LEVEL": "ERROR",
    }
    with log.open("wb") as errors:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.replay.writer", str(SEED + number), str(EVENTS)],
                cwd=settings.BASE_DIR,
                env=environment,
                stdout=errors,
                stderr=errors,
            )
            for number in range(WRITERS)
        ]
    try:
        yield processes
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait(10)


# --- The proof --------------------------------------------------------------------------------------------------------


def listeners(stage: Stage, unit: Unit, dice: random.Random) -> list[Listener]:
    alpha, bravo, staff = unit.room(unit.alpha), unit.room(unit.bravo), unit.room()
    paths: list[tuple[str, Person]] = [
        (path, person)
        for path in ("/ws/notifications/", "/ws/updates/")
        for person in (unit.liza, unit.omar, unit.instructor, unit.admin)
    ]
    paths += [(f"/ws/chat/{room.pk}/", person) for room, person in ((alpha, unit.liza), (bravo, unit.omar))]
    paths += [(f"/ws/chat/{room.pk}/", unit.instructor) for room in (alpha, staff)]
    return [
        Listener(path=path, token=person.access, addresses=stage.addresses, random=random.Random(dice.random()))
        for path, person in paths
    ]


def test_what_clients_fold_equals_what_they_would_fetch_whatever_dies(tmp_path: Path) -> None:
    dice = random.Random(SEED)
    unit = unit_create()
    for number in range(16):  # each may send twenty messages in ten seconds
        enroll(factories.user(f"Extra{number}"), term=unit.term, company=unit.alpha if number % 2 else unit.bravo)
    with staged(tmp_path, daphnes=2) as stage:
        clients = listeners(stage, unit, dice)
        asyncio.run(played(stage, clients, dice, log=tmp_path / "writers.log"))
    assert not [fault for client in clients for fault in client.faults], f"seed {SEED}"
    caused = Event.objects.count()
    assert caused >= EVENTS
    for client in clients:
        assert client.heard == expected(client, unit), f"seed {SEED}: {client.path}"
        assert_as_fetched(client, unit)
    deaths = sum(mortal.deaths for mortal in (*stage.daphnes, stage.redis))
    assert deaths >= 3, "nothing died: nothing is proven"
    assert min(client.connections for client in clients) > 2, "nobody came again: nothing is proven"
    heard = sum(len(client.heard) for client in clients)
    sys.stdout.write(
        f"seed {SEED}: {caused} events by {WRITERS} writers, {heard} deliveries to {len(clients)} clients over "
        f"{sum(client.connections for client in clients)} connections, {deaths} deaths; none lost, doubled or foreign\n"
    )


async def played(stage: Stage, clients: list[Listener], dice: random.Random, *, log: Path) -> None:
    """Let everybody loose until the writers have done and the clients have heard all."""
    end: list[int] = []

    def is_over(position: int) -> bool:
        return bool(end) and position >= end[0]

    tasks = [asyncio.create_task(client.listen(is_over)) for client in clients]
    async with asyncio.timeout(LONGEST_SECONDS):
        await asyncio.gather(*(client.welcomed.wait() for client in clients))
        with writing(stage, log=log) as writers:
            ghost = asyncio.create_task(haunted(stage, dice))
            loop = asyncio.get_running_loop()
            statuses = [await loop.run_in_executor(None, writer.wait) for writer in writers]
            assert statuses == [0] * WRITERS, f"see {log}"
            ghost.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ghost
        for mortal in (*stage.daphnes, stage.redis):
            if mortal.process.poll() is not None:
                mortal.begin()
        end.append(await loop.run_in_executor(None, log_end))
        await asyncio.gather(*tasks)


def log_end() -> int:
    from django.db import connection

    try:
        while services.sequence():
            pass
        return selectors.head().position
    finally:
        connection.close()


def expected(client: Listener, unit: Unit) -> list[int]:
    """The positions of all events of the log that are for this client."""
    person = person_of(client, unit)
    kind, *argument = [part for part in client.path.split("/") if part][1:]
    stream = STREAMS[kind](person.principal, {"room_id": argument[0]} if argument else {})
    events = Event.objects.filter(
        position__gt=client.began, recipients__overlap=[*stream.recipients(), f"user:{person.user.pk}"]
    )
    return [event.position or 0 for event in events.order_by("position") if stream.hears(event.type)]


def person_of(client: Listener, unit: Unit) -> Person:
    people = (unit.liza, unit.omar, unit.instructor, unit.admin)
    return next(person for person in people if person.access == client.token)


def assert_as_fetched(client: Listener, unit: Unit) -> None:
    person = person_of(client, unit)
    if client.path == "/ws/notifications/":
        fetched = pages(person, "/api/v1/notifications")
        assert client.state.notifications == {one["id"]: (one["title"], one["read_at"] is not None) for one in fetched}
        assert client.state.unread == sum(one["read_at"] is None for one in fetched)
    elif client.path == "/ws/updates/":
        fetched = pages(person, "/api/v1/announcements")
        assert client.state.announcements == {one["id"]: (one["title"], one["version"]) for one in fetched}
    else:
        room_id = client.path.split("/")[3]
        fetched = history(person, room_id)
        assert client.state.messages == {one["id"]: (one["body"], one["deleted_at"] is not None) for one in fetched}
        marks = person.client.get(f"/api/v1/rooms/{room_id}").json()["read_marks"]
        assert client.state.read_marks == {mark["user_id"]: mark["last_message_id"] for mark in marks}


def pages(person: Person, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = person.client.get(path, {"page": len(found) // 200 + 1, "page_size": 200}).json()
        found += page["results"]
        if len(found) >= page["count"]:
            return found


def history(person: Person, room_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    before: dict[str, Any] = {}
    while True:
        page = person.client.get(f"/api/v1/rooms/{room_id}/messages", {"limit": 100, **before}).json()
        found += page["results"]
        if page["next_before"] is None:
            return found
        before = {"before": page["next_before"]}
