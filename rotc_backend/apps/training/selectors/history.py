"""Somebody's own attendance in a term, day by day."""

import datetime as dt
from typing import Any

from apps.cadets.models import Term
from apps.cadets.selectors import enrollment_of
from apps.training import rules
from apps.training.models import Attendance, AttendanceRecord, StaffAttendanceRecord, TrainingDay


def history_of_cadet(*, cadet_id: int, term_id: int, today: dt.date) -> dict[str, Any]:
    """Every day of the term with the cadet's record, and the totals that grades count with. Three queries.

    Raises NotFound (`not_enrolled`).
    """
    enrollment = enrollment_of(cadet_id=cadet_id, term_id=term_id)
    records = AttendanceRecord.objects.filter(cadet_id=cadet_id, training_day__term_id=term_id)
    return _history(
        term=enrollment.term,
        records={record.training_day_id: record for record in records},
        enrolled_on=enrollment.enrolled_on,
        today=today,
    )


def history_of_staff(*, staff_id: int, term: Term, today: dt.date) -> dict[str, Any]:
    """As `history_of_cadet`; for staff every day held counts. Two queries."""
    records = StaffAttendanceRecord.objects.filter(staff_profile_id=staff_id, training_day__term=term)
    return _history(
        term=term,
        records={record.training_day_id: record for record in records},
        enrolled_on=dt.date.min,
        today=today,
    )


def _history(*, term: Term, records: dict[int, Any], enrolled_on: dt.date, today: dt.date) -> dict[str, Any]:
    closed = term.closed_at is not None
    totals = dict.fromkeys(("held", *rules.STATUSES, rules.UNMARKED), 0)
    days = []
    for day in TrainingDay.objects.filter(term=term).order_by("date", "id"):
        record: Attendance | None = records.get(day.pk)
        cancelled = day.cancelled_at is not None
        counts = rules.day_is_held(
            date=day.date, cancelled=cancelled, term_closed=closed, today=today
        ) and rules.day_counts_for(date=day.date, enrolled_on=enrolled_on, term_closed=closed)
        if counts:
            totals["held"] += 1
            totals[record.status if record is not None else rules.UNMARKED] += 1
        days.append(
            {
                "training_day_id": day.pk,
                "date": day.date,
                "title": day.title,
                "location": day.location,
                "cancelled": cancelled,
                "counts": counts,
                "record": record,
            }
        )
    return {"term_id": term.pk, "totals": totals, "days": days}
