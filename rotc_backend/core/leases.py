"""Rows that a worker works on: claimed by a lease that its progress extends, and ended only by the owner of the claim.

claim       it waits, or its last worker's lease ran out      → ours, for as long as a lease lasts
            that was its last attempt                         → exhausted: the caller ends it, in words
            another worker has it                             → ask again when the lease has run out
            it has ended, or nobody has asked                 → nothing to do

For a table with the columns state (`queued`, `running` and others), owner, lease_until, attempt, queued_at, started_at
and, where it shows progress, phase, rows_done and rows_total. Every time is the database's: the clocks of two workers
may differ.
"""

import contextlib
import logging
import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from django.db import DatabaseError, InterfaceError, connection, connections, transaction

from core.retries import TryLater, retry_delay_seconds

logger = logging.getLogger("rgms.leases")

TOLD_SECONDS = 1.0  # between two looks at the progress

_FREE = "(state = 'queued' OR state = 'running' AND lease_until < clock_timestamp())"
_LEASED = "lease_until = clock_timestamp() + make_interval(secs => %(seconds)s)"


class LeaseLost(Exception):
    """The row is no longer ours: another worker has taken it over, or somebody has cancelled or removed it."""


class RowHeld(TryLater):
    """Another worker has the row, or died having it: to forget the message now would leave the row to the sweep."""

    def __init__(self, *, left: float) -> None:
        super().__init__(seconds=left + 1, why=f"held for another {left:.0f} s")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to work on one row while its lease is extended. `attempt` counts from 1."""

    row_id: int
    owner: uuid.UUID
    attempt: int


@dataclass(frozen=True)
class Place:
    """How far the work is. `total` is None while nobody knows."""

    phase: str
    done: int = 0
    total: int | None = None


@dataclass(frozen=True, kw_only=True)
class LeasedTable:
    """`table` is written in the code, never sent by anybody."""

    table: str
    lease_seconds: int
    attempts: int
    shows_progress: bool = True

    def claim(self, *, row_id: int, phase: str = "") -> Claim | None:
        """Claim a row; None when it has ended, or its attempts are exhausted. Raises RowHeld."""
        owner = uuid.uuid4()
        progress = ", phase = %(phase)s, rows_done = 0, rows_total = NULL" if self.shows_progress else ""
        given: dict[str, Any] = {
            "row": row_id,
            "owner": owner,
            "seconds": self.lease_seconds,
            "phase": phase,
            "attempts": self.attempts,
        }
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {self.table} SET state = 'running', owner = %(owner)s, {_LEASED}, attempt = attempt + 1, "  # noqa: S608 - written in the code
                f"started_at = clock_timestamp(){progress} "
                f"WHERE id = %(row)s AND {_FREE} AND attempt < %(attempts)s RETURNING attempt",
                given,
            )
            if row := cursor.fetchone():
                return Claim(row_id=row_id, owner=owner, attempt=row[0])
            # A lease that ended between the two statements counts: else the message would be forgotten.
            cursor.execute(
                f"SELECT greatest(0, extract(epoch FROM lease_until - clock_timestamp())) FROM {self.table} "  # noqa: S608 - written in the code
                "WHERE id = %(row)s AND state = 'running' "
                "AND (lease_until >= clock_timestamp() OR attempt < %(attempts)s)",
                given,
            )
            if left := cursor.fetchone():
                raise RowHeld(left=float(left[0]))
        return None

    def is_held(self, *, row_id: int) -> bool:
        """Whether a worker says that it lives."""
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT FROM {self.table} WHERE id = %s AND state = 'running' AND lease_until >= clock_timestamp()",
                [row_id],
            )
            return bool(cursor.rowcount)

    def is_exhausted(self, *, row_id: int) -> bool:
        """Whether nobody may try again; locks the row in the caller's transaction if so."""
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT FROM {self.table} WHERE id = %s AND {_FREE} AND attempt >= %s FOR NO KEY UPDATE",
                [row_id, self.attempts],
            )
            return bool(cursor.rowcount)

    def extend(self, claim: Claim, place: Place) -> bool:
        """Hold the row for another lease, and show how far it is; False when it is no longer ours."""
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {self.table} SET {_LEASED}, phase = %(phase)s, rows_done = %(done)s, rows_total = %(total)s "  # noqa: S608 - written in the code
                "WHERE id = %(row)s AND owner = %(owner)s AND state = 'running'",
                {
                    "seconds": self.lease_seconds,
                    "phase": place.phase,
                    "done": place.done,
                    "total": place.total,
                    "row": claim.row_id,
                    "owner": claim.owner,
                },
            )
            return bool(cursor.rowcount)

    def release(self, claim: Claim) -> None:
        """Give the row back unfinished, so that the next attempt need not wait for the lease to end."""
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {self.table} SET lease_until = clock_timestamp() "  # noqa: S608 - written in the code
                "WHERE id = %s AND owner = %s AND state = 'running'",
                [claim.row_id, claim.owner],
            )

    def broke_off(self, claim: Claim, error: Exception) -> TryLater:
        """Give the row back after an error that may pass; what is returned is to be raised from None.

        The row counts its attempts itself, whichever message they came by. Without the error's words, which may quote
        what stands in a file or a report: names, grades.
        """
        with contextlib.suppress(DatabaseError, InterfaceError):  # then the lease's end gives the row back
            self.release(claim)
        why = type(error).__name__
        logger.warning("%s %s broke off in attempt %s: %s", self.table, claim.row_id, claim.attempt, why)
        jitter = random.random()  # noqa: S311 - only spreads the retries
        return TryLater(seconds=retry_delay_seconds(attempt=claim.attempt, jitter=jitter), why=why)

    def without_worker(self, *, lost_minutes: int) -> list[int]:
        """The rows that wait for longer than a message takes, or whose worker has died."""
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id FROM {self.table} "  # noqa: S608 - written in the code
                "WHERE state = 'queued' AND queued_at < clock_timestamp() - make_interval(mins => %s) "
                "OR state = 'running' AND lease_until < clock_timestamp() ORDER BY id",
                [lost_minutes],
            )
            return [row_id for (row_id,) in cursor.fetchall()]


