"""A run in the worker.

1  judge the account again     2  read the file     3  one transaction: the importer's rows, what became of each row of
the file, the run's end with its audit entry and event

Nothing of a run that is cancelled, refused, killed or broken off is saved, but for its end.
"""

import logging
from collections.abc import Mapping, Sequence
from itertools import islice

from django.db import transaction

from apps.accounts.rules import Principal
from apps.accounts.selectors import principal_of_user
from apps.imports import rules
from apps.imports.models import ImportFile, ImportRow, ImportRun, State
from apps.imports.services.ends import LEASES, hearers, run_end
from apps.imports.services.kinds import KINDS, ImportKind
from apps.imports.services.progress import RunReporter
from core.errors import DomainError, FieldError, PermissionRefused, Unavailable, ValidationFailed
from core.leases import Claim, LeaseLost
from core.spreadsheets.reading import spreadsheet_read
from core.tables import REFUSE, ImportCancelled, RowFate, Table

logger = logging.getLogger("rgms.imports")

_AT_ONCE = 1000  # rows in one statement


def run_claim(*, run_id: int) -> Claim | None:
    """Claim a run; None when there is nothing to do. Raises RowHeld."""
    claim = LEASES.claim(row_id=run_id, phase=rules.READING)
    if claim is None:
        _give_up(run_id)
    return claim


def run_perform(*, claim: Claim, kinds: Mapping[str, ImportKind] = KINDS) -> State:
    """Do a claimed run to its end, and return how it ended. What is wrong with the file or its rows is an end.

    Raises LeaseLost, Unavailable and DatabaseError after which nothing was saved and another attempt may succeed.
    """
    run = _run(claim)
    with RunReporter(claim=claim, recipients=hearers(run)) as report:
        try:
            if run.cancel_requested_at is not None:
                raise ImportCancelled
            actor = _actor(run)
            table = _table(run, kinds[run.kind], report)
            # Rows with cells that cannot be read are gone through as well: whoever corrects them wants to know all.
            writes = not run.dry_run and not table.problems
            report.begin(len(table.rows), writes=writes)
            with transaction.atomic():
                fates = kinds[run.kind].import_rows(run, actor, table.rows, not writes, report.worked)
                return _concluded(claim=claim, actor=actor, table=table, fates=fates, report=report)
        except ImportCancelled:
            report.stop()
            return _ended(claim, State.CANCELLED, code="cancelled", detail="Somebody stopped it. Nothing was saved.")
        except Unavailable:
            raise
        except DomainError as refusal:
            report.stop()
            return _ended(claim, State.REFUSED, code=_code_of(refusal), detail=refusal.detail)


def run_fail(*, claim: Claim, code: str, detail: str) -> None:
    """End a run that broke off, in words. Nothing if another worker has taken it over meanwhile."""
    try:
        _ended(claim, State.FAILED, code=code, detail=detail)
    except LeaseLost:
        logger.warning("Import %s has another owner now", claim.row_id)


def _run(claim: Claim) -> ImportRun:
    run = ImportRun.objects.select_related("asked_by").filter(pk=claim.row_id, owner=claim.owner).first()
    if run is None:
        raise LeaseLost
    return run


def _actor(run: ImportRun) -> Principal:
    """Who it is done for, if the account may still do it: hours may lie between the preview and its application."""
    actor = principal_of_user(run.asked_by)
    if not run.asked_by.is_active:
        raise PermissionRefused("The account that asked for this import can no longer be used.")
    if not rules.may_import(kind=run.kind, is_admin=actor.is_admin, is_staff_member=actor.is_staff_member):
        raise PermissionRefused("The account that asked for this import no longer has a role that may do it.")
    return actor


def _table(run: ImportRun, kind: ImportKind, report: RunReporter) -> Table:
    content = bytes(ImportFile.objects.values_list("content", flat=True).get(run_id=run.pk))
    table = spreadsheet_read(content, columns=kind.columns, progress=report.read)
    if not table.rows:
        detail = "There is no row below the titles. Write one row for each person, and send the file again."
        raise ValidationFailed(detail, errors=[FieldError(field="file", code="no_rows", detail=detail)])
    return table


def _concluded(*, claim: Claim, actor: Principal, table: Table, fates: Sequence[RowFate], report: RunReporter) -> State:
    """The end of a run whose importer has come to its own, in its transaction."""
    if len(fates) != len(table.rows):
        raise RuntimeError(f"the importer answered {len(fates)} of {len(table.rows)} rows")
    fates = rules.with_cell_problems(fates, table.problems)
    _rows_keep(claim.row_id, fates)
    counts = rules.counts_of(fates)
    report.stop()  # from here on the row is ours until the commit; its thread would wait for it
    locked = _locked(claim)
    if locked.cancel_requested_at is not None:
        raise ImportCancelled
    locked.rows_done = locked.rows_total = len(fates)
    locked.notes = [rules.text_kept(note) for note in table.notes]
    state, code, detail = State.READY if locked.dry_run else State.DONE, "", ""
    if refused := counts[REFUSE]:
        state, code, detail = State.REFUSED, "rows_refused", _words_for(refused, len(fates))
    run_end(run=locked, actor_id=actor.user_id, state=state, code=code, detail=detail, counts=counts)
    return state


def _words_for(refused: int, rows: int) -> str:
    need = f"1 row of {rows} needs" if refused == 1 else f"{refused} rows of {rows} need"
    return f"{need} correction, so nothing was saved. Correct the file and send it again."


def _rows_keep(run_id: int, fates: Sequence[RowFate]) -> None:
    ImportRow.objects.filter(run_id=run_id).delete()
    rows = (
        ImportRow(
            run_id=run_id,
            number=number,
            sheet=rules.sheet_of(fate.sheet),
            row=fate.row,
            fate=fate.fate,
            label=rules.label_of(fate.label),
            changes=rules.changes_kept(fate),
            problems=rules.problems_kept(fate),
        )
        for number, fate in enumerate(fates, start=1)
    )
    while batch := list(islice(rows, _AT_ONCE)):  # one batch of models at a time in the memory
        ImportRow.objects.bulk_create(batch)


def _locked(claim: Claim) -> ImportRun:
    """The run, locked, while it is still ours. Raises LeaseLost."""
    rows = ImportRun.objects.filter(pk=claim.row_id, owner=claim.owner, state=State.RUNNING)
    run = rows.select_for_update(no_key=True).first()
    if run is None:
        raise LeaseLost
    return run


def _ended(claim: Claim, state: State, *, code: str, detail: str) -> State:
    with transaction.atomic():
        run_end(run=_locked(claim), actor_id=None, state=state, code=code, detail=detail)
    return state


def _give_up(run_id: int) -> None:
    with transaction.atomic():
        if not LEASES.is_exhausted(row_id=run_id):
            return
        run_end(
            run=ImportRun.objects.get(pk=run_id),
            actor_id=None,
            state=State.FAILED,
            code="attempts_exhausted",
            detail=(
                f"None of {rules.ATTEMPTS} attempts came to its end, and nothing was saved. Send the file again; if "
                "that fails as well, send it in smaller parts and tell an administrator the number of this import."
            ),
        )
    logger.error("Import %s is given up after %s attempts", run_id, rules.ATTEMPTS)


def _code_of(refusal: DomainError) -> str:
    """Of a refused file the reason that stands at its field, which says more than that fields need correction."""
    return refusal.errors[0].code if refusal.errors else refusal.code
