import contextlib
import logging
import random
import traceback
from collections.abc import Mapping

from celery import Task, shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError

from apps.imports.rules import LEASE_SECONDS
from apps.imports.services import claims, performing
from apps.imports.services.kinds import KINDS, ImportKind
from apps.imports.services.progress import LeaseLost
from core.errors import Unavailable

logger = logging.getLogger("rgms.imports")

# After these the world may be as it should at the next attempt; a row that somebody else has inserted meanwhile
# (IntegrityError) is then found by the importer.
_PASSING = (OperationalError, InterfaceError, IntegrityError, Unavailable)


# A run whose task was killed at its time limit is handed out again: the lease decides whether it is tried again.
@shared_task(name="imports.import_run_perform", bind=True, acks_on_timeout=False)
def import_run_perform(self: Task, *, run_id: int) -> None:
    _perform(self, run_id=run_id)


def _perform(task: Task, *, run_id: int, kinds: Mapping[str, ImportKind] = KINDS) -> None:
    def again(error: Exception, *, seconds: float) -> Exception:
        return task.retry(countdown=seconds, exc=error, max_retries=None, throw=False)

    pause = random.uniform(5, 15)  # noqa: S311 - only spreads the retries
    try:
        claim = claims.run_claim(run_id=run_id)
    except claims.RunHeld as held:
        # Its worker may have died. To forget the message now would leave the run to the quarter-hourly sweep.
        raise again(held, seconds=min(held.seconds, LEASE_SECONDS) + 1) from held
    except (DatabaseError, InterfaceError) as away:
        raise again(away, seconds=pause) from away
    if claim is None:
        return
    try:
        state = performing.run_perform(claim=claim, kinds=kinds)
    except LeaseLost:
        logger.warning("Import %s was taken over by another worker", run_id)
    except _PASSING as passing:
        with contextlib.suppress(DatabaseError, InterfaceError):  # then the lease's end gives the run back
            claims.run_release(claim=claim)
        logger.warning("Import %s broke off in attempt %s: %s", run_id, claim.attempt, type(passing).__name__)
        raise again(passing, seconds=pause) from None
    except SoftTimeLimitExceeded:
        logger.error("Import %s took too long", run_id)
        performing.run_fail(
            claim=claim,
            code="took_too_long",
            detail="It took too long and was stopped; nothing was saved. Send the file in smaller parts.",
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, its sender must be told
        # Without its message, which may quote what stands in the file: names, addresses.
        logger.error("Import %s failed by %s %s", run_id, type(error).__name__, _places(error))
        performing.run_fail(
            claim=claim,
            code="unexpected",
            detail=(
                "It failed by an error in this system, and nothing was saved. Tell an administrator the number of "
                "this import."
            ),
        )
    else:
        logger.info("Import %s is %s", run_id, state.value, extra={"attempt": claim.attempt})


def _places(error: BaseException) -> str:
    """Where it happened, innermost first."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
