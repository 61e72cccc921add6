"""Every close code with each of its reasons, over real sockets to a real daphne."""

import inspect
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from apps.accounts.tests import factories
from apps.accounts.tests.factories import Person
from apps.events.models import EventHead
from apps.events.services import head_ensure
from apps.messaging.tests import test_socket_chat, test_sockets
from apps.messaging.tests.daphne_process import Daphne, database_url, wire_to
from apps.messaging.tests.socket_clients import closed, is_served, notify, opened, receive, refused, tell, welcomed
from apps.realtime.rules import FRAMES_AT_ONCE, CloseCode

DOCUMENT = Path(settings.BASE_DIR).parent / "docs" / "WEBSOCKET_IMPLEMENTATION.md"


# --- 1012 and 1013 ----------------------------------------------------------------------------------------------------


def test_another_log_in_its_place_ends_the_socket_and_the_client_has_to_fetch(
    elsewhere: Callable[..., Any], cadet: Person
) -> None:
    """As after a restore: the same tables, another epoch."""
    with elsewhere() as daphne:
        with welcomed(daphne, cadet) as (client, ready):
            EventHead.objects.all().delete()
            head_ensure(using="default")
            assert closed(client) == (1012, "service_restart")
        with welcomed(daphne, cadet, last=ready["position"]) as (client, again):
            assert again["resumed"] is False
            assert receive(client)["data"] == {"reason": "epoch_changed"}


def test_who_comes_while_the_database_is_away_is_told_to_come_later(
    elsewhere: Callable[..., Any], cadet: Person, stranger: Person
) -> None:
    with wire_to(database_url()) as wire, elsewhere(DATABASE_URL=wire.through(database_url())) as daphne:
        with opened(daphne, cadet) as client:
            wire.cut()
            # The copy of the revocations may be fresh enough to let one in, whose rights cannot be asked for then.
            for path in ("/ws/notifications/", "/ws/updates/", "/ws/chat/1/"):
                assert refused(daphne.url(path, token=stranger.access)) == (1013, "unavailable")
            assert is_served(client), "who is connected already stays"
            wire.mend()
            daphne.await_output("The database is back")
        with opened(daphne, stranger) as client:
            assert is_served(client)


def test_a_client_that_does_not_read_finds_the_reason_when_it_does(daphne: Daphne, cadet: Person) -> None:
    # One frame is taken, the second waits in the library, and the socket is read no further.
    with opened(daphne, cadet, max_queue=1, compression=None) as client:
        for _ in range(330):
            notify(cadet, body="y" * 4000)
        daphne.await_output("bytes unread is dropped")
        assert closed(client) == (1013, "slow_reader")


# --- What a client does wrong -----------------------------------------------------------------------------------------


def test_a_client_that_says_nothing_is_closed_and_one_that_pings_is_not(
    elsewhere: Callable[..., Any], cadet: Person
) -> None:
    with (
        elsewhere(SOCKET_IDLE_SECONDS="2") as daphne,
        # The library's own pings are no word of the client: a phone whose page has died still answers those.
        opened(daphne, cadet, ping_interval=0.5) as silent,
        opened(daphne, cadet) as pinging,
        opened(daphne, cadet) as acknowledging,
    ):
        started = time.monotonic()
        while time.monotonic() - started < 4:
            assert is_served(pinging)
            tell(acknowledging, "ack", {"id": None})
            time.sleep(0.5)
        assert closed(silent, seconds=0.1) == (4408, "idle")
        assert is_served(acknowledging)
        assert closed(pinging) == (4408, "idle")


def _flooded(client: ClientConnection) -> int:
    """How many pings were answered before the end."""
    for number in range(3 * FRAMES_AT_ONCE):
        try:
            tell(client, "ping", number)
        except ConnectionClosed:
            break
    answered = 0
    while True:
        try:
            answered += json.loads(client.recv(timeout=10))["type"] == "pong"
        except ConnectionClosed:
            return answered


def test_a_client_that_sends_without_pause_is_closed_and_may_come_back(daphne: Daphne, cadet: Person) -> None:
    with opened(daphne, cadet) as client:
        assert FRAMES_AT_ONCE <= _flooded(client) < 3 * FRAMES_AT_ONCE
        assert closed(client) == (4429, "too_many_frames")
    with opened(daphne, cadet) as client:
        assert is_served(client)


