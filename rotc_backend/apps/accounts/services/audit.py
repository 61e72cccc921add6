from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from apps.accounts.models import AuditEntry
from core.measure import current_request_id
from core.messages import plain


@dataclass(frozen=True, kw_only=True)
class Audited:
    """A write, as the audit trail tells of it."""

    action: str
    target: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


def audit_record(
    *,
    actor_id: int | None,
    action: str,
    target: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Add one entry to the audit trail, inside the transaction of the write that it tells of."""
    audit_record_many(actor_id=actor_id, writes=[Audited(action=action, target=target, before=before, after=after)])


def audit_record_many(*, actor_id: int | None, writes: Sequence[Audited]) -> None:
    """Add an entry for each of several writes of one transaction, in their order, by one statement."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("audit_record() belongs into the transaction of the write")
    request_id = current_request_id() or ""
    AuditEntry.objects.bulk_create(
        AuditEntry(
            actor_id=actor_id,
            action=write.action,
            target=write.target,
            before=plain(write.before),
            after=plain(write.after),
            request_id=request_id,
        )
        for write in writes
    )
