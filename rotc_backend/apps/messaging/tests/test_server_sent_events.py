"""GET /api/v1/events over real HTTP to a real daphne."""

import dataclasses
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.db import transaction

from apps.accounts.services import session_end
from apps.accounts.tests.factories import Person
from apps.events import services
from apps.events.models import EventHead
from apps.messaging.events import NotificationCreated
from apps.messaging.services.announcements import announcement_create
from apps.messaging.services.messages import message_send
from apps.messaging.tests.daphne_process import Daphne, database_url, wire_to
from apps.messaging.tests.factories import Unit
from apps.messaging.tests.socket_clients import altered, is_served, notify, opened, receive
from core.clock import now

ORIGIN = "https://front-end.example"


@dataclass
class Source:
    """What an EventSource of a browser does with the lines."""

    response: httpx.Response
    retry: int | None = None
    last_event_id: str = ""
    lines: list[str] = field(default_factory=list)
    _rest: Iterator[str] | None = None

    def next(self, kind: str | None = None) -> dict[str, Any]:
        """The content of the next event but heartbeats, or of the next of a kind."""
        if self._rest is None:
            self._rest = _lines(self.response)
        name, data = "", ""
        for line in self._rest:
            self.lines.append(line)
            key, _, value = line.partition(": ")
            if key == "retry":
                self.retry = int(value)
            elif key == "id":
                self.last_event_id = value
            elif key == "event":
                name = value
            elif key == "data":
                data = value
            elif line == "" and data:
                frame: dict[str, Any] = json.loads(data)
                assert frame["type"] == name
                if kind == name or (kind is None and name != "heartbeat"):
                    return frame
                name, data = "", ""
        raise EOFError

    def is_silent(self) -> bool:
        """Whether nothing but signs of life comes until the time-out of the connection."""
        try:
            self.next()
        except httpx.ReadTimeout:
            return True
        return False

    def rest(self) -> list[dict[str, Any]]:
        """What still comes until the answer is complete."""
        frames = []
        while True:
            try:
                frames.append(self.next())
            except EOFError:
                return frames


def _lines(response: httpx.Response) -> Iterator[str]:
    """Not iter_lines, which also breaks where JSON holds one of Unicode's other line separators."""
    text = ""
    for part in response.iter_text():
        *lines, text = (text + part).split("\n")
        yield from lines


def address(daphne: Daphne, query: str = "") -> str:
    return f"http://127.0.0.1:{daphne.port}/api/v1/events{query}"


@contextmanager
def listening(
    daphne: Daphne, person: Person, query: str = "", *, timeout: float = 10.0, **headers: str
) -> Iterator[Source]:
    given = {"Authorization": f"Bearer {person.access}", **{k.replace("_", "-"): v for k, v in headers.items()}}
    with (
        httpx.Client(trust_env=False, timeout=timeout) as client,
        client.stream("GET", address(daphne, query), headers=given) as response,
    ):
        if response.status_code != 200:
            response.read()
        assert response.status_code == 200, response.text
        yield Source(response)


@contextmanager
def welcomed(
    daphne: Daphne, person: Person, query: str = "", **options: Any
) -> Iterator[tuple[Source, dict[str, Any]]]:
    with listening(daphne, person, query, **options) as source:
        ready = source.next()
        assert ready["type"] == "connection.ready"
        yield source, ready["data"]


def answer_of(daphne: Daphne, query: str = "", *, method: str = "GET", **headers: str) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    with httpx.Client(trust_env=False, timeout=10) as client:
        return client.request(method, address(daphne, query), headers=given)


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["instance"] == "/api/v1/events"
    assert document["request_id"] == answer.headers["x-request-id"]
    return document["status"], document["code"]


def long_ones(person: Person, *, count: int, size: int = 16_000) -> None:
    """So many notifications told, together more than may wait for a client."""
    told = [
        NotificationCreated(id=number, title="x", body="y" * size, correlation_id=None, created_at=now(), unread=1)
        for number in range(1, count + 1)
    ]
    with transaction.atomic():
        services.publish_many([(event, [f"user:{person.user.pk}"]) for event in told])


