"""Cadets with every column filled, by names and words as they occur and as they hurt; each number another cadet."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from apps.cadets.models import (
    Cadet,
    CadetRank,
    Company,
    Enrollment,
    EnrollmentStatus,
    Gender,
    MilitaryScienceLevel,
    Platoon,
    Term,
)

_LAST = (
    "Peñaflor",
    "O'Hara",
    "Dela Cruz",
    "Ñuñez-Sarip",
    "Cruz, Jr",
    "=Lucman",
    "d\u2019Angelo",
    "@Reyes",
    "III",
    "MACARAEG",
)
_FIRST = ("María Luisa", "Ana, Bea", "Jo-Ann", "'Abdul", "-Omar", "Liza", "+63", "007", "N/A", "Datu “Boy”")
_MIDDLE = ("de la Peña", "S.", "=SUM(A1:A9)", "'", "Bin Ali", "_x0041_", "0", "TRUE", "<b>&amp;", "1e5")
_ADDRESS = ("Maigo, Lanao del Norte", '=HYPERLINK("http://x.example";"x")', "Blk 7; Lot 3", "12/3", "\t| a;b", "#REF!")


def person(number: int) -> dict[str, Any]:
    """The fields of a cadet. Student numbers begin with a zero, or are only digits."""
    return {
        "student_id": f"{number:09}" if number % 2 else f"2026-{number:05}a",
        "last_name": _LAST[number % len(_LAST)],
        "first_name": _FIRST[number // 3 % len(_FIRST)],
        "middle_name": _MIDDLE[number // 7 % len(_MIDDLE)],
        "suffix": ("Jr.", "III", "Sr.", "2nd")[number % 4],
        "email": f"cadet.{number}@example.edu.ph",
        "contact_number": ("+63 917 555 0{:03}", "0917-555-0{:03}", "(02) 855.0{:03}")[number % 3].format(
            number % 1000
        ),
        "address": f"{_ADDRESS[number % len(_ADDRESS)]} {number}".strip(),
        "gender": Gender.values[number % 2],
        "birthdate": dt.date(1999, 1, 1) + dt.timedelta(days=number % 3000),
        "religion": ("Islam", "Roman Catholic", "I.N.C.", "-")[number % 4],
        "course": ("BS Agriculture", "BSEd (Math)", "=BSA", "0123")[number % 4],
        "year_level": 1 + number % 5,
    }


def place(number: int, term: Term, companies: Sequence[Company], platoons: Sequence[Platoon]) -> dict[str, Any]:
    """The fields of an enrollment."""
    return {
        "term": term,
        "company": companies[number % len(companies)],
        "platoon": platoons[number % len(platoons)],
        "battalion": ("1st Battalion", "2nd Bn, Reserve", "=B")[number % 3],
        "position": ("Guidon bearer", "'Adjutant", "S-1/S-2", "-")[number % 4],
        "rank": CadetRank.values[number % len(CadetRank.values)],
        "level": MilitaryScienceLevel.values[number % len(MilitaryScienceLevel.values)],
        "status": EnrollmentStatus.values[number % len(EnrollmentStatus.values)],
        "enrolled_on": term.starts_on + dt.timedelta(days=number % 30),
    }


def unit_fill(number: int, *, term: Term) -> None:
    """So many cadets, enrolled in `term`, with every column filled."""
    companies = [Company.objects.get_or_create(name=name)[0] for name in ("Alpha", "Ñandu", "1/2 =Coy", "HQSCOY")]
    platoons = [Platoon.objects.get_or_create(name=name)[0] for name in ("1st Platoon", "'Colors'", "007")]
    made = Cadet.objects.bulk_create([Cadet(**person(one)) for one in range(number)], batch_size=500)
    Enrollment.objects.bulk_create(
        [Enrollment(cadet=who, **place(one, term, companies, platoons)) for one, who in enumerate(made)],
        batch_size=500,
    )


_NOT_IN_FILES = {"id", "cadet_id", "created_at", "updated_at", "version"}


def unit_stored() -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Everything that is stored of each cadet and enrollment, but ids, versions and instants; by student number."""
    places = {row["cadet_id"]: row for row in Enrollment.objects.values()}
    for row in Cadet.objects.order_by("student_id").values():
        own = places.get(row["id"])
        yield _without(row), None if own is None else _without(own)


def _without(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _NOT_IN_FILES}
