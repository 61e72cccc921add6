"""A day's attendance as a sheet: whoever takes it may be slow, so nothing holds the database between two batches."""

from collections.abc import Iterator

from apps.cadets.models import Enrollment
from apps.training import rules
from apps.training.models import TrainingDay
from apps.training.selectors.roster import cadets_of_day, records_of_cadets
from core.spreadsheets.writing import Written
from core.tables import written_text

_AT_ONCE = 500


def attendance_sheet(
    *, training_day: TrainingDay, company: int | None = None, platoon: int | None = None, status: str | None = None
) -> Iterator[list[Written]]:
    """The roster of a day as the values of ATTENDANCE_COLUMNS: who is on it is read at once, the rows as they are asked
    for. Whoever is unmarked has a blank status. Filters as those of `cadets_of_day`.
    """
    roster = cadets_of_day(training_day=training_day, company=company, platoon=platoon, status=status)
    return _rows(training_day, list(roster.values_list("pk", flat=True)))


def _rows(training_day: TrainingDay, enrollment_ids: list[int]) -> Iterator[list[Written]]:
    for start in range(0, len(enrollment_ids), _AT_ONCE):
        ids = enrollment_ids[start : start + _AT_ONCE]
        found = Enrollment.objects.select_related("cadet", "company", "platoon").in_bulk(ids)
        records = records_of_cadets(
            training_day_id=training_day.pk, cadet_ids=[enrollment.cadet_id for enrollment in found.values()]
        )
        for enrollment in (found[key] for key in ids if key in found):
            record = records.get(enrollment.cadet_id)
            yield [
                enrollment.cadet.student_id,
                enrollment.cadet.full_name,
                enrollment.company.name if enrollment.company else None,
                enrollment.platoon.name if enrollment.platoon else None,
                *(
                    [
                        record.status,
                        rules.written_time(record.time_in, date=training_day.date),
                        rules.written_time(record.time_out, date=training_day.date),
                        written_text(record.remarks),
                    ]
                    if record
                    else [None] * 4
                ),
            ]