def test_an_account_has_so_many_connections_in_a_process(
    elsewhere: Callable[..., Any], cadet: Person, stranger: Person
) -> None:
    other_session = factories.signed_in(cadet.user)
    with (
        elsewhere(SOCKETS_OF_AN_ACCOUNT="2") as daphne,
        opened(daphne, cadet),
        opened(daphne, other_session, "/ws/updates/") as second,
    ):
        assert refused(daphne.url(token=cadet.access)) == (4429, "too_many_sockets")
        with opened(daphne, stranger) as other:
            assert is_served(other)
        second.close()
        deadline = time.monotonic() + 5
        while not _is_welcomed(daphne, cadet):
            assert time.monotonic() < deadline, "a connection that was closed is still counted"


def _is_welcomed(daphne: Daphne, person: Person) -> bool:
    with connect(daphne.url(token=person.access), proxy=None) as client:
        try:
            return receive(client)["type"] == "connection.ready"
        except ConnectionClosed:
            return False


# --- The whole table --------------------------------------------------------------------------------------------------

_TOKEN = test_sockets.test_a_token_that_does_not_open_the_socket_closes_it_and_says_why
PROVOKED_BY: dict[tuple[int, str], Callable[..., None]] = {
    (1012, "service_restart"): test_another_log_in_its_place_ends_the_socket_and_the_client_has_to_fetch,
    (1013, "unavailable"): test_who_comes_while_the_database_is_away_is_told_to_come_later,
    (1013, "slow_reader"): test_a_client_that_does_not_read_finds_the_reason_when_it_does,
    (4400, "frame_malformed"): test_sockets.test_a_frame_that_is_not_understood_closes_the_socket,
    (4401, "token_missing"): _TOKEN,
    (4401, "token_malformed"): _TOKEN,
    (4401, "token_expired"): _TOKEN,
    (4401, "token_bad_signature"): _TOKEN,
    (4401, "token_wrong_type"): _TOKEN,
    (4401, "token_revoked"): test_sockets.test_a_session_that_has_ended_opens_no_socket,
    (4403, "origin_not_allowed"): test_sockets.test_a_page_of_another_origin_is_refused,
    (4403, "not_a_member"): test_socket_chat.test_who_is_not_in_a_room_is_refused,
    (4403, "archived"): test_socket_chat.test_a_company_that_is_archived_closes_its_room_for_everybody,
    (4404, "path_unknown"): test_sockets.test_an_unknown_path_is_refused,
    (4404, "room_unknown"): test_socket_chat.test_a_room_that_does_not_exist_is_unknown,
    (4408, "idle"): test_a_client_that_says_nothing_is_closed_and_one_that_pings_is_not,
    (4413, "frame_too_large"): test_sockets.test_a_larger_frame_closes_the_socket,
    (4429, "too_many_frames"): test_a_client_that_sends_without_pause_is_closed_and_may_come_back,
    (4429, "too_many_sockets"): test_an_account_has_so_many_connections_in_a_process,
}


def declared() -> set[tuple[int, str]]:
    """The rows of CloseCode's own table."""
    rows: set[tuple[int, str]] = set()
    code = 0
    for line in inspect.getdoc(CloseCode).splitlines():  # type: ignore[union-attr]
        if match := re.fullmatch(r"(\d{4}|    )    ([a-z_]+)(  .*|)", line):
            code = int(match[1]) if match[1].strip() else code
            rows.add((code, match[2]))
    return rows


def documented() -> set[tuple[int, str]]:
    rows = re.findall(r"^\| (\d{4}) \| ((?:`[a-z_]+`(?:, )?)+) \|", DOCUMENT.read_text(), re.MULTILINE)
    return {(int(code), reason) for code, reasons in rows for reason in re.findall(r"[a-z_]+", reasons)}


def test_every_code_has_its_reasons() -> None:
    assert {code for code, _ in declared()} == set(CloseCode)


def test_every_reason_is_provoked_over_a_real_socket() -> None:
    assert set(PROVOKED_BY) == declared()


@pytest.mark.parametrize(("code", "reason"), sorted(PROVOKED_BY))
def test_the_test_that_is_named_for_a_reason_asserts_it(code: int, reason: str) -> None:
    source = inspect.getsource(PROVOKED_BY[code, reason])
    assert f"({code}, " in source
    assert f'"{reason}"' in source


def test_the_document_for_clients_has_the_same_table() -> None:
    assert documented() == declared()
