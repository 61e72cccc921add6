"""E-mail, with a truthful account of what became of it."""

import enum
import smtplib
from dataclasses import dataclass

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

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


def mail_deliver(*, to: str, subject: str, text: str, message_id: str) -> Delivery:
    """Hand one message to the mail server of EMAIL_URL. Takes seconds, so never inside a transaction; raises nothing.

    `message_id` is what a mail program tells a repeated message by.
    """
    if not settings.EMAIL_CONFIGURED:
        return Delivery(outcome=Outcome.NOT_CONFIGURED, detail="E-mail is not set up: EMAIL_URL is not set.")
    connection = get_connection()
    message = EmailMessage(
        subject,
        text,
        to=[to],
        headers={"Message-ID": f"<{message_id}>", "Auto-Submitted": "auto-generated"},
        connection=connection,
    )
    try:
        connection.open()
    except (smtplib.SMTPException, OSError) as error:
        connection.close()
        return Delivery(outcome=Outcome.AWAY, detail=f"The mail server cannot be used: {_words(error)}.")
    try:
        message.send()
    except Exception as error:  # noqa: BLE001 - each is an outcome; the caller's rows are committed already
        return _refusal(error)
    finally:
        connection.close()
    return Delivery(outcome=Outcome.SENT)


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
