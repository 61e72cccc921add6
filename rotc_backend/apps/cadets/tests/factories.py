"""A small unit, for the tests of every app: a term that is under way, companies, cadets in it, and staff.

Rows are made directly, without audit entries and events, so that a test sees only those of what it does. The lists'
rows come with the migrations, but a test that commits is followed by a flush, which takes them: hence get_or_create.
"""

import datetime as dt
import itertools
from dataclasses import dataclass
from typing import Any

from apps.accounts.models import Role, User
from apps.accounts.tests import factories as accounts
from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet, Company, Enrollment, Platoon, Semester, StaffFunction, StaffProfile, Term
from core.clock import manila_date, now

_numbers = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class CadetPerson(Person):
    """A cadet who is signed in and enrolled."""

    cadet: Cadet
    enrollment: Enrollment


@dataclass(frozen=True, kw_only=True)
class StaffPerson(Person):
    """Somebody of the staff who is signed in."""

    profile: StaffProfile


def today() -> dt.date:
    return manila_date(now())


def term(
    *,
    school_year: str = "2026-2027",
    semester: Semester = Semester.FIRST,
    starts_on: dt.date | None = None,
    ends_on: dt.date | None = None,
    is_current: bool = True,
    closed: bool = False,
) -> Term:
    """The term of this year and semester; unless told, it began 60 days ago and ends in 60, and is the current one."""
    row, _ = Term.objects.get_or_create(
        school_year=school_year,
        semester=semester,
        defaults={
            "starts_on": starts_on or today() - dt.timedelta(days=60),
            "ends_on": ends_on or today() + dt.timedelta(days=60),
            "is_current": is_current,
            "closed_at": now() if closed else None,
        },
    )
    return row


def former_term() -> Term:
    """The term before `term()`: over, not closed, not current."""
    return term(
        school_year="2025-2026",
        semester=Semester.SECOND,
        starts_on=today() - dt.timedelta(days=250),
        ends_on=today() - dt.timedelta(days=130),
        is_current=False,
    )


def company(name: str = "Alpha") -> Company:
    return Company.objects.get_or_create(name=name)[0]


def platoon(name: str = "1st Platoon") -> Platoon:
    return Platoon.objects.get_or_create(name=name)[0]


def cadet(student_id: str | None = None, *, user: User | None = None, **fields: Any) -> Cadet:
    """A cadet; without a number of the next free one."""
    number = next(_numbers)
    given = {"last_name": "Macaraeg", "first_name": f"Liza {number}", **fields}
    return Cadet.objects.create(student_id=student_id or f"2026-{number:05d}", user=user, **given)


def enroll(who: Cadet, **fields: Any) -> Enrollment:
    """`who` in the current term's Alpha company, 1st Platoon, since the term began; each can be told otherwise."""
    given = {"term": None, "company": None, "platoon": None, **fields}
    given["term"] = given["term"] or term()
    if "company" not in fields:
        given["company"] = company()
    if "platoon" not in fields:
        given["platoon"] = platoon()
    return Enrollment.objects.create(cadet=who, **{"enrolled_on": given["term"].starts_on, **given})


def enrolled(student_id: str | None = None, *, user: User | None = None, **fields: Any) -> Enrollment:
    """A new cadet's enrollment. Fields of a cadet (names, e-mail …) and of an enrollment (company …) are told apart."""
    own = {field.name for field in Cadet._meta.fields}
    both = own & {field.name for field in Enrollment._meta.fields}
    of_cadet = {name: value for name, value in fields.items() if name in own - both}
    rest = {name: value for name, value in fields.items() if name not in of_cadet}
    return enroll(cadet(student_id, user=user, **of_cadet), **rest)


def cadet_person(username: str = "Liza", **fields: Any) -> CadetPerson:
    """A cadet with an account, signed in and enrolled; fields as for `enrolled`."""
    person = accounts.signed_in(accounts.user(username))
    enrollment = enrolled(user=person.user, **{"first_name": username, **fields})
    return CadetPerson(
        user=person.user,
        session=person.session,
        access=person.access,
        refresh=person.refresh,
        cadet=enrollment.cadet,
        enrollment=enrollment,
    )


def staff_profile(
    email: str | None = None, *, function: str = StaffFunction.INSTRUCTOR, user: User | None = None, **fields: Any
) -> StaffProfile:
    given = {"rank": "Sgt", "last_name": "Villanueva", "first_name": "Ramon", **fields}
    return StaffProfile.objects.create(
        email=email or f"staff{next(_numbers)}@rotc.example", function=function, user=user, **given
    )


def staff_person(username: str = "Ramon", *, function: str = StaffFunction.INSTRUCTOR, **fields: Any) -> StaffPerson:
    """Training staff with an account and a profile, signed in. `function=StaffFunction.COMMANDANT` is privileged."""
    person = accounts.signed_in(accounts.user(username, role=Role.TRAINING_STAFF))
    return StaffPerson(
        user=person.user,
        session=person.session,
        access=person.access,
        refresh=person.refresh,
        profile=staff_profile(function=function, user=person.user, **{"first_name": username, **fields}),
    )


def commandant(username: str = "Corazon") -> StaffPerson:
    """Staff who may decide excuse letters."""
    return staff_person(username, function=StaffFunction.COMMANDANT)
