import logging
from collections.abc import Mapping

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError

from apps.reports.services import performing
from apps.reports.services.ends import LEASES
from core.errors import Unavailable
from core.leases import LeaseLost
from core.logs import places_of

logger = logging.getLogger("rgms.reports")

# After these the next attempt may find the world as it should be.
_PASSING = (OperationalError, InterfaceError, Unavailable)


# A report whose task was killed at its time limit is handed out again: the lease decides whether it is tried again.
@shared_task(name="reports.report_perform")
def report_perform(*, report_id: int) -> None:
    _perform(report_id=report_id)


def _perform(*, report_id: int, contents: Mapping[str, performing.Content] = performing.CONTENTS) -> None:
    claim = performing.report_claim(report_id=report_id)
    if claim is None:
        return
    try:
        state = performing.report_perform(claim=claim, contents=contents)
    except LeaseLost:
        logger.warning("Report %s is no longer this worker's", report_id)
    except _PASSING as passing:
        raise LEASES.broke_off(claim, passing) from None
    except SoftTimeLimitExceeded:
        logger.error("Report %s took too long", report_id)
        performing.report_fail(
            claim=claim,
            code="took_too_long",
            detail="It took too long and was stopped. Ask for it company by company.",
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, whoever asked must be told
        # Without its message, which may quote names and grades.
        logger.error("Report %s failed by %s %s", report_id, type(error).__name__, places_of(error))
        performing.report_fail(
            claim=claim,
            code="unexpected",
            detail="It failed by an error in this system. Tell an administrator the number of this report.",
        )
    else:
        logger.info("Report %s is %s", report_id, state.value, extra={"attempt": claim.attempt})