class Reporter:
    """Extends a lease and tells the progress every second, from a thread with a connection of its own.

    On the worker's own connection nobody would see it before the end of a transaction. In the transaction that has
    extended the lease, `look` is called each time, and `tell` hears of a new place. `at` raises LeaseLost as of a
    second ago, so who ends the row looks once more.
    """

    def __init__(
        self,
        *,
        table: LeasedTable,
        claim: Claim,
        first: Place,
        tell: Callable[[Place], None],
        look: Callable[[], None] = lambda: None,
    ) -> None:
        self._table, self._claim, self._tell, self._look = table, claim, tell, look
        self._place = first  # replaced as a whole: two threads see it
        self._lost = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{table.table}-{claim.row_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """No further progress, also none that is on its way: the row belongs to the caller from now on."""
        self._stop.set()
        self._thread.join()

    def at(self, phase: str, done: int = 0, total: int | None = None) -> None:
        self._place = Place(phase, done, total)
        if self._lost:
            raise LeaseLost

    def _run(self) -> None:
        told, beat = self._place, time.monotonic()
        try:
            while not self._lost and not self._stop.wait(TOLD_SECONDS):
                place = self._place
                try:
                    with transaction.atomic():
                        self._lost = not self._table.extend(self._claim, place)
                        if not self._lost:
                            self._look()
                            if place != told:
                                self._tell(place)
                    told, beat = place, time.monotonic()
                except (DatabaseError, InterfaceError) as error:
                    # The worker meets the same, and decides; a connection that was lost is opened anew.
                    logger.warning("%s could not tell its progress: %s", self._thread.name, type(error).__name__)
                    connection.close()
                    if time.monotonic() - beat > self._table.lease_seconds:
                        self._lost = True
        finally:
            connections.close_all()