# --- What comes -------------------------------------------------------------------------------------------------------


def test_an_event_comes_with_its_id_its_name_and_one_line_of_json(daphne: Daphne, cadet: Person) -> None:
    notify(cadet)
    with listening(daphne, cadet) as source:
        head = source.response.headers
        assert head["content-type"] == "text/event-stream"
        assert (head["cache-control"], head["x-accel-buffering"], head["vary"]) == ("no-store", "no", "Origin")
        assert len(head["x-request-id"]) == 32
        ready = source.next()
        assert ready["data"]["user"]["username"] == "Liza"
        assert ready["data"]["streams"] == {"notifications": {"unread": 1}, "updates": {}}
        assert source.retry == 2000
        assert source.last_event_id == "", "the welcome has no place in the log"
        del source.lines[:]
        body = "line one\nline two\r\n\u2028😀"
        expected = notify(cadet, body=body)
        frame = source.next("notification.created")
        if frame["data"]["id"] != expected:  # what was written before the welcome may still follow it
            del source.lines[:]
            frame = source.next("notification.created")
        assert frame["data"]["body"] == body
        assert source.lines[0] == f"id: {frame['id']}"
        assert source.lines[1] == "event: notification.created"
        assert source.last_event_id == frame["id"]


def test_without_a_word_the_notifications_and_the_updates_come(daphne: Daphne, unit: Unit) -> None:
    with welcomed(daphne, unit.liza, timeout=1.6) as (source, _):
        notify(unit.liza)
        notify(unit.omar)
        announcement_create(
            actor=unit.admin.principal, kind="announcement", title="Parade", text="At noon", date=now().date()
        )
        assert {source.next()["type"], source.next()["type"]} == {"notification.created", "announcement.published"}
        assert source.is_silent()


def test_only_the_streams_that_are_asked_for_come(daphne: Daphne, unit: Unit) -> None:
    room, other = unit.room(unit.alpha), unit.room(unit.bravo)
    with welcomed(daphne, unit.liza, f"?streams=chat:{room.pk},notifications", timeout=1.6) as (source, ready):
        assert list(ready["streams"]) == [f"chat:{room.pk}", "notifications"]
        assert ready["streams"][f"chat:{room.pk}"]["room"]["name"] == "Alpha"
        assert ready["streams"]["notifications"] == {"unread": 0}
        announcement_create(
            actor=unit.admin.principal, kind="announcement", title="Parade", text="At noon", date=now().date()
        )
        message_send(actor=unit.omar.principal, room_id=other.pk, body="Bravo only", client_id="m-1")
        message_send(actor=unit.bea.principal, room_id=room.pk, body="Alpha", client_id="m-1")
        assert source.next()["data"]["body"] == "Alpha"
        notify(unit.liza)
        assert source.next()["type"] == "notification.created"
        assert source.is_silent()


def test_the_path_with_a_slash_is_the_same(daphne: Daphne, cadet: Person) -> None:
    url = address(daphne).replace("/events", "/events/")
    with (
        httpx.Client(trust_env=False, timeout=10) as client,
        client.stream("GET", url, headers={"Authorization": f"Bearer {cadet.access}"}) as response,
    ):
        assert Source(response).next()["type"] == "connection.ready"


@pytest.mark.parametrize("how", ["header", "query"])
def test_who_comes_back_hears_what_was_missed(daphne: Daphne, cadet: Person, how: str) -> None:
    with welcomed(daphne, cadet) as (_, ready):
        last = ready["position"]
    missed = [notify(cadet, str(number)) for number in range(3)]
    query, headers = (f"?last_event_id={last}", {}) if how == "query" else ("", {"Last_Event_ID": last})
    with welcomed(daphne, cadet, query, timeout=1.6, **headers) as (source, ready):
        assert (ready["resumed"], ready["position"]) == (True, last)
        assert [source.next()["data"]["id"] for _ in missed] == missed
        assert source.is_silent()


