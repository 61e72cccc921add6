"""Which rooms there are, who is in them, and what the list tells of them."""

import datetime as dt
from typing import Any

import pytest
from django.db import connection

from apps.accounts.models import AuditEntry
from apps.accounts.tests import factories as people
from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet, Company, Enrollment, Semester, Term
from apps.events.models import Event
from apps.messaging import rules
from apps.messaging.models import ReadMark, Room
from apps.messaging.selectors.rooms import rooms_seen_by
from apps.messaging.tests.factories import Unit, enroll, problem_of, queries_of, said
from core.clock import now

pytestmark = pytest.mark.django_db

PATH = "/api/v1/rooms"


def names(person: Person, **query: Any) -> set[str]:
    answer = person.client.get(PATH, query)
    assert answer.status_code == 200
    return {room["name"] for room in answer.json()["results"]}


# --- Rooms that nobody opens ------------------------------------------------------------------------------------------


def test_every_company_and_the_staff_have_a_room_without_anybody_opening_it(unit: Unit) -> None:
    assert not Room.objects.exists()
    assert names(unit.admin) == {"Staff", *Company.objects.values_list("name", flat=True)}
    assert AuditEntry.objects.filter(action="room.open", actor=None).count() == Room.objects.count()
    told = {tuple(event.recipients) for event in Event.objects.filter(type="room.opened")}
    assert ("role:admin", "role:training_staff") in told
    assert ("role:admin", "role:training_staff", "company:Alpha") in told
    before = Room.objects.count()
    names(unit.admin)
    assert Room.objects.count() == before


def test_a_company_that_is_added_later_has_its_room_at_the_next_look(unit: Unit) -> None:
    names(unit.admin)
    Company.objects.create(name="Echo")
    assert "Echo" in names(unit.instructor)


# --- Who is in which ------------------------------------------------------------------------------------------------


def test_staff_and_administrators_are_in_the_staff_room_and_every_companys(unit: Unit) -> None:
    for person in (unit.admin, unit.instructor):
        assert {"Staff", "Alpha", "Bravo"} <= names(person)


def test_a_cadet_is_in_the_room_of_the_own_company_only(unit: Unit) -> None:
    assert names(unit.liza) == names(unit.bea) == {"Alpha"}
    assert names(unit.omar) == {"Bravo"}


def test_without_enrollment_there_is_no_room(unit: Unit) -> None:
    assert names(unit.nadia) == set()


@pytest.mark.parametrize("status", ["dropped", "deferred"])
def test_who_has_left_the_term_has_left_the_room(unit: Unit, status: str) -> None:
    Enrollment.objects.filter(cadet__user=unit.liza.user).update(status=status)
    assert names(unit.liza) == set()
    assert problem_of(unit.liza.client.get(f"{PATH}/{unit.room(unit.alpha).pk}")) == (404, "not_found")


@pytest.mark.parametrize("status", ["ongoing", "completed", "incomplete", "failed"])
def test_who_is_in_the_term_is_in_the_room_whatever_came_of_it(unit: Unit, status: str) -> None:
    Enrollment.objects.filter(cadet__user=unit.liza.user).update(status=status)
    assert names(unit.liza) == {"Alpha"}


def test_the_company_is_the_one_of_the_current_term(unit: Unit) -> None:
    next_term = Term.objects.create(
        school_year="2026-2027", semester=Semester.SECOND, starts_on=dt.date(2027, 1, 4), ends_on=dt.date(2027, 5, 7)
    )
    enroll(unit.liza.user, term=next_term, company=unit.bravo)
    assert names(unit.liza) == {"Alpha"}
    Term.objects.update(is_current=False)
    assert names(unit.liza) == set()
    Term.objects.filter(pk=next_term.pk).update(is_current=True)
    assert names(unit.liza) == {"Bravo"}


def test_an_archived_cadet_record_has_no_company(unit: Unit) -> None:
    Cadet.objects.filter(user=unit.liza.user).update(archived_at=now())
    assert names(unit.liza) == set()


def test_the_room_of_an_archived_company_leaves_the_list_and_stays_readable(unit: Unit) -> None:
    room = unit.room(unit.alpha)
    Company.objects.filter(pk=unit.alpha.pk).update(archived_at=now())
    assert "Alpha" not in names(unit.instructor) | names(unit.liza)
    assert unit.instructor.client.get(f"{PATH}/{room.pk}/messages").status_code == 200
    assert unit.liza.client.get(f"{PATH}/{room.pk}/messages").status_code == 200


def matrix(unit: Unit) -> dict[str, tuple[Room, set[str]]]:
    """For each room the people who read it; everybody else is told that there is no such room."""
    return {
        "Alpha": (unit.room(unit.alpha), {"admin", "instructor", "liza", "bea"}),
        "Bravo": (unit.room(unit.bravo), {"admin", "instructor", "omar"}),
        "staff": (unit.room(), {"admin", "instructor"}),
        "Liza and Bea": (unit.direct(unit.liza, unit.bea), {"admin", "liza", "bea"}),
        "Omar and Ramon": (unit.direct(unit.omar, unit.instructor), {"admin", "omar", "instructor"}),
    }


