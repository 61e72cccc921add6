"""What is said in a room: sent once, at a bounded rate, changed by its author, removed without a hole."""

import datetime as dt
import json
import threading
import time
from functools import partial
from typing import Any

import pytest
from django.db import transaction

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets.models import Company
from apps.events.models import Event
from apps.messaging.models import Message, Room
from apps.messaging.services.messages import message_send
from apps.messaging.tests.factories import Unit, at_once, fields_of, problem_of, queries_of, said, unit_create
from core.clock import now
from core.errors import PermissionRefused, TooManyRequests

GIVEN = {"body": "The drill begins at 06:30.", "client_id": "c0ffee-1"}


def path_of(room: Room) -> str:
    return f"/api/v1/rooms/{room.pk}/messages"


@pytest.fixture
def alpha(unit: Unit) -> Room:
    room = unit.room(unit.alpha)
    Event.objects.all().delete()
    AuditEntry.objects.all().delete()
    return room


# --- Send -------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_message_is_sent_told_to_the_room_and_recorded_without_its_words(unit: Unit, alpha: Room) -> None:
    answer = unit.liza.client.post(path_of(alpha), {**GIVEN, "body": f"  {GIVEN['body']}\n"})
    assert answer.status_code == 201
    message = Message.objects.get()
    body = answer.json()
    assert body == {
        "id": message.pk,
        "room_id": alpha.pk,
        "author": {"id": unit.liza.user.pk, "username": "Liza", "name": "Liza", "role": "cadet"},
        **GIVEN,
        "created_at": body["created_at"],
        "edited_at": None,
        "deleted_at": None,
    }
    assert unit.bea.client.get(answer["Location"]).json() == body
    event = Event.objects.get()
    assert (event.type, event.recipients, event.data) == ("message.created", [f"room:{alpha.pk}"], body)
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.target) == (unit.liza.user, "message.send", f"message:{message.pk}")
    assert GIVEN["body"] not in str(entry.after)


@pytest.mark.django_db
def test_the_same_client_id_again_is_the_same_message_and_is_not_told_again(unit: Unit, alpha: Room) -> None:
    first = unit.liza.client.post(path_of(alpha), GIVEN)
    again = unit.liza.client.post(path_of(alpha), {**GIVEN, "body": "Something else"})
    assert (again.status_code, again.json()) == (200, first.json())
    assert "Location" not in again
    assert (Message.objects.count(), Event.objects.count(), AuditEntry.objects.count()) == (1, 1, 1)


@pytest.mark.django_db
def test_a_client_id_belongs_to_one_author_in_one_room(unit: Unit, alpha: Room) -> None:
    assert unit.instructor.client.post(path_of(alpha), GIVEN).status_code == 201
    assert unit.instructor.client.post(path_of(unit.room(unit.bravo)), GIVEN).status_code == 201
    assert unit.liza.client.post(path_of(alpha), GIVEN).status_code == 201


@pytest.mark.django_db
def test_a_message_removed_meanwhile_stays_removed_when_it_is_sent_again(unit: Unit, alpha: Room) -> None:
    sent = unit.liza.client.post(path_of(alpha), GIVEN).json()
    unit.liza.client.delete(f"/api/v1/messages/{sent['id']}")
    again = unit.liza.client.post(path_of(alpha), GIVEN)
    assert (again.status_code, again.json()["body"]) == (200, "")
    assert again.json()["deleted_at"] is not None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"body": ""}, {"body": "blank"}),
        ({"body": " \n\t "}, {"body": "blank"}),
        ({"body": None}, {"body": "null"}),
        ({"body": ["x"]}, {"body": "invalid"}),
        ({"body": "x" * 4001}, {"body": "max_length"}),
        ({"body": "nul \x00"}, {"body": "null_characters_not_allowed"}),
        ({"body": "half \ud83d"}, {"body": "surrogate_characters_not_allowed"}),
        ({"client_id": ""}, {"client_id": "blank"}),
        ({"client_id": "with space"}, {"client_id": "invalid"}),
        ({"client_id": "x" * 65}, {"client_id": "invalid"}),
        ({"clientid": "x"}, {"clientid": "unknown_field"}),
    ],
)
def test_a_field_that_needs_correction_is_named_and_nothing_is_written(
    unit: Unit, alpha: Room, change: dict[str, Any], errors: dict[str, str]
) -> None:
    # As text of our own: the client's own encoder refuses half a surrogate pair.
    answer = unit.liza.client.post(path_of(alpha), json.dumps({**GIVEN, **change}), content_type="application/json")
    assert fields_of(answer) == errors
    assert not Message.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.django_db
