"""What is done about imports that nobody cares for any more, or whose worker or message was lost."""

import datetime as dt

from django.db import transaction

from apps.imports import rules
from apps.imports.jobs import ImportRunPerform
from apps.imports.models import ImportRow, ImportRun, State
from apps.imports.selectors import ready_since
from apps.imports.services.ends import LEASES, run_end
from core.after_commit import enqueue
from core.clock import now


def imports_resume() -> int:
    """Ask the worker again for what waits too long, or whose worker has died; return how many.

    A message more than needed does nothing: whoever takes the first one claims the run.
    """
    lost = LEASES.without_worker(lost_minutes=rules.LOST_MINUTES)
    for run_id in lost:
        enqueue(ImportRunPerform(run_id=run_id))
    return len(lost)


def imports_expire() -> tuple[int, int]:
    """End previews that nobody applied in time, and remove old rows; return how many (previews, rows).

    Runs stay, with their counts.
    """
    present = now()
    forgotten = ImportRun.objects.filter(state=State.READY, finished_at__lt=ready_since(present)).order_by("pk")
    ended = sum(_forget(run_id, present) for run_id in list(forgotten.values_list("pk", flat=True)))
    old = ImportRun.objects.filter(finished_at__lt=present - dt.timedelta(days=rules.ROW_DAYS)).exclude(
        state__in=rules.UNFINISHED
    )
    rows, _ = ImportRow.objects.filter(run__in=old).delete()
    return ended, rows


def _forget(run_id: int, present: dt.datetime) -> bool:
    with transaction.atomic():
        rows = ImportRun.objects.filter(pk=run_id, state=State.READY, finished_at__lt=ready_since(present))
        run = rows.select_for_update(no_key=True).first()
        if run is None:  # somebody has applied or cancelled it just now
            return False
        run_end(
            run=run,
            actor_id=None,
            state=State.CANCELLED,
            code="expired",
            detail=f"Nobody applied it within {rules.READY_HOURS} hours. Send the file again.",
            counts=run.counts,
            action="import.expire",
        )
    return True
