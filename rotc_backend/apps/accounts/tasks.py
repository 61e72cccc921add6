import uuid

from celery import Task, shared_task

from apps.accounts.services import resets


@shared_task(name="accounts.password_reset_mail", bind=True, acks_on_timeout=False)
def password_reset_mail(self: Task, *, reset_id: str) -> None:
    try:
        resets.password_reset_send(reset_id=uuid.UUID(reset_id))
    except resets.SendLater as later:
        raise self.retry(countdown=later.seconds, exc=later, max_retries=None, throw=False) from later
