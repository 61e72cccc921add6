"""Statistics of a term for the staff's first page."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from typing import Any

from apps.accounts.models import Status, User
from apps.cadets.models import Enrollment, EnrollmentStatus, Term
from apps.grading import rules
from apps.grading.selectors.grades import grades_of
from apps.training.models import AttendanceRecord, ExcuseLetter, LetterState, TrainingDay
from apps.training.rules import STATUSES


def term_statistics(*, term: Term, today: dt.date) -> dict[str, Any]:
    """Counts over the cadets of a term who are not archived, as JSON; the same few queries for any number of them.

    `companies` and `statuses` count enrollments, `grades` outcomes, the best first; `last_day` is the attendance of
    the latest day that was held by `today` and not cancelled, or None.
    """
    enrollments = list(
        Enrollment.objects.filter(term_id=term.pk, cadet__archived_at=None).select_related("company").order_by("id")
    )
    for enrollment in enrollments:
        enrollment.term = term
    grades = grades_of(enrollments=enrollments, today=today)
    return {
        "enrolled": len(enrollments),
        "statuses": _counted(EnrollmentStatus.values, (enrollment.status for enrollment in enrollments)),
        "companies": _companies(enrollments),
        "grades": outcomes(grades),
        "last_day": _last_day(term, today, enrollments),
    }


def outcomes(grades: Iterable[rules.Grade]) -> list[dict[str, Any]]:
    """How often each outcome occurs: Passed by equivalent, Failed, then those without an equivalent."""
    counts = Counter((grade.remark, grade.equivalent) for grade in grades)
    order = {remark: place for place, remark in enumerate(rules.REMARKS)}
    return [
        {"remark": remark, "equivalent": equivalent, "count": count}
        for (remark, equivalent), count in sorted(
            counts.items(), key=lambda item: (order[item[0][0]], item[0][1] or "")
        )
    ]


def _companies(enrollments: Iterable[Enrollment]) -> list[dict[str, Any]]:
    """Each company in the order of the list, and last, as null, the enrollments without one."""
    of_company: dict[tuple[int, int, str], list[str]] = {}
    without: list[str] = []
    for enrollment in enrollments:
        company = enrollment.company
        if company is None:
            without.append(enrollment.status)
        else:
            of_company.setdefault((company.position, company.pk, company.name), []).append(enrollment.status)
    found = [
        {"company": {"id": key, "name": name}, "statuses": _counted(EnrollmentStatus.values, statuses)}
        for (_, key, name), statuses in sorted(of_company.items())
    ]
    if without:
        found.append({"company": None, "statuses": _counted(EnrollmentStatus.values, without)})
    return found


def _counted(names: Iterable[str], values: Iterable[str]) -> dict[str, int]:
    counts = Counter(values)
    return {name: counts[name] for name in names}


def _last_day(term: Term, today: dt.date, enrollments: Iterable[Enrollment]) -> dict[str, Any] | None:
    """`expected` are the cadets who were enrolled by that day; `unmarked` those of them without a record."""
    day = (
        TrainingDay.objects.filter(term_id=term.pk, cancelled_at=None, date__lte=today).order_by("-date", "-id").first()
    )
    if day is None:
        return None
    expected = {enrollment.cadet_id for enrollment in enrollments if enrollment.enrolled_on <= day.date}
    records = AttendanceRecord.objects.filter(training_day_id=day.pk).values_list("cadet_id", "status")
    by_status = _counted(STATUSES, (status for cadet_id, status in records if cadet_id in expected))
    return {
        "id": day.pk,
        "date": day.date.isoformat(),
        "title": day.title,
        "expected": len(expected),
        "by_status": {**by_status, "unmarked": len(expected) - sum(by_status.values())},
    }


def waiting_counts(*, term_id: int) -> dict[str, int]:
    """What waits for somebody's decision: letters of a term, and accounts."""
    letters = ExcuseLetter.objects.filter(term_id=term_id, state=LetterState.PENDING)
    accounts = User.objects.filter(status=Status.PENDING, archived_at=None)
    return {"pending_letters": letters.count(), "pending_accounts": accounts.count()}
