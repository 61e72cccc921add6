"""Staff profiles."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models.functions import Lower

from apps.accounts import services as accounts
from apps.accounts.rules import Principal
from apps.accounts.services import audit_record
from apps.cadets import rules
from apps.cadets.events import StaffChanged, StaffCreated
from apps.cadets.models import StaffProfile
from apps.cadets.services.constraints import conflicts
from apps.events.services import publish
from core import cache
from core.clock import now
from core.errors import Conflict
from core.models import apply_changes, lock_row

MISSING = "There is no staff profile with this id."


def staff_create(*, actor: Principal, fields: Mapping[str, Any]) -> StaffProfile:
    """Make a staff profile, without an account. Raises Conflict (`email_taken`)."""
    with conflicts({"staff_email_unique": _taken()}):
        _refuse_taken(fields["email"])
        profile = StaffProfile.objects.create(**fields)
        profile.refresh_from_db()
        audit_record(actor_id=actor.user_id, action="staff.create", target=f"staff:{profile.pk}", after={**fields})
        _tell(profile, StaffCreated)
    return profile


def staff_change(*, actor: Principal, staff_id: int, expected_version: int, changes: Mapping[str, Any]) -> StaffProfile:
    """Raises NotFound, PreconditionFailed, and Conflict (`email_taken`)."""
    with conflicts({"staff_email_unique": _taken()}):
        profile = lock_row(StaffProfile.objects.filter(pk=staff_id), expected_version=expected_version, missing=MISSING)
        if "email" in changes:
            _refuse_taken(changes["email"], but=profile.pk)
        staff_apply(profile, changes, actor=actor, action="staff.change")
    return profile


def staff_archive(*, actor: Principal, staff_id: int) -> StaffProfile:
    """Archive a profile and its account. Nothing happens to one that is archived already. Raises NotFound."""
    with transaction.atomic():
        profile = lock_row(StaffProfile.objects.filter(pk=staff_id), missing=MISSING)
        if profile.archived_at is None:
            at = now()
            staff_apply(profile, {"archived_at": at}, actor=actor, action="staff.archive")
            if profile.user_id is not None:
                accounts.user_archive(actor=actor, user_id=profile.user_id, at=at)
    return profile


def staff_restore(*, actor: Principal, staff_id: int) -> StaffProfile:
    """Restore a profile, and its account if that was archived with it. Nothing happens to one that is not archived.

    Raises NotFound.
    """
    with transaction.atomic():
        profile = lock_row(StaffProfile.objects.filter(pk=staff_id), missing=MISSING)
        if profile.archived_at is not None:
            at = profile.archived_at
            staff_apply(profile, {"archived_at": None}, actor=actor, action="staff.restore")
            if profile.user_id is not None:
                # An account that was archived for itself, at another instant, stays so.
                accounts.user_restore(actor=actor, user_id=profile.user_id, archived_at=at)
    return profile


def staff_apply(
    profile: StaffProfile,
    changes: Mapping[str, Any],
    *,
    actor: Principal,
    action: str,
    former_user_id: int | None = None,
) -> bool:
    """Write `changes` to a locked profile with audit entry and event, and say whether anything differed.

    `former_user_id` is an account that is no longer the profile's and hears of that, too.
    """
    before, after = apply_changes(profile, changes)
    if before:
        audit_record(actor_id=actor.user_id, action=action, target=f"staff:{profile.pk}", before=before, after=after)
        _tell(profile, StaffChanged, former_user_id=former_user_id)
    return bool(before)


def _refuse_taken(email: str, *, but: int = 0) -> None:
    same = StaffProfile.objects.alias(lowered=Lower("email")).filter(lowered=email.lower())
    if same.exclude(pk=but).exists():
        raise _taken()


def _taken() -> Conflict:
    return Conflict("This e-mail address belongs to another staff profile, which may be archived.", code="email_taken")


def _tell(
    profile: StaffProfile, kind: type[StaffCreated] | type[StaffChanged], *, former_user_id: int | None = None
) -> None:
    cache.touch(rules.roster_version())
    own = [f"user:{user_id}" for user_id in (profile.user_id, former_user_id) if user_id is not None]
    publish(
        event=kind(
            id=profile.pk,
            version=profile.version,
            rank=profile.rank,
            last_name=profile.last_name,
            first_name=profile.first_name,
            middle_name=profile.middle_name,
            suffix=profile.suffix,
            function=profile.function,
            user_id=profile.user_id,
            archived_at=profile.archived_at,
        ),
        recipients=["role:admin", "role:training_staff", *own],
    )
