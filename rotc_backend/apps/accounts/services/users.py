import copy
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import F, Q

from apps.accounts import rules
from apps.accounts.events import (
    UserApproved,
    UserArchived,
    UserChanged,
    UserCreated,
    UserRestored,
)
from apps.accounts.models import Role, Status, User
from apps.accounts.rules import Principal
from apps.accounts.services.accounts import account_target, account_tell, malformed_refuse
from apps.accounts.services.audit import audit_record
from apps.accounts.services.lockout import account_guard, lock_lift
from apps.accounts.services.passwords import password_encode, password_store
from apps.accounts.services.revocations import sessions_revoke
from core.clock import now
from core.errors import Conflict, PreconditionFailed
from core.models import apply_changes, lock_row

_ADMIN_REFUSALS = {
    "own_account": "This is your own account. Let another administrator do it, so that nobody locks everybody out.",
    "last_admin": "This is the last active administrator. Make another one first.",
}
_MISSING = "There is no account with this id."


# --- Changes by an administrator --------------------------------------------------------------------------------------


def user_change(*, actor: Principal, user_id: int, expected_version: int, changes: Mapping[str, Any]) -> User:
    """Change names, e-mail or role. A changed role ends the sessions of the account, whose tokens carry the old one.

    Raises NotFound, PreconditionFailed (`version_changed`), ValidationFailed, or Conflict (`own_account`,
    `last_admin`) for an administrator who may not lose the role.
    """
    with transaction.atomic():
        user, others = _lock_among_admins(user_id)
        if user.version != expected_version:
            raise PreconditionFailed(
                "Somebody has changed this account since you read it. Read it again and repeat your change."
            )
        demoted = _is_active_admin(user) and changes.get("role", user.role) != Role.ADMIN
        if demoted:
            _refuse_without_admin(actor_id=actor.user_id, user=user, others=others)
        return _changed(user, changes, actor_id=actor.user_id)


def own_account_change(*, actor: Principal, expected_version: int, changes: Mapping[str, Any]) -> User:
    """Change one's own names or e-mail. Raises NotFound, PreconditionFailed (`version_changed`), ValidationFailed."""
    with transaction.atomic():
        user = lock_row(User.objects.filter(pk=actor.user_id), expected_version=expected_version, missing=_MISSING)
        return _changed(user, changes, actor_id=actor.user_id)


def _changed(user: User, changes: Mapping[str, Any], *, actor_id: int) -> User:
    candidate = copy.copy(user)
    for name, value in changes.items():
        setattr(candidate, name, value)
    malformed_refuse(candidate)
    before, after = apply_changes(user, changes)
    if after:
        if "role" in after:
            sessions_revoke(user)
        audit_record(actor_id=actor_id, action="user.change", target=account_target(user), before=before, after=after)
        account_tell(UserChanged, user)
    return user


def user_approve(*, actor: Principal, user_id: int) -> User:
    """Let somebody in who has registered. Idempotent: a second approval changes and tells nothing.

    Raises NotFound, or Conflict (`account_archived`).
    """
    with transaction.atomic():
        user = lock_row(User.objects.filter(pk=user_id), missing=_MISSING)
        if user.archived_at is not None:
            raise Conflict("This account is archived. Restore it first.", code="account_archived")
        before, after = apply_changes(user, {"status": Status.APPROVED})
        if after:
            audit_record(
                actor_id=actor.user_id, action="user.approve", target=account_target(user), before=before, after=after
            )
            account_tell(UserApproved, user)
    return user


def user_archive(*, actor: Principal, user_id: int) -> User:
    """Close an account: it cannot sign in, its sessions end at once, its name stays taken. Idempotent.

    Raises NotFound, or Conflict (`own_account`, `last_admin`).
    """
    with transaction.atomic():
        user, others = _lock_among_admins(user_id)
        if user.archived_at is None:
            if user.pk == actor.user_id or _is_active_admin(user):
                _refuse_without_admin(actor_id=actor.user_id, user=user, others=others)
            before, after = apply_changes(user, {"archived_at": now()})
            sessions_revoke(user)
            audit_record(
                actor_id=actor.user_id, action="user.archive", target=account_target(user), before=before, after=after
            )
            account_tell(UserArchived, user, owner=False)
    return user


def user_restore(*, actor: Principal, user_id: int) -> User:
    """Undo the archiving; whether the account is approved stays as it was. Idempotent. Raises NotFound."""
    with transaction.atomic():
        user = lock_row(User.objects.filter(pk=user_id), missing=_MISSING)
        before, after = apply_changes(user, {"archived_at": None})
        if after:
            audit_record(
                actor_id=actor.user_id, action="user.restore", target=account_target(user), before=before, after=after
            )
            account_tell(UserRestored, user)
    return user


