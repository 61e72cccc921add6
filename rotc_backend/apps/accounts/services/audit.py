from typing import Any

from django.db import transaction

from apps.accounts.models import AuditEntry
from core.measure import current_request_id
from core.messages import plain


def audit_record(
    *,
    actor_id: int | None,
    action: str,
    target: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Add one entry to the audit trail, inside the transaction of the write that it tells of."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("audit_record() belongs into the transaction of the write")
    AuditEntry.objects.create(
        actor_id=actor_id,
        action=action,
        target=target,
        before=plain(before),
        after=plain(after),
        request_id=current_request_id() or "",
    )
