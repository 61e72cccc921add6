"""/ws/updates/ over real sockets to a real daphne: what the apps write, heard by those it concerns and nobody else.

Here and not beside the stream: the apps that tell of attendance and grades stand above it.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache as django_cache
from django.db import transaction
from pytest_django import DjangoDbBlocker
from websockets.sync.client import ClientConnection

from apps.accounts.tests import factories as accounts
from apps.accounts.tests.factories import Person
from apps.cadets.models import Company, Enrollment
from apps.cadets.services.enrollments import enrollment_change
from apps.cadets.services.lists import company_archive, company_change
from apps.cadets.tests import factories as cadets
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import EventHead
from apps.events.services import publish
from apps.grading.services.merits import adjustment_issue, merit_issue, merit_revoke
from apps.grading.services.scores import score_put
from apps.grading.tests.factories import default_policy
from apps.messaging.events import RoomOpened
from apps.messaging.models import Room
from apps.messaging.services.announcements import announcement_archive, announcement_create
from apps.messaging.services.messages import message_send
from apps.messaging.services.rooms import rooms_ensure
from apps.messaging.tests.daphne_process import Daphne, daphne_running
from apps.messaging.tests.socket_clients import UPDATES, error_words, notify, opened, receive, welcomed
from apps.training.models import TrainingDay
from apps.training.services.attendance import attendance_mark
from apps.training.services.letters import letter_approve, letter_submit
from apps.training.tests import factories as training
from core import cache
from core.clock import now

MARK = "announcement.published"


@dataclass(frozen=True, kw_only=True)
class Unit:
    """Liza is in Alpha, Omar in Bravo, Nadia has an account alone."""

    admin: Person
    instructor: StaffPerson
    commandant: StaffPerson
    liza: CadetPerson
    omar: CadetPerson
    nadia: Person
    day: TrainingDay

    @property
    def people(self) -> Sequence[Person]:
        return (self.admin, self.instructor, self.liza, self.omar, self.nadia)


@pytest.fixture(scope="module")
def daphne_of_module(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daphne]:
    with daphne_running(log=tmp_path_factory.mktemp("daphne") / "daphne.log") as daphne:
        yield daphne


@pytest.fixture
def daphne(transactional_db: None, daphne_of_module: Daphne) -> Daphne:
    # The test before this one emptied the tables, which began a new epoch; its hub must have noticed.
    daphne_of_module.await_output(str(EventHead.objects.get().epoch))
    return daphne_of_module


@pytest.fixture
def unit(daphne: Daphne) -> Unit:
    # Ids begin anew with every test database, and so do the keys made of them.
    django_cache.clear()
    cache.forget_failures()
    default_policy()
    return Unit(
        admin=accounts.admin(),
        instructor=cadets.staff_person(),
        commandant=cadets.commandant(),
        liza=cadets.cadet_person("Liza"),
        omar=cadets.cadet_person("Omar", company=cadets.company("Bravo")),
        nadia=accounts.signed_in(accounts.user("Nadia")),
        day=training.day(),
    )


@pytest.fixture
def clients(daphne: Daphne, unit: Unit) -> Iterator[dict[str, ClientConnection]]:
    """Everybody's updates, by user name."""
    with ExitStack() as stack:
        yield {person.user.username: stack.enter_context(opened(daphne, person, UPDATES)) for person in unit.people}


def announce(unit: Unit) -> int:
    announcement = announcement_create(
        actor=unit.admin.principal, kind="announcement", title="Parade", text="At noon", date=now().date()
    )
    return announcement.pk


def heard(client: ClientConnection, mark: int) -> list[dict[str, Any]]:
    """What came before the announcement that everybody hears: no time-out has to prove a silence."""
    frames = []
    while (frame := receive(client))["type"] != MARK or frame["data"]["id"] != mark:
        frames.append(frame)
    return frames


def heard_by_all(clients: dict[str, ClientConnection], unit: Unit) -> dict[str, list[str]]:
    mark = announce(unit)
    return {name: [frame["type"] for frame in heard(client, mark)] for name, client in clients.items()}


