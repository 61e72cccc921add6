import datetime as dt
import secrets
import uuid

from django.conf import settings
from django.db import transaction
from django.db.models import F

from apps.accounts import rules, selectors
from apps.accounts.models import Revocation, Session, Status, User
from apps.accounts.rules import Principal
from apps.accounts.services.audit import audit_record
from apps.accounts.services.lockout import (
    account_guard,
    address_guards,
    attempts_forget,
    failure_count,
    lockout_check,
)
from apps.accounts.services.passwords import password_encode, password_matches, password_store
from core.clock import now
from core.errors import FieldError, NotAuthenticated, PermissionRefused, ValidationFailed
from core.models import lock_row

_REFUSALS = {
    "account_pending": "This account waits for an administrator's approval. Ask your training staff.",
    "account_archived": "This account is archived. Ask an administrator to restore it.",
}
_CREDENTIALS_WRONG = "The username or the password is wrong."
_SESSION_OVER = "This session has ended. Sign in again."
_ALREADY_EXCHANGED = (
    "This refresh token was exchanged a moment ago. Use the pair that the exchange gave, or sign in again."
)


def credentials_verify(*, username: str, password: str, address: str | None = None) -> User:
    """The account of this name, if the password is its own and neither it nor the address is locked.

    1 locked?     refused before anything is hashed, also with the right password
    2 wrong?      counted against the name and the address, also for a name that nobody has
    3 right       refused all the same if parallel guesses have locked meanwhile; else the account's count starts again

    Raises NotAuthenticated (`credentials_wrong`) or TooManyRequests (`account_locked`, `address_locked`). Whether the
    account may sign in is not asked here. Not inside a transaction: the counts must stay when the caller fails.
    """
    account = account_guard(username=username)
    guards = [account, *address_guards(address)]
    lockout_check(guards)
    user = selectors.user_by_username(username)
    if not password_matches(user=user, password=password) or user is None:
        failure_count(guards)
        raise NotAuthenticated(_CREDENTIALS_WRONG, code="credentials_wrong")
    attempts_forget(account)
    # After it, since it waits for a parallel guess that is being counted. The address keeps its count: otherwise
    # who has one account could guess at all the others without end.
    lockout_check(guards)
    return user


def session_open(*, username: str, password: str, address: str | None = None) -> Session:
    """Sign in. Raises NotAuthenticated (`credentials_wrong`), PermissionRefused (`account_pending`, `…_archived`) or
    TooManyRequests (`account_locked`, `address_locked`).

    Why an account is refused is told only to who knows its password.
    """
    user = credentials_verify(username=username, password=password, address=address)
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
        return session_start(user, at=present)


def session_start(user: User, *, at: dt.datetime) -> Session:
    """A new session of an account whose row the caller's transaction has locked; recorded."""
    session = Session.objects.create(
        user=user,
        created_at=at,
        expires_at=at + dt.timedelta(days=settings.REFRESH_TOKEN_DAYS),
        refresh_id=secrets.token_hex(16),
    )
    audit_record(actor_id=user.pk, action="session.open", target=f"session:{session.pk}")
    return session


def password_change(*, actor: Principal, current: str, new: str, address: str | None = None) -> Session:
    """Replace one's own password; every session ends, and the one returned is new.

    Raises ValidationFailed for a wrong current password (`password_wrong`) and for a new one that the policy refuses,
    TooManyRequests (`account_locked`, `address_locked`) as at the sign-in, whose counts it shares.
    """
    known = selectors.user_of_principal(actor)
    own_password_verify(user=known, password=current, address=address)
    encoded = password_encode(user=known, password=new, field="new_password")
    with transaction.atomic():
        user = lock_row(User.objects.filter(pk=known.pk))
        if user.token_version != known.token_version or not user.is_active:
            # Somebody has changed the password, the role or the access since the current one was compared.
            raise NotAuthenticated(_SESSION_OVER, code="token_revoked")
        password_store(user=user, encoded=encoded)
        audit_record(actor_id=user.pk, action="user.change_password", target=f"user:{user.pk}")
        return session_start(user, at=now())


def own_password_verify(*, user: User, password: str, address: str | None = None) -> None:
    """Ask somebody who is signed in for the password once more. Slow, outside a transaction.

    Raises ValidationFailed (`password_wrong` at `current_password`), or TooManyRequests as the sign-in does.
    """
    account = account_guard(username=user.username)
    guards = [account, *address_guards(address)]
    lockout_check(guards)
    if not password_matches(user=user, password=password):
        failure_count(guards)
        raise ValidationFailed(
            "The current password is wrong.",
            errors=[FieldError(field="current_password", code="password_wrong", detail="This is not your password.")],
        )
    attempts_forget(account)
    lockout_check(guards)


def session_rotate(*, session_id: str, refresh_id: str) -> Session:
    """Exchange the current refresh token for the next one.

    Raises NotAuthenticated for any other token of the session: `token_used` for one that was exchanged so shortly ago
    that a lost answer or a second window explains it; any other ends the session (`token_revoked`), since somebody
    else holds it.
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
            else:
                raise NotAuthenticated(_ALREADY_EXCHANGED, code="token_used")
    raise NotAuthenticated(_SESSION_OVER, code="token_revoked")


def session_end(*, actor: Principal) -> None:
    """Sign out: the session's tokens are refused from now on, the open sockets of it are closed. Idempotent."""
    with transaction.atomic():
        session = Session.objects.select_for_update().filter(pk=actor.session_id, ended_at=None).first()
        if session is not None:
            _end(session, action="session.end", actor_id=actor.user_id)


def session_end_of_other(*, actor: Principal, session_id: uuid.UUID) -> None:
    """End somebody's sign-in as an administrator (a lost telephone): as that person's own sign-out. Idempotent."""
    with transaction.atomic():
        session = Session.objects.select_for_update().filter(pk=session_id, ended_at=None).first()
        if session is not None:
            _end(session, action="session.end_by_admin", actor_id=actor.user_id)


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
