"""A unit with grades, attendance and conduct, reports of it, and what stands on their pages."""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.accounts.rules import Principal
from apps.cadets.models import Cadet, Company, Enrollment, Term
from apps.cadets.tests import factories as cadets
from apps.grading.models import ExamScore, MeritDemerit
from apps.grading.tests import factories as grading
from apps.reports.models import Report, State
from apps.reports.services import asking, performing
from apps.training.models import AttendanceRecord, TrainingDay
from apps.training.tests import factories as training
from core.leases import Claim

LAST_NAMES = (
    "Peñaranda",
    "Macaraeg",
    "Dimaporo",
    "Ñuñez",
    "Villanueva",
    "Pangandaman",
    "Sarip",
    "Lucman",
    "de la Cruz",
)
FIRST_NAMES = ("María José", "Liza", "Omar", "Norhaya", "Ramón", "Bea", "Datu Ali", "Aisha", "Juan Miguel")
COURSES = ("BS Forestry", "BS Agriculture", "BS Information Technology", "Bachelor of Secondary Education")


def unit(
    *, cadets_of_each: int, days: int = 8, companies: Sequence[str] = ("Alpha", "Bravo"), today: bool = False
) -> Term:
    """A term with companies of so many cadets, graded on held days, exams and merits."""
    grading.default_policy()
    term = cadets.term()
    numbers = itertools.count(1)
    enrollments: list[Enrollment] = []
    for name in companies:
        enrollments += _company(cadets.company(name), cadets_of_each, numbers, term)
    held = [training_day(term, days - place - (1 if today else 0)) for place in range(days)]
    AttendanceRecord.objects.bulk_create(
        (
            AttendanceRecord(
                training_day=day,
                cadet_id=one.cadet_id,
                status=_status(one.pk + day.pk),
                time_in=training.morning(day, minute=20 + one.pk % 30)
                if _status(one.pk + day.pk) in {"present", "late"}
                else None,
            )
            for day in held
            for one in enrollments
            if (one.pk * 7 + day.pk) % 23
        ),
        batch_size=2000,
    )
    ExamScore.objects.bulk_create(
        ExamScore(enrollment=one, exam=exam, score=70 + (one.pk * 3 + place * 5) % 30)
        for one in enrollments
        for place, exam in enumerate(("prelim", "midterm", "final"))
        if (one.pk + place) % 17
    )
    issuer = grading.issuer()
    MeritDemerit.objects.bulk_create(
        MeritDemerit(
            enrollment=one,
            kind="merit" if one.pk % 3 else "demerit",
            points=5 + one.pk % 20,
            reason="Led the flag detail" if one.pk % 3 else "Late for formation",
            issued_by=issuer,
        )
        for one in enrollments
        if one.pk % 9 == 0
    )
    return term


def training_day(term: Term, days_ago: int, title: str = "Drill and ceremonies") -> TrainingDay:
    day = grading.day(term, days_ago=days_ago, location="Parade ground")
    TrainingDay.objects.filter(pk=day.pk).update(title=title)
    day.refresh_from_db()
    return day


def _status(number: int) -> str:
    return {0: "absent", 1: "late", 2: "excused"}.get(number % 19, "present")


def _company(company: Company, count: int, numbers: Any, term: Term) -> list[Enrollment]:
    made = Cadet.objects.bulk_create(
        [
            Cadet(
                student_id=f"2026-{number:04}",
                last_name=LAST_NAMES[number % len(LAST_NAMES)],
                first_name=FIRST_NAMES[number // 9 % len(FIRST_NAMES)],
                middle_name=LAST_NAMES[(number * 4 + number // 9) % len(LAST_NAMES)],
                course=COURSES[number % len(COURSES)],
                year_level=1 + number % 4,
                gender=("female", "male")[number % 2],
                contact_number=f"0917 555 {number % 10_000:04}",
            )
            for number in itertools.islice(numbers, count)
        ]
    )
    platoons = [cadets.platoon(name) for name in ("1st Platoon", "2nd Platoon", "Colors")]
    return Enrollment.objects.bulk_create(
        [
            Enrollment(
                cadet=cadet,
                term=term,
                company=company,
                platoon=platoons[place % 3],
                enrolled_on=term.starts_on,
                position="Squad leader" if place % 12 == 0 else "",
            )
            for place, cadet in enumerate(made)
        ]
    )


def asked(actor: Principal, kind: str, **fields: Any) -> Report:
    return asking.report_create(actor=actor, kind=kind, site="https://rgms.example", **fields)[0]


def claimed(report: Report) -> Claim:
    claim = performing.report_claim(report_id=report.pk)
    assert claim is not None
    return claim


def performed(report: Report, **options: Any) -> State:
    """The report done as a worker does it; `report` is as it is then."""
    state = performing.report_perform(claim=claimed(report), **options)
    report.refresh_from_db()
    return state


def made(actor: Principal, kind: str, **fields: Any) -> tuple[Report, bytes]:
    """A report that is ready, and its file."""
    report = asked(actor, kind, **fields)
    assert performed(report) == State.READY, report.problem
    return report, content_of(report)


def content_of(report: Report) -> bytes:
    return (Path(settings.MEDIA_ROOT) / report.file).read_bytes()


def stored_files() -> list[str]:
    return sorted(str(file) for file in Path(settings.MEDIA_ROOT).rglob("*") if file.is_file())


def pages_of(content: bytes) -> list[str]:
    """The words of each page, blanks collapsed."""
    import pypdfium2

    document = pypdfium2.PdfDocument(content)
    try:
        return [" ".join(re.split(r"\s+", page.get_textpage().get_text_range())) for page in document]
    finally:
        document.close()