def test_the_header_counts_more_than_the_address_where_it_all_began(daphne: Daphne, cadet: Person) -> None:
    with welcomed(daphne, cadet) as (source, ready):
        first = ready["position"]
        notify(cadet)
        source.next()
        last = source.last_event_id
    missed = notify(cadet)
    with welcomed(daphne, cadet, f"?last_event_id={first}", Last_Event_ID=last) as (source, ready):
        assert ready["position"] == last
        assert source.next()["data"]["id"] == missed


def test_who_brings_an_id_of_another_log_is_told_to_fetch(daphne: Daphne, cadet: Person) -> None:
    with welcomed(daphne, cadet, Last_Event_ID="00000000-0000-0000-0000-000000000007:1") as (source, ready):
        assert ready["resumed"] is False
        told = source.next()
        assert (told["type"], told["data"]) == ("resync_required", {"reason": "epoch_changed"})
        assert source.last_event_id == told["id"] == ready["position"]


def test_more_than_may_wait_for_a_client_comes_whole_to_one_that_reads(
    daphne: Daphne, cadet: Person, stranger: Person
) -> None:
    with welcomed(daphne, cadet) as (_, ready):
        last = ready["position"]
    with opened(daphne, stranger) as other:
        long_ones(cadet, count=200)
        notify(stranger)
        assert receive(other)["type"] == "notification.created", "the service has read what lies before it"
    with welcomed(daphne, cadet, f"?last_event_id={last}") as (source, _):
        assert [source.next()["data"]["id"] for _ in range(200)] == list(range(1, 201))


# --- What is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("streams", "code"),
    [
        ("weather", "invalid_choice"),
        ("notifications,", "invalid_choice"),
        ("chat", "invalid_choice"),
        ("chat:", "invalid_choice"),
        ("chat:x", "invalid_choice"),
        ("chat:-1", "invalid_choice"),
        ("chat:" + "9" * 19, "invalid_choice"),
        ("chat:%D9%A7", "invalid_choice"),  # a digit, and no ASCII one
        ("notifications:7", "invalid_choice"),
        ("NOTIFICATIONS", "invalid_choice"),
        (",".join(f"chat:{number}" for number in range(1, 22)), "too_many"),
    ],
)
def test_streams_that_there_are_not_are_a_problem_with_the_field(
    daphne: Daphne, cadet: Person, streams: str, code: str
) -> None:
    answer = answer_of(daphne, f"?streams={streams}", Authorization=f"Bearer {cadet.access}")
    assert problem_of(answer) == (400, "validation_failed")
    (error,) = answer.json()["errors"]
    assert (error["field"], error["code"]) == ("streams", code)


def test_a_room_that_one_is_not_in_is_refused_and_one_that_there_is_not_unknown(daphne: Daphne, unit: Unit) -> None:
    bearer = f"Bearer {unit.omar.access}"
    foreign = answer_of(daphne, f"?streams=chat:{unit.room(unit.alpha).pk}", Authorization=bearer)
    assert problem_of(foreign) == (403, "not_a_member")
    unknown = answer_of(daphne, "?streams=notifications,chat:999999", Authorization=bearer)
    assert problem_of(unknown) == (404, "room_unknown")


