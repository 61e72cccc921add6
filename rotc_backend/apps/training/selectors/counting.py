"""Attendance as grades count it. Nothing is stored: whatever day or record changes, the next count is right."""

import datetime as dt
from bisect import bisect_left
from collections.abc import Sequence

from django.db import connection

from apps.training import rules
from apps.training.models import TrainingDay

# The days come as parameters, so that both queries speak of the same ones whatever is written in between.
_COUNTS = """
WITH day AS MATERIALIZED (SELECT * FROM unnest(%(days)s::bigint[], %(dates)s::date[]) AS day (id, date))
SELECT enrollment.cadet_id, enrollment.enrolled_on,
    count(*) FILTER (WHERE record.status = 'present'), count(*) FILTER (WHERE record.status = 'late'),
    count(*) FILTER (WHERE record.status = 'excused'), count(*) FILTER (WHERE record.status = 'absent')
FROM cadets_enrollment AS enrollment
LEFT JOIN (training_attendancerecord AS record JOIN day ON day.id = record.training_day_id)
    ON record.cadet_id = enrollment.cadet_id AND (%(closed)s OR day.date >= enrollment.enrolled_on)
WHERE enrollment.term_id = %(term)s {only}
GROUP BY enrollment.id
"""


def held_days(*, term_id: int, today: dt.date) -> list[tuple[int, dt.date]]:
    """(id, date) of the days that count in a term, in their order: held by `today` in Manila and not cancelled.

    All that are not cancelled, once the term is closed. One query.
    """
    return _held(term_id=term_id, today=today)[0]


def attendance_counts(
    *, term_id: int, cadet_ids: Sequence[int] | None = None, today: dt.date
) -> dict[int, rules.AttendanceCount]:
    """The count of each cadet enrolled in a term, or of those among `cadet_ids`; nobody else has an entry.

    Two queries for any number of cadets.
    """
    days, closed = _held(term_id=term_id, today=today)
    dates = [date for _, date in days]
    only = "AND enrollment.cadet_id = ANY(%(cadets)s::bigint[])" if cadet_ids is not None else ""
    with connection.cursor() as cursor:
        cursor.execute(
            _COUNTS.format(only=only),
            {
                "days": [day_id for day_id, _ in days],
                "dates": dates,
                "closed": closed,
                "term": term_id,
                "cadets": list(cadet_ids or ()),
            },
        )
        rows = cursor.fetchall()
    return {
        cadet_id: rules.AttendanceCount(
            held=len(dates) if closed else len(dates) - bisect_left(dates, enrolled_on),
            by_status=dict(zip(rules.STATUSES, counts, strict=True)),
        )
        for cadet_id, enrolled_on, *counts in rows
    }


def _held(*, term_id: int, today: dt.date) -> tuple[list[tuple[int, dt.date]], bool]:
    """The days that count, by date, and whether the term is closed (which says nothing where there is no day)."""
    rows = TrainingDay.objects.filter(term_id=term_id, cancelled_at=None).order_by("date", "id")
    days, closed = [], False
    for day_id, date, closed_at in rows.values_list("id", "date", "term__closed_at"):
        closed = closed_at is not None
        if rules.day_is_held(date=date, cancelled=False, term_closed=closed, today=today):
            days.append((day_id, date))
    return days, closed
