import datetime as dt

from django.db.models import QuerySet

from apps.accounts.rules import Principal
from apps.imports import rules
from apps.imports.models import ImportRow, ImportRun
from core.errors import NotFound


def imports_visible_to(
    *, principal: Principal, kind: str | None = None, state: str | None = None
) -> QuerySet[ImportRun]:
    """Runs, the newest first: administrators see all, staff their own, of the kinds that their role may import."""
    runs = ImportRun.objects.select_related("created_by", "term", "training_day").order_by("-id")
    if not principal.is_admin:
        kinds = rules.STAFF_KINDS if principal.is_staff_member else ()
        runs = runs.filter(created_by_id=principal.user_id, kind__in=kinds)
    if kind is not None:
        runs = runs.filter(kind=kind)
    return runs if state is None else runs.filter(state=state)


def import_visible_to(*, principal: Principal, run_id: int) -> ImportRun:
    """Raises NotFound."""
    run = imports_visible_to(principal=principal).filter(pk=run_id).first()
    if run is None:
        raise NotFound("There is no import with this id.")
    return run


def rows_of(*, run: ImportRun, fate: str | None = None) -> QuerySet[ImportRow]:
    """What becomes of each row, in the order of the file."""
    rows = ImportRow.objects.filter(run=run).order_by("number")
    return rows if fate is None else rows.filter(fate=fate)


def ready_since(present: dt.datetime) -> dt.datetime:
    """What was found ready before this can no longer be applied."""
    return present - dt.timedelta(hours=rules.READY_HOURS)


def ready_until(run: ImportRun) -> dt.datetime | None:
    """Until when a run can be applied; None if it cannot."""
    if run.state != rules.READY or run.finished_at is None:
        return None
    return run.finished_at + dt.timedelta(hours=rules.READY_HOURS)
