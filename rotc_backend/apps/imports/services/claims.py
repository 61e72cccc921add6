"""Which worker does a run: claimed by a lease that its progress extends, and ended only by the owner of the claim.

claim       it waits, or its last worker's lease ran out      → ours, for LEASE_SECONDS
            that was its last attempt                         → failed, in words
            another worker has it                             → ask again when the lease has run out
            it has ended, or nobody has asked                 → nothing to do
"""

import logging
import uuid
from dataclasses import dataclass

from django.db import connection, transaction

from apps.imports.models import ImportRun, State
from apps.imports.rules import ATTEMPTS, LEASE_SECONDS, READING
from apps.imports.services.ends import run_end

logger = logging.getLogger("rgms.imports")

_FREE = "(state = 'queued' OR state = 'running' AND lease_until < clock_timestamp())"
_CLAIM = f"""
UPDATE imports_importrun
SET state = 'running', owner = %(owner)s, lease_until = clock_timestamp() + make_interval(secs => %(lease)s),
    attempt = attempt + 1, started_at = clock_timestamp(), phase = %(phase)s, rows_done = 0, rows_total = NULL
WHERE id = %(run)s AND {_FREE} AND attempt < %(attempts)s
RETURNING attempt
"""  # noqa: S608 - both are written here
_GIVEN_UP = f"SELECT FROM imports_importrun WHERE id = %s AND {_FREE} AND attempt >= %s FOR NO KEY UPDATE"
_LEFT = """
SELECT extract(epoch FROM lease_until - clock_timestamp()) FROM imports_importrun WHERE id = %s AND state = 'running'
"""
_RELEASE = """
UPDATE imports_importrun SET lease_until = clock_timestamp() WHERE id = %s AND owner = %s AND state = 'running'
"""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to do one run while its lease is extended. `attempt` counts from 1."""

    run_id: int
    owner: uuid.UUID
    attempt: int


class RunHeld(Exception):
    """Another worker does this run, or died doing it. `seconds` until that is known."""

    def __init__(self, *, seconds: float) -> None:
        super().__init__(f"held for another {seconds:.0f} s")
        self.seconds = seconds


def run_claim(*, run_id: int) -> Claim | None:
    """Claim a run; None when there is nothing to do. Raises RunHeld."""
    owner = uuid.uuid4()
    with connection.cursor() as cursor:
        cursor.execute(
            _CLAIM,
            {"run": run_id, "owner": owner, "lease": LEASE_SECONDS, "phase": READING, "attempts": ATTEMPTS},
        )
        if row := cursor.fetchone():
            return Claim(run_id=run_id, owner=owner, attempt=row[0])
        if _give_up(run_id=run_id):
            return None
        cursor.execute(_LEFT, [run_id])
        if left := cursor.fetchone():
            raise RunHeld(seconds=max(0.0, float(left[0])))
    return None


def run_release(*, claim: Claim) -> None:
    """Give the run back unfinished, so that the next attempt need not wait for the lease to end."""
    with connection.cursor() as cursor:
        cursor.execute(_RELEASE, [claim.run_id, claim.owner])


def _give_up(*, run_id: int) -> bool:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_GIVEN_UP, [run_id, ATTEMPTS])
        if not cursor.rowcount:
            return False
        run = ImportRun.objects.get(pk=run_id)
        run_end(
            run=run,
            actor_id=None,
            state=State.FAILED,
            code="attempts_exhausted",
            detail=(
                f"None of {ATTEMPTS} attempts came to its end, and nothing was saved. Send the file again; if that "
                "fails as well, send it in smaller parts and tell an administrator the number of this import."
            ),
        )
    logger.error("Import %s is given up after %s attempts", run_id, ATTEMPTS)
    return True
