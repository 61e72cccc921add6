"""E-mail, with a truthful account of what became of it."""

import enum
import smtplib
from dataclasses import dataclass
from typing import Any, Self

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection

_SHOWN = 200  # characters of a server's own words


class Outcome(enum.StrEnum):
    SENT = "sent"  # the server has taken it over; whether it arrives is not known to anybody
    NOT_CONFIGURED = "not_configured"
    AWAY = "away"  # not sent; a later attempt may succeed
    REFUSED = "refused"  # not sent, nor will it be
    UNKNOWN = "unknown"  # the connection ended before the server's last word


@dataclass(frozen=True, kw_only=True)
class Delivery:
    outcome: Outcome
    detail: str = ""  # why it was not sent, for an administrator


class MailSession:
    """One connection to the mail server of EMAIL_URL for several messages, opened with the first one."""

    def __init__(self) -> None:
        self._connection: Any = get_connection() if settings.EMAIL_CONFIGURED else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._close()

    def deliver(self, *, to: str, subject: str, text: str, message_id: str, html: str = "") -> Delivery:
        """Hand over one message. Takes seconds, so never inside a transaction; raises nothing.

        `message_id` is what a mail program tells a repeated message by. `html` says the same as `text`.
        """
        if self._connection is None:
            return Delivery(outcome=Outcome.NOT_CONFIGURED, detail="E-mail is not set up: EMAIL_URL is not set.")
        message = EmailMultiAlternatives(
            subject,
            text,
            to=[to],
            headers={"Message-ID": f"<{message_id}>", "Auto-Submitted": "auto-generated"},
            connection=self._connection,
        )
        if html:
            message.attach_alternative(html, "text/html")
        try:
            self._open()
        except (smtplib.SMTPException, OSError) as error:
            self._close()
            return Delivery(outcome=Outcome.AWAY, detail=f"The mail server cannot be used: {_words(error)}.")
        try:
            message.send()
        except Exception as error:  # noqa: BLE001 - each is an outcome; the caller's rows are committed already
            refusal = _refusal(error)
            if refusal.outcome is not Outcome.REFUSED:
                self._close()  # what it has still to say is not the answer to the next message
            return refusal
        return Delivery(outcome=Outcome.SENT)

    def _open(self) -> None:
        known = getattr(self._connection, "connection", None)
        if known is not None:
            try:
                usable = known.noop()[0] == 250
            except (smtplib.SMTPException, OSError):
                usable = False
            if not usable:  # servers close a connection after some messages; found out now, none is in doubt
                self._close()
        self._connection.open()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def mail_deliver(*, to: str, subject: str, text: str, message_id: str, html: str = "") -> Delivery:
    """Hand over one message by a connection of its own. As `MailSession.deliver`."""
    with MailSession() as session:
        return session.deliver(to=to, subject=subject, text=text, message_id=message_id, html=html)


def _refusal(error: Exception) -> Delivery:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
        return _answered(min(codes, default=500), f"The mail server refuses the address ({min(codes, default=500)}).")
    if isinstance(error, smtplib.SMTPResponseException):
        return _answered(error.smtp_code, f"The mail server refuses the message: {_words(error)}.")
    if isinstance(error, smtplib.SMTPServerDisconnected | OSError) and not isinstance(
        error, smtplib.SMTPNotSupportedError
    ):
        return Delivery(
            outcome=Outcome.UNKNOWN,
            detail="The connection ended before the mail server's last word; the message may have been sent.",
        )
    return Delivery(outcome=Outcome.REFUSED, detail=f"The message cannot be sent: {_words(error)}.")


def _answered(code: int, detail: str) -> Delivery:
    """The server has said no, for now (4xx) or for good (5xx)."""
    return Delivery(outcome=Outcome.AWAY if code < 500 else Outcome.REFUSED, detail=detail)


def _words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        return f"{error.smtp_code} {said}"[:_SHOWN]
    return (str(error) or type(error).__name__)[:_SHOWN]
