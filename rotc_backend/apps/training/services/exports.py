from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction

from apps.accounts.rules import Principal
from apps.accounts.services import audit_record
from apps.training.models import TrainingDay
from apps.training.selectors.exports import attendance_sheet
from core.spreadsheets.writing import Written


def attendance_export(
    *, actor: Principal, training_day: TrainingDay, filters: Mapping[str, Any], file_format: str
) -> Iterable[Sequence[Written]]:
    """The rows of a day's sheet. That somebody takes them is written into the audit trail before the first one."""
    with transaction.atomic():
        audit_record(
            actor_id=actor.user_id,
            action="attendance.export",
            target=f"training_day:{training_day.pk}",
            after={"file_format": file_format, "filters": dict(filters)},
        )
        return attendance_sheet(training_day=training_day, **filters)
