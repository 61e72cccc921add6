import uuid
from dataclasses import dataclass

from core.messages import Job


@dataclass(frozen=True, kw_only=True)
class PasswordResetMail(Job):
    """Send the link that was asked for. Its token is made by the task: nothing secret passes through the broker."""

    task = "accounts.password_reset_mail"

    reset_id: uuid.UUID


@dataclass(frozen=True, kw_only=True)
class MailsSend(Job):
    """Send what waits in the ledger of e-mail, at the pace that the mail server is granted."""

    task = "accounts.mails_send"
