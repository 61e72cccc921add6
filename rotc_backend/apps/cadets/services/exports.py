from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction

from apps.accounts.rules import Principal
from apps.accounts.services import audit_record
from apps.cadets.selectors import cadets_sheet
from core.spreadsheets.writing import Written


def cadets_export(*, actor: Principal, filters: Mapping[str, Any], file_format: str) -> Iterable[Sequence[Written]]:
    """The rows of a sheet of cadets. That somebody takes them is written into the audit trail before the first one."""
    with transaction.atomic():
        audit_record(
            actor_id=actor.user_id,
            action="cadet.export",
            target=f"term:{filters['term']}" if "term" in filters else "cadets",
            after={"file_format": file_format, "filters": dict(filters)},
        )
        return cadets_sheet(**filters)
