"""A forgotten password. The request does the same for every name; what it means is found out by the worker.

    request    a row for each account that fits (or one for nobody), a job for each row
    task       claims its row (waiting → sending), makes the token, sends the link, keeps the token's digest

The claim is committed before the mail server is spoken to, so a task that is delivered twice sends nothing twice: what
its predecessor has done is not known, and the row says so.
"""

import datetime as dt
import uuid

from django.conf import settings
from django.db import transaction
from django.db.models import F

from apps.accounts import rules, selectors
from apps.accounts.jobs import PasswordResetMail
from apps.accounts.models import Invitation, PasswordReset, User
from apps.accounts.services.audit import audit_record
from apps.accounts.services.invitations import invitation_issue, invitation_mail, token_make
from apps.accounts.services.lockout import address_guards, attempt_count, lockout_check
from core.after_commit import enqueue
from core.clock import now
from core.mail import Delivery, Outcome
from core.retries import TryLater

LEASE = dt.timedelta(seconds=120)  # longer than all the mail server's time-outs together
LARGEST_ATTEMPTS = 5
RETRY_SECONDS = 60
LOST = dt.timedelta(hours=1)  # so long after its request no message of it waits in the queue any more
_State = PasswordReset.State


def password_reset_request(*, identifier: str, page: str, address: str | None = None) -> None:
    """Ask for a link by e-mail, for the account of this name or the accounts of this e-mail address.

    Does and costs the same whether there are any. Raises TooManyRequests (`address_locked`).
    """
    guards = address_guards(address, kind=rules.PASSWORD_RESET)
    lockout_check(guards)
    for guard in guards:
        attempt_count(guard)
    owners: list[User | None] = [*selectors.users_to_reset(identifier)]
    with transaction.atomic():
        rows = PasswordReset.objects.bulk_create([PasswordReset(user=user, page=page) for user in owners or [None]])
        for row in rows:
            audit_record(actor_id=None, action="password_reset.request", target=f"password_reset:{row.pk}")
            enqueue(PasswordResetMail(reset_id=row.pk))


def password_reset_send(*, reset_id: uuid.UUID) -> None:
    """Send the link of one request, at most once. Raises TryLater when it has to be tried again."""
    reset = _claim(reset_id)
    if reset is not None and reset.user is not None:
        _send(reset, reset.user)


def _send(reset: PasswordReset, known: User) -> None:
    token = token_make()
    purpose = Invitation.Purpose.RESET
    sent = invitation_mail(
        user=known, link=f"{reset.page}#token={token}", purpose=purpose, message_id=f"reset-{reset.pk}@rgms"
    )
    if sent.outcome in {Outcome.SENT, Outcome.UNKNOWN}:
        with transaction.atomic():
            user = User.objects.select_for_update(no_key=True).get(pk=known.pk)
            # What ends open links may have happened while this one was on its way.
            same = (user.token_version, user.email) == (known.token_version, known.email)
            if user.is_active and same and not _admin_link_open(user):
                invitation_issue(user=user, actor_id=None, purpose=purpose, token=token)
            _finish(reset, sent, _State.SENT if sent.outcome == Outcome.SENT else _State.UNKNOWN)
        return
    again = sent.outcome == Outcome.AWAY and reset.attempts < LARGEST_ATTEMPTS
    with transaction.atomic():
        _finish(reset, sent, _State.WAITING if again else _State.FAILED)
    if again:
        raise TryLater(seconds=RETRY_SECONDS * reset.attempts, why=sent.detail)


def password_resets_cleanup(*, before: dt.datetime) -> int:
    """Remove requests from before `before` and return how many; say of lost ones what is known of them."""
    lost = PasswordReset.objects.filter(requested_at__lt=now() - LOST)
    lost.filter(state=_State.WAITING).update(state=_State.FAILED, detail="The queue did not deliver it.")
    lost.filter(state=_State.SENDING).update(state=_State.UNKNOWN, detail="The worker ended while it was sending.")
    deleted, _ = PasswordReset.objects.filter(requested_at__lt=before).delete()
    return deleted


def _claim(reset_id: uuid.UUID) -> PasswordReset | None:
    """The request, if it is to be sent now by the caller alone. Raises TryLater while another still holds it."""
    present = now()
    with transaction.atomic():
        reset = PasswordReset.objects.select_for_update(of=("self",)).select_related("user").filter(pk=reset_id).first()
        if reset is None:
            return None
        if reset.state == _State.SENDING and reset.claimed_at is not None:
            remaining = (reset.claimed_at + LEASE - present).total_seconds()
            if remaining > 0:
                raise TryLater(seconds=remaining + 1, why="Another worker is sending it.")
            detail = "The worker ended while it was sending."
            PasswordReset.objects.filter(pk=reset.pk).update(state=_State.UNKNOWN, detail=detail)
            return None
        if reset.state != _State.WAITING:
            return None
        ignored = _why_ignored(reset, present)
        PasswordReset.objects.filter(pk=reset.pk).update(
            state=_State.IGNORED if ignored else _State.SENDING,
            detail=ignored or "",
            claimed_at=present,
            attempts=F("attempts") + 1,
        )
        reset.attempts += 1
        return None if ignored else reset


def _why_ignored(reset: PasswordReset, present: dt.datetime) -> str | None:
    if reset.user is None:
        return "No account fits."
    # Two requests of one account are claimed one after another, so that not both are sent.
    user = User.objects.select_for_update(no_key=True).get(pk=reset.user.pk)
    if not user.is_active:
        return "The account is not open."
    if _admin_link_open(user):
        return "A link that an administrator made is open."
    since = present - dt.timedelta(minutes=settings.PASSWORD_RESET_PAUSE_MINUTES)
    recent = PasswordReset.objects.filter(
        user=user, claimed_at__gt=since, state__in=[_State.SENDING, _State.SENT, _State.UNKNOWN]
    )
    return "Another link was sent minutes ago." if recent.exclude(pk=reset.pk).exists() else None


def _admin_link_open(user: User) -> bool:
    """Whether somebody could, by asking without an account, end a link that an administrator handed out."""
    links = Invitation.objects.filter(user=user, used_at=None, replaced_at=None, expires_at__gt=now())
    return links.exclude(created_by=None).exists()


def _finish(reset: PasswordReset, sent: Delivery, state: PasswordReset.State) -> None:
    PasswordReset.objects.filter(pk=reset.pk).update(state=state, detail=sent.detail[:300])
    audit_record(
        actor_id=None,
        action="password_reset.send",
        target=f"password_reset:{reset.pk}",
        after={"user_id": reset.user_id, "outcome": sent.outcome.value},
    )
