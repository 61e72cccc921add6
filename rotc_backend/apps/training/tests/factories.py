"""What happens in a term, made directly, without audit entries and events."""

import datetime as dt
import uuid
from typing import Any

from django.conf import settings

from apps.cadets.models import Cadet
from apps.cadets.tests import factories as cadets
from apps.training import rules
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


def code(
    training_day: TrainingDay, who: Cadet, *, issued_at: dt.datetime, key: str | None = None, **fields: Any
) -> str:
    """A code as the service would have made it then; each is another one."""
    content: dict[str, Any] = {
        "training_day_id": training_day.pk,
        "cadet_id": who.pk,
        "issued_at": rules.instant_cut(issued_at),
        "lifetime": dt.timedelta(minutes=10),
        "nonce": uuid.uuid4(),
        **fields,
    }
    return rules.code_spelled(rules.AttendanceCode(**content), key=key or settings.ATTENDANCE_CODE_KEY)