def test_the_longest_message_fits_into_its_event(unit: Unit, alpha: Room) -> None:
    for number, body in enumerate(("😀" * 4000, "x" + "\x01" * 3998 + "x")):
        answer = unit.liza.client.post(path_of(alpha), {"body": body, "client_id": str(number)})
        assert (answer.status_code, answer.json()["body"]) == (201, body)
    assert Event.objects.count() == 2


@pytest.mark.django_db
def test_an_administrator_writes_in_every_room_but_anothers_direct_one(unit: Unit) -> None:
    for room in (unit.room(), unit.room(unit.alpha), unit.direct(unit.admin, unit.liza)):
        assert unit.admin.client.post(path_of(room), GIVEN).status_code == 201
    foreign = unit.direct(unit.liza, unit.bea)
    assert problem_of(unit.admin.client.post(path_of(foreign), GIVEN)) == (403, "not_a_member")
    assert not Message.objects.filter(room=foreign).exists()


@pytest.mark.django_db
def test_nobody_writes_in_the_room_of_an_archived_company(unit: Unit, alpha: Room) -> None:
    own = said(alpha, unit.liza)
    Company.objects.filter(pk=unit.alpha.pk).update(archived_at=now())
    assert problem_of(unit.liza.client.post(path_of(alpha), GIVEN)) == (409, "company_archived")
    answer = unit.liza.client.patch(f"/api/v1/messages/{own.pk}", {"body": "Changed"})
    assert problem_of(answer) == (409, "company_archived")
    assert Message.objects.get().body == "06:30"


@pytest.mark.django_db
def test_who_has_just_been_archived_writes_no_more(unit: Unit, alpha: Room) -> None:
    principal = unit.instructor.principal
    type(unit.instructor.user).objects.filter(pk=unit.instructor.user.pk).update(archived_at=now())
    with pytest.raises(PermissionRefused) as refusal:
        message_send(actor=principal, room_id=alpha.pk, **GIVEN)
    assert refusal.value.code == "account_archived"
    assert not Message.objects.exists()


@pytest.mark.django_db
def test_the_twenty_first_message_within_ten_seconds_waits(unit: Unit, alpha: Room) -> None:
    elsewhere = unit.room()
    first = now() - dt.timedelta(seconds=7)
    for number in range(20):  # in all rooms together
        said(alpha if number % 2 else elsewhere, unit.instructor, at=first + dt.timedelta(seconds=number / 10))
    answer = unit.instructor.client.post(path_of(alpha), GIVEN)
    assert problem_of(answer) == (429, "sending_too_fast")
    assert 2 <= int(answer["Retry-After"]) <= 3
    assert Message.objects.count() == 20
    assert not Event.objects.exists()
    assert unit.liza.client.post(path_of(alpha), GIVEN).status_code == 201  # one person's haste is not another's
    Message.objects.get(author=unit.instructor.user, created_at=first).delete()
    assert unit.instructor.client.post(path_of(alpha), GIVEN).status_code == 201


@pytest.mark.django_db
def test_repeating_a_message_is_no_haste(unit: Unit, alpha: Room) -> None:
    for number in range(20):
        answer = unit.liza.client.post(path_of(alpha), {"body": "x", "client_id": str(number)})
        assert answer.status_code == 201
    assert unit.liza.client.post(path_of(alpha), {"body": "x", "client_id": "7"}).status_code == 200
    assert problem_of(unit.liza.client.post(path_of(alpha), GIVEN)) == (429, "sending_too_fast")


