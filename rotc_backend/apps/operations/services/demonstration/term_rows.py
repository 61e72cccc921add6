"""The two terms and their training days as rows of the database."""

import datetime as dt
from collections.abc import Mapping
from typing import NamedTuple

from apps.cadets.models import Term
from apps.cadets.services.terms import term_hold_open
from apps.operations.services.demonstration.terms import TermPlan, at
from apps.training.models import TrainingDay

BEFORE, NOW = "before", "now"


class Terms(NamedTuple):
    """`open` are the terms that take rows, by name; `days` the ids of their days that were not cancelled."""

    is_fresh: bool
    open: dict[str, Term]
    days: dict[tuple[str, int], int]


def terms_prepare(plans: Mapping[str, TermPlan], *, today: dt.date) -> Terms:
    """The demo's terms: made in a system without any, else those that are there and open, held until the end."""
    is_fresh = not Term.objects.exists()
    if is_fresh:
        for name, plan in plans.items():
            _write(plan, is_current=name == NOW, today=today)
    found: dict[str, Term] = {}
    days: dict[tuple[str, int], int] = {}
    for name, plan in plans.items():
        term = Term.objects.filter(school_year=plan.school_year, semester=plan.semester, closed_at=None).first()
        if term is None:
            continue
        term_hold_open(term_id=term.pk)
        found[name] = term
        rows = TrainingDay.objects.filter(term=term, cancelled_at=None)
        ids = {(date, title): key for key, date, title in rows.values_list("pk", "date", "title")}
        for place, day in enumerate(plan.days):
            if (day.date, day.title) in ids:
                days[name, place] = ids[day.date, day.title]
    return Terms(is_fresh, found, days)


def _write(plan: TermPlan, *, is_current: bool, today: dt.date) -> None:
    planned_at = at(plan.starts_on - dt.timedelta(days=20), 10 * 60)
    term = Term.objects.create(
        school_year=plan.school_year,
        semester=plan.semester,
        starts_on=plan.starts_on,
        ends_on=plan.ends_on,
        is_current=is_current,
        created_at=planned_at,
        updated_at=planned_at,
    )
    days = []
    for day in plan.days:
        # Announced two days before, or lately for a day to come.
        cancelled_at = None
        if day.cancel_reason:
            cancelled_at = min(at(day.date - dt.timedelta(days=2), 17 * 60), at(today - dt.timedelta(days=3), 11 * 60))
        days.append(
            TrainingDay(
                term=term,
                date=day.date,
                title=day.title,
                description=day.description,
                location=day.location,
                cancelled_at=cancelled_at,
                cancel_reason=day.cancel_reason,
                version=2 if cancelled_at else 1,
                created_at=planned_at,
                updated_at=cancelled_at or planned_at,
            )
        )
    TrainingDay.objects.bulk_create(days)
