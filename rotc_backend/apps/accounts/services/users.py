import copy
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import F, Q

from apps.accounts import rules, selectors
from apps.accounts.events import (
    UserApproved,
    UserArchived,
    UserChanged,
    UserCreated,
    UserRestored,
)
from apps.accounts.models import Role, Status, User
from apps.accounts.rules import Principal
from apps.accounts.services.account_checks import restore_check, role_check
from apps.accounts.services.accounts import account_target, account_tell, malformed_refuse
from apps.accounts.services.audit import audit_record
from apps.accounts.services.lockout import account_guard, lock_lift
from apps.accounts.services.mails import ToSend, mails_queue
from apps.accounts.services.passwords import password_encode, password_store
from apps.accounts.services.revocations import links_end, sessions_revoke
from apps.accounts.services.sessions import own_password_verify
from core.clock import now
from core.errors import (
    Conflict,
    FieldError,
    NotAuthenticated,
    PermissionRefused,
    PreconditionFailed,
    ValidationFailed,
)
from core.models import apply_changes, lock_row

_ADMIN_REFUSALS = {
    "own_account": "This is your own account. Let another administrator do it, so that nobody locks everybody out.",
    "last_admin": "This is the last active administrator with a password. Make another one first.",
}
_CHANGED = "Somebody has changed this account since you read it. Read it again and repeat your change."
_MISSING = "There is no account with this id."


# --- Changes by an administrator --------------------------------------------------------------------------------------


def user_change(*, actor: Principal, user_id: int, expected_version: int, changes: Mapping[str, Any]) -> User:
    """Change names, e-mail or role. A changed role ends the sessions of the account, whose tokens carry the old one.

    Raises NotFound, PermissionRefused, PreconditionFailed (`version_changed`), ValidationFailed, or Conflict:
    `own_account`, `last_admin` for an administrator who may not lose the role, `role_does_not_fit` for an account that
    is linked to a record of other roles.
    """
    with transaction.atomic():
        user, others = _lock_among_admins(user_id, actor_id=actor.user_id)
        if user.version != expected_version:
            raise PreconditionFailed(_CHANGED)
        demoted = _is_active_admin(user) and changes.get("role", user.role) != Role.ADMIN
        if demoted:
            _refuse_without_admin(actor_id=actor.user_id, user=user, others=others)
        if changes.get("role", user.role) != user.role:
            role_check(user_id=user.pk, role=changes["role"])
        return _changed(user, changes, actor_id=actor.user_id)


def own_account_change(
    *,
    actor: Principal,
    expected_version: int,
    changes: Mapping[str, Any],
    current_password: str | None = None,
    address: str | None = None,
) -> User:
    """Change one's own names, or with the current password the e-mail address, to which links for new ones are sent.

    Raises NotFound, PreconditionFailed (`version_changed`), ValidationFailed (at `current_password` with `required` or
    `password_wrong`), NotAuthenticated (`token_revoked`), or TooManyRequests (`account_locked`, `address_locked`) as at
    the sign-in, whose counts it shares.
    """
    known = selectors.user_of_principal(actor)
    verified = changes.get("email", known.email) != known.email
    if verified:
        if not current_password:
            detail = "Another e-mail address takes your current password."
            raise ValidationFailed(
                detail, errors=[FieldError(field="current_password", code="required", detail=detail)]
            )
        own_password_verify(user=known, password=current_password, address=address)
    with transaction.atomic():
        user = lock_row(User.objects.filter(pk=actor.user_id), expected_version=expected_version, missing=_MISSING)
        if verified and user.token_version != known.token_version:
            raise NotAuthenticated("This session has ended. Sign in again.", code="token_revoked")
        if not verified and changes.get("email", user.email) != user.email:
            raise PreconditionFailed(_CHANGED)  # the address was another one when no password was asked for
        return _changed(user, changes, actor_id=actor.user_id)


def _changed(user: User, changes: Mapping[str, Any], *, actor_id: int) -> User:
    candidate = copy.copy(user)
    for name, value in changes.items():
        setattr(candidate, name, value)
    malformed_refuse(candidate, only=changes)
    before, after = apply_changes(user, changes)
    if after:
        if "role" in after:
            sessions_revoke(user)
        if "email" in after:
            links_end(user)
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
            caused = ToSend(recipient_id=user.pk, event=f"user.approved:{user.pk}:{user.version}", context={})
            mails_queue(kind="account_approved", mails=[caused])
    return user


