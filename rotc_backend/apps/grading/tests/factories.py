"""What grades are made of, on top of the small unit: held days, records, scores, merits.

Rows are made directly, without audit entries and events, so that a test sees only those of what it does.
"""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.core.cache import cache as django_cache
from rest_framework.test import APIClient

from apps.accounts.models import Role, User
from apps.accounts.tests import factories as accounts
from apps.cadets.models import Enrollment, Term
from apps.cadets.tests import factories as unit
from apps.grading import rules
from apps.grading.models import Adjustment, ExamScore, GradingPolicy, MeritDemerit
from apps.training.models import AttendanceRecord, TrainingDay
from core import cache

DAY = dt.timedelta(days=1)


def cache_emptied() -> None:
    """Ids begin anew with every test database, and so do the keys made of them."""
    django_cache.clear()
    cache.forget_failures()


def token_read_lately(client: APIClient) -> None:
    """Let the client's token be checked against the database now, so that a count of queries that follows has none."""
    client.get("/api/v1/notifications/unread-count")


def default_policy() -> GradingPolicy:
    return GradingPolicy.objects.get_or_create(term=None, defaults=rules.UNIT_POLICY)[0]


def own_policy(term: Term, **fields: Any) -> GradingPolicy:
    return GradingPolicy.objects.create(term=term, **{**rules.UNIT_POLICY, **fields})


def issuer() -> User:
    """Somebody who has issued things before the test begins."""
    return User.objects.filter(username="Issuer").first() or accounts.user("Issuer", role=Role.ADMIN)


def day(term: Term | None = None, *, days_ago: int = 7, **fields: Any) -> TrainingDay:
    date = fields.pop("date", unit.today() - days_ago * DAY)
    return TrainingDay.objects.create(term=term or unit.term(), date=date, title=f"Drill of {date}", **fields)


def days(number: int, term: Term | None = None) -> list[TrainingDay]:
    """So many held days, one a day, the latest yesterday."""
    return [day(term, days_ago=number - place) for place in range(number)]


def attend(enrollment: Enrollment, held: Sequence[TrainingDay], statuses: Sequence[str | None]) -> None:
    """A record for each day, in their order; None leaves the day without one."""
    AttendanceRecord.objects.bulk_create(
        AttendanceRecord(training_day=one, cadet_id=enrollment.cadet_id, status=status)
        for one, status in zip(held, statuses, strict=True)
        if status is not None
    )


def scores(enrollment: Enrollment, *values: str | None) -> None:
    """Prelim, midterm, final; None leaves one missing."""
    for exam, value in zip(rules.EXAMS, values, strict=False):
        if value is not None:
            ExamScore.objects.create(enrollment=enrollment, exam=exam, score=Decimal(value))


def award(enrollment: Enrollment, points: int, kind: str = "merit", **fields: Any) -> MeritDemerit:
    given = {"reason": "Conduct", "issued_by": issuer(), **fields}
    return MeritDemerit.objects.create(enrollment=enrollment, kind=kind, points=points, **given)


def awards(enrollment: Enrollment, *, merits: int = 0, demerits: int = 0) -> None:
    """Totals of any size, in as many rows as they need."""
    for kind, total in (("merit", merits), ("demerit", demerits)):
        for start in range(0, total, 100):
            award(enrollment, min(100, total - start), kind)


def adjustment(enrollment: Enrollment, component: str, points: str, **fields: Any) -> Adjustment:
    given = {"reason": "Decided by the board", "issued_by": issuer(), **fields}
    return Adjustment.objects.create(enrollment=enrollment, component=component, points=Decimal(points), **given)
