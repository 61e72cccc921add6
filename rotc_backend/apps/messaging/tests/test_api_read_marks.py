from typing import Any

import pytest

from apps.events.models import Event
from apps.messaging.models import ReadMark, Room
from apps.messaging.services.rooms import room_read
from apps.messaging.tests.factories import Unit, at_once, fields_of, problem_of, said, unit_create


def path_of(room: Room) -> str:
    return f"/api/v1/rooms/{room.pk}/read"


@pytest.mark.django_db
def test_a_mark_moves_forward_is_told_to_the_room_and_never_moves_back(unit: Unit) -> None:
    room = unit.room(unit.alpha)
    first, second = said(room, unit.bea).pk, said(room, unit.bea).pk
    Event.objects.all().delete()
    read_at = {}
    for message in (first, second):
        answer = unit.liza.client.post(path_of(room), {"message_id": message})
        read_at[message] = answer.json()["read_at"]
        assert (answer.status_code, answer.json()["last_message_id"]) == (200, message)
    for message in (second, first):  # the same, and an older one
        answer = unit.liza.client.post(path_of(room), {"message_id": message})
        assert answer.json() == {
            "user_id": unit.liza.user.pk,
            "last_message_id": second,
            "read_at": read_at[second],
        }
    told = [(event.type, event.recipients, event.data) for event in Event.objects.order_by("id")]
    assert told == [
        (
            "message.read",
            [f"room:{room.pk}"],
            {
                "room_id": room.pk,
                "user_id": unit.liza.user.pk,
                "last_message_id": message,
                "read_at": read_at[message],
            },
        )
        for message in (first, second)
    ]


@pytest.mark.django_db
def test_everybody_has_an_own_mark_in_each_room(unit: Unit) -> None:
    alpha, staff = unit.room(unit.alpha), unit.room()
    for room in (alpha, staff):
        message = said(room, unit.admin)
        unit.instructor.client.post(path_of(room), {"message_id": message.pk})
    assert ReadMark.objects.filter(user=unit.instructor.user).count() == 2
    [seen] = unit.liza.client.get("/api/v1/rooms").json()["results"]
    assert (seen["unread"], seen["last_read_id"]) == (1, None)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "required"),
        ({"message_id": 0}, "min_value"),
        ({"message_id": 2**63}, "max_value"),
        ({"message_id": "x"}, "invalid"),
        ({"message_id": 2**62}, "unknown_message"),
    ],
)
def test_a_message_that_cannot_be_is_named(unit: Unit, given: dict[str, Any], code: str) -> None:
    assert fields_of(unit.liza.client.post(path_of(unit.room(unit.alpha)), given)) == {"message_id": code}
    assert not ReadMark.objects.exists()


@pytest.mark.django_db
def test_a_message_of_another_room_marks_nothing(unit: Unit) -> None:
    message = said(unit.room(unit.bravo), unit.omar)
    answer = unit.instructor.client.post(path_of(unit.room(unit.alpha)), {"message_id": message.pk})
    assert fields_of(answer) == {"message_id": "unknown_message"}
    assert not ReadMark.objects.exists()


@pytest.mark.django_db
def test_who_only_looks_leaves_no_mark(unit: Unit) -> None:
    room = unit.direct(unit.liza, unit.bea)
    message = said(room, unit.liza)
    assert problem_of(unit.admin.client.post(path_of(room), {"message_id": message.pk})) == (403, "not_a_member")
    assert problem_of(unit.omar.client.post(path_of(room), {"message_id": message.pk})) == (404, "not_found")
    assert not ReadMark.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_many_marks_at_once_the_farthest_stays() -> None:
    unit = unit_create()
    room = unit.room(unit.alpha)
    ids = [said(room, unit.bea).pk for _ in range(6)]
    actor = unit.liza.principal
    calls = [lambda message=message: room_read(actor=actor, room_id=room.pk, message_id=message) for message in ids]
    results = at_once(*calls)
    assert not [result for result in results if isinstance(result, Exception)]
    assert ReadMark.objects.get().last_message_id == ids[-1]
    told = Event.objects.filter(type="message.read").order_by("id").values_list("data__last_message_id", flat=True)
    assert list(told) == sorted(set(told))  # each one farther than the one before it
    assert told[len(told) - 1] == ids[-1]
