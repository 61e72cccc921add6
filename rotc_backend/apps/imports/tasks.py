import logging
from collections.abc import Mapping

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db import IntegrityError, InterfaceError, OperationalError

from apps.imports.services import performing
from apps.imports.services.ends import LEASES
from apps.imports.services.kinds import KINDS, ImportKind
from core.errors import Unavailable
from core.leases import LeaseLost
from core.logs import places_of

logger = logging.getLogger("rgms.imports")

# After these the world may be as it should at the next attempt; a row that somebody else has inserted meanwhile
# (IntegrityError) is then found by the importer.
_PASSING = (OperationalError, InterfaceError, IntegrityError, Unavailable)


# A run whose task was killed at its time limit is handed out again: the lease decides whether it is tried again.
@shared_task(name="imports.import_run_perform")
def import_run_perform(*, run_id: int) -> None:
    _perform(run_id=run_id)


def _perform(*, run_id: int, kinds: Mapping[str, ImportKind] = KINDS) -> None:
    claim = performing.run_claim(run_id=run_id)
    if claim is None:
        return
    try:
        state = performing.run_perform(claim=claim, kinds=kinds)
    except LeaseLost:
        logger.warning("Import %s was taken over by another worker", run_id)
    except _PASSING as passing:
        raise LEASES.broke_off(claim, passing) from None
    except SoftTimeLimitExceeded:
        logger.error("Import %s took too long", run_id)
        performing.run_fail(
            claim=claim,
            code="took_too_long",
            detail="It took too long and was stopped; nothing was saved. Send the file in smaller parts.",
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, its sender must be told
        # Without its message, which may quote what stands in the file: names, addresses.
        logger.error("Import %s failed by %s %s", run_id, type(error).__name__, places_of(error))
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
