"""What passes between a run and everybody else while its transaction is open: how far it is, and that it may stop."""

import logging
import threading
import time
from types import TracebackType

from django.db import DatabaseError, InterfaceError, connection, connections, transaction

from apps.events.services import publish
from apps.imports.events import ImportProgress
from apps.imports.rules import CHECKING, LEASE_SECONDS, PROGRESS_SECONDS, READING, phase_after
from apps.imports.services.claims import Claim
from core.tables import ImportCancelled

logger = logging.getLogger("rgms.imports")

_EXTEND = """
UPDATE imports_importrun
SET lease_until = clock_timestamp() + make_interval(secs => %s), phase = %s, rows_done = %s, rows_total = %s
WHERE id = %s AND owner = %s AND state = 'running' RETURNING cancel_requested_at IS NOT NULL
"""


class LeaseLost(Exception):
    """Another worker has taken the run over; what was done in the present transaction must not stay."""


class Reporter:
    """Tells the run's progress and extends its lease every second, from a thread with a connection of its own.

    From the importer's own connection nobody would see it before the end. Its methods raise ImportCancelled when
    somebody has asked to stop, and LeaseLost; both as of a second ago, so the end of a run asks once more.
    """

    def __init__(self, *, claim: Claim, recipients: list[str]) -> None:
        self._claim = claim
        self._recipients = recipients
        self._at: tuple[str, int, int | None] = (READING, 0, None)  # replaced as a whole: two threads see it
        self._writes = False
        self._cancelled = self._lost = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"import-{claim.run_id}", daemon=True)

    def __enter__(self) -> "Reporter":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """No further progress, also none that is on its way: the run's row belongs to the caller from now on."""
        self._stop.set()
        self._thread.join()

    def read(self, rows: int) -> None:
        self._tell(READING, rows, None)

    def begin(self, total: int, *, writes: bool) -> None:
        """All rows are read; with `writes` the importer goes through them a second time."""
        self._writes = writes
        self._tell(CHECKING, 0, total)

    def worked(self, rows: int) -> None:
        phase, done, total = self._at
        self._tell(phase_after(phase=phase, done=done, rows=rows, writes=self._writes), rows, total)

    def _tell(self, phase: str, done: int, total: int | None) -> None:
        self._at = (phase, done if total is None else min(done, total), total)
        if self._cancelled:
            raise ImportCancelled
        if self._lost:
            raise LeaseLost

    def _run(self) -> None:
        told = self._at
        beat = time.monotonic()
        try:
            while not self._stop.wait(PROGRESS_SECONDS):
                at = self._at
                try:
                    self._extend(at, changed=at != told)
                    told, beat = at, time.monotonic()
                except (DatabaseError, InterfaceError) as error:
                    # The importer meets the same, and decides; a connection that was lost is opened anew.
                    lost = type(error).__name__
                    logger.warning("Import %s could not tell its progress: %s", self._claim.run_id, lost)
                    connection.close()
                    if time.monotonic() - beat > LEASE_SECONDS:
                        self._lost = True
        finally:
            connections.close_all()

    def _extend(self, at: tuple[str, int, int | None], *, changed: bool) -> None:
        phase, done, total = at
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(_EXTEND, [LEASE_SECONDS, phase, done, total, self._claim.run_id, self._claim.owner])
                found = cursor.fetchone()
            if found is None:
                self._lost = True
                return
            if changed:
                event = ImportProgress(import_id=self._claim.run_id, phase=phase, done=done, total=total)
                publish(event=event, recipients=self._recipients)
        self._cancelled = self._cancelled or found[0]
