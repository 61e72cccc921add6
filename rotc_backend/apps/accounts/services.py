"""What can be done with accounts."""

import datetime as dt
import secrets
import uuid
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F, Q

from apps.accounts import rules, selectors
from apps.accounts.models import AuditEntry, Revocation, Role, Session, Status, User
from core.clock import now
from core.errors import Conflict, FieldError, NotAuthenticated, PermissionRefused, ValidationFailed
from core.measure import current_request_id
from core.messages import plain

_REFUSALS = {
    "account_pending": "This account waits for an administrator's approval. Ask your training staff.",
    "account_archived": "This account is archived. Ask an administrator to restore it.",
}
_CREDENTIALS_WRONG = "The username or the password is wrong."
_SESSION_OVER = "This session has ended. Sign in again."


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


def session_open(*, username: str, password: str) -> Session:
    """Sign in. Raises NotAuthenticated (`credentials_wrong`) or PermissionRefused (`account_pending`, `…_archived`).

    Why an account is refused is told only to who knows its password.
    """
    user = selectors.user_by_username(username)
    if user is None:
        make_password(password)  # otherwise the time of the answer would tell which names exist
        matches = False
    else:
        matches = user.check_password(password)
    if user is None or not matches:
        raise NotAuthenticated(_CREDENTIALS_WRONG, code="credentials_wrong")
    refusal = rules.sign_in_refusal(approved=user.status == Status.APPROVED, archived=user.archived_at is not None)
    if refusal:
        raise PermissionRefused(_REFUSALS[refusal], code=refusal)
    present = now()
    with transaction.atomic():
        # Claimed by the version that was checked above: otherwise a sign-in that overlaps with a change of the
        # password would leave the old one a session that nothing ends.
        unchanged = User.objects.filter(pk=user.pk, token_version=user.token_version)
        if not unchanged.update(last_login=present):
            raise NotAuthenticated(_CREDENTIALS_WRONG, code="credentials_wrong")
        session = Session.objects.create(
            user=user,
            created_at=present,
            expires_at=present + dt.timedelta(days=settings.REFRESH_TOKEN_DAYS),
            refresh_id=secrets.token_hex(16),
        )
        audit_record(actor_id=user.pk, action="session.open", target=f"session:{session.pk}")
    return session


def session_rotate(*, session_id: str, refresh_id: str) -> Session:
    """Exchange the current refresh token for the next one.

    Raises NotAuthenticated (`token_revoked`) for any other token of the session; one that was exchanged longer ago
    than a lost answer explains ends the session, since somebody else holds it.
    """
    present = now()
    key = _session_key(session_id)
    with transaction.atomic():
        # Claimed by one conditional update: of two requests with the same token one gets the next.
        claimed = Session.objects.filter(pk=key, refresh_id=refresh_id, ended_at=None, expires_at__gt=present).update(
            previous_refresh_id=F("refresh_id"),
            refresh_id=secrets.token_hex(16),
            rotated_at=present,
            expires_at=present + dt.timedelta(days=settings.REFRESH_TOKEN_DAYS),
        )
        session = Session.objects.select_related("user").filter(pk=key).first()
        if claimed and session is not None and session.user.is_active:
            return session
        if session is not None and session.ended_at is None:
            theft = not claimed and rules.reuse_is_theft(
                presented=refresh_id,
                previous=session.previous_refresh_id,
                rotated_at=session.rotated_at,
                now=present,
            )
            if theft or claimed:
                _end(session, action="session.end_reused" if theft else "session.end_inactive", actor_id=None)
    raise NotAuthenticated(_SESSION_OVER, code="token_revoked")


def session_end(*, actor: rules.Principal) -> None:
    """Sign out: the session's tokens are refused from now on, the open sockets of it are closed. Idempotent."""
    with transaction.atomic():
        session = Session.objects.select_for_update().filter(pk=actor.session_id, ended_at=None).first()
        if session is not None:
            _end(session, action="session.end", actor_id=actor.user_id)


