"""Over real sockets to a real daphne."""

import dataclasses
import json
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.conf import settings
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from apps.accounts.services import session_end
from apps.accounts.tests import factories
from apps.accounts.tests.factories import Person
from apps.messaging.services import notification_create, notification_delete, notification_read
from apps.messaging.tests.daphne_process import Daphne, database_url, wire_to
from apps.messaging.tests.socket_clients import (
    altered,
    bearer,
    closed,
    nothing_comes,
    notify,
    opened,
    receive,
    refused,
)

ORIGIN = "https://front-end.example"


# --- Delivery -----------------------------------------------------------------------------------------------


def test_the_welcome_says_who_is_connected_and_what_is_unread(daphne: Daphne, cadet: Person) -> None:
    notify(cadet)
    with connect(daphne.url(token=cadet.access), proxy=None) as client:
        ready = receive(client)
    assert ready["type"] == "connection.ready"
    assert ready["id"] is None
    assert ready["data"]["user"] == {"id": cadet.user.pk, "username": "Liza", "role": "cadet"}
    assert ready["data"]["unread"] == 1
    assert ready["data"]["key_fingerprint"] == settings.KEY_FINGERPRINT
    epoch, _, position = ready["data"]["position"].rpartition(":")
    assert len(epoch) == 36
    assert int(position) >= 0


def test_a_notification_reaches_its_recipient_once_and_nobody_else(
    daphne: Daphne, admin: Person, cadet: Person, stranger: Person
) -> None:
    with opened(daphne, cadet) as own, opened(daphne, cadet) as second, opened(daphne, stranger) as other:
        answer = admin.client.post(
            "/api/v1/notifications",
            {"recipient": "liza", "title": "Formation", "body": "06:30", "correlation_id": "run-1"},
        )
        assert answer.status_code == 201
        for client in (own, second):
            frame = receive(client)
            assert frame["type"] == "notification.created"
            assert frame["data"] == {
                **{name: answer.json()[name] for name in ("id", "title", "body", "correlation_id", "created_at")},
                "unread": 1,
            }
        assert nothing_comes(own)
        assert nothing_comes(other, seconds=0.1)


def test_events_arrive_in_the_order_of_the_log_and_are_dense(daphne: Daphne, cadet: Person) -> None:
    with opened(daphne, cadet) as client:
        ids = [notify(cadet, str(number)) for number in range(30)]
        frames = [receive(client) for _ in ids]
    assert [frame["data"]["id"] for frame in frames] == ids
    assert [frame["data"]["unread"] for frame in frames] == list(range(1, 31))
    positions = [int(frame["id"].rpartition(":")[2]) for frame in frames]
    assert positions == list(range(positions[0], positions[0] + 30))


def test_reading_and_removing_are_told_with_the_new_count(daphne: Daphne, cadet: Person) -> None:
    first, second = notify(cadet), notify(cadet)
    with opened(daphne, cadet) as client:
        notification_read(actor=cadet.principal, notification_id=first)
        notification_delete(actor=cadet.principal, notification_id=second)
        read, removed = receive(client, kind="notification.read"), receive(client)
    assert (read["type"], read["data"]["id"], read["data"]["unread"]) == ("notification.read", first, 1)
    assert (removed["type"], removed["data"]) == ("notification.removed", {"id": second, "unread": 0})


def test_a_wake_up_brings_an_event_faster_than_the_second_between_two_readings(daphne: Daphne, cadet: Person) -> None:
    with opened(daphne, cadet) as client:
        lags = []
        for _ in range(10):
            started = time.monotonic()
            notify(cadet)
            receive(client)
            lags.append(time.monotonic() - started)
    assert sorted(lags)[5] < 0.4  # median; by the second alone it would be 0.5


def test_ping_is_answered_with_its_data(daphne: Daphne, cadet: Person) -> None:
    with opened(daphne, cadet) as client:
        client.send(json.dumps({"type": "ping", "data": {"n": 1, "text": "\ud83d\ude00"}}))
        frame = receive(client)
    assert (frame["type"], frame["id"], frame["data"]) == ("pong", None, {"n": 1, "text": "😀"})


def test_a_frame_of_an_unknown_type_is_answered_and_the_socket_stays(daphne: Daphne, cadet: Person) -> None:
    with opened(daphne, cadet) as client:
        client.send('{"type": "message.send"}')
        frame = receive(client)
        assert (frame["type"], frame["data"]["code"]) == ("error", "type_unknown")
        client.send('{"type": "ping"}')
        assert receive(client)["type"] == "pong"


# --- Who may come in ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "present"),
    [
        ("token_missing", lambda _: None),
        ("token_missing", lambda _: ""),
        ("token_malformed", lambda _: "undefined"),
        ("token_expired", lambda token: altered(token, exp=int(time.time()) - 5)),
        ("token_bad_signature", lambda token: token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")),
        ("token_wrong_type", lambda token: altered(token, token_type="refresh")),
    ],
)
def test_a_token_that_does_not_open_the_socket_closes_it_and_says_why(
    daphne: Daphne, cadet: Person, reason: str, present: Callable[[str], str | None]
) -> None:
    assert refused(daphne.url(token=present(cadet.access))) == (4401, reason)


