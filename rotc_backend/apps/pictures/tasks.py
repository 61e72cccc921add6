import contextlib
import logging
import random
import traceback

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, InterfaceError, OperationalError

from apps.pictures import rules
from apps.pictures.services import processing
from core.errors import Unavailable
from core.leases import LeaseLost
from core.retries import TryLater

logger = logging.getLogger("rgms.pictures")

# After these the next attempt may find the world as it should be.
_PASSING = (OperationalError, InterfaceError, Unavailable)


# A picture whose task was killed is handed out again: the lease decides whether it is tried again.
@shared_task(
    name="pictures.picture_process",
    soft_time_limit=rules.SOFT_LIMIT_SECONDS,
    time_limit=rules.HARD_LIMIT_SECONDS,
)
def picture_process(*, picture_id: int) -> None:
    claim = processing.picture_claim(picture_id=picture_id)
    if claim is None:
        return
    try:
        state = processing.picture_perform(claim=claim)
    except LeaseLost:
        logger.warning("Picture %s is no longer this worker's", picture_id)
    except _PASSING as passing:
        waited = 0.0
        with contextlib.suppress(DatabaseError, InterfaceError):  # then the lease's end gives the picture back
            waited = processing.picture_release(claim=claim)
        logger.warning("Picture %s broke off: %s", picture_id, type(passing).__name__)
        jitter = random.random()  # noqa: S311 - only spreads the retries
        seconds = rules.retry_seconds(waited=waited, jitter=jitter)
        raise TryLater(seconds=seconds, why=type(passing).__name__) from None
    except SoftTimeLimitExceeded:
        logger.error("Picture %s took too long", picture_id)
        processing.picture_fail(
            claim=claim,
            code="took_too_long",
            detail="It took too long and was stopped. Save it smaller, as a usual JPEG, and send it again.",
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, its sender must be told
        logger.error("Picture %s failed by %s %s", picture_id, type(error).__name__, _places(error))
        processing.picture_fail(
            claim=claim,
            code="unexpected",
            detail="It failed by an error in this system. Save it as a usual JPEG, and send it again.",
        )
    else:
        logger.info("Picture %s is %s", picture_id, state.value, extra={"attempt": claim.attempt})


def _places(error: BaseException) -> str:
    """Where it happened, innermost first."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