# --- History ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_history_is_read_backwards_and_new_messages_move_nothing(unit: Unit, alpha: Room) -> None:
    ids = [said(alpha, unit.bea, str(number)).pk for number in range(7)]
    said(unit.room(unit.bravo), unit.omar)
    client, found, before = unit.liza.client, [], None
    while True:
        page = client.get(path_of(alpha), {"limit": 3, **({"before": before} if before else {})}).json()
        assert len(page["results"]) <= 3
        found += [message["id"] for message in page["results"]]
        before = page["next_before"]
        said(alpha, unit.instructor)
        if before is None:
            break
    assert found == ids[::-1]


@pytest.mark.django_db
def test_a_room_in_which_nothing_was_said_has_an_empty_history(unit: Unit, alpha: Room) -> None:
    assert unit.liza.client.get(path_of(alpha)).json() == {"results": [], "next_before": None}
    said(alpha, unit.bea)
    assert len(unit.liza.client.get(path_of(alpha), {"limit": 1}).json()["results"]) == 1
    assert unit.liza.client.get(path_of(alpha), {"limit": 1}).json()["next_before"] is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ({"limit": 0}, "limit", "min_value"),
        ({"limit": 101}, "limit", "max_value"),
        ({"limit": "many"}, "limit", "invalid"),
        ({"before": 0}, "before", "min_value"),
        ({"before": 2**63}, "before", "max_value"),
        ({"before": "9" * 2000}, "before", "max_string_length"),
        ({"after": 1}, "after", "unknown_field"),
    ],
)
def test_a_place_that_cannot_be_is_named(unit: Unit, alpha: Room, query: Any, field: str, code: str) -> None:
    assert fields_of(unit.liza.client.get(path_of(alpha), query)) == {field: code}


@pytest.mark.django_db
def test_a_longer_history_costs_no_more_queries(unit: Unit, alpha: Room) -> None:
    def cost() -> int:
        return queries_of(lambda: unit.liza.client.get(path_of(alpha), {"limit": 100}))

    said(alpha, unit.bea)
    few = cost()
    for author in (unit.bea, unit.liza, unit.instructor, unit.admin) * 5:
        said(alpha, author)
    assert cost() == few <= 3


# --- Edit -------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_author_changes_a_message_and_the_room_hears_it(unit: Unit, alpha: Room) -> None:
    message = said(alpha, unit.liza, "06:30")
    answer = unit.liza.client.patch(f"/api/v1/messages/{message.pk}", {"body": " 07:00 "})
    assert (answer.status_code, answer.json()["body"]) == (200, "07:00")
    edited_at = answer.json()["edited_at"]
    event = Event.objects.get()
    assert (event.type, event.recipients) == ("message.edited", [f"room:{alpha.pk}"])
    assert event.data == {"id": message.pk, "room_id": alpha.pk, "body": "07:00", "edited_at": edited_at}
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.before, entry.after) == ("message.edit", {"body": "06:30"}, {"body": "07:00"})


@pytest.mark.django_db
def test_the_same_words_again_change_nothing(unit: Unit, alpha: Room) -> None:
    message = said(alpha, unit.liza, "06:30")
    answer = unit.liza.client.patch(f"/api/v1/messages/{message.pk}", {"body": "06:30"})
    assert (answer.status_code, answer.json()["edited_at"]) == (200, None)
    assert not Event.objects.exists()
    assert not AuditEntry.objects.exists()


@pytest.mark.django_db
def test_nobody_changes_anothers_words(unit: Unit, alpha: Room) -> None:
    message = said(alpha, unit.liza)
    path = f"/api/v1/messages/{message.pk}"
    for person in (unit.bea, unit.instructor, unit.admin):
        assert problem_of(person.client.patch(path, {"body": "x"})) == (403, "not_the_author")
    assert problem_of(unit.omar.client.patch(path, {"body": "x"})) == (404, "not_found")
    assert Message.objects.get().body == "06:30"
    assert not Event.objects.exists()


