from collections.abc import Iterable, Mapping, Sequence

from django.db import transaction

from apps.accounts.rules import Principal
from apps.accounts.services import audit_record
from apps.grading.selectors.exports import scores_sheet
from core.spreadsheets.writing import Written


def scores_export(
    *, actor: Principal, term_id: int, filters: Mapping[str, int], file_format: str
) -> Iterable[Sequence[Written]]:
    """The rows of a term's sheet of scores, of one `company` or `platoon` if told.

    That somebody takes them is written into the audit trail before the first one.
    """
    with transaction.atomic():
        audit_record(
            actor_id=actor.user_id,
            action="score.export",
            target=f"term:{term_id}",
            after={"file_format": file_format, "filters": dict(filters)},
        )
        return scores_sheet(term_id=term_id, company_id=filters.get("company"), platoon_id=filters.get("platoon"))
