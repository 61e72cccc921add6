"""What passes between a run and everybody else while its transaction is open: how far it is, and that it may stop."""

from apps.events.services import publish
from apps.imports.events import ImportProgress
from apps.imports.models import ImportRun
from apps.imports.rules import CHECKING, READING, phase_after
from apps.imports.services.ends import LEASES
from core.leases import Claim, Place, Reporter
from core.tables import ImportCancelled


class RunReporter(Reporter):
    """Hears of rows from the reader and the importer. Raises ImportCancelled when somebody has asked to stop.

    Who stops a report ends its row, and its worker has lost it. A run stays its worker's until the importer's
    transaction is rolled back: ended before, it would say that nothing is saved while locks are held for it.
    """

    def __init__(self, *, claim: Claim, recipients: list[str]) -> None:
        super().__init__(table=LEASES, claim=claim, first=Place(READING), tell=self._published, look=self._looked)
        self._run_id = claim.row_id
        self._recipients = recipients
        self._writes = self._cancelled = False

    def at(self, phase: str, done: int = 0, total: int | None = None) -> None:
        super().at(phase, done if total is None else min(done, total), total)
        if self._cancelled:
            raise ImportCancelled

    def read(self, rows: int) -> None:
        self.at(READING, rows)

    def begin(self, total: int, *, writes: bool) -> None:
        """All rows are read; with `writes` the importer goes through them a second time."""
        self._writes = writes
        self.at(CHECKING, 0, total)

    def worked(self, rows: int) -> None:
        place = self._place
        phase = phase_after(phase=place.phase, done=place.done, rows=rows, writes=self._writes)
        self.at(phase, rows, place.total)

    def _published(self, place: Place) -> None:
        event = ImportProgress(import_id=self._run_id, phase=place.phase, done=place.done, total=place.total)
        publish(event=event, recipients=self._recipients)

    def _looked(self) -> None:
        asked = ImportRun.objects.filter(pk=self._run_id, cancel_requested_at__isnull=False)
        self._cancelled = self._cancelled or asked.exists()