@pytest.mark.django_db
def test_who_has_left_the_room_changes_and_removes_nothing_there(unit: Unit, alpha: Room) -> None:
    message = said(alpha, unit.liza)
    unit.term.enrollments.filter(cadet__user=unit.liza.user).update(company=unit.bravo)
    path = f"/api/v1/messages/{message.pk}"
    assert problem_of(unit.liza.client.patch(path, {"body": "x"})) == (404, "not_found")
    assert problem_of(unit.liza.client.delete(path)) == (404, "not_found")
    assert Message.objects.get().body == "06:30"


@pytest.mark.django_db
def test_a_removed_message_is_changed_no_more(unit: Unit, alpha: Room) -> None:
    message = said(alpha, unit.liza)
    path = f"/api/v1/messages/{message.pk}"
    unit.liza.client.delete(path)
    assert problem_of(unit.liza.client.patch(path, {"body": "x"})) == (409, "message_deleted")
    assert Message.objects.get().body == ""


# --- Remove -----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "action"), [("liza", "message.delete"), ("admin", "message.moderate")])
def test_the_author_and_an_administrator_remove_a_message_and_its_place_stays(
    unit: Unit, alpha: Room, name: str, action: str
) -> None:
    before, message, after = said(alpha, unit.bea), said(alpha, unit.liza, "A slip"), said(alpha, unit.bea)
    person: Person = getattr(unit, name)
    for _ in range(2):  # the second time there is nothing to do
        assert person.client.delete(f"/api/v1/messages/{message.pk}").status_code == 204
    results = unit.bea.client.get(path_of(alpha)).json()["results"]
    assert [row["id"] for row in results] == [after.pk, message.pk, before.pk]
    assert (results[1]["body"], results[1]["author"]["username"]) == ("", "Liza")
    event = Event.objects.get()
    assert (event.type, event.recipients) == ("message.deleted", [f"room:{alpha.pk}"])
    assert event.data == {"id": message.pk, "room_id": alpha.pk, "deleted_at": results[1]["deleted_at"]}
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor) == (action, person.user)
    assert entry.before == {"author_id": unit.liza.user.pk, "room_id": alpha.pk, "body": "A slip"}


@pytest.mark.django_db
def test_nobody_else_removes_a_message(unit: Unit, alpha: Room) -> None:
    message = said(alpha, unit.liza)
    path = f"/api/v1/messages/{message.pk}"
    for person in (unit.bea, unit.instructor):
        assert problem_of(person.client.delete(path)) == (403, "not_the_author")
    for person in (unit.omar, unit.nadia):
        assert problem_of(person.client.delete(path)) == (404, "not_found")
    assert Message.objects.get().deleted_at is None
    assert not Event.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "action"), [("liza", "message.delete"), ("admin", "message.moderate")])
def test_the_audit_trail_says_how_long_words_in_a_direct_room_were_and_not_what(
    unit: Unit, name: str, action: str
) -> None:
    """Every administrator reads the trail, and who looks into the room itself leaves a trace."""
    room = unit.direct(unit.liza, unit.bea)
    message = said(room, unit.liza, "A secret")
    path = f"/api/v1/messages/{message.pk}"
    assert unit.liza.client.patch(path, {"body": "Another secret"}).status_code == 200
    person: Person = getattr(unit, name)
    assert person.client.delete(path).status_code == 204
    edit, removal = AuditEntry.objects.filter(action__startswith="message.").order_by("id")
    assert (edit.action, edit.before, edit.after) == ("message.edit", {"characters": 8}, {"characters": 14})
    assert (removal.action, removal.actor) == (action, person.user)
    assert removal.before == {"author_id": unit.liza.user.pk, "room_id": room.pk, "characters": 14}


