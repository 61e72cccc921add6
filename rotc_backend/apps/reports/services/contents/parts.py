"""What several documents have in common."""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from apps.cadets.models import Enrollment, StaffFunction, Term
from apps.cadets.rules import search_words
from apps.cadets.selectors import staff_function_of
from apps.reports import rules
from apps.reports.models import Report
from apps.reports.services.documents import Grid, Heading, ReportColumn, Row, Signatures
from core.clock import MANILA, now

_T = TypeVar("_T")
AT_ONCE = 500  # rows that are read together
WITHOUT_COMPANY = "Without a company"


def signatures(kind: str) -> Signatures:
    return Signatures(
        places=[(what, StaffFunction(function).label) for what, function in rules.KINDS[kind].signatories]
    )


def origin_of(report: Report) -> str:
    """When it is made, in Manila, and for whom: a function, never a name."""
    local = now().astimezone(MANILA)
    return f"Generated {day_words(local.date())}, {local:%H:%M} (Manila time) {_whom(report)}"


def _whom(report: Report) -> str:
    if report.requested_by is None:
        return "by the daily schedule"
    if report.requested_by.role == "cadet":
        return "for the cadet"
    function = staff_function_of(user_id=report.requested_by.pk)
    if function is not None:
        return f"for the {StaffFunction(function).label}"
    return "for an administrator" if report.requested_by.role == "admin" else "for the training staff"


def day_words(day: dt.date) -> str:
    return f"{day.day} {day:%B %Y}"


def term_words(term: Term) -> str:
    return f"{term.get_semester_display()}, School Year {term.school_year}"


def standing_words(term: Term) -> str:
    """Whether results of a term are decided, in one word for a spreadsheet."""
    return "Final" if term.closed_at is not None else "Provisional"


def batches(rows: Iterable[_T]) -> Iterator[list[_T]]:
    """`rows` some at a time, so that what is computed of them stays small."""
    them = iter(rows)
    while batch := list(islice(them, AT_ONCE)):
        yield batch


class ByCompany:
    """Rows of people under their companies in the order of the list, by name; each gets its number as first value.

    By name as people read it: a database whose locale is C has Ñ after Z, and all capitals before "de la Cruz".
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[int, str, int], list[tuple[str, int, Row]]] = {}

    def add(self, enrollment: Enrollment, row: Row) -> None:
        company = enrollment.company
        place = (company.position, company.name, company.pk) if company else (1_000_000, WITHOUT_COMPANY, 0)
        self._rows.setdefault(place, []).append((name_key(enrollment), enrollment.pk, row))

    def sections(self) -> list[tuple[str, list[Row]]]:
        """(name of a company, its rows) for each."""
        found: list[tuple[str, list[Row]]] = []
        for place in sorted(self._rows):
            ordered = sorted(self._rows[place], key=lambda one: one[:2])
            found.append((place[1], [[number, *row] for number, (_, _, row) in enumerate(ordered, start=1)]))
        return found


def name_key(enrollment: Enrollment) -> str:
    return " ".join(search_words(enrollment.cadet.full_name))


def all_rows(sections: Sequence[tuple[str, list[Row]]]) -> list[Row]:
    return [row for _, rows in sections for row in rows]


def company_name(enrollment: Enrollment) -> str | None:
    return enrollment.company.name if enrollment.company else None


def platoon_name(enrollment: Enrollment) -> str | None:
    return enrollment.platoon.name if enrollment.platoon else None


def grid_of(name: str, columns: Sequence[ReportColumn], rows: Sequence[Row], *, new_page: bool) -> list[Heading | Grid]:
    """A company's heading and table."""
    people = "1 cadet" if len(rows) == 1 else f"{len(rows)} cadets"
    title = name if name == WITHOUT_COMPANY else f"{name} Company"
    return [Heading(text=f"{title} · {people}", new_page=new_page), Grid(columns=columns, rows=rows)]
