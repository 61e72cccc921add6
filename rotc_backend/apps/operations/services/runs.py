"""Slots of periodic jobs: claimed by a lease, so that each is done once, however often its message is delivered.

claim       the slot is free, or its last owner's lease ran out    → ours, for LEASE_SECONDS
            it is finished                                          → nothing to do
            somebody else holds it                                  → ask again when the lease has run out
perform     the work
finish      only as the owner: whoever lost the lease meanwhile writes nothing
"""

import contextlib
import datetime as dt
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from django.db import DatabaseError, InterfaceError, connection, transaction

from apps.operations.models import ScheduledRun
from apps.operations.rules import ATTEMPTS, LEASE_SECONDS, Outcome
from core.retries import TryLater

logger = logging.getLogger("rgms.schedule")

_CLAIM = """
INSERT INTO ops.scheduled_run AS r (job, slot, trigger, crontab, owner, lease_until)
VALUES (%(job)s, %(slot)s, %(trigger)s, %(crontab)s, %(owner)s, clock_timestamp() + make_interval(secs => %(lease)s))
ON CONFLICT (job, slot) DO UPDATE
SET owner = excluded.owner, lease_until = excluded.lease_until, started_at = clock_timestamp(), attempt = r.attempt + 1
WHERE r.finished_at IS NULL AND r.lease_until < clock_timestamp() AND r.attempt < %(attempts)s
RETURNING attempt
"""
_FINISH = """
UPDATE ops.scheduled_run SET finished_at = clock_timestamp(), outcome = %s, counts = %s::jsonb, detail = %s
WHERE job = %s AND slot = %s AND owner = %s AND finished_at IS NULL
"""
_RELEASE = """
UPDATE ops.scheduled_run SET lease_until = clock_timestamp(), detail = %s
WHERE job = %s AND slot = %s AND owner = %s AND finished_at IS NULL
"""
_GIVE_UP = """
UPDATE ops.scheduled_run SET finished_at = clock_timestamp(), outcome = 'failed',
    detail = 'None of ' || attempt || ' attempts came to its end. ' || detail
WHERE job = %s AND slot = %s AND finished_at IS NULL AND lease_until < clock_timestamp() AND attempt >= %s
"""
_LEFT = """
SELECT extract(epoch FROM lease_until - clock_timestamp()) FROM ops.scheduled_run
WHERE job = %s AND slot = %s AND finished_at IS NULL
"""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to do one slot, until the lease ends. `attempt` counts from 1."""

    job: str
    slot: dt.datetime
    owner: uuid.UUID
    attempt: int


class SlotHeld(TryLater):
    """Somebody else does this slot, or died doing it: to forget the message now would be to lose the slot."""

    def __init__(self, *, left: float) -> None:
        super().__init__(seconds=left + 1, why=f"held for another {left:.0f} s")


class LeaseLost(Exception):
    """Another owner has taken the slot over; what was done in the present transaction must not stay."""


class RunFailed(Exception):
    """The work broke off. The slot is free again, for an attempt after this one."""

    def __init__(self, *, attempt: int) -> None:
        super().__init__(f"attempt {attempt} failed")
        self.attempt = attempt


class RunGivenUp(Exception):
    """The work broke off in the last attempt, and the slot is finished as failed.

    An error of its own, whatever it came from: one that may pass would be tried again, find the slot done, and nobody
    would be told.
    """


def run_claim(*, job: str, slot: dt.datetime, crontab: str) -> Claim | None:
    """Claim a slot; None when it is done or given up. Raises SlotHeld.

    `crontab` holds the five fields of the schedule that gave the slot, and is empty when a person asked for the run.
    """
    owner = uuid.uuid4()
    with connection.cursor() as cursor:
        cursor.execute(
            _CLAIM,
            {
                "job": job,
                "slot": slot,
                "trigger": ScheduledRun.Trigger.SCHEDULE if crontab else ScheduledRun.Trigger.PERSON,
                "crontab": crontab,
                "owner": owner,
                "lease": LEASE_SECONDS,
                "attempts": ATTEMPTS,
            },
        )
        if row := cursor.fetchone():
            return Claim(job=job, slot=slot, owner=owner, attempt=row[0])
        cursor.execute(_GIVE_UP, [job, slot, ATTEMPTS])
        if cursor.rowcount:
            logger.error("%s of %s is given up after %s attempts", job, slot, ATTEMPTS)
            return None
        cursor.execute(_LEFT, [job, slot])
        if left := cursor.fetchone():
            raise SlotHeld(left=max(0.0, float(left[0])))
    return None


def run_finish(*, claim: Claim, outcome: Outcome) -> None:
    """Record how the run ended. Raises LeaseLost when the slot is no longer ours."""
    with connection.cursor() as cursor:
        cursor.execute(
            _FINISH,
            [
                ScheduledRun.Outcomes.SUCCEEDED if outcome.succeeded else ScheduledRun.Outcomes.FAILED,
                connection.ops.adapt_json_value(dict(outcome.counts), None),
                outcome.detail,
                claim.job,
                claim.slot,
                claim.owner,
            ],
        )
        if not cursor.rowcount:
            raise LeaseLost(f"{claim.job} of {claim.slot} has another owner now")


def run_release(*, claim: Claim, detail: str) -> None:
    """Give the slot back unfinished, so that the next attempt need not wait for the lease to end."""
    with connection.cursor() as cursor:
        cursor.execute(_RELEASE, [detail, claim.job, claim.slot, claim.owner])


def slot_run(
    *,
    job: str,
    slot: dt.datetime,
    crontab: str,
    perform: Callable[[dt.datetime], Outcome],
    together: bool,
) -> Outcome | None:
    """Do one slot: None when it was done before. `perform` is given the slot's scheduled time.

    `together` commits the work and its record in one transaction, which work needs that cannot be repeated; without it
    `perform` owns its transactions. Raises SlotHeld; RunFailed, or RunGivenUp after the last attempt; LeaseLost after
    the work was rolled back.
    """
    claim = run_claim(job=job, slot=slot, crontab=crontab)
    if claim is None:
        return None
    try:
        if together:
            with transaction.atomic():
                outcome = perform(slot)
                run_finish(claim=claim, outcome=outcome)
        else:
            outcome = perform(slot)
            run_finish(claim=claim, outcome=outcome)
    except LeaseLost:
        raise
    except Exception as error:
        logger.exception("%s of %s failed in attempt %s", job, slot, claim.attempt)
        detail = f"{type(error).__name__} in attempt {claim.attempt}."
        with contextlib.suppress(DatabaseError, InterfaceError):  # then the lease's end gives the slot back
            if claim.attempt >= ATTEMPTS:
                run_finish(claim=claim, outcome=Outcome(succeeded=False, counts={}, detail=_given_up(detail)))
                raise RunGivenUp(f"{_given_up(detail)} {error}") from error
            run_release(claim=claim, detail=detail)
        raise RunFailed(attempt=claim.attempt) from error
    logger.log(
        logging.INFO if outcome.succeeded else logging.ERROR,
        "%s of %s %s",
        job,
        slot,
        "succeeded" if outcome.succeeded else f"failed: {outcome.detail}",
        extra={"attempt": claim.attempt, **outcome.counts},
    )
    return outcome


def _given_up(detail: str) -> str:
    return f"None of {ATTEMPTS} attempts came to its end. {detail}"