def moved(unit: Unit, who: CadetPerson, company: Company) -> None:
    enrollment = Enrollment.objects.get(pk=who.enrollment.pk)
    enrollment_change(
        actor=unit.admin.principal,
        enrollment_id=enrollment.pk,
        expected_version=enrollment.version,
        changes={"company_id": company.pk},
    )


def tell_company(name: str, number: int) -> None:
    with transaction.atomic():
        publish(event=RoomOpened(id=number, kind="company"), recipients=[f"company:{name}"])


# --- What concerns one cadet ------------------------------------------------------------------------------------------


def test_attendance_is_heard_by_the_cadet_and_as_a_count_by_the_staff(
    unit: Unit, clients: dict[str, ClientConnection]
) -> None:
    attendance_mark(
        actor=unit.instructor.principal,
        training_day_id=unit.day.pk,
        cadet_id=unit.liza.cadet.pk,
        facts={"status": "present"},
    )
    mark = announce(unit)
    (own,) = heard(clients["Liza"], mark)
    assert (own["type"], own["data"]["training_day_id"], own["data"]["status"]) == (
        "attendance.marked",
        unit.day.pk,
        "present",
    )
    for name in ("Amina", "Ramon"):
        (told,) = heard(clients[name], mark)
        assert (told["type"], told["data"]["created"]) == ("attendance.day_changed", 1)
    assert heard(clients["Omar"], mark) == heard(clients["Nadia"], mark) == []


def test_grades_are_heard_by_the_cadet_and_what_made_them_by_those_who_may_see_it(
    unit: Unit, clients: dict[str, ClientConnection]
) -> None:
    enrollment_id = unit.liza.enrollment.pk
    score_put(actor=unit.instructor.principal, enrollment_id=enrollment_id, exam="prelim", score=Decimal("85.5"))
    adjustment_issue(
        actor=unit.admin.principal,
        enrollment_id=enrollment_id,
        component="aptitude",
        points=Decimal("2.5"),
        reason="Decided by the board",
    )
    assert heard_by_all(clients, unit) == {
        "Amina": ["scores.recorded", "adjustment.issued"],
        "Ramon": ["scores.recorded"],
        "Liza": ["grade.changed", "grade.changed"],
        "Omar": [],
        "Nadia": [],
    }


def test_merits_are_heard_by_the_cadet_and_the_staff(unit: Unit, clients: dict[str, ClientConnection]) -> None:
    merit = merit_issue(
        actor=unit.instructor.principal,
        enrollment_id=unit.liza.enrollment.pk,
        kind="merit",
        points=5,
        reason="Carried the colours",
    )
    merit_revoke(actor=unit.instructor.principal, merit_id=merit.pk, reason="It was somebody else")
    both = ["merit.issued", "merit.revoked"]
    assert heard_by_all(clients, unit) == {"Amina": both, "Ramon": both, "Liza": both, "Omar": [], "Nadia": []}


def test_letters_are_heard_by_the_cadet_and_the_staff_and_their_attendance_with_them(
    unit: Unit, clients: dict[str, ClientConnection]
) -> None:
    letter = letter_submit(actor=unit.liza.principal, date_absent=unit.day.date, reason="Fever.")
    letter_approve(actor=unit.commandant.principal, letter_id=letter.pk, note="Get well")
    mark = announce(unit)
    own = heard(clients["Liza"], mark)
    assert {frame["type"] for frame in own} == {"letter.submitted", "letter.decided", "attendance.marked"}
    assert all("Fever" not in str(frame) for frame in own)
    staff = [frame["type"] for frame in heard(clients["Ramon"], mark)]
    assert sorted(staff) == ["attendance.day_changed", "letter.decided", "letter.submitted"]
    assert heard(clients["Omar"], mark) == heard(clients["Nadia"], mark) == []


# --- What concerns many -----------------------------------------------------------------------------------------------


def test_announcements_are_heard_by_everybody(unit: Unit, clients: dict[str, ClientConnection]) -> None:
    first = announce(unit)
    announcement_archive(actor=unit.admin.principal, announcement_id=first)
    expected = [MARK, "announcement.archived"]
    assert heard_by_all(clients, unit) == dict.fromkeys(clients, expected)


