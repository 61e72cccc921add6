import uuid

from celery import Task, shared_task

from apps.accounts.services import mails, resets
from core.after_commit import OUTBOX_HEADER


@shared_task(name="accounts.password_reset_mail")
def password_reset_mail(*, reset_id: str) -> None:
    resets.password_reset_send(reset_id=uuid.UUID(reset_id))


@shared_task(name="accounts.mails_send", bind=True)
def mails_send(self: Task) -> None:
    mails.mails_send(job_number=(self.request.headers or {}).get(OUTBOX_HEADER))