@pytest.mark.parametrize("name", ["admin", "instructor", "liza", "bea", "omar", "nadia"])
def test_each_person_reads_and_writes_in_exactly_the_own_rooms(unit: Unit, name: str) -> None:
    person: Person = getattr(unit, name)
    for place, (room, readers) in matrix(unit).items():
        message = said(room, unit.admin)
        writers = readers - {"admin"} if room.person_ids else readers
        path = f"{PATH}/{room.pk}"
        expected = 200 if name in readers else 404
        assert person.client.get(path).status_code == expected, place
        assert person.client.get(f"{path}/messages").status_code == expected, place
        assert person.client.get(f"/api/v1/messages/{message.pk}").status_code == expected, place
        refused = 403 if name in readers else 404
        answer = person.client.post(f"{path}/messages", {"body": "x", "client_id": "one"})
        assert answer.status_code == (201 if name in writers else refused), place
        answer = person.client.post(f"{path}/read", {"message_id": message.pk})
        assert answer.status_code == (200 if name in writers else refused), place


def test_an_administrator_who_looks_into_anothers_direct_room_leaves_a_trace(unit: Unit) -> None:
    room = unit.direct(unit.liza, unit.bea)
    message = said(room, unit.liza)
    for path in (f"{PATH}/{room.pk}", f"{PATH}/{room.pk}/messages", f"/api/v1/messages/{message.pk}"):
        AuditEntry.objects.all().delete()
        assert unit.admin.client.get(path).status_code == 200
        entry = AuditEntry.objects.get()
        assert (entry.actor, entry.action, entry.target) == (unit.admin.user, "room.look", f"room:{room.pk}")
        assert unit.liza.client.get(path).status_code == 200
        assert AuditEntry.objects.count() == 1
    own = unit.direct(unit.admin, unit.liza)
    AuditEntry.objects.all().delete()
    unit.admin.client.get(f"{PATH}/{own.pk}/messages")
    unit.admin.client.get(f"{PATH}/{unit.room(unit.alpha).pk}/messages")
    assert not AuditEntry.objects.filter(action="room.look").exists()


def test_direct_rooms_of_others_are_in_nobodys_list(unit: Unit) -> None:
    unit.direct(unit.liza, unit.bea)
    for person in (unit.admin, unit.instructor, unit.omar):
        assert names(person, kind="direct") == set()
    assert names(unit.liza, kind="direct") == {"Bea"}
    assert names(unit.bea, kind="direct") == {"Liza"}


def test_an_administrator_finds_the_direct_rooms_of_others_without_a_word_of_them(unit: Unit) -> None:
    room = unit.direct(unit.liza, unit.bea)
    unit.direct(unit.liza, unit.admin)
    said(room, unit.liza, "Between us")
    answer = unit.admin.client.get(PATH, {"others": "true"})
    [seen] = answer.json()["results"]
    assert (seen["id"], seen["name"]) == (room.pk, "Liza, Bea")
    assert (seen["last_message"], seen["unread"]) == (None, 0)
    for person in (unit.instructor, unit.liza):
        assert problem_of(person.client.get(PATH, {"others": "true"})) == (403, "permission_denied")


# --- What the list tells ----------------------------------------------------------------------------------------------


def test_the_list_tells_the_last_message_what_is_unread_and_how_many_are_in_the_room(unit: Unit) -> None:
    room = unit.room(unit.alpha)
    first, _, removed = said(room, unit.bea), said(room, unit.liza), said(room, unit.bea)
    type(removed).objects.filter(pk=removed.pk).update(body="", deleted_at=now())
    last = said(room, unit.instructor, "at the main gate")
    [seen] = unit.liza.client.get(PATH).json()["results"]
    assert (seen["id"], seen["kind"], seen["name"], seen["company_id"]) == (room.pk, "company", "Alpha", unit.alpha.pk)
    assert (seen["unread"], seen["last_read_id"]) == (2, None)  # neither one's own nor the removed one
    assert seen["member_count"] == 4  # two cadets, an instructor, an administrator
    assert seen["people"] == []
    assert seen["last_message"] == unit.liza.client.get(f"/api/v1/messages/{last.pk}").json()
    assert seen["last_message"]["author"] == {
        "id": unit.instructor.user.pk,
        "username": "Ramon",
        "name": "Ramon",
        "role": "training_staff",
    }
    unit.liza.client.post(f"{PATH}/{room.pk}/read", {"message_id": first.pk})
    [seen] = unit.liza.client.get(PATH).json()["results"]
    assert (seen["unread"], seen["last_read_id"]) == (1, first.pk)
    unit.liza.client.post(f"{PATH}/{room.pk}/read", {"message_id": last.pk})
    [seen] = unit.liza.client.get(PATH).json()["results"]
    assert (seen["unread"], seen["last_read_id"]) == (0, last.pk)


