"""Two companies in the current term, and one of each kind of person who comes to their rooms."""

import datetime as dt
import io
import itertools
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import User
from apps.accounts.tests import factories
from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet, Company, Enrollment, Semester, Term
from apps.messaging.models import Message, Room, RoomKind
from apps.messaging.services.rooms import room_open_direct, rooms_ensure
from core.clock import now

_numbers = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Unit:
    """Liza and Bea are in Alpha, Omar is in Bravo, Nadia has an account and no enrollment."""

    term: Term
    alpha: Company
    bravo: Company
    admin: Person
    instructor: Person
    liza: Person
    bea: Person
    omar: Person
    nadia: Person

    def room(self, company: Company | None = None) -> Room:
        """A company's room; the staff's without one."""
        rooms_ensure()
        return Room.objects.get(company=company) if company else Room.objects.get(kind=RoomKind.STAFF)

    def direct(self, one: Person, other: Person) -> Room:
        room, _ = room_open_direct(actor=one.principal, username=other.user.username)
        return room


def unit_create() -> Unit:
    term, _ = Term.objects.get_or_create(
        school_year="2026-2027",
        semester=Semester.FIRST,
        defaults={"starts_on": dt.date(2026, 8, 1), "ends_on": dt.date(2026, 12, 18), "is_current": True},
    )
    # A test that commits is followed by a flush, which takes the lists of the migrations as well.
    alpha, _ = Company.objects.get_or_create(name="Alpha")
    bravo, _ = Company.objects.get_or_create(name="Bravo")
    unit = Unit(
        term=term,
        alpha=alpha,
        bravo=bravo,
        admin=factories.admin(),
        instructor=factories.instructor(),
        liza=factories.cadet(),
        bea=factories.signed_in(factories.user("Bea")),
        omar=factories.stranger(),
        nadia=factories.signed_in(factories.user("Nadia")),
    )
    for person, company in ((unit.liza, alpha), (unit.bea, alpha), (unit.omar, bravo)):
        enroll(person.user, term=term, company=company)
    return unit


def enroll(account: User, *, term: Term, company: Company | None, status: str = "ongoing") -> Enrollment:
    cadet, _ = Cadet.objects.get_or_create(
        user=account,
        defaults={"student_id": f"2026-{account.pk:05}", "last_name": "Macaraeg", "first_name": account.username},
    )
    return Enrollment.objects.create(cadet=cadet, term=term, company=company, status=status, enrolled_on=term.starts_on)


def said(room: Room, author: Person, body: str = "06:30", *, at: dt.datetime | None = None) -> Message:
    """A message straight into the table, without event or limit."""
    return Message.objects.create(
        room=room, author=author.user, body=body, client_id=f"factory-{next(_numbers)}", created_at=at or now()
    )


def picture(colour: str = "olive") -> SimpleUploadedFile:
    from PIL import Image

    content = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(content, "PNG")
    return SimpleUploadedFile("photo.png", content.getvalue(), content_type="image/png")


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What each call gave or raised; they begin together, each in a thread and on a connection of its own."""
    barrier = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(place: int, call: Callable[[], Any]) -> None:
        try:
            barrier.wait(10)
            results[place] = call()
        except Exception as error:  # noqa: BLE001 - handed to the test
            results[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place, call)) for place, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def queries_of(call: Callable[[], Any]) -> int:
    """How many queries `call` makes, without those by which a process reads the revocations again every two seconds."""
    with CaptureQueriesContext(connection) as queries:
        assert call().status_code == 200
    own = [query for query in queries if not re.search("accounts_(revocation|tokengeneration)", query["sql"])]
    return len(own)


def problem_of(answer: Any) -> tuple[int, str]:
    assert answer["Content-Type"] == "application/problem+json", answer.content
    return answer.status_code, answer.json()["code"]


def fields_of(answer: Any) -> dict[str, str]:
    assert problem_of(answer) == (400, "validation_failed")
    return {error["field"]: error["code"] for error in answer.json()["errors"]}
