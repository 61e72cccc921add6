"""What can be imported: the columns of each kind, and the service that takes its rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from apps.accounts.rules import Principal
from apps.cadets.rules import CADET_COLUMNS
from apps.cadets.services.imports import cadets_import
from apps.grading.rules import SCORE_COLUMNS
from apps.grading.services.imports import scores_import
from apps.imports import rules
from apps.imports.models import ImportRun
from apps.training.rules import ATTENDANCE_COLUMNS
from apps.training.services.imports import attendance_import
from core.tables import Column, Progress, Row, RowFate

# (run, actor, rows, whether nothing may be written, progress) -> what becomes of each row, in their order
Importer = Callable[[ImportRun, Principal, Sequence[Row], bool, Progress], list[RowFate]]


@dataclass(frozen=True, kw_only=True)
class ImportKind:
    """`import_rows` runs in the caller's transaction, and writes nothing if any row is refused."""

    columns: tuple[Column, ...]
    import_rows: Importer


def _cadets(run: ImportRun, actor: Principal, rows: Sequence[Row], dry_run: bool, progress: Progress) -> list[RowFate]:
    return cadets_import(
        actor=actor,
        rows=rows,
        term_id=run.term_id,
        on_duplicate=run.on_duplicate,
        dry_run=dry_run,
        progress=progress,
    )


def _scores(run: ImportRun, actor: Principal, rows: Sequence[Row], dry_run: bool, progress: Progress) -> list[RowFate]:
    assert run.term_id is not None  # noqa: S101 - a constraint of the table
    return scores_import(
        actor=actor,
        rows=rows,
        term_id=run.term_id,
        on_duplicate=run.on_duplicate,
        dry_run=dry_run,
        progress=progress,
    )


def _attendance(
    run: ImportRun, actor: Principal, rows: Sequence[Row], dry_run: bool, progress: Progress
) -> list[RowFate]:
    assert run.training_day_id is not None  # noqa: S101 - a constraint of the table
    return attendance_import(
        actor=actor,
        rows=rows,
        training_day_id=run.training_day_id,
        on_duplicate=run.on_duplicate,
        dry_run=dry_run,
        progress=progress,
    )


KINDS: Mapping[str, ImportKind] = {
    rules.CADETS: ImportKind(columns=CADET_COLUMNS, import_rows=_cadets),
    rules.SCORES: ImportKind(columns=SCORE_COLUMNS, import_rows=_scores),
    rules.ATTENDANCE: ImportKind(columns=ATTENDANCE_COLUMNS, import_rows=_attendance),
}
