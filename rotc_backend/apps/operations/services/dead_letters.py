"""Tasks that failed for good, kept until an administrator has looked at them."""

import datetime as dt
import logging
import traceback
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from apps.accounts.rules import Principal
from apps.accounts.services import audit_record
from apps.events.services import job_end, jobs_resend
from apps.operations.models import DeadLetter
from apps.operations.rules import MASK, masked, without_secrets
from apps.operations.selectors import dead_letter_get, secrets_known
from core import after_commit
from core.clock import now
from core.errors import Conflict
from core.measure import current_request_id
from core.messages import plain

logger = logging.getLogger("rgms.dead_letters")

DETAIL_LENGTH, TRACEBACK_LENGTH = 1_000, 20_000  # characters


def dead_letter_record(
    *,
    task: str,
    arguments: Mapping[str, Any],
    request_id: str,
    attempts: int,
    error: BaseException,
    job_number: int | None,
) -> DeadLetter:
    """Lay a task aside; its job, if it came from the outbox, is nobody's business any more. Raises DatabaseError."""
    secrets = secrets_known()
    # The end of the traceback, which is where it happened.
    told = "".join(traceback.format_exception(error))[-TRACEBACK_LENGTH:]
    with transaction.atomic():
        letter = DeadLetter.objects.create(
            task=task,
            arguments=plain(masked(arguments)),
            request_id=request_id,
            attempts=attempts,
            error=type(error).__name__,
            detail=without_secrets(str(error), secrets=secrets)[:DETAIL_LENGTH],
            traceback=without_secrets(told, secrets=secrets),
        )
        if job_number is not None:
            job_end(number=job_number)
    logger.error(
        "The task %s is laid aside as dead letter %s after %s attempts: %s",
        task,
        letter.pk,
        attempts,
        type(error).__name__,
    )
    return letter


def dead_letter_retry(*, actor: Principal, letter_id: int) -> DeadLetter:
    """Ask for the same task again, once. The task itself decides whether there is still anything to do.

    Raises NotFound, and Conflict: `dead_letter_settled`; `dead_letter_unfit` for a task that this release does not
    know, or whose arguments were not kept as they were.
    """
    with transaction.atomic():
        letter = _settle(actor, letter_id, DeadLetter.Settlements.RETRIED)
        if not after_commit.task_known(letter.task) or MASK in letter.arguments.values():
            raise Conflict(
                "This task cannot be retried: this release does not know it, or a secret among its arguments was not "
                "kept. Do again what caused it, then dismiss this letter.",
                code="dead_letter_unfit",
            )
        after_commit.enqueue_task(
            task=letter.task, arguments=letter.arguments, request_id=current_request_id() or letter.request_id
        )
    return letter


def dead_letter_dismiss(*, actor: Principal, letter_id: int) -> DeadLetter:
    """Say that nothing needs to be done about it any more. Raises NotFound, and Conflict (`dead_letter_settled`)."""
    with transaction.atomic():
        return _settle(actor, letter_id, DeadLetter.Settlements.DISMISSED)


def dead_letters_expire(*, failed_before: dt.datetime) -> int:
    """Remove letters of tasks that failed before then, settled or not; return how many."""
    deleted, _ = DeadLetter.objects.filter(failed_at__lt=failed_before).delete()
    return deleted


def outbox_sweep() -> int:
    """Send again what waits in the outbox and is due; return how many messages left."""
    sent = jobs_resend()
    if sent:
        logger.info("%s jobs of the outbox were sent again", sent)
    return sent


def _settle(actor: Principal, letter_id: int, settlement: DeadLetter.Settlements) -> DeadLetter:
    letter = dead_letter_get(letter_id=letter_id)
    claimed = DeadLetter.objects.filter(pk=letter_id, settled_at=None).update(
        settled_at=now(), settled_by_id=actor.user_id, settlement=settlement
    )
    if not claimed:
        raise Conflict("This letter has been settled already, perhaps just now.", code="dead_letter_settled")
    audit_record(
        actor_id=actor.user_id,
        action=f"dead_letter.{'retry' if settlement == DeadLetter.Settlements.RETRIED else 'dismiss'}",
        target=f"dead_letter:{letter_id}",
        after={"task": letter.task, "arguments": letter.arguments},
    )
    letter.refresh_from_db()
    return letter
