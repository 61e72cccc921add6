"""E-mail that events cause: written into a ledger by the event's transaction, sent by the worker, never twice.

queue    a row for each message, unique by what caused it; who has declined it, or can not get it, is told so there
claim    waiting → sending, committed before the mail server is spoken to; one message at a time, of all workers
send     over one connection, EMAIL_PER_MINUTE in any sixty seconds
end      → sent · not sent (refused, given up, not set up) · waiting again, if the server has taken nothing
         → unknown, if the worker or the connection ended in between: an administrator decides, nobody sends it again

Of several jobs that ask for the sending, one goes on: whoever has to wait takes the others out of the outbox.
"""

import datetime as dt
import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.template.loader import render_to_string

from apps.accounts import rules
from apps.accounts.jobs import MailsSend
from apps.accounts.models import Mail, MailPreferences, User
from apps.accounts.rules import Principal
from apps.accounts.services.audit import audit_record
from apps.events.models import ClockTimestamp
from apps.events.services import jobs_absorb
from core.after_commit import enqueue
from core.clock import now
from core.errors import Conflict, NotFound
from core.mail import Delivery, MailSession, Outcome
from core.messages import plain
from core.models import lock_row
from core.retries import TryLater

logger = logging.getLogger("rgms.mails")

LEASE_SECONDS = 120  # longer than all the mail server's time-outs together
LOOK_SECONDS = 15.0  # between two looks at whether the worker that sends is still at it
BATCH_SECONDS = 60.0  # then the worker's process does something else first
LATE_SECONDS = 900  # what should have left for so long has lost its job
_State = Mail.State
_LOCK = "rgms.mails"
_LOST = "The worker ended while it was sending."

_ABANDONED = """
UPDATE ops.mail SET state = 'unknown', detail = %s, finished_at = clock_timestamp()
WHERE state = 'sending' AND claimed_at < clock_timestamp() - make_interval(secs => %s)
"""
_SENDING = "SELECT extract(epoch FROM clock_timestamp() - claimed_at) FROM ops.mail WHERE state = 'sending'"
# Of the last minute: how many, and in how many seconds the oldest of them leaves it.
_PACE = """
SELECT count(*), coalesce(extract(epoch FROM min(claimed_at) + interval '60 seconds' - clock_timestamp()), 0)
FROM ops.mail WHERE claimed_at > clock_timestamp() - interval '60 seconds'
"""
_CLAIM = """
UPDATE ops.mail SET state = 'sending', claimed_at = clock_timestamp(), attempts = attempts + 1 WHERE id = (
    SELECT id FROM ops.mail WHERE state = 'waiting' AND due_at <= clock_timestamp() ORDER BY due_at, id LIMIT 1
) RETURNING id
"""
_NEXT = "SELECT extract(epoch FROM min(due_at) - clock_timestamp()) FROM ops.mail WHERE state = 'waiting'"
_LATE = """
SELECT EXISTS (
    SELECT FROM ops.mail WHERE state = 'waiting' AND due_at < clock_timestamp() - make_interval(secs => %s)
)
"""


@dataclass(frozen=True, kw_only=True)
class ToSend:
    """A message to an account. `event` names what caused it, so that the same never causes a second one.

    `context` is what the templates `mail/<kind>.subject.txt`, `.txt` and `.html` are filled with.
    """

    recipient_id: int
    event: str
    context: Mapping[str, Any]


# --- Asking -----------------------------------------------------------------------------------------------------------


def mails_queue(*, kind: str, mails: Sequence[ToSend]) -> None:
    """Let the worker send these, in the transaction of what they tell of. `kind` is one of `rules.MAIL_KINDS`."""
    if not connection.in_atomic_block:
        raise RuntimeError("mails_queue() belongs into the transaction of what the messages tell of")
    declined = _declined(rules.MAIL_KINDS[kind], [mail.recipient_id for mail in mails])
    Mail.objects.bulk_create(
        [
            Mail(
                event=mail.event,
                kind=kind,
                recipient_id=mail.recipient_id,
                **(
                    {"state": _State.SKIPPED, "detail": "Declined in the preferences.", "context": {}}
                    if mail.recipient_id in declined
                    else {"state": _State.WAITING, "context": plain(dict(mail.context))}
                ),
            )
            for mail in mails
        ],
        ignore_conflicts=True,
        batch_size=1000,
    )
    if any(mail.recipient_id not in declined for mail in mails):
        enqueue(MailsSend())


