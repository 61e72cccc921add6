from typing import Any

import pytest

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets.models import Enrollment
from apps.events.models import Event
from apps.messaging.models import Room
from apps.messaging.tests.factories import Unit, at_once, fields_of, unit_create
from core.clock import now

PATH = "/api/v1/rooms/direct"


def opening(person: Person, username: str) -> Any:
    return person.client.post(PATH, {"username": username})


@pytest.mark.django_db
def test_two_cadets_of_a_company_have_one_room_whoever_opens_it(unit: Unit) -> None:
    answer = opening(unit.bea, "LIZA")
    assert answer.status_code == 201
    assert answer["Location"] == f"/api/v1/rooms/{answer.json()['id']}"
    room = Room.objects.get()
    assert room.person_ids == tuple(sorted((unit.liza.user.pk, unit.bea.user.pk)))
    event = Event.objects.get()
    assert (event.type, event.data) == ("room.opened", {"id": room.pk, "kind": "direct"})
    assert event.recipients == [f"user:{key}" for key in room.person_ids]
    entry = AuditEntry.objects.get(action="room.open")
    assert entry.actor == unit.bea.user
    assert entry.after == {"kind": "direct", "company_id": None, "person_ids": list(room.person_ids)}
    for person, username in ((unit.bea, "liza"), (unit.liza, "bea")):
        again = opening(person, username)
        assert (again.status_code, again.json()["id"]) == (200, room.pk)
        assert "Location" not in again
    assert Event.objects.count() == 1
    assert AuditEntry.objects.filter(action="room.open").count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("who", "whom", "allowed"),
    [
        ("liza", "bea", True),
        ("liza", "omar", False),
        ("liza", "nadia", False),
        ("nadia", "liza", False),
        ("nadia", "ramon", True),
        ("liza", "ramon", True),
        ("liza", "amina", True),
        ("instructor", "omar", True),
        ("instructor", "amina", True),
        ("admin", "nadia", True),
    ],
)
def test_who_writes_to_whom(unit: Unit, who: str, whom: str, allowed: bool) -> None:
    answer = opening(getattr(unit, who), whom)
    if allowed:
        assert answer.status_code == 201
    else:
        assert fields_of(answer) == {"username": "unknown_person"}
        assert not Room.objects.exists()
        assert not Event.objects.exists()


@pytest.mark.django_db
def test_somebody_out_of_reach_is_refused_like_a_name_that_nobody_has(unit: Unit) -> None:
    """Otherwise cadets could try out which names exist."""
    there, nobody = opening(unit.liza, "omar").json(), opening(unit.liza, "ghost").json()
    assert there["errors"][0]["detail"].replace("omar", "ghost") == nobody["errors"][0]["detail"]


@pytest.mark.django_db
@pytest.mark.parametrize("change", [{"archived_at": now()}, {"status": "pending"}])
def test_who_cannot_sign_in_cannot_be_written_to(unit: Unit, change: dict[str, Any]) -> None:
    type(unit.bea.user).objects.filter(pk=unit.bea.user.pk).update(**change)
    for person in (unit.liza, unit.admin):
        assert fields_of(opening(person, "bea")) == {"username": "unknown_person"}


@pytest.mark.django_db
def test_nobody_writes_to_himself(unit: Unit) -> None:
    assert fields_of(opening(unit.liza, "liza")) == {"username": "yourself"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "errors"),
    [
        ({}, {"username": "required"}),
        ({"username": ""}, {"username": "blank"}),
        ({"username": "a\x00b"}, {"username": "null_characters_not_allowed"}),
        ({"username": ["liza"]}, {"username": "invalid"}),
        ({"username": "bea", "user_id": 2}, {"user_id": "unknown_field"}),
    ],
)
def test_what_needs_correction_is_named(unit: Unit, given: dict[str, Any], errors: dict[str, str]) -> None:
    assert fields_of(unit.liza.client.post(PATH, given)) == errors


@pytest.mark.django_db
def test_a_room_stays_open_to_its_two_people_when_one_moves_to_another_company(unit: Unit) -> None:
    room = unit.direct(unit.liza, unit.bea)
    Enrollment.objects.filter(cadet__user=unit.bea.user).update(company=unit.bravo)
    answer = unit.bea.client.post(f"/api/v1/rooms/{room.pk}/messages", {"body": "Still here", "client_id": "1"})
    assert answer.status_code == 201
    assert unit.liza.client.get(f"/api/v1/rooms/{room.pk}").json()["unread"] == 1
    for person, username in ((unit.liza, "bea"), (unit.bea, "liza")):
        again = opening(person, username)
        assert (again.status_code, again.json()["id"]) == (200, room.pk)
    assert AuditEntry.objects.filter(action="room.open").count() == 1


@pytest.mark.django_db
def test_the_room_with_somebody_who_cannot_sign_in_any_more_is_still_found(unit: Unit) -> None:
    room = unit.direct(unit.liza, unit.bea)
    type(unit.bea.user).objects.filter(pk=unit.bea.user.pk).update(archived_at=now())
    again = opening(unit.liza, "bea")
    assert (again.status_code, again.json()["id"]) == (200, room.pk)
    assert fields_of(opening(unit.instructor, "bea")) == {"username": "unknown_person"}


@pytest.mark.django_db(transaction=True)
def test_opened_from_both_sides_at_once_it_is_one_room() -> None:
    unit = unit_create()
    answers = at_once(*[lambda: opening(unit.liza, "bea"), lambda: opening(unit.bea, "liza")] * 3)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 200, 201]
    assert {answer.json()["id"] for answer in answers} == {Room.objects.get().pk}
    assert Event.objects.filter(type="room.opened").count() == 1


@pytest.mark.django_db(transaction=True)
def test_rooms_that_nobody_opens_are_opened_once_when_many_look_at_once() -> None:
    unit = unit_create()
    answers = at_once(*[lambda: unit.admin.client.get("/api/v1/rooms")] * 4)
    assert {answer.json()["count"] for answer in answers} == {Room.objects.count()}
    assert Event.objects.filter(type="room.opened").count() == Room.objects.count()