def user_archive(*, actor: Principal, user_id: int, at: dt.datetime | None = None) -> User:
    """Close an account: it cannot sign in, its sessions and its open link end at once, its name stays taken.

    Idempotent. `at` is the instant to record, for a caller that archives more than the account. Raises NotFound,
    PermissionRefused, or Conflict (`own_account`, `last_admin`).
    """
    with transaction.atomic():
        user, others = _lock_among_admins(user_id, actor_id=actor.user_id)
        if user.archived_at is None:
            if user.pk == actor.user_id or _is_active_admin(user):
                _refuse_without_admin(actor_id=actor.user_id, user=user, others=others)
            before, after = apply_changes(user, {"archived_at": at or now()})
            sessions_revoke(user)
            links_end(user)
            audit_record(
                actor_id=actor.user_id, action="user.archive", target=account_target(user), before=before, after=after
            )
            account_tell(UserArchived, user, owner=False)
    return user


def user_restore(*, actor: Principal, user_id: int, archived_at: dt.datetime | None = None) -> User:
    """Undo the archiving; whether the account is approved stays as it was. Idempotent.

    With `archived_at` only that of this instant is undone. Raises NotFound, or Conflict (`record_archived`) while the
    record that the account is linked to is archived.
    """
    with transaction.atomic():
        user = lock_row(User.objects.filter(pk=user_id), missing=_MISSING)
        if archived_at is not None and user.archived_at != archived_at:
            return user
        if user.archived_at is not None:
            restore_check(user_id=user.pk)
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

    Restores it (also when its staff profile is archived: there may be nobody else to restore that), lifts its lock, and
    replaces the password if one is given. Raises ValidationFailed.
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
        if {"email", "password"} & set(fields):
            links_end(user)
        if fields:
            User.objects.filter(pk=user.pk).update(version=F("version") + 1, updated_at=now())
    user.refresh_from_db(fields=["version", "updated_at", "created_at"])
    audit_record(
        actor_id=actor_id,
        action="user.create" if created else "user.change",
        target=account_target(user),
        before=None if created else {field: (before or {}).get(field) for field in recorded},
        after={field: getattr(user, field) for field in (("username", "role", "status") if created else recorded)}
        | ({"password": "replaced" if user.has_usable_password() else "disabled"} if "password" in fields else {}),
    )
    if created:
        account_tell(UserCreated, user, owner=False)
    elif set(fields) - {"password"}:
        account_tell(UserChanged, user)


def account_hold(*, actor_id: int | None, user_id: int) -> None:
    """Lock an account for the caller's transaction, before it is read, in the order in which the API locks.

    Raises NotFound, or PermissionRefused when who acts is no administrator any more.
    """
    _lock_among_admins(user_id, actor_id=actor_id)


def account_may_become(*, actor_id: int | None, user_id: int, role: str, status: str) -> None:
    """Refuse, inside the caller's transaction, a role or a status that must not be.

    Locks the administrators, so that two who demote each other at once do not both succeed. Raises NotFound,
    PermissionRefused, or Conflict (`own_account`, `last_admin`, `role_does_not_fit`).
    """
    user, others = _lock_among_admins(user_id, actor_id=actor_id)
    if _is_active_admin(user) and (role != Role.ADMIN or status != Status.APPROVED):
        _refuse_without_admin(actor_id=actor_id, user=user, others=others)
    if role != user.role:
        role_check(user_id=user.pk, role=role)


# --- Shared -----------------------------------------------------------------------------------------------------------


def _active_admins() -> Q:
    return Q(role=Role.ADMIN, status=Status.APPROVED, archived_at=None)


def _is_active_admin(user: User) -> bool:
    return user.role == Role.ADMIN and user.is_active


def _lock_among_admins(user_id: int, *, actor_id: int | None) -> tuple[User, int]:
    """The account and how many other administrators could sign in, all locked in ascending order of their ids.

    Raises NotFound, or PermissionRefused: of two administrators who close each other at once the second has lost the
    role when it comes here, and its token may not have been refused yet.
    """
    rows = User.objects.select_for_update(no_key=True).filter(_active_admins() | Q(pk=user_id)).order_by("pk")
    found = {user.pk: user for user in rows}
    if actor_id is not None and (actor_id not in found or not _is_active_admin(found[actor_id])):
        raise PermissionRefused("You are not an administrator any more. Sign in again.")
    if user_id not in found:
        lock_row(User.objects.none(), missing=_MISSING)
    user = found.pop(user_id)
    return user, sum(other.has_usable_password() for other in found.values())


def _refuse_without_admin(*, actor_id: int | None, user: User, others: int) -> None:
    refusal = rules.admin_refusal(is_self=user.pk == actor_id, other_active_admins=others)
    if refusal:
        raise Conflict(_ADMIN_REFUSALS[refusal], code=refusal)