def test_a_session_that_has_ended_opens_no_socket(daphne: Daphne, cadet: Person) -> None:
    session_end(actor=cadet.principal)
    time.sleep(2.1)  # the service's copy of the revocations is at most two seconds old
    assert refused(daphne.url(token=cadet.access)) == (4401, "token_revoked")


def test_the_token_may_come_as_a_subprotocol(daphne: Daphne, cadet: Person) -> None:
    with connect(daphne.url(), subprotocols=bearer(cadet.access), proxy=None) as client:
        assert client.subprotocol == "rgms.bearer"
        assert receive(client)["data"]["user"]["username"] == "Liza"


def test_a_wrong_token_in_the_subprotocol_is_refused_with_a_code(daphne: Daphne, cadet: Person) -> None:
    answer = refused(daphne.url(), subprotocols=bearer("undefined"))
    assert answer == (4401, "token_malformed")


def test_a_page_of_a_listed_origin_may_connect(daphne: Daphne, cadet: Person) -> None:
    with opened(daphne, cadet, origin=ORIGIN) as client:
        client.send('{"type": "ping"}')
        assert receive(client)["type"] == "pong"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{ORIGIN}.evil.example"])
def test_a_page_of_another_origin_is_refused(daphne: Daphne, cadet: Person, origin: str) -> None:
    assert refused(daphne.url(token=cadet.access), origin=origin) == (4403, "origin_not_allowed")


@pytest.mark.parametrize("path", ["/ws/unknown/", "/ws/notifications/more", "/"])
def test_an_unknown_path_is_refused(daphne: Daphne, cadet: Person, path: str) -> None:
    assert refused(daphne.url(path, token=cadet.access)) == (4404, "path_unknown")


# --- Frames -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        "not json",
        "[1]",
        '{"data": 1}',
        '{"type": 1}',
        '{"type": "ping", "data": NaN}',
        "[" * 60_000,
        b"\x00\x01",
    ],
    ids=["text", "list", "no type", "type is a number", "NaN", "deep", "binary"],
)
def test_a_frame_that_is_not_understood_closes_the_socket(daphne: Daphne, cadet: Person, frame: str | bytes) -> None:
    with opened(daphne, cadet) as client:
        client.send(frame)
        assert closed(client) == (4400, "frame_malformed")


def ping_of(size: int) -> str:
    frame = json.dumps({"type": "ping", "data": ""})
    return frame.replace('""', '"' + "x" * (size - len(frame)) + '"')


def test_a_frame_of_exactly_64_kib_is_answered(daphne: Daphne, cadet: Person) -> None:
    with opened(daphne, cadet) as client:
        client.send(ping_of(65_536))
        assert receive(client)["type"] == "pong"


@pytest.mark.parametrize("size", [65_537, 1_000_000, 3_000_000])
def test_a_larger_frame_closes_the_socket(daphne: Daphne, cadet: Person, size: int) -> None:
    with opened(daphne, cadet) as client:
        with suppress(ConnectionClosed):  # it may be closed before all of it has been sent
            client.send(ping_of(size))
        assert closed(client) == (4413, "frame_too_large")


def test_a_message_in_small_pieces_is_measured_as_a_whole(daphne: Daphne, cadet: Person) -> None:
    with opened(daphne, cadet) as client:
        client.send(ping_of(100_000)[start : start + 10_000] for start in range(0, 100_000, 10_000))
        assert closed(client) == (4413, "frame_too_large")


# --- The end of a socket ------------------------------------------------------------------------------------


def test_signing_out_ends_the_sockets_of_that_session_within_five_seconds(daphne: Daphne, cadet: Person) -> None:
    elsewhere = factories.signed_in(cadet.user)
    with opened(daphne, cadet) as ended, opened(daphne, elsewhere) as stays:
        started = time.monotonic()
        assert cadet.client.post("/api/v1/auth/logout").status_code == 204
        assert closed(ended) == (4401, "token_revoked")
        assert time.monotonic() - started < 5
        stays.send('{"type": "ping"}')
        assert receive(stays)["type"] == "pong"


def test_a_token_that_expires_ends_its_socket(daphne: Daphne, cadet: Person) -> None:
    brief = dataclasses.replace(cadet, access=altered(cadet.access, exp=int(time.time()) + 2))
    with opened(daphne, brief) as client:
        assert closed(client) == (4401, "token_expired")