def _declined(preference: str | None, user_ids: Sequence[int]) -> set[int]:
    if preference is None:
        return set()
    rows = MailPreferences.objects.filter(**{preference: False}, user_id__in=user_ids)
    return set(rows.values_list("user_id", flat=True))


def mail_preferences_change(*, actor: Principal, changes: Mapping[str, bool]) -> MailPreferences:
    """Change what one is told by e-mail. Nothing is recorded where nothing differs."""
    with transaction.atomic():
        user = lock_row(User.objects.filter(pk=actor.user_id), missing="This account no longer exists.")
        preferences, _ = MailPreferences.objects.get_or_create(user=user)
        before = {name: getattr(preferences, name) for name in changes if getattr(preferences, name) != changes[name]}
        if before:
            after = {name: changes[name] for name in before}
            MailPreferences.objects.filter(pk=actor.user_id).update(**after)
            audit_record(
                actor_id=actor.user_id,
                action="mail_preferences.change",
                target=f"user:{actor.user_id}",
                before=before,
                after=after,
            )
            preferences.refresh_from_db()
    return preferences


def mail_resend(*, actor: Principal, mail_id: uuid.UUID) -> Mail:
    """Send again, by an administrator's decision, what was not sent or perhaps was.

    Its Message-ID stays, by which a mail program knows the message if it has it. Raises NotFound, and Conflict
    (`mail_settled`) for one that was sent, waits, or is not to be sent.
    """
    with transaction.atomic():
        mail = Mail.objects.select_for_update().filter(pk=mail_id).first()
        if mail is None:
            raise NotFound("There is no such message; they are kept for 90 days.")
        if mail.state not in {_State.NOT_SENT, _State.UNKNOWN}:
            raise Conflict("Only what was not sent, or perhaps was, can be sent again.", code="mail_settled")
        Mail.objects.filter(pk=mail_id).update(
            state=_State.WAITING, detail="", attempts=0, due_at=ClockTimestamp(), finished_at=None
        )
        audit_record(
            actor_id=actor.user_id,
            action="mail.resend",
            target=f"mail:{mail_id}",
            before={"state": mail.state, "detail": mail.detail},
            after={"event": mail.event, "recipient_id": mail.recipient_id},
        )
        enqueue(MailsSend())
    mail.refresh_from_db()
    return mail


def mails_resume() -> bool:
    """Ask for the sending again if messages wait that should have left long ago."""
    with connection.cursor() as cursor:
        cursor.execute(_LATE, [LATE_SECONDS])
        (late,) = cursor.fetchone()
    if late:
        enqueue(MailsSend())
    return bool(late)


def mails_expire(*, before: dt.datetime) -> int:
    """Remove messages from before then that need nobody any more; return how many."""
    settled = Mail.objects.exclude(state__in=[_State.WAITING, _State.SENDING])
    deleted, _ = settled.filter(created_at__lt=before).delete()
    return deleted


# --- Sending ----------------------------------------------------------------------------------------------------------


def mails_send(*, job_number: int | None = None) -> int:
    """Send what is due, and return how many messages the server has taken. `job_number` is the caller's job.

    Ends when nothing waits. Raises TryLater while messages wait that may not leave yet.
    """
    if not settings.EMAIL_CONFIGURED:
        detail = "E-mail is not set up: EMAIL_URL is not set."
        waiting = Mail.objects.filter(state=_State.WAITING)
        waiting.update(state=_State.NOT_SENT, detail=detail, finished_at=ClockTimestamp())
        return 0
    ends, sent = time.monotonic() + BATCH_SECONDS, 0
    with MailSession() as session:
        while (mail := _claim(job_number)) is not None:
            delivery = _send(session, mail)
            sent += delivery.outcome is Outcome.SENT
            if delivery.outcome is Outcome.AWAY:
                raise TryLater(seconds=rules.mail_delay_seconds(attempts=1), why=delivery.detail)
            if time.monotonic() > ends:
                raise TryLater(seconds=1, why="Others of the worker's tasks come first.")
    return sent


