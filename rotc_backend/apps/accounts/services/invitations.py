"""Links that set a password. The token stands in the link's fragment, which no server and no log ever sees."""

import datetime as dt
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import transaction

from apps.accounts import rules
from apps.accounts.models import Invitation, User
from apps.accounts.rules import Principal
from apps.accounts.services.audit import audit_record
from apps.accounts.services.lockout import account_guard, address_guards, failure_count, lock_lift, lockout_check
from apps.accounts.services.passwords import password_encode, password_store
from apps.accounts.services.registration import user_create
from core.clock import now
from core.errors import Conflict, FieldError, ValidationFailed
from core.mail import Delivery, Outcome, mail_deliver
from core.models import lock_row

TOKEN_BYTES = 32
_REFUSALS = {
    "account_archived": "This account is archived. Ask an administrator to restore it.",
    "invitation_used": "This link has been used already. If that was not you, tell an administrator at once.",
    "invitation_replaced": (
        "This link does not work any more: a newer one was made, or the password or the e-mail address was changed "
        "since. Use the newest link, or ask for another."
    ),
    "invitation_expired": "This link has expired. Ask for a new one.",
}


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A link for somebody; nobody can be shown it a second time. `reason` says why it was not e-mailed."""

    link: str = field(repr=False)
    expires_at: dt.datetime
    emailed: bool
    reason: str | None


def user_invite(*, actor: Principal, page: str, send: bool, **facts: Any) -> tuple[User, Issued]:
    """Create an account without a password, and the link that sets its first one.

    `facts` are those of `user_create`; raises as that does. `send` also e-mails the link.
    """
    with transaction.atomic():
        user = user_create(actor_id=actor.user_id, **facts)
        token, invitation = invitation_issue(user=user, actor_id=actor.user_id)
    return user, _handed_out(user=user, token=token, invitation=invitation, page=page, send=send)


def invitation_create(*, actor: Principal, user_id: int, page: str, send: bool) -> Issued:
    """Make a link that sets the password of an account, for its first or after it was forgotten; older ones end.

    `page` is the address of the page that the link opens; `send` also e-mails it. Raises NotFound, or Conflict
    (`account_archived`).
    """
    with transaction.atomic():
        user = lock_row(User.objects.filter(pk=user_id), missing="There is no account with this id.")
        if user.archived_at is not None:
            raise Conflict(_REFUSALS["account_archived"], code="account_archived")
        token, invitation = invitation_issue(user=user, actor_id=actor.user_id)
    return _handed_out(user=user, token=token, invitation=invitation, page=page, send=send)


def invitation_issue(
    *, user: User, actor_id: int | None, purpose: Invitation.Purpose | None = None, token: str | None = None
) -> tuple[str, Invitation]:
    """(token, invitation), inside the transaction of a caller that holds the account's lock; older ones end."""
    token = token or token_make()
    present = now()
    Invitation.objects.filter(user=user, used_at=None, replaced_at=None).update(replaced_at=present)
    if purpose is None:
        purpose = Invitation.Purpose.RESET if user.has_usable_password() else Invitation.Purpose.FIRST_PASSWORD
    invitation = Invitation.objects.create(
        user=user,
        purpose=purpose,
        token_digest=_digest(token),
        created_by_id=actor_id,
        expires_at=present + dt.timedelta(hours=settings.INVITATION_HOURS),
    )
    audit_record(
        actor_id=actor_id,
        action="invitation.create",
        target=f"user:{user.pk}",
        after={"invitation_id": invitation.pk, "purpose": purpose.value, "expires_at": invitation.expires_at},
    )
    return token, invitation


def token_make() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)


def invitation_mail(*, user: User, link: str, purpose: str, message_id: str) -> Delivery:
    """E-mail the link to the account's address. Slow, outside a transaction."""
    if not user.email:
        return Delivery(outcome=Outcome.REFUSED, detail="The account has no e-mail address.")
    first = purpose == Invitation.Purpose.FIRST_PASSWORD
    text = (
        # By username: whoever registers writes the names, and no mail of ours shall carry a stranger's words.
        f"Good day {user.username},\n\n"
        + (
            f"an account was made for you in the ROTC grading system. Your username is {user.username}.\n"
            "Choose your password on this page:\n\n"
            if first
            else f"a new password was asked for your account {user.username} in the ROTC grading system.\n"
            "Choose it on this page:\n\n"
        )
        + f"{link}\n\n"
        f"The link works once, within {settings.INVITATION_HOURS} hours; a newer one replaces it.\n"
        + ("" if first else "If you did not ask for it, ignore this message: your password stays as it is.\n")
    )
    subject = "Your account in the ROTC grading system" if first else "A new password for the ROTC grading system"
    return mail_deliver(to=user.email, subject=subject, text=text, message_id=message_id)


def invitation_accept(*, token: str, password: str, address: str | None = None) -> User:
    """Set the password of the account that the link was made for, once; its sessions end and its lock is lifted.

    Raises Conflict for a link that does not work any more (`invitation_used`, `invitation_replaced`,
    `invitation_expired`, `account_archived`), ValidationFailed for a token that is none (`invitation_unknown`) and for
    a password that the policy refuses (the link then still works), TooManyRequests (`address_locked`).
    """
    guards = address_guards(address)
    lockout_check(guards)
    invitation = Invitation.objects.select_related("user").filter(token_digest=_digest(token)).first()
    if invitation is None:
        failure_count(guards)
        raise ValidationFailed(
            "This link is incomplete or was never made. Open it again as it was sent, or ask for a new one.",
            code="invitation_unknown",
            errors=[FieldError(field="token", code="invitation_unknown", detail="No link has this token.")],
        )
    _refuse(invitation, invitation.user)
    encoded = password_encode(user=invitation.user, password=password)
    with transaction.atomic():
        user = lock_row(User.objects.filter(pk=invitation.user_id))
        invitation.refresh_from_db()
        _refuse(invitation, user)
        # Under the account's lock, which every writer of its invitations takes: of two acceptances one comes here.
        # Before the password is stored, which ends the link that is open.
        Invitation.objects.filter(pk=invitation.pk).update(used_at=now())
        password_store(user=user, encoded=encoded)
        lock_lift(account_guard(username=user.username))
        audit_record(
            actor_id=user.pk,
            action="invitation.accept",
            target=f"user:{user.pk}",
            after={"invitation_id": invitation.pk, "purpose": invitation.purpose},
        )
    return user


def _handed_out(*, user: User, token: str, invitation: Invitation, page: str, send: bool) -> Issued:
    link = f"{page}#token={token}"
    if send:
        sent = invitation_mail(
            user=user, link=link, purpose=invitation.purpose, message_id=f"invitation-{invitation.pk}@rgms"
        )
    else:
        sent = Delivery(outcome=Outcome.NOT_CONFIGURED, detail="Nobody asked for it to be e-mailed.")
    emailed = sent.outcome == Outcome.SENT
    return Issued(link=link, expires_at=invitation.expires_at, emailed=emailed, reason=None if emailed else sent.detail)


def _refuse(invitation: Invitation, user: User) -> None:
    refusal = rules.invitation_refusal(
        used=invitation.used_at is not None,
        replaced=invitation.replaced_at is not None,
        expired=invitation.expires_at <= now(),
        archived=user.archived_at is not None,
    )
    if refusal:
        raise Conflict(_REFUSALS[refusal], code=refusal)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
