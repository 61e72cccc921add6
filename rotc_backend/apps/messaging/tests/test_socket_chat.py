"""/ws/chat/{room_id}/ over real sockets to a real daphne."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import transaction
from websockets.sync.client import ClientConnection

from apps.accounts.models import AuditEntry
from apps.accounts.services import user_archive
from apps.accounts.tests.factories import Person
from apps.cadets.models import Enrollment
from apps.cadets.services.enrollments import enrollment_change
from apps.cadets.services.lists import company_archive, company_change
from apps.cadets.services.terms import term_make_current
from apps.cadets.tests import factories as cadets
from apps.events.models import Event
from apps.messaging import rules
from apps.messaging.models import Message, ReadMark, Room
from apps.messaging.services.messages import message_send
from apps.messaging.tests.daphne_process import Daphne
from apps.messaging.tests.factories import Unit, said
from apps.messaging.tests.socket_clients import (
    asked,
    closed,
    ended,
    error_words,
    is_served,
    nothing_comes,
    opened,
    receive,
    refused,
    tell,
    welcomed,
)


def path_of(room: Room) -> str:
    return f"/ws/chat/{room.pk}/"


def written(person: Person, room: Room, body: str = "Formation at 06:30", client_id: str = "m-1") -> int:
    """A message by way of the service, as REST sends it."""
    message, _ = message_send(actor=person.principal, room_id=room.pk, body=body, client_id=client_id)
    return message.pk


def sent(client: ClientConnection, body: str = "Formation at 06:30", client_id: str = "m-1") -> dict[str, Any]:
    """The message that a request to send it was answered with."""
    answer, _ = asked(client, "message.send", {"body": body, "client_id": client_id})
    message: dict[str, Any] = answer["result"]["message"]
    return message


def moved(unit: Unit, person: Person, **changes: Any) -> None:
    enrollment = Enrollment.objects.get(cadet__user=person.user, term=unit.term)
    enrollment_change(
        actor=unit.admin.principal, enrollment_id=enrollment.pk, expected_version=enrollment.version, changes=changes
    )


# --- The way in -------------------------------------------------------------------------------------------------------


def test_the_welcome_tells_of_the_room_and_how_far_one_has_read(daphne: Daphne, unit: Unit) -> None:
    room = unit.room(unit.alpha)
    first, second = said(room, unit.bea), said(room, unit.bea)
    ReadMark.objects.create(room=room, user=unit.liza.user, last_message=first, read_at=first.created_at)
    with welcomed(daphne, unit.liza, path_of(room)) as (_, ready):
        assert ready["room"] == {"id": room.pk, "kind": "company", "name": "Alpha"}
        assert (ready["unread"], ready["last_read_id"], ready["last_message_id"]) == (1, first.pk, second.pk)


def test_who_is_in_a_room_may_listen_to_it(daphne: Daphne, unit: Unit) -> None:
    direct = unit.direct(unit.liza, unit.bea)
    members = [
        (unit.room(unit.alpha), [unit.liza, unit.bea, unit.instructor, unit.admin]),
        (unit.room(), [unit.instructor, unit.admin]),
        (direct, [unit.liza, unit.bea]),
    ]
    for room, people in members:
        for person in people:
            with welcomed(daphne, person, path_of(room)) as (_, ready):
                assert ready["room"]["id"] == room.pk


def test_who_is_not_in_a_room_is_refused(daphne: Daphne, unit: Unit) -> None:
    company, staff, direct = unit.room(unit.alpha), unit.room(), unit.direct(unit.liza, unit.bea)
    for room, person in ((company, unit.omar), (company, unit.nadia), (staff, unit.liza), (direct, unit.admin)):
        assert refused(daphne.url(path_of(room), token=person.access)) == (4403, "not_a_member")
    # Whether two people write to each other is nobody else's business.
    for person in (unit.omar, unit.instructor):
        assert refused(daphne.url(path_of(direct), token=person.access)) == (4404, "room_unknown")


@pytest.mark.parametrize("room_id", [0, 999_999, 10**18 - 1])
def test_a_room_that_does_not_exist_is_unknown(daphne: Daphne, unit: Unit, room_id: int) -> None:
    assert refused(daphne.url(f"/ws/chat/{room_id}/", token=unit.admin.access)) == (4404, "room_unknown")


@pytest.mark.parametrize("path", ["/ws/chat/", "/ws/chat/x/", "/ws/chat/-1/", f"/ws/chat/{10**18}/", "/ws/chat/1/2/"])
def test_what_cannot_be_a_room_is_no_path(daphne: Daphne, unit: Unit, path: str) -> None:
    assert refused(daphne.url(path, token=unit.admin.access)) == (4404, "path_unknown")


def test_the_room_of_an_archived_company_is_closed_to_everybody(daphne: Daphne, unit: Unit) -> None:
    room = unit.room(unit.alpha)
    company_archive(actor=unit.admin.principal, company_id=unit.alpha.pk)
    for person in (unit.liza, unit.instructor, unit.admin):
        assert refused(daphne.url(path_of(room), token=person.access)) == (4403, "archived")


# --- Messages ---------------------------------------------------------------------------------------------------------


def test_a_message_is_answered_and_heard_once_by_everybody_in_the_room_and_by_nobody_else(
    daphne: Daphne, unit: Unit
) -> None:
    room, other, direct = unit.room(unit.alpha), unit.room(unit.bravo), unit.direct(unit.liza, unit.bea)
    with ExitStack() as stack:
        liza, bea, instructor = (
            stack.enter_context(opened(daphne, person, path_of(room)))
            for person in (unit.liza, unit.bea, unit.instructor)
        )
        outside = [
            stack.enter_context(opened(daphne, unit.omar, path_of(other))),
            stack.enter_context(opened(daphne, unit.liza, path_of(direct))),
            stack.enter_context(opened(daphne, unit.liza, "/ws/updates/")),
            stack.enter_context(opened(daphne, unit.liza, "/ws/notifications/")),
        ]
        tell(liza, "message.send", {"body": " Formation at 06:30 ", "client_id": "m-1"}, ref="r-1")
        frames = [receive(liza), receive(liza)]  # in either order: the answer does not wait for the log
        (answer,) = [frame for frame in frames if frame["type"] == "answer"]
        (event,) = [frame for frame in frames if frame["type"] == "message.created"]
        assert answer["data"]["ref"] == "r-1"
        assert answer["data"]["result"] == {"message": event["data"], "is_new": True}
        assert event["data"]["body"] == "Formation at 06:30"
        assert event["data"]["client_id"] == "m-1"
        assert event["data"]["author"] == {
            "id": unit.liza.user.pk,
            "username": "Liza",
            "name": unit.liza.user.get_full_name(),
            "role": "cadet",
        }
        for client in (bea, instructor):
            assert receive(client) == event
        assert nothing_comes(bea)
        for client in (liza, instructor, *outside):
            assert nothing_comes(client, seconds=0.05)


def test_the_same_message_sent_again_is_answered_and_not_heard_again(daphne: Daphne, unit: Unit) -> None:
    room = unit.room(unit.alpha)
    with opened(daphne, unit.liza, path_of(room)) as liza, opened(daphne, unit.bea, path_of(room)) as bea:
        first = sent(liza)
        assert receive(bea)["data"] == first
        again, _ = asked(liza, "message.send", {"body": "other words", "client_id": "m-1"})
        assert again["result"] == {"message": first, "is_new": False}
        assert nothing_comes(bea)
    assert Message.objects.count() == 1


def test_the_same_message_sent_again_over_a_new_socket_is_the_same_message(daphne: Daphne, unit: Unit) -> None:
    room = unit.room(unit.alpha)
    with opened(daphne, unit.liza, path_of(room)) as liza:
        tell(liza, "message.send", {"body": "In a tunnel", "client_id": "m-1"})  # whose answer is never read
    with opened(daphne, unit.liza, path_of(room)) as liza:
        assert sent(liza, "In a tunnel")["client_id"] == "m-1"
    assert Message.objects.count() == 1


def test_what_was_sent_over_rest_is_heard_over_the_socket(daphne: Daphne, unit: Unit) -> None:
    room = unit.room()
    with opened(daphne, unit.instructor, path_of(room)) as instructor:
        answer = unit.admin.client.post(
            f"/api/v1/rooms/{room.pk}/messages", {"body": "Inspection", "client_id": "m-1"}, format="json"
        )
        assert answer.status_code == 201
        assert receive(instructor)["data"]["id"] == answer.json()["id"]


def test_the_author_edits_and_removes_and_everybody_hears_of_it(daphne: Daphne, unit: Unit) -> None:
    room = unit.room(unit.alpha)
    with opened(daphne, unit.liza, path_of(room)) as liza, opened(daphne, unit.bea, path_of(room)) as bea:
        message = sent(liza)
        assert receive(bea)["type"] == "message.created"
        edited, _ = asked(liza, "message.edit", {"message_id": message["id"], "body": "At 07:00"})
        assert (edited["result"]["message"]["body"], edited["result"]["message"]["id"]) == ("At 07:00", message["id"])
        heard = receive(bea)
        assert (heard["type"], heard["data"]["id"], heard["data"]["body"]) == (
            "message.edited",
            message["id"],
            "At 07:00",
        )
        removed, _ = asked(liza, "message.delete", {"message_id": message["id"]})
        assert removed["result"] == {"message_id": message["id"]}
        heard = receive(bea)
        assert (heard["type"], heard["data"]["id"]) == ("message.deleted", message["id"])
        assert "body" not in heard["data"]
        # Again: the same, and nobody hears of it.
        assert asked(liza, "message.delete", {"message_id": message["id"]})[0]["result"] == removed["result"]
        assert error_words(liza, "message.edit", {"message_id": message["id"], "body": "x"})[0] == "message_deleted"
        assert nothing_comes(bea)


def test_anothers_message_is_not_edited_or_removed(daphne: Daphne, unit: Unit) -> None:
    room = unit.room(unit.alpha)
    message = said(room, unit.liza, "Mine")
    for person in (unit.bea, unit.instructor):
        with opened(daphne, person, path_of(room)) as client:
            assert (
                error_words(client, "message.edit", {"message_id": message.pk, "body": "Yours"})[0] == "not_the_author"
            )
            assert error_words(client, "message.delete", {"message_id": message.pk})[0] == "not_the_author"
    message.refresh_from_db()
    assert (message.body, message.deleted_at) == ("Mine", None)


def test_an_administrator_removes_anybodys_message_and_leaves_a_trace(daphne: Daphne, unit: Unit) -> None:
    room = unit.room(unit.alpha)
    message = said(room, unit.liza, "Rude words")
    with opened(daphne, unit.admin, path_of(room)) as admin, opened(daphne, unit.bea, path_of(room)) as bea:
        assert error_words(admin, "message.edit", {"message_id": message.pk, "body": "Kind"})[0] == "not_the_author"
        answer, _ = asked(admin, "message.delete", {"message_id": message.pk})
        assert answer["result"] == {"message_id": message.pk}
        assert receive(bea)["type"] == "message.deleted"
    assert AuditEntry.objects.filter(action="message.moderate", actor=unit.admin.user).count() == 1


@pytest.mark.parametrize("frame_type", ["message.edit", "message.delete"])
def test_a_message_of_another_room_is_not_found_here(daphne: Daphne, unit: Unit, frame_type: str) -> None:
    elsewhere = said(unit.direct(unit.liza, unit.bea), unit.liza, "In private")
    data = {"message_id": elsewhere.pk, **({"body": "x"} if frame_type == "message.edit" else {})}
    with opened(daphne, unit.liza, path_of(unit.room(unit.alpha))) as liza:
        assert error_words(liza, frame_type, data)[0] == "not_found"
        assert error_words(liza, "read", {"message_id": elsewhere.pk}) == (
            "validation_failed",
            {"message_id": "unknown_message"},
        )
    elsewhere.refresh_from_db()
    assert (elsewhere.body, elsewhere.deleted_at) == ("In private", None)


def test_who_writes_too_fast_is_told_how_long_to_wait_and_stays_connected(daphne: Daphne, unit: Unit) -> None:
    room = unit.room(unit.alpha)
    with opened(daphne, unit.liza, path_of(room)) as liza, opened(daphne, unit.bea, path_of(room)) as bea:
        for number in range(rules.MESSAGES_AT_ONCE):
            sent(liza, client_id=f"m-{number}")
        answer, _ = asked(liza, "message.send", {"body": "one more", "client_id": "m-20"})
        assert answer["code"] == "sending_too_fast"
        assert 1 <= answer["retry_after"] <= 10
        assert str(answer["retry_after"]) in answer["detail"]
        # A message that was sent is not sent again, and a colleague is not held up.
        again, _ = asked(liza, "message.send", {"body": "Formation at 06:30", "client_id": "m-0"})
        assert again["result"]["is_new"] is False
        assert sent(bea, client_id="m-bea")["client_id"] == "m-bea"
        assert is_served(liza)
    assert Message.objects.filter(author=unit.liza.user).count() == rules.MESSAGES_AT_ONCE


# --- Reading ----------------------------------------------------------------------------------------------------------


def test_who_reads_says_so_to_the_room_and_a_mark_never_moves_back(daphne: Daphne, unit: Unit) -> None:
    room = unit.room(unit.alpha)
    first, second = said(room, unit.bea), said(room, unit.bea)
    with opened(daphne, unit.liza, path_of(room)) as liza, opened(daphne, unit.bea, path_of(room)) as bea:
        answer, _ = asked(liza, "read", {"message_id": second.pk})
        assert answer["result"]["last_message_id"] == second.pk
        heard = receive(bea)
        assert heard["type"] == "message.read"
        assert heard["data"] == {
            "room_id": room.pk,
            "user_id": unit.liza.user.pk,
            "last_message_id": second.pk,
            "read_at": answer["result"]["read_at"],
        }
        back, _ = asked(liza, "read", {"message_id": first.pk})
        assert back["result"] == answer["result"]
        assert nothing_comes(bea)


def test_the_history_is_read_page_by_page_from_the_newest(daphne: Daphne, unit: Unit) -> None:
    room = unit.room(unit.alpha)
    ids = [said(room, unit.bea, str(number)).pk for number in range(5)]
    with opened(daphne, unit.liza, path_of(room)) as liza:
        page, _ = asked(liza, "history", {"limit": 2})
        assert [message["id"] for message in page["result"]["messages"]] == [ids[4], ids[3]]
        assert page["result"]["next_before"] == ids[3]
        page, _ = asked(liza, "history", {"limit": 2, "before": page["result"]["next_before"]})
        assert [message["body"] for message in page["result"]["messages"]] == ["2", "1"]
        page, _ = asked(liza, "history", {"before": ids[1]})
        assert [message["id"] for message in page["result"]["messages"]] == [ids[0]]
        assert page["result"]["next_before"] is None
        usual, _ = asked(liza, "history")
        assert len(usual["result"]["messages"]) == 5


def test_a_page_of_history_holds_a_hundred_messages_at_most(daphne: Daphne, unit: Unit) -> None:
    room = unit.room(unit.alpha)
    for number in range(rules.LARGEST_HISTORY + 1):
        said(room, unit.bea, str(number))
    with opened(daphne, unit.liza, path_of(room)) as liza:
        page, _ = asked(liza, "history", {"limit": 1000})
        assert len(page["result"]["messages"]) == rules.LARGEST_HISTORY


def test_pages_of_the_longest_messages_are_shorter_and_lead_through_all_of_them(daphne: Daphne, unit: Unit) -> None:
    """A hundred of them would be five megabytes, and the client dropped for leaving them unread."""
    room = unit.room(unit.alpha)
    ids = [said(room, unit.bea, "😀" * rules.LONGEST_MESSAGE).pk for _ in range(40)]
    found: list[int] = []
    before: dict[str, int] = {}
    with opened(daphne, unit.liza, path_of(room)) as liza:
        while True:
            page, _ = asked(liza, "history", {"limit": 100, **before})
            found += [message["id"] for message in page["result"]["messages"]]
            if page["result"]["next_before"] is None:
                break
            before = {"before": page["result"]["next_before"]}
    assert found == ids[::-1]


# --- Requests that are not understood ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame_type", "data", "errors"),
    [
        ("message.send", None, {"client_id": "required", "body": "required"}),
        ("message.send", [], {"client_id": "required", "body": "required"}),
        ("message.send", {"client_id": "m-1", "body": 7}, {"body": "invalid"}),
        ("message.send", {"client_id": "m-1", "body": " "}, {"body": "blank"}),
        ("message.send", {"client_id": "m-1", "body": "x" * 4001}, {"body": "max_length"}),
        ("message.send", {"client_id": "m-1", "body": "\ud83d"}, {"body": "invalid"}),
        ("message.send", {"client_id": "m-1", "body": "\x00"}, {"body": "invalid"}),
        ("message.send", {"client_id": "no spaces", "body": "x"}, {"client_id": "invalid"}),
        ("message.send", {"client_id": "m-1", "body": "x", "room_id": 1}, {"room_id": "unknown_field"}),
        ("message.edit", {"message_id": "1", "body": "x"}, {"message_id": "invalid"}),
        ("message.edit", {"message_id": True, "body": "x"}, {"message_id": "invalid"}),
        ("message.delete", {"message_id": 0}, {"message_id": "invalid"}),
        ("message.delete", {"message_id": 2**63}, {"message_id": "invalid"}),
        ("read", {}, {"message_id": "required"}),
        ("history", {"limit": -1}, {"limit": "invalid"}),
        ("history", {"before": 1.5}, {"before": "invalid"}),
        ("typing", {"until": "noon"}, {"until": "unknown_field"}),
    ],
)
def test_a_request_with_wrong_fields_is_answered_with_each_of_them(
    daphne: Daphne, unit: Unit, frame_type: str, data: Any, errors: dict[str, str]
) -> None:
    with opened(daphne, unit.liza, path_of(unit.room(unit.alpha))) as liza:
        assert error_words(liza, frame_type, data) == ("validation_failed", errors)
        assert is_served(liza)
    assert not Message.objects.exists()


def test_a_request_of_an_unknown_type_is_answered_and_the_socket_stays(daphne: Daphne, unit: Unit) -> None:
    with opened(daphne, unit.liza, path_of(unit.room(unit.alpha))) as liza:
        assert error_words(liza, "message.shout", {"body": "!"}) == ("type_unknown", {})
        assert is_served(liza)


# --- Typing -----------------------------------------------------------------------------------------------------------


def test_typing_is_heard_in_the_room_in_every_process_and_nowhere_else(
    daphne: Daphne, elsewhere: Callable[..., Any], unit: Unit
) -> None:
    room, other = unit.room(unit.alpha), unit.room(unit.bravo)
    with (
        elsewhere() as second,
        opened(daphne, unit.liza, path_of(room)) as liza,
        opened(daphne, unit.bea, path_of(room)) as bea,
        opened(second, unit.instructor, path_of(room)) as instructor,
        opened(second, unit.omar, path_of(other)) as omar,
        opened(daphne, unit.bea, "/ws/updates/") as updates,
    ):
        answer, _ = asked(liza, "typing")
        assert answer["result"] == {"told": True}
        for client in (bea, instructor):
            frame = receive(client)
            assert (frame["id"], frame["type"]) == (None, "typing")
            assert frame["data"] == {"room_id": room.pk, "user_id": unit.liza.user.pk, "username": "Liza"}
        assert nothing_comes(omar, seconds=0.3)
        assert nothing_comes(updates, seconds=0.05)


def test_typing_is_told_every_two_seconds_at_most(daphne: Daphne, unit: Unit) -> None:
    room = unit.room(unit.alpha)
    with opened(daphne, unit.liza, path_of(room)) as liza, opened(daphne, unit.bea, path_of(room)) as bea:
        assert asked(liza, "typing")[0]["result"] == {"told": True}
        for _ in range(5):
            assert asked(liza, "typing")[0]["result"] == {"told": False}
        assert receive(bea)["type"] == "typing"
        assert nothing_comes(bea, seconds=0.3)
        time.sleep(rules.TYPING_SECONDS)
        assert asked(liza, "typing")[0]["result"] == {"told": True}
        assert receive(bea)["type"] == "typing"


def test_typing_is_in_no_log_and_never_replayed(daphne: Daphne, unit: Unit) -> None:
    room = unit.room(unit.alpha)
    with welcomed(daphne, unit.bea, path_of(room)) as (_, ready):
        place = ready["position"]
    with opened(daphne, unit.liza, path_of(room)) as liza:
        assert asked(liza, "typing")[0]["result"] == {"told": True}
        sent(liza)
    assert not Event.objects.filter(type=rules.TYPING).exists()
    with welcomed(daphne, unit.bea, path_of(room), last=place) as (bea, _):
        assert receive(bea)["type"] == "message.created"
        assert nothing_comes(bea, seconds=0.3)


# --- Who may no longer listen -----------------------------------------------------------------------------------------


def test_who_is_moved_to_another_company_hears_nothing_that_is_said_afterwards(daphne: Daphne, unit: Unit) -> None:
    """The move and the message come in one reading of the log: they commit together."""
    room = unit.room(unit.alpha)
    with opened(daphne, unit.liza, path_of(room)) as liza, opened(daphne, unit.bea, path_of(room)) as bea:
        with transaction.atomic():
            written(unit.bea, room, "While Liza is here", "m-1")
            moved(unit, unit.liza, company_id=unit.bravo.pk)
            written(unit.bea, room, "Now that Liza is gone", "m-2")
        end, frames = ended(liza)
        assert end == (4403, "not_a_member")
        assert [frame["data"]["body"] for frame in frames] == ["While Liza is here"]
        assert [receive(bea)["data"]["client_id"] for _ in range(2)] == ["m-1", "m-2"]
    assert refused(daphne.url(path_of(room), token=unit.liza.access)) == (4403, "not_a_member")
    with opened(daphne, unit.liza, path_of(unit.room(unit.bravo))) as liza:
        assert is_served(liza)


def test_who_drops_out_of_the_term_is_closed_out(daphne: Daphne, unit: Unit) -> None:
    with opened(daphne, unit.liza, path_of(unit.room(unit.alpha))) as liza:
        moved(unit, unit.liza, status="dropped")
        assert closed(liza) == (4403, "not_a_member")


def test_when_another_term_begins_only_who_is_in_it_stays(daphne: Daphne, unit: Unit) -> None:
    room = unit.room(unit.alpha)
    coming = cadets.term(school_year="2027-2028", is_current=False)
    cadets.enroll(Enrollment.objects.get(cadet__user=unit.bea.user).cadet, term=coming, company=unit.alpha)
    with (
        opened(daphne, unit.liza, path_of(room)) as liza,
        opened(daphne, unit.bea, path_of(room)) as bea,
        opened(daphne, unit.instructor, path_of(room)) as instructor,
    ):
        term_make_current(actor=unit.admin.principal, term_id=coming.pk)
        assert closed(liza) == (4403, "not_a_member")
        assert is_served(bea)
        assert is_served(instructor)


def test_a_company_that_is_archived_closes_its_room_for_everybody(daphne: Daphne, unit: Unit) -> None:
    room, other = unit.room(unit.alpha), unit.room(unit.bravo)
    with ExitStack() as stack:
        inside = [
            stack.enter_context(opened(daphne, person, path_of(room)))
            for person in (unit.liza, unit.instructor, unit.admin)
        ]
        omar = stack.enter_context(opened(daphne, unit.omar, path_of(other)))
        company_archive(actor=unit.admin.principal, company_id=unit.alpha.pk)
        for client in inside:
            assert closed(client) == (4403, "archived")
        assert is_served(omar)


def test_a_company_that_is_renamed_keeps_its_listeners(daphne: Daphne, unit: Unit) -> None:
    room = unit.room(unit.alpha)
    with opened(daphne, unit.liza, path_of(room)) as liza:
        company_change(
            actor=unit.admin.principal,
            company_id=unit.alpha.pk,
            expected_version=unit.alpha.version,
            changes={"name": "Able"},
        )
        message_id = written(unit.bea, room)
        assert receive(liza)["data"]["id"] == message_id


def test_an_archived_account_is_closed_out_within_five_seconds_and_hears_nothing_more(
    daphne: Daphne, unit: Unit
) -> None:
    room = unit.room(unit.alpha)
    with opened(daphne, unit.liza, path_of(room)) as liza, opened(daphne, unit.bea, path_of(room)) as bea:
        started = time.monotonic()
        user_archive(actor=unit.admin.principal, user_id=unit.liza.user.pk)
        assert ended(liza) == ((4401, "token_revoked"), [])
        assert time.monotonic() - started < 5
        assert is_served(bea)


def test_signing_out_closes_the_chat_within_five_seconds(daphne: Daphne, unit: Unit) -> None:
    with opened(daphne, unit.liza, path_of(unit.room(unit.alpha))) as liza:
        started = time.monotonic()
        assert unit.liza.client.post("/api/v1/auth/logout").status_code == 204
        assert closed(liza) == (4401, "token_revoked")
        assert time.monotonic() - started < 5


# --- Coming back ------------------------------------------------------------------------------------------------------


def test_who_comes_back_to_a_room_hears_what_was_said_meanwhile_and_nothing_of_other_rooms(
    daphne: Daphne, unit: Unit
) -> None:
    room = unit.room(unit.alpha)
    with welcomed(daphne, unit.liza, path_of(room)) as (liza, ready):
        assert ready["resumed"] is False
        written(unit.bea, room, client_id="heard")
        heard = receive(liza)
    missed = [written(unit.bea, room, client_id=f"missed-{number}") for number in range(3)]
    written(unit.omar, unit.room(unit.bravo))
    with welcomed(daphne, unit.liza, path_of(room), last=heard["id"]) as (liza, ready):
        assert (ready["resumed"], ready["last_message_id"]) == (True, missed[-1])
        assert [receive(liza)["data"]["id"] for _ in missed] == missed
        fresh = written(unit.bea, room, client_id="fresh")
        assert receive(liza)["data"]["id"] == fresh
        assert nothing_comes(liza, seconds=0.3)


def test_who_was_moved_meanwhile_does_not_come_back(daphne: Daphne, unit: Unit) -> None:
    room = unit.room(unit.alpha)
    with welcomed(daphne, unit.liza, path_of(room)) as (_, ready):
        place = ready["position"]
    written(unit.bea, room)
    moved(unit, unit.liza, company_id=unit.bravo.pk)
    url = f"{daphne.url(path_of(room), token=unit.liza.access)}&last_event_id={place}"
    assert refused(url) == (4403, "not_a_member")