def _claim(job_number: int | None) -> Mail | None:
    """The next message, the caller's alone; None when there is nothing to do. Raises TryLater."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [_LOCK])
        cursor.execute(_ABANDONED, [_LOST, LEASE_SECONDS])
        cursor.execute(_NEXT)
        (seconds,) = cursor.fetchone()
        if seconds is None:
            return None
        cursor.execute(_PACE)
        count, leaves = cursor.fetchone()
        pause = max(float(seconds), float(leaves) if count >= settings.EMAIL_PER_MINUTE else 0.0)
        cursor.execute(_SENDING)
        if (held := cursor.fetchone()) is not None:
            # Another worker sends and will look again, or has died: after its lease that is known.
            pause = max(pause, min(LEASE_SECONDS - float(held[0]), LOOK_SECONDS), 1.0)
        if pause <= 0:
            cursor.execute(_CLAIM)
            return Mail.objects.get(pk=cursor.fetchone()[0])
        if job_number is not None:
            jobs_absorb(task=MailsSend.task, into=job_number)
    raise TryLater(seconds=pause + 0.1, why="The messages that wait may not leave yet.")


def _send(session: MailSession, mail: Mail) -> Delivery:
    user = User.objects.filter(pk=mail.recipient_id).first()
    address = user.email if user is not None else ""
    skipped = rules.mail_refusal(active=user is not None and user.is_active, address=address)
    if skipped is not None or user is None:
        _finish(mail, _State.SKIPPED, detail=skipped or "")
        return Delivery(outcome=Outcome.REFUSED)
    try:
        words = {
            part: render_to_string(f"mail/{mail.kind}.{part}", {**mail.context, "user": user})
            for part in ("subject.txt", "txt", "html")
        }
    except Exception as error:
        logger.exception("The message %s could not be written", mail.event)
        _finish(mail, _State.NOT_SENT, detail=f"It could not be written: {type(error).__name__}.")
        return Delivery(outcome=Outcome.REFUSED)
    delivery = session.deliver(
        to=address,
        subject=" ".join(words["subject.txt"].split()),
        text=words["txt"],
        html=words["html"],
        message_id=f"mail-{mail.pk}@rgms",
    )
    again = delivery.outcome is Outcome.AWAY and mail.attempts < rules.MAIL_ATTEMPTS
    state = _State.WAITING if again else _ENDS[delivery.outcome]
    _finish(mail, state, detail=delivery.detail, address=address)
    return delivery


_ENDS = {
    Outcome.SENT: _State.SENT,
    Outcome.AWAY: _State.NOT_SENT,
    Outcome.REFUSED: _State.NOT_SENT,
    Outcome.NOT_CONFIGURED: _State.NOT_SENT,
    Outcome.UNKNOWN: _State.UNKNOWN,
}


def _finish(mail: Mail, state: Mail.State, *, detail: str, address: str = "") -> None:
    """Record what became of a message, as long as it is the caller's."""
    changes: dict[str, Any] = {"state": state, "detail": detail[:300], "address": address}
    if state == _State.WAITING:
        changes["due_at"] = now() + _delay(mail)
    else:
        changes["finished_at"] = ClockTimestamp()
    if state in {_State.SENT, _State.SKIPPED}:
        changes["context"] = {}
    Mail.objects.filter(pk=mail.pk, state=_State.SENDING, claimed_at=mail.claimed_at).update(**changes)


def _delay(mail: Mail) -> dt.timedelta:
    return dt.timedelta(seconds=rules.mail_delay_seconds(attempts=mail.attempts))