@pytest.mark.django_db
def test_the_audit_trail_keeps_words_that_were_changed_in_the_staff_room(unit: Unit) -> None:
    message = said(unit.room(), unit.instructor)
    AuditEntry.objects.all().delete()
    unit.instructor.client.patch(f"/api/v1/messages/{message.pk}", {"body": "07:00"})
    entry = AuditEntry.objects.get()
    assert (entry.before, entry.after) == ({"body": "06:30"}, {"body": "07:00"})


@pytest.mark.django_db
def test_an_administrator_removes_a_message_from_anothers_direct_room(unit: Unit) -> None:
    message = said(unit.direct(unit.liza, unit.bea), unit.liza)
    assert unit.admin.client.delete(f"/api/v1/messages/{message.pk}").status_code == 204
    assert AuditEntry.objects.filter(action="message.moderate", actor=unit.admin.user).count() == 1


# --- All of it together -----------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_client_that_folds_the_events_holds_what_it_would_fetch(unit: Unit, alpha: Room) -> None:
    for number in range(6):
        unit.liza.client.post(path_of(alpha), {"body": f"text {number}", "client_id": str(number)})
    ids = list(Message.objects.order_by("pk").values_list("pk", flat=True))
    for key in ids[::2]:
        unit.liza.client.patch(f"/api/v1/messages/{key}", {"body": "changed"})
    for key in ids[1:4]:
        unit.admin.client.delete(f"/api/v1/messages/{key}")
    state: dict[int, dict[str, Any]] = {}
    for event in Event.objects.order_by("id"):
        state.setdefault(event.data["id"], {}).update(event.data)
        if event.type == "message.deleted":
            state[event.data["id"]]["body"] = ""
    fetched = unit.bea.client.get(path_of(alpha)).json()["results"]
    assert [state[key] for key in sorted(state, reverse=True)] == fetched


@pytest.mark.django_db(transaction=True)
def test_the_same_client_id_many_times_at_once_is_one_message() -> None:
    unit = unit_create()
    room = unit.room(unit.alpha)
    answers = at_once(*[lambda: unit.liza.client.post(path_of(room), GIVEN)] * 6)
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert {answer.json()["id"] for answer in answers} == {Message.objects.get().pk}
    assert Event.objects.filter(type="message.created").count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_limit_holds_for_who_writes_in_several_rooms_at_once() -> None:
    unit = unit_create()
    for name in ("Charlie", "Delta", "Echo", "Foxtrot"):
        Company.objects.get_or_create(name=name)
    rooms = [unit.room(), *(unit.room(company) for company in Company.objects.order_by("pk"))]
    for _ in range(19):
        said(rooms[0], unit.instructor)
    actor = unit.instructor.principal
    together = threading.Barrier(len(rooms) + 1)

    def send(room: Room) -> None:
        together.wait(10)
        message_send(actor=actor, room_id=room.pk, body="x", client_id="one")

    def hold_all_rooms() -> None:
        with transaction.atomic():
            list(Room.objects.select_for_update().order_by("pk"))
            together.wait(10)
            time.sleep(0.5)  # all of them wait for their rooms now, and go on together

    results = at_once(hold_all_rooms, *[partial(send, room) for room in rooms])
    assert sum(isinstance(result, TooManyRequests) for result in results) == len(rooms) - 1
    assert Message.objects.count() == 20


@pytest.mark.django_db(transaction=True)
def test_a_message_is_changed_and_removed_at_once_without_a_word_left() -> None:
    unit = unit_create()
    room = unit.room(unit.alpha)

    def edit(path: str) -> int:
        return int(unit.liza.client.patch(path, {"body": "changed"}).status_code)

    def remove(path: str) -> int:
        return int(unit.admin.client.delete(path).status_code)

    for _ in range(5):
        path = f"/api/v1/messages/{said(room, unit.liza).pk}"
        edited, removed = at_once(partial(edit, path), partial(remove, path))
        assert (edited in {200, 409}, removed) == (True, 204)
    assert set(Message.objects.values_list("body", flat=True)) == {""}