@pytest.mark.parametrize("how", ["header", "query"])
@pytest.mark.parametrize(
    ("reason", "present"),
    [
        ("token_missing", lambda _: ""),
        ("token_malformed", lambda _: "undefined"),
        ("token_expired", lambda token: altered(token, exp=int(time.time()) - 5)),
        ("token_bad_signature", lambda token: token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")),
        ("token_wrong_type", lambda token: altered(token, token_type="refresh")),
    ],
)
def test_a_token_that_opens_nothing_is_refused_with_its_reason(
    daphne: Daphne, cadet: Person, reason: str, present: Callable[[str], str], how: str
) -> None:
    token = present(cadet.access)
    if how == "header":
        answer = answer_of(daphne, **({"Authorization": f"Bearer {token}"} if token else {}))
    else:
        answer = answer_of(daphne, f"?token={token}")
    assert problem_of(answer) == (401, reason)
    assert answer.headers["www-authenticate"].startswith('Bearer realm="rgms"')


def test_a_session_that_has_ended_opens_no_stream(daphne: Daphne, cadet: Person) -> None:
    session_end(actor=cadet.principal)
    time.sleep(2.1)  # the service's copy of the revocations is at most two seconds old
    assert problem_of(answer_of(daphne, Authorization=f"Bearer {cadet.access}")) == (401, "token_revoked")


def test_another_scheme_than_bearer_is_malformed(daphne: Daphne, cadet: Person) -> None:
    answer = answer_of(daphne, f"?token={cadet.access}", Authorization="Basic TGl6YTp4")
    assert problem_of(answer) == (401, "token_malformed")


def test_a_page_of_another_origin_is_refused_and_told_nothing(daphne: Daphne, cadet: Person) -> None:
    answer = answer_of(daphne, Authorization=f"Bearer {cadet.access}", Origin="https://evil.example")
    assert problem_of(answer) == (403, "origin_not_allowed")
    assert "access-control-allow-origin" not in answer.headers
    answer = answer_of(daphne, method="OPTIONS", Origin="https://evil.example")
    assert problem_of(answer) == (403, "origin_not_allowed")


def test_a_page_of_a_listed_origin_may_read_events_and_refusals(daphne: Daphne, cadet: Person) -> None:
    with listening(daphne, cadet, Origin=ORIGIN) as source:
        assert source.response.headers["access-control-allow-origin"] == ORIGIN
        assert source.response.headers["access-control-expose-headers"] == "x-request-id"
        assert source.next()["type"] == "connection.ready"
    refusal = answer_of(daphne, Origin=ORIGIN)
    assert problem_of(refusal) == (401, "token_missing")
    assert refusal.headers["access-control-allow-origin"] == ORIGIN


def test_a_browser_asks_before_it_sends_the_header(daphne: Daphne, cadet: Person) -> None:
    answer = answer_of(
        daphne,
        method="OPTIONS",
        Origin=ORIGIN,
        Access_Control_Request_Method="GET",
        Access_Control_Request_Headers="authorization",
    )
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-methods"] == "GET"
    assert answer.headers["access-control-allow-headers"] == "authorization, last-event-id"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_the_address_is_only_read(daphne: Daphne, cadet: Person, method: str) -> None:
    answer = answer_of(daphne, method=method, Authorization=f"Bearer {cadet.access}")
    assert problem_of(answer) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, OPTIONS"


def test_sockets_and_streams_of_an_account_are_counted_together(elsewhere: Callable[..., Any], cadet: Person) -> None:
    with elsewhere(SOCKETS_OF_AN_ACCOUNT="2") as daphne:
        with welcomed(daphne, cadet), opened(daphne, cadet):
            answer = answer_of(daphne, Authorization=f"Bearer {cadet.access}")
            assert problem_of(answer) == (429, "too_many_sockets")
            assert int(answer.headers["retry-after"]) > 0
        deadline = time.monotonic() + 5
        while answer_of_stream(daphne, cadet) != 200:  # those that were closed are counted no more
            assert time.monotonic() < deadline


def answer_of_stream(daphne: Daphne, person: Person) -> int:
    with (
        httpx.Client(trust_env=False, timeout=10) as client,
        client.stream("GET", address(daphne), headers={"Authorization": f"Bearer {person.access}"}) as response,
    ):
        return response.status_code


def test_without_the_database_the_stream_is_unavailable(elsewhere: Callable[..., Any], cadet: Person) -> None:
    with wire_to(database_url()) as wire, elsewhere(DATABASE_URL=wire.through(database_url())) as daphne:
        with welcomed(daphne, cadet):
            pass
        wire.cut()
        answer = answer_of(daphne, Authorization=f"Bearer {cadet.access}")
        assert problem_of(answer) == (503, "unavailable")


# --- The end ----------------------------------------------------------------------------------------------------------


def test_a_stream_stays_open_for_longer_than_an_answer_may_take(elsewhere: Callable[..., Any], cadet: Person) -> None:
    with elsewhere(options=("--http-timeout", "2")) as daphne, welcomed(daphne, cadet) as (source, _):
        time.sleep(4.5)  # daphne looks every two seconds
        expected = notify(cadet)
        assert source.next()["data"]["id"] == expected
        assert "timed out" not in daphne.output()


def end_of(source: Source) -> dict[str, Any]:
    """What the last event says, before an answer that ends as HTTP wants it."""
    *_, last = source.rest()
    assert (last["id"], last["type"]) == (None, "connection.closed")
    data: dict[str, Any] = last["data"]
    return data


def test_a_token_that_expires_ends_its_stream(daphne: Daphne, cadet: Person) -> None:
    brief = dataclasses.replace(cadet, access=altered(cadet.access, exp=int(time.time()) + 2))
    with welcomed(daphne, brief) as (source, _):
        assert end_of(source) == {"code": 4401, "reason": "token_expired"}


def test_signing_out_ends_the_stream_within_five_seconds(daphne: Daphne, cadet: Person) -> None:
    with welcomed(daphne, cadet) as (source, _):
        started = time.monotonic()
        session_end(actor=cadet.principal)
        assert end_of(source) == {"code": 4401, "reason": "token_revoked"}
        assert time.monotonic() - started < 5


def test_at_sigterm_the_stream_says_where_to_go_on_and_ends(elsewhere: Callable[..., Any], cadet: Person) -> None:
    with elsewhere() as daphne, welcomed(daphne, cadet) as (source, _), opened(daphne, cadet):
        started = time.monotonic()
        assert daphne.stop() == 0
        assert end_of(source) == {"code": 1012, "reason": "service_restart"}
        assert time.monotonic() - started < 5


# --- Who does not read ------------------------------------------------------------------------------------------------


def memory_of(daphne: Daphne) -> int:
    """Its resident memory in bytes."""
    pages = Path(f"/proc/{daphne.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096


def test_a_client_that_does_not_read_is_dropped_and_costs_no_memory(
    elsewhere: Callable[..., Any], cadet: Person, stranger: Person
) -> None:
    with elsewhere() as daphne, socket.socket() as silent, opened(daphne, stranger) as other:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        silent.connect(("127.0.0.1", daphne.port))
        silent.sendall(
            f"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {cadet.access}\r\n\r\n".encode()
        )
        assert b"200" in silent.recv(64)
        long_ones(cadet, count=100, size=1000)
        position = EventHead.objects.get().position
        before = memory_of(daphne)
        for _ in range(10):
            long_ones(cadet, count=200)  # 3 MB each time
        notify(stranger)
        assert receive(other)["type"] == "notification.created"
        daphne.await_output("bytes unread is dropped")
        assert EventHead.objects.get().position - position >= 2000
        assert memory_of(daphne) - before < 24_000_000, "32 MB were written, of which a reading holds at most 8"
        assert is_served(other)


# --- Secrets ----------------------------------------------------------------------------------------------------------


def test_no_token_is_ever_logged_also_with_the_access_log(
    elsewhere: Callable[..., Any], cadet: Person, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    for options in ((), ("--access-log", str(log))):
        with elsewhere(options=options) as daphne:
            with (
                httpx.Client(trust_env=False, timeout=10) as client,
                client.stream("GET", address(daphne, f"?token={cadet.access}")) as response,
            ):
                assert Source(response).next()["type"] == "connection.ready"
            for token in ("undefined-canary", altered(cadet.access, exp=1)):
                answer_of(daphne, f"?token={token}")
                answer_of(daphne, f"?streams=weather&token={token}", Authorization=f"Bearer {token}")
                answer_of(daphne, f"?token={token}", method="POST")
            daphne.stop()
            output = daphne.output() + (log.read_text() if log.exists() else "")
        assert "/api/v1/events" in output
        for secret in (cadet.access, cadet.access.rpartition(".")[2], "undefined-canary", "token=", settings.TOKEN_KEY):
            assert secret not in output
