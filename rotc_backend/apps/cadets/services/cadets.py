"""Cadets: their data, over all terms."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models.functions import Lower

from apps.accounts import services as accounts
from apps.accounts.rules import Principal
from apps.accounts.services import audit_record
from apps.cadets import rules
from apps.cadets.events import CadetArchived, CadetChanged, CadetCreated, CadetRestored
from apps.cadets.models import Cadet
from apps.cadets.services.constraints import conflicts
from apps.events.services import publish
from core import cache
from core.clock import now
from core.errors import Conflict, NotFound
from core.models import apply_changes, lock_row

MISSING = "There is no cadet with this id."


def cadet_create(*, actor: Principal, fields: Mapping[str, Any]) -> Cadet:
    """Make a cadet's record; without account and enrollment. Raises Conflict (`student_id_taken`)."""
    taken = _taken(fields["student_id"])
    with conflicts({"cadet_student_id_unique": taken}):
        _refuse_taken(fields["student_id"])
        cadet = Cadet.objects.create(**fields)
        cadet.refresh_from_db()
        audit_record(actor_id=actor.user_id, action="cadet.create", target=f"cadet:{cadet.pk}", after={**fields})
        _tell(cadet, CadetCreated)
    return cadet


def cadet_change(*, actor: Principal, cadet_id: int, expected_version: int, changes: Mapping[str, Any]) -> Cadet:
    """Raises NotFound, PreconditionFailed, and Conflict (`student_id_taken`)."""
    with conflicts({"cadet_student_id_unique": _taken(changes.get("student_id", ""))}):
        cadet = lock_row(Cadet.objects.filter(pk=cadet_id), expected_version=expected_version, missing=MISSING)
        if "student_id" in changes:
            _refuse_taken(changes["student_id"], but=cadet.pk)
        cadet_apply(cadet, changes, actor=actor, action="cadet.change")
    return cadet


def cadet_change_own(*, actor: Principal, expected_version: int, changes: Mapping[str, Any]) -> Cadet:
    """Change one's own contact data. Raises NotFound (`no_cadet_record`) and PreconditionFailed."""
    with transaction.atomic():
        cadet = _lock_own(actor, expected_version=expected_version)
        cadet_apply(cadet, changes, actor=actor, action="cadet.change_own")
    return cadet


def cadet_archive(*, actor: Principal, cadet_id: int) -> Cadet:
    """Archive a cadet and the account: nobody signs in with it until both are restored. History stays as it is.

    Nothing happens to who is archived already. Raises NotFound.
    """
    with transaction.atomic():
        cadet = lock_row(Cadet.objects.filter(pk=cadet_id), missing=MISSING)
        if cadet.archived_at is None:
            at = now()
            before, after = apply_changes(cadet, {"archived_at": at})
            audit_record(
                actor_id=actor.user_id,
                action="cadet.archive",
                target=f"cadet:{cadet.pk}",
                before=before,
                after=after,
            )
            _tell(cadet, CadetArchived)
            if cadet.user_id is not None:
                accounts.user_archive(actor=actor, user_id=cadet.user_id, at=at)
    return cadet


def cadet_restore(*, actor: Principal, cadet_id: int) -> Cadet:
    """Restore a cadet, and the account if it was archived with the cadet. Nothing happens to who is not archived.

    Raises NotFound.
    """
    with transaction.atomic():
        cadet = lock_row(Cadet.objects.filter(pk=cadet_id), missing=MISSING)
        if cadet.archived_at is not None:
            at = cadet.archived_at
            before, after = apply_changes(cadet, {"archived_at": None})
            audit_record(
                actor_id=actor.user_id,
                action="cadet.restore",
                target=f"cadet:{cadet.pk}",
                before=before,
                after=after,
            )
            _tell(cadet, CadetRestored)
            if cadet.user_id is not None:
                # An account that was archived for itself, at another instant, stays so.
                accounts.user_restore(actor=actor, user_id=cadet.user_id, archived_at=at)
    return cadet


def cadet_apply(
    cadet: Cadet, changes: Mapping[str, Any], *, actor: Principal, action: str, former_user_id: int | None = None
) -> bool:
    """Write `changes` to a locked cadet with audit entry and event, and say whether anything differed.

    `former_user_id` is an account that is no longer the cadet's and hears of that, too.
    """
    before, after = apply_changes(cadet, changes)
    if before:
        audit_record(actor_id=actor.user_id, action=action, target=f"cadet:{cadet.pk}", before=before, after=after)
        _tell(cadet, CadetChanged, former_user_id=former_user_id)
    return bool(before)


def _lock_own(actor: Principal, *, expected_version: int | None = None) -> Cadet:
    own = Cadet.objects.filter(user_id=actor.user_id, archived_at=None)
    try:
        return lock_row(own, expected_version=expected_version)
    except NotFound:
        raise NotFound(
            "This account is not linked to a cadet's record. Ask an administrator to link it.", code="no_cadet_record"
        ) from None


def _refuse_taken(student_id: str, *, but: int = 0) -> None:
    same = Cadet.objects.alias(lowered=Lower("student_id")).filter(lowered=student_id.lower())
    if same.exclude(pk=but).exists():
        raise _taken(student_id)


def _taken(student_id: str) -> Conflict:
    return Conflict(
        f"The student number {student_id} belongs to a cadet already, who may be archived. Search for it.",
        code="student_id_taken",
    )


def _tell(
    cadet: Cadet,
    kind: type[CadetCreated] | type[CadetChanged] | type[CadetArchived] | type[CadetRestored],
    *,
    former_user_id: int | None = None,
) -> None:
    cache.touch(rules.roster_version(), rules.standing_version(cadet.pk))
    former = [f"user:{former_user_id}"] if former_user_id is not None else []
    publish(event=kind(**cadet_told(cadet)), recipients=[*cadet_hearers(cadet), *former])


def cadet_told(cadet: Cadet) -> dict[str, Any]:
    """What events tell of a cadet."""
    return {
        "id": cadet.pk,
        "version": cadet.version,
        "student_id": cadet.student_id,
        "last_name": cadet.last_name,
        "first_name": cadet.first_name,
        "middle_name": cadet.middle_name,
        "suffix": cadet.suffix,
        "year_level": cadet.year_level,
        "user_id": cadet.user_id,
        "archived_at": cadet.archived_at,
    }


def cadet_hearers(cadet: Cadet) -> list[str]:
    """Who is told of a cadet's data and enrollments: the staff and the cadet."""
    own = [f"user:{cadet.user_id}"] if cadet.user_id is not None else []
    return ["role:admin", "role:training_staff", *own]