def user_unlock(*, actor: Principal, user_id: int) -> User:
    """Lift the lock that wrong passwords have put on an account, and start its count again. Raises NotFound."""
    with transaction.atomic():
        user = lock_row(User.objects.filter(pk=user_id), missing=_MISSING)
        if lock_lift(account_guard(username=user.username)):
            audit_record(actor_id=actor.user_id, action="user.unlock", target=account_target(user))
    return user


def user_rescue(*, user: User, password: str | None) -> list[str]:
    """Open an administrator's account again from the command line; return in words what was wrong with it.

    Restores it, lifts its lock, and replaces the password if one is given. Raises ValidationFailed.
    """
    encoded = password_encode(user=user, password=password) if password is not None else None
    done = []
    with transaction.atomic():
        user = lock_row(User.objects.filter(pk=user.pk), missing=_MISSING)
        before, after = apply_changes(user, {"archived_at": None})
        if after:
            audit_record(actor_id=None, action="user.restore", target=account_target(user), before=before, after=after)
            account_tell(UserRestored, user)
            done.append("It was archived and is restored.")
        if lock_lift(account_guard(username=user.username)):
            audit_record(actor_id=None, action="user.unlock", target=account_target(user))
            done.append("It was locked after wrong passwords and is unlocked.")
        if encoded is not None:
            password_store(user=user, encoded=encoded)
            audit_record(actor_id=None, action="user.set_password", target=account_target(user))
            done.append("Its password was replaced; its sessions ended.")
    return done


# --- Changes on the admin site ----------------------------------------------------------------------------------------


def user_changed_by_admin(
    *, actor_id: int | None, user: User, created: bool, fields: Sequence[str], before: Mapping[str, Any] | None = None
) -> None:
    """Record what the admin site has just written, and end the sessions that it no longer allows.

    `before` holds the former values of `fields`; a password stays out of the trail.

    Tokens carry the role, so a changed role, status or password makes the older ones worthless. The version moves, so
    that a change through the API that was made from an older state is refused.
    """
    recorded = sorted(set(fields) - {"password"})
    if not created:
        if {"role", "status", "password"} & set(fields):
            sessions_revoke(user)
        if fields:
            User.objects.filter(pk=user.pk).update(version=F("version") + 1, updated_at=now())
    user.refresh_from_db(fields=["version", "updated_at", "created_at"])
    audit_record(
        actor_id=actor_id,
        action="user.create" if created else "user.change",
        target=account_target(user),
        before=None if created else {field: (before or {}).get(field) for field in recorded},
        after={field: getattr(user, field) for field in (("username", "role", "status") if created else recorded)}
        | ({"password": "replaced"} if "password" in fields else {}),
    )
    if created:
        account_tell(UserCreated, user, owner=False)
    elif set(fields) - {"password"}:
        account_tell(UserChanged, user)


def user_may_close(*, actor_id: int | None, user_id: int) -> None:
    """Refuse, inside the caller's transaction, to take an active administrator's access away where that must not be.

    Locks the administrators, so that two who demote each other at once do not both succeed. Raises Conflict
    (`own_account`, `last_admin`).
    """
    user, others = _lock_among_admins(user_id)
    if _is_active_admin(user):
        _refuse_without_admin(actor_id=actor_id, user=user, others=others)


# --- Shared -----------------------------------------------------------------------------------------------------------


def _active_admins() -> Q:
    return Q(role=Role.ADMIN, status=Status.APPROVED, archived_at=None)


def _is_active_admin(user: User) -> bool:
    return user.role == Role.ADMIN and user.is_active


def _lock_among_admins(user_id: int) -> tuple[User, int]:
    """The account and how many other active administrators there are, all locked in ascending order of their ids."""
    rows = User.objects.select_for_update(no_key=True).filter(_active_admins() | Q(pk=user_id)).order_by("pk")
    found = {user.pk: user for user in rows}
    if user_id not in found:
        lock_row(User.objects.none(), missing=_MISSING)
    user = found.pop(user_id)
    return user, len(found)


def _refuse_without_admin(*, actor_id: int | None, user: User, others: int) -> None:
    refusal = rules.admin_refusal(is_self=user.pk == actor_id, other_active_admins=others)
    if refusal:
        raise Conflict(_ADMIN_REFUSALS[refusal], code=refusal)
