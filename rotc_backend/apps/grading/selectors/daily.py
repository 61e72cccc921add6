"""What happened to the unit on one day in Manila, counted by company."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from apps.training import rules as training
from apps.training.models import TrainingDay
from core.clock import manila_day

WITHOUT_COMPANY = "Without a company"
UNIT = "The unit"

# Expected are those for whom the day counts; whoever was marked all the same was there to be marked.
_ATTENDANCE = """
SELECT day.id, coalesce(company.name, %(nobody)s), coalesce(record.status, 'unmarked'), count(*)
FROM training_trainingday AS day
JOIN cadets_enrollment AS enrollment ON enrollment.term_id = day.term_id
JOIN cadets_cadet AS cadet ON cadet.id = enrollment.cadet_id
LEFT JOIN cadets_company AS company ON company.id = enrollment.company_id
LEFT JOIN training_attendancerecord AS record ON record.training_day_id = day.id AND record.cadet_id = cadet.id
WHERE day.date = %(day)s AND day.cancelled_at IS NULL AND (
    record.id IS NOT NULL
    OR cadet.archived_at IS NULL AND enrollment.enrolled_on <= day.date AND NOT (enrollment.status = ANY(%(outside)s))
)
GROUP BY day.id, company.position, company.name, record.status
ORDER BY day.id, company.position NULLS LAST, company.name
"""
_DISCIPLINE = """
SELECT coalesce(company.name, %(nobody)s), merit.kind,
    count(*) FILTER (WHERE merit.issued_at >= %(start)s AND merit.issued_at < %(end)s AND merit.revoked_at IS NULL),
    coalesce(sum(merit.points) FILTER (
        WHERE merit.issued_at >= %(start)s AND merit.issued_at < %(end)s AND merit.revoked_at IS NULL
    ), 0),
    count(*) FILTER (WHERE merit.revoked_at >= %(start)s AND merit.revoked_at < %(end)s)
FROM grading_meritdemerit AS merit
JOIN cadets_enrollment AS enrollment ON enrollment.id = merit.enrollment_id
LEFT JOIN cadets_company AS company ON company.id = enrollment.company_id
WHERE merit.issued_at >= %(start)s AND merit.issued_at < %(end)s
    OR merit.revoked_at >= %(start)s AND merit.revoked_at < %(end)s
GROUP BY company.position, company.name, merit.kind
ORDER BY company.position NULLS LAST, company.name, merit.kind
"""


@dataclass(frozen=True, kw_only=True)
class Discipline:
    """Issued on the day and in force: how many, and their points. `revoked` on the day, whenever issued."""

    merits: int = 0
    merit_points: int = 0
    demerits: int = 0
    demerit_points: int = 0
    revoked: int = 0

    def __add__(self, other: "Discipline") -> "Discipline":
        return Discipline(
            merits=self.merits + other.merits,
            merit_points=self.merit_points + other.merit_points,
            demerits=self.demerits + other.demerits,
            demerit_points=self.demerit_points + other.demerit_points,
            revoked=self.revoked + other.revoked,
        )


@dataclass(frozen=True, kw_only=True)
class DayHeld:
    """A training day. `companies` has how many cadets of each had which of STATUSES, or UNMARKED."""

    title: str
    cancelled: bool
    companies: Mapping[str, Counter[str]] = field(default_factory=dict)

    @property
    def unit(self) -> Counter[str]:
        return sum(self.companies.values(), Counter())


@dataclass(frozen=True, kw_only=True)
class DayFacts:
    """A day's attendance and discipline; companies in the unit's order, those that nothing is known of left out."""

    day: dt.date
    held: list[DayHeld]
    discipline: Mapping[str, Discipline]

    @property
    def companies(self) -> list[str]:
        """Every company that anything is known of, in the unit's order."""
        names = [*(name for day in self.held for name in day.companies), *self.discipline]
        return list(dict.fromkeys(names))

    @property
    def unit_discipline(self) -> Discipline:
        return sum(self.discipline.values(), Discipline())


def day_facts(*, day: dt.date) -> DayFacts:
    """What happened on `day`. Three queries, whatever the size of the unit."""
    start, end = manila_day(day)
    days = list(TrainingDay.objects.filter(date=day).order_by("id").values_list("id", "title", "cancelled_at"))
    counts: dict[int, dict[str, Counter[str]]] = {}
    discipline: dict[str, Discipline] = {}
    given: dict[str, Any] = {
        "day": day,
        "start": start,
        "end": end,
        "nobody": WITHOUT_COMPANY,
        "outside": sorted(training.STATUSES_OUTSIDE),
    }
    with connection.cursor() as cursor:
        cursor.execute(_ATTENDANCE, given)
        for day_id, company, status, number in cursor.fetchall():
            counts.setdefault(day_id, {}).setdefault(company, Counter())[status] += number
        cursor.execute(_DISCIPLINE, given)
        for company, kind, number, points, revoked in cursor.fetchall():
            issued = {f"{kind}s": number, f"{kind}_points": int(points)}
            discipline[company] = discipline.get(company, Discipline()) + Discipline(**issued, revoked=revoked)
    return DayFacts(
        day=day,
        held=[
            DayHeld(title=title, cancelled=cancelled_at is not None, companies=counts.get(day_id, {}))
            for day_id, title, cancelled_at in days
        ],
        discipline=discipline,
    )
