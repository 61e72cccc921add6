"""Those whose attendance is taken, as far as taking it needs to know them."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Lower

from apps.cadets.models import Cadet, Enrollment, StaffProfile


@dataclass(frozen=True, kw_only=True)
class Person:
    """A cadet or a staff profile. `belongs`: enrolled in the term in question; staff always do."""

    person_id: int
    student_id: str
    user_id: int | None
    belongs: bool
    archived: bool


def cadets_named(*, term_id: int, ids: Sequence[int], student_ids: Sequence[str]) -> list[Person]:
    """The cadets with these ids and these student numbers, in any letter case. One query."""
    named = Q(pk__in=ids)
    if student_ids:
        # Numbers are ASCII; of other letters, small ones may be compared otherwise in PostgreSQL than here.
        named |= Q(lowered__in={number.lower() for number in student_ids if number.isascii()})
    rows = (
        Cadet.objects.alias(lowered=Lower("student_id"))
        .filter(named)
        .annotate(enrolled=Exists(Enrollment.objects.filter(cadet=OuterRef("pk"), term_id=term_id)))
        .order_by("id")
        .values_list("id", "student_id", "user_id", "enrolled", "archived_at")
    )
    return [
        Person(person_id=pk, student_id=number, user_id=user, belongs=enrolled, archived=archived is not None)
        for pk, number, user, enrolled, archived in rows
    ]


def staff_named(*, ids: Sequence[int]) -> list[Person]:
    """The staff profiles with these ids. One query."""
    rows = StaffProfile.objects.filter(pk__in=ids).order_by("id").values_list("id", "user_id", "archived_at")
    return [
        Person(person_id=pk, student_id="", user_id=user, belongs=True, archived=archived is not None)
        for pk, user, archived in rows
    ]
