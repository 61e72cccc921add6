"""What happens in a term, made directly, without audit entries and events."""

import datetime as dt
from typing import Any

from apps.cadets.models import Cadet
from apps.cadets.tests import factories as cadets
from apps.training.models import AttendanceRecord, AttendanceStatus, ExcuseLetter, TrainingDay


def day(days_ago: int = 7, **fields: Any) -> TrainingDay:
    """A training day of the current term; negative: one to come."""
    given = {"date": cadets.today() - dt.timedelta(days=days_ago), "title": "Basic drill", **fields}
    if "term" not in given:
        given["term"] = cadets.term()
    return TrainingDay.objects.create(**given)


def record(training_day: TrainingDay, who: Cadet, status: str = AttendanceStatus.PRESENT, **fields: Any) -> Any:
    return AttendanceRecord.objects.create(training_day=training_day, cadet=who, status=status, **fields)


def letter(who: Cadet, date: dt.date, **fields: Any) -> ExcuseLetter:
    given = {"term": cadets.term(), "reason": "Fever.", **fields}
    return ExcuseLetter.objects.create(cadet=who, date_absent=date, **given)


def morning(training_day: TrainingDay, hour: int = 6, minute: int = 30) -> dt.datetime:
    """An instant on the day, by the clock in Manila."""
    zone = dt.timezone(dt.timedelta(hours=8))
    return dt.datetime.combine(training_day.date, dt.time(hour, minute), tzinfo=zone)