def _end(session: Session, *, action: str, actor_id: int | None) -> None:
    Session.objects.filter(pk=session.pk).update(ended_at=now())
    Revocation.objects.create(session_id=session.pk)
    audit_record(actor_id=actor_id, action=action, target=f"session:{session.pk}")
    transaction.on_commit(selectors.announce_revocation)


def _session_key(session_id: str) -> uuid.UUID:
    try:
        return uuid.UUID(session_id)
    except ValueError:
        raise NotAuthenticated(_SESSION_OVER, code="token_revoked") from None


def user_create(
    *,
    actor_id: int | None,
    username: str,
    role: Role,
    status: Status,
    password: str | None = None,
    email: str = "",
    first_name: str = "",
    last_name: str = "",
) -> User:
    """Create an account; without a password nobody can sign in to it.

    Raises ValidationFailed for a field that is malformed or a password that the policy refuses, Conflict
    (`username_taken`) for a name in use.
    """
    user = User(
        username=User.normalize_username(username),
        email=email,
        first_name=first_name,
        last_name=last_name,
        role=role,
        status=status,
    )
    _refuse_malformed(user)
    _set_password(user, password)
    taken = Conflict(f"The username {username} is taken. Choose another.", code="username_taken")
    try:
        with transaction.atomic():
            if User.objects.named(username).exists():
                raise taken
            user.save(force_insert=True)
            audit_record(
                actor_id=actor_id,
                action="user.create",
                target=f"user:{user.pk}",
                after={"username": user.username, "role": role, "status": status},
            )
    except IntegrityError:  # somebody else took the name meanwhile
        raise taken from None
    return user


def user_set_password(*, actor_id: int | None, user: User, password: str) -> None:
    """Replace the password and end all sessions of the account. Raises ValidationFailed."""
    _set_password(user, password)
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(password=user.password)
        _revoke_all(user)
        audit_record(actor_id=actor_id, action="user.set_password", target=f"user:{user.pk}")


def user_changed_by_admin(*, actor_id: int | None, user: User, created: bool, fields: Sequence[str]) -> None:
    """Record what the admin site has just written, and end the sessions that it no longer allows.

    Tokens carry the role, so a changed role, status or password makes the older ones worthless.
    """
    if not created and {"role", "status", "password"} & set(fields):
        _revoke_all(user)
    audit_record(
        actor_id=actor_id,
        action="user.create" if created else "user.change",
        target=f"user:{user.pk}",
        after={"fields": sorted(fields), "role": user.role, "status": user.status},
    )


def _refuse_malformed(user: User) -> None:
    try:
        user.clean_fields(exclude=["password"])
    except ValidationError as error:
        raise ValidationFailed(
            "Some fields of the account are malformed.",
            errors=[
                FieldError(field=field, code=inner.code or "invalid", detail=" ".join(inner.messages))
                for field, inners in error.error_dict.items()
                for inner in inners
            ],
        ) from error


def _set_password(user: User, password: str | None) -> None:
    if password is not None:
        try:
            validate_password(password, user)
        except ValidationError as error:
            raise ValidationFailed(
                "The password is too weak.",
                errors=[
                    FieldError(field="password", code=inner.code or "weak", detail=" ".join(inner.messages))
                    for inner in error.error_list
                ],
            ) from error
    user.set_password(password)


def _revoke_all(user: User) -> None:
    User.objects.filter(pk=user.pk).update(token_version=F("token_version") + 1)
    user.refresh_from_db(fields=["token_version"])
    Revocation.objects.create(user_id=user.pk, least_version=user.token_version)
    Session.objects.filter(user=user, ended_at=None).update(ended_at=now())
    transaction.on_commit(selectors.announce_revocation)


def tokens_cleanup() -> dict[str, int]:
    """Remove sessions whose refresh token has expired and revocations that no unexpired token can meet."""
    present = now()
    sessions, _ = Session.objects.filter(
        Q(expires_at__lt=present) | Q(ended_at__lt=present - dt.timedelta(days=settings.REFRESH_TOKEN_DAYS))
    ).delete()
    revocations, _ = Revocation.objects.filter(at__lt=present - 2 * selectors.WINDOW).delete()
    return {"sessions": sessions, "revocations": revocations}
