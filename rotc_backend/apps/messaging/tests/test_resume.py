"""Coming back: what was missed comes once, in order, and nothing else. Over real sockets to a real daphne."""

import datetime as dt
import json
import socket
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from apps.accounts.tests.factories import Person
from apps.events import services
from apps.events.models import Event, EventHead
from apps.messaging.events import NotificationCreated, NotificationRemoved
from apps.messaging.tests.daphne_process import Daphne
from apps.messaging.tests.socket_clients import code_of, nothing_comes, notify, opened, receive, welcomed
from core.clock import now


def place(daphne: Daphne, person: Person) -> str:
    """Where somebody stands who connects now."""
    with welcomed(daphne, person) as (_, ready):
        position: str = ready["position"]
        return position


def test_who_comes_back_gets_what_was_missed_in_order_and_then_what_comes(
    daphne: Daphne, cadet: Person, stranger: Person
) -> None:
    last = place(daphne, cadet)
    missed = [notify(cadet, str(number)) for number in range(3)]
    notify(stranger)
    with welcomed(daphne, cadet, last=last) as (client, ready):
        assert (ready["resumed"], ready["position"], ready["unread"]) == (True, last, 3)
        # The heartbeat ends the replay; what this process had not read when the client came follows it.
        came: list[dict[str, Any]] = []
        while len(came) < 4 or all(frame["type"] != "heartbeat" for frame in came):
            came.append(json.loads(client.recv(timeout=10)))
        frames = [frame for frame in came if frame["type"] != "heartbeat"]
        assert [frame["data"]["id"] for frame in frames] == missed
        positions = [int(frame["id"].rpartition(":")[2]) for frame in came]
        assert positions == sorted(positions), "the id of a later frame never lies before that of an earlier one"
        fresh = notify(cadet)
        assert receive(client)["data"]["id"] == fresh
        assert nothing_comes(client)
    for frame, rest in zip(frames, (missed[1:], missed[2:], []), strict=True):
        with welcomed(daphne, cadet, last=frame["id"]) as (client, _):
            assert [receive(client)["data"]["id"] for _ in rest] == rest
            assert receive(client)["data"]["id"] == fresh
            assert nothing_comes(client, seconds=0.3)


def test_more_than_is_read_at_once_comes_whole(daphne: Daphne, cadet: Person) -> None:
    last = place(daphne, cadet)
    with transaction.atomic():
        services.publish_many(
            [(NotificationRemoved(id=number, unread=0), [f"user:{cadet.user.pk}"]) for number in range(1, 1301)]
        )
    with welcomed(daphne, cadet, last=last) as (client, _):
        assert [receive(client)["data"]["id"] for _ in range(1300)] == list(range(1, 1301))


def test_more_than_may_wait_for_a_client_comes_whole_to_one_that_reads(
    daphne: Daphne, cadet: Person, stranger: Person
) -> None:
    last = place(daphne, cadet)
    with opened(daphne, stranger) as other:
        with transaction.atomic():
            services.publish_many([(_long(number), [f"user:{cadet.user.pk}"]) for number in range(1, 201)])
        notify(stranger)
        assert receive(other)["type"] == "notification.created", "the service has read what lies before it"
    with welcomed(daphne, cadet, last=last) as (client, _):
        assert [receive(client)["data"]["id"] for _ in range(200)] == list(range(1, 201))
        notify(cadet)
        assert receive(client)["type"] == "notification.created"


def test_who_goes_away_in_the_middle_of_it_keeps_no_place(
    elsewhere: Callable[..., Any], cadet: Person, stranger: Person
) -> None:
    with elsewhere(SOCKETS_OF_AN_ACCOUNT="1") as daphne:
        last = place(daphne, cadet)
        with opened(daphne, stranger) as other:
            with transaction.atomic():
                services.publish_many([(_long(number), [f"user:{cadet.user.pk}"]) for number in range(1, 401)])
            notify(stranger)
            assert receive(other)["type"] == "notification.created"
        with welcomed(daphne, cadet, last=last, max_queue=1) as (client, _):
            client.socket.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + 5
        while refused_or_welcomed(daphne, cadet) != "connection.ready":
            assert time.monotonic() < deadline
        assert "took too long" not in daphne.output()


def refused_or_welcomed(daphne: Daphne, person: Person) -> str:
    with connect(daphne.url(token=person.access), proxy=None) as client:
        try:
            return str(receive(client)["type"])
        except ConnectionClosed as end:
            return code_of(end)[1]


def _long(number: int) -> NotificationCreated:
    return NotificationCreated(
        id=number, title="Formation", body="x" * 16_000, correlation_id=None, created_at=now(), unread=1
    )


def test_events_that_committed_out_of_the_order_of_their_ids_are_not_missed(daphne: Daphne, cadet: Person) -> None:
    """The earlier id commits after the later one was heard: a reader of ids would never come back to it."""
    slow = connection.copy()
    with connect(daphne.url(token=cadet.access), proxy=None) as client:
        receive(client)
        try:
            with slow.cursor() as cursor:
                cursor.execute("BEGIN")
                cursor.execute(
                    "INSERT INTO event (type, recipients, data) VALUES ('notification.removed', %s, %s)",
                    [[f"user:{cadet.user.pk}"], '{"id": 1, "unread": 0}'],
                )
                notify(cadet, "later")
                heard = receive(client)
                cursor.execute("COMMIT")
        finally:
            slow.close()
        assert receive(client)["data"]["id"] == 1
    with welcomed(daphne, cadet, last=heard["id"]) as (client, _):
        assert receive(client)["data"]["id"] == 1


@pytest.mark.parametrize(
    ("reason", "last"),
    [
        ("malformed", "7"),
        ("malformed", "x:y"),
        ("epoch_changed", f"{uuid.UUID(int=7)}:1"),
        ("unknown_position", "{epoch}:999999999"),
    ],
)
def test_who_brings_an_id_that_means_nothing_here_is_told_to_fetch_and_then_served(
    daphne: Daphne, cadet: Person, reason: str, last: str
) -> None:
    last = last.format(epoch=EventHead.objects.get().epoch)
    with welcomed(daphne, cadet, last=last) as (client, ready):
        assert ready["resumed"] is False
        told = receive(client)
        assert (told["type"], told["data"]) == ("resync_required", {"reason": reason})
        assert told["id"] == ready["position"]
        fresh = notify(cadet)
        assert receive(client)["data"]["id"] == fresh


def test_who_was_away_for_longer_than_events_are_kept_is_told_to_fetch(daphne: Daphne, cadet: Person) -> None:
    last = place(daphne, cadet)
    for _ in range(3):
        notify(cadet)
    services.sequence()
    kept = Event.objects.order_by("-position").first()
    assert kept is not None
    Event.objects.exclude(pk=kept.pk).update(at=now() - dt.timedelta(days=8))
    assert services.events_expire(before=now() - dt.timedelta(days=7)) > 0
    with welcomed(daphne, cadet, last=last) as (client, _):
        assert receive(client)["data"] == {"reason": "expired"}
    epoch = EventHead.objects.get().epoch
    with welcomed(daphne, cadet, last=f"{epoch}:{(kept.position or 0) - 1}") as (client, ready):
        assert ready["resumed"] is True
        assert receive(client)["type"] == "notification.created"


def test_an_empty_id_is_that_of_somebody_who_comes_for_the_first_time(daphne: Daphne, cadet: Person) -> None:
    with welcomed(daphne, cadet, last="") as (client, ready):
        assert ready["resumed"] is False
        client.send('{"type": "ping"}')
        assert receive(client)["type"] == "pong", "nothing to fetch again was told"