def test_unread_messages_are_counted_to_a_hundred(unit: Unit) -> None:
    room = unit.room(unit.alpha)
    for _ in range(rules.UNREAD_COUNTED + 3):
        said(room, unit.bea)
    [seen] = unit.liza.client.get(PATH).json()["results"]
    assert seen["unread"] == 100


def test_pending_archived_and_absent_people_are_not_counted_as_members(unit: Unit) -> None:
    for name, change in (
        ("p", {"status": "pending"}),
        ("a", {"archived_at": now()}),
        ("r", {"role": "training_staff"}),
    ):
        account = people.user(name)
        enroll(account, term=unit.term, company=unit.alpha)
        type(account).objects.filter(pk=account.pk).update(**change)
    enroll(unit.nadia.user, term=unit.term, company=unit.alpha, status="dropped")
    [seen] = unit.liza.client.get(PATH).json()["results"]
    assert seen["member_count"] == 5  # two cadets, two instructors, an administrator


def test_a_direct_room_is_called_by_the_other_person_and_names_both(unit: Unit) -> None:
    type(unit.bea.user).objects.filter(pk=unit.bea.user.pk).update(first_name="Beatriz", last_name="Uy")
    room = unit.direct(unit.liza, unit.bea)
    [seen] = unit.liza.client.get(PATH, {"kind": "direct"}).json()["results"]
    assert (seen["name"], seen["member_count"], seen["company_id"]) == ("Beatriz Uy", 2, None)
    assert [person["username"] for person in seen["people"]] == ["Liza", "Bea"]
    assert unit.admin.client.get(f"{PATH}/{room.pk}").json()["name"] == "Liza, Beatriz Uy"


def test_rooms_with_the_newest_messages_come_first(unit: Unit) -> None:
    said(unit.room(unit.bravo), unit.admin)
    said(unit.room(), unit.admin)
    found = [room["name"] for room in unit.instructor.client.get(PATH).json()["results"]]
    assert found[:2] == ["Staff", "Bravo"]
    page = unit.instructor.client.get(PATH, {"page": 2, "page_size": 1}).json()
    assert [room["name"] for room in page["results"]] == ["Bravo"]
    assert page["count"] == len(found)


def test_the_list_costs_the_same_queries_for_many_rooms(unit: Unit) -> None:
    def cost() -> int:
        return queries_of(lambda: unit.instructor.client.get(PATH))

    said(unit.room(unit.alpha), unit.liza)
    few = cost()
    for number in range(8):
        account = people.signed_in(people.user(f"cadet-{number}"))
        enroll(account.user, term=unit.term, company=unit.alpha)
        said(unit.direct(unit.instructor, account), account)
    assert cost() == few <= 7


def test_a_silent_room_is_listed_without_reading_what_was_said_elsewhere(unit: Unit) -> None:
    loud = unit.room(unit.alpha)
    said(loud, unit.liza)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO messaging_message (room_id, author_id, body, client_id, created_at) "
            "SELECT %s, %s, 'x', 'many-' || n, now() FROM generate_series(1, 20000) n",
            [loud.pk, unit.liza.user.pk],
        )
        cursor.execute("ANALYZE messaging_message")
    plan = rooms_seen_by(actor=unit.instructor.principal).explain(analyze=True, buffers=False)
    assert "message_in_room" in plan
    assert "messaging_message_pkey" not in plan  # from its end to the room's first message, which does not exist
    assert "Seq Scan on messaging_message" not in plan


def test_a_room_alone_also_tells_how_far_everybody_has_read(unit: Unit) -> None:
    room = unit.room(unit.alpha)
    message = said(room, unit.instructor)
    for person in (unit.liza, unit.bea):
        person.client.post(f"{PATH}/{room.pk}/read", {"message_id": message.pk})
    seen = unit.bea.client.get(f"{PATH}/{room.pk}").json()
    marks = seen.pop("read_marks")
    assert [(mark["user_id"], mark["last_message_id"]) for mark in marks] == [
        (unit.liza.user.pk, message.pk),
        (unit.bea.user.pk, message.pk),
    ]
    assert marks[0]["read_at"].endswith("Z")
    assert [seen] == unit.bea.client.get(PATH).json()["results"]
    assert ReadMark.objects.count() == 2


@pytest.mark.parametrize(
    ("query", "field"), [({"kind": "secret"}, "kind"), ({"of": "liza"}, "of"), ({"page": "0"}, "page")]
)
def test_a_filter_that_does_not_exist_is_named(unit: Unit, query: dict[str, str], field: str) -> None:
    answer = unit.admin.client.get(PATH, query)
    assert problem_of(answer) == (400, "validation_failed")
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("number", ["0", "9223372036854775808", "99999999999999999999999"])
def test_an_id_that_no_room_can_have_is_not_found(unit: Unit, number: str) -> None:
    for path in (f"{PATH}/{number}", f"{PATH}/{number}/messages", f"/api/v1/messages/{number}"):
        assert problem_of(unit.admin.client.get(path)) == (404, "not_found")