def test_a_client_that_does_not_read_is_dropped_and_the_others_are_served(
    daphne: Daphne, cadet: Person, stranger: Person
) -> None:
    path = f"/ws/notifications/?token={cadet.access}"
    # Pings of the client's own are no sign that it reads.
    ping = struct.pack("!BBI", 0x81, 0x80 | 16, 0) + b'{"type": "ping"}'
    with socket.create_connection(("127.0.0.1", daphne.port)) as silent, opened(daphne, stranger) as other:
        silent.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert b"101" in silent.recv(64)
        for number in range(330):
            notification_create(actor_id=None, recipient_id=cadet.user.pk, title="x", body="y" * 4000)
            if number % 10 == 0:
                with suppress(ConnectionError):  # the drop that this test is about may come early
                    silent.sendall(ping)
        notify(stranger)
        assert receive(other)["type"] == "notification.created"
        daphne.await_output("bytes unread is dropped")


# --- What is away comes back --------------------------------------------------------------------------------


def test_without_redis_events_come_by_the_second_and_its_return_is_noticed(
    elsewhere: Callable[..., Any], cadet: Person
) -> None:
    with (
        wire_to(settings.REDIS_URL) as wire,
        elsewhere(REDIS_URL=wire.through(settings.REDIS_URL)) as daphne,
        opened(daphne, cadet) as client,
    ):
        notify(cadet)
        receive(client)
        wire.cut()
        for _ in range(3):
            started = time.monotonic()
            expected = notify(cadet)
            assert receive(client)["data"]["id"] == expected
            assert time.monotonic() - started < 2
        with opened(daphne, cadet) as late:  # no socket needs Redis to be opened
            late.send('{"type": "ping"}')
            assert receive(late)["type"] == "pong"
        wire.mend()
        deadline = time.monotonic() + 15
        fastest = 1.0
        while fastest > 0.2 and time.monotonic() < deadline:
            started = time.monotonic()
            notify(cadet)
            receive(client)
            fastest = min(fastest, time.monotonic() - started)
            time.sleep(0.3)
        assert fastest <= 0.2, "nobody is woken although Redis is back"
        assert "Traceback" not in daphne.output()
        assert daphne.output().count("Redis is away") == 1


def test_a_hub_that_starts_without_redis_subscribes_when_it_comes(elsewhere: Callable[..., Any], cadet: Person) -> None:
    with wire_to(settings.REDIS_URL) as wire:
        wire.cut()
        with elsewhere(REDIS_URL=wire.through(settings.REDIS_URL)) as daphne, opened(daphne, cadet) as client:
            notify(cadet)
            assert receive(client, seconds=2)["type"] == "notification.created"
            wire.mend()
            daphne.await_output("Redis, which wakes the sockets, is back")


@pytest.mark.parametrize("how", ["cut", "frozen"])
def test_what_is_written_while_the_hub_has_no_database_is_delivered_afterwards(
    elsewhere: Callable[..., Any], cadet: Person, how: str
) -> None:
    with (
        wire_to(database_url()) as wire,
        elsewhere(DATABASE_URL=wire.through(database_url())) as daphne,
        opened(daphne, cadet) as client,
    ):
        if how == "cut":
            wire.cut()
        else:
            wire.is_frozen = True
        ids = [notify(cadet) for _ in range(5)]
        assert nothing_comes(client, seconds=6.5)  # longer than the hub's patience
        client.send('{"type": "ping"}')
        assert receive(client)["type"] == "pong"  # the event loop does not wait for the database
        wire.mend()
        wire.is_frozen = False
        assert [receive(client)["data"]["id"] for _ in ids] == ids
        assert nothing_comes(client)
        assert daphne.output().count("The database is away") == 1
        assert "The database is back" in daphne.output()


def test_at_sigterm_every_socket_is_told_to_connect_elsewhere(
    elsewhere: Callable[..., Any], cadet: Person, stranger: Person
) -> None:
    with elsewhere() as daphne, opened(daphne, cadet) as first, opened(daphne, stranger) as second:
        started = time.monotonic()
        status = daphne.stop()
        assert closed(first) == (1012, "service_restart")
        assert closed(second) == (1012, "service_restart")
        assert status == 0
        assert time.monotonic() - started < 4


def test_at_sigterm_with_a_frozen_database_the_process_still_ends(elsewhere: Callable[..., Any], cadet: Person) -> None:
    with (
        wire_to(database_url()) as wire,
        elsewhere(DATABASE_URL=wire.through(database_url())) as daphne,
        opened(daphne, cadet) as client,
    ):
        wire.is_frozen = True
        time.sleep(2)
        assert daphne.stop() == 0
        assert closed(client) == (1012, "service_restart")


# --- Secrets ------------------------------------------------------------------------------------------------


def test_no_token_is_ever_logged(elsewhere: Callable[..., Any], cadet: Person) -> None:
    with elsewhere() as daphne:
        with opened(daphne, cadet):
            pass
        for token in (cadet.access, "undefined-canary", altered(cadet.access, exp=1)):
            refused(daphne.url("/ws/unknown/", token=token))
            with (
                connect(daphne.url(token=token), proxy=None),
                connect(daphne.url(), subprotocols=bearer(token), proxy=None),
            ):
                pass
        daphne.stop()
        output = daphne.output()
    assert "/ws/notifications/" in output  # the access log is on
    for secret in (cadet.access, cadet.access.rpartition(".")[2], "undefined-canary"):
        assert secret not in output