def test_what_is_for_a_company_is_heard_by_its_cadets(unit: Unit, clients: dict[str, ClientConnection]) -> None:
    rooms_ensure()
    rooms = {name: Room.objects.get(company__name=name).pk for name in ("Alpha", "Bravo")}
    mark = announce(unit)
    opened_rooms = {
        name: [frame["data"]["id"] for frame in heard(client, mark) if frame["type"] == "room.opened"]
        for name, client in clients.items()
    }
    assert opened_rooms["Liza"] == [rooms["Alpha"]]
    assert opened_rooms["Omar"] == [rooms["Bravo"]]
    assert opened_rooms["Nadia"] == []
    assert set(opened_rooms["Ramon"]) == set(opened_rooms["Amina"]) == set(Room.objects.values_list("pk", flat=True))


def test_notifications_and_messages_do_not_come_here(unit: Unit, clients: dict[str, ClientConnection]) -> None:
    rooms_ensure()
    ready = announce(unit)
    for client in clients.values():
        heard(client, ready)
    notify(unit.liza)
    room = Room.objects.get(company__name="Alpha")
    message_send(actor=unit.instructor.principal, room_id=room.pk, body="At 06:30", client_id="m-1")
    assert heard_by_all(clients, unit) == {name: [] for name in clients}


# --- Changes while connected ------------------------------------------------------------------------------------------


def test_who_moves_hears_the_new_company_and_no_longer_the_old_one(
    unit: Unit, clients: dict[str, ClientConnection]
) -> None:
    """In one reading of the log."""
    with transaction.atomic():
        tell_company("Alpha", 1)
        tell_company("Bravo", 2)
        moved(unit, unit.liza, cadets.company("Bravo"))
        tell_company("Alpha", 3)
        tell_company("Bravo", 4)
    mark = announce(unit)
    own = [(frame["type"], frame["data"]["id"]) for frame in heard(clients["Liza"], mark)]
    assert own == [("room.opened", 1), ("enrollment.changed", unit.liza.enrollment.pk), ("room.opened", 4)]
    assert [frame["data"]["id"] for frame in heard(clients["Omar"], mark)] == [2, 4]


def test_a_company_that_is_renamed_or_archived_changes_what_its_cadets_hear(
    unit: Unit, clients: dict[str, ClientConnection]
) -> None:
    alpha = cadets.company()
    company_change(
        actor=unit.admin.principal, company_id=alpha.pk, expected_version=alpha.version, changes={"name": "Able"}
    )
    tell_company("Alpha", 1)
    tell_company("Able", 2)
    # Heard before the next step: what one may hear is asked when an event is read, not when it was written.
    renamed = heard(clients["Liza"], announce(unit))
    company_archive(actor=unit.admin.principal, company_id=alpha.pk)
    tell_company("Able", 3)
    archived = heard(clients["Liza"], announce(unit))
    own = [[(frame["type"], frame["data"]["id"]) for frame in part] for part in (renamed, archived)]
    assert own == [[("company.changed", alpha.pk), ("room.opened", 2)], [("company.changed", alpha.pk)]]


# --- Coming back, and saying something --------------------------------------------------------------------------------


def test_who_comes_back_hears_what_concerns_the_own_record_and_everybody(daphne: Daphne, unit: Unit) -> None:
    with welcomed(daphne, unit.liza, UPDATES) as (_, ready):
        place = ready["position"]
    for who in (unit.omar, unit.liza):
        merit_issue(
            actor=unit.instructor.principal, enrollment_id=who.enrollment.pk, kind="merit", points=5, reason="Drill"
        )
    notify(unit.liza)
    tell_company("Bravo", 1)
    tell_company("Alpha", 2)
    mark = announce(unit)
    with welcomed(daphne, unit.liza, UPDATES, last=place) as (client, ready):
        assert ready["resumed"] is True
        missed = heard(client, mark)
    assert [frame["type"] for frame in missed] == ["merit.issued", "room.opened"]
    assert missed[0]["data"]["cadet_id"] == unit.liza.cadet.pk
    assert missed[1]["data"]["id"] == 2


def test_nothing_is_said_here(daphne: Daphne, unit: Unit) -> None:
    with opened(daphne, unit.liza, UPDATES) as client:
        assert error_words(client, "message.send", {"body": "x", "client_id": "m-1"}) == ("type_unknown", {})
