"""What days that have ended still lack."""

import datetime as dt

from django.db import connection
from django.db.models import Exists, OuterRef

from apps.cadets.models import Enrollment
from apps.training import rules
from apps.training.models import AttendanceRecord, TrainingDay

# Records that are missing; and records of the system's own that an approved letter excuses, which only a fault leaves.
_LACKING = """
SELECT day.id FROM training_trainingday AS day
JOIN cadets_term AS term ON term.id = day.term_id AND term.closed_at IS NULL
WHERE day.cancelled_at IS NULL AND day.date < %(today)s AND (
    EXISTS (
        SELECT FROM cadets_enrollment AS enrollment
        JOIN cadets_cadet AS cadet ON cadet.id = enrollment.cadet_id AND cadet.archived_at IS NULL
        WHERE enrollment.term_id = day.term_id AND enrollment.enrolled_on <= day.date
        AND NOT (enrollment.status = ANY(%(outside)s)) AND NOT EXISTS (
            SELECT FROM training_attendancerecord AS record
            WHERE record.training_day_id = day.id AND record.cadet_id = enrollment.cadet_id
        )
    )
    OR EXISTS (
        SELECT FROM training_excuseletter AS letter
        JOIN training_attendancerecord AS record
            ON record.training_day_id = day.id AND record.cadet_id = letter.cadet_id
            AND record.source = 'sync' AND record.status <> 'excused'
        WHERE letter.term_id = day.term_id AND letter.date_absent = day.date AND letter.state = 'approved'
        AND (letter.training_day_id IS NULL OR letter.training_day_id = day.id)
    )
)
ORDER BY day.date, day.id
"""


def days_to_close(*, today: dt.date) -> list[int]:
    """The days before `today`, of open terms and not cancelled, on which somebody lacks a record. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_LACKING, {"today": today, "outside": sorted(rules.STATUSES_OUTSIDE)})
        return [day_id for (day_id,) in cursor.fetchall()]


def cadets_without_record(*, training_day: TrainingDay) -> list[int]:
    """The cadets for whom a day counts and of whom nothing is recorded: enrolled by then, in training, not archived."""
    records = AttendanceRecord.objects.filter(training_day=training_day, cadet=OuterRef("cadet"))
    rows = (
        Enrollment.objects.filter(
            term_id=training_day.term_id, enrolled_on__lte=training_day.date, cadet__archived_at=None
        )
        .exclude(status__in=rules.STATUSES_OUTSIDE)
        .filter(~Exists(records))
    )
    return list(rows.order_by("cadet_id").values_list("cadet_id", flat=True))
