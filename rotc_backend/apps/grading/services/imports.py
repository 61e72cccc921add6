"""Exam scores from files. Belongs into the transaction of whoever reads the file."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db.models.functions import Lower

from apps.accounts.rules import Principal
from apps.cadets.models import Cadet, Enrollment
from apps.cadets.services.terms import term_hold_open
from apps.grading import rules
from apps.grading.services.score_rows import Key, enrollments_lock, scores_write, stored_scores
from core import tables
from core.tables import CellRefused, Progress, Row, RowFate, RowProblem, Value, text_of

_READERS: Mapping[str, Callable[[Value], Any]] = {"student_id": text_of, **dict.fromkeys(rules.EXAMS, rules.score_of)}
_NAMED = [f"cadet__{name}" for name in ("student_id", "last_name", "first_name", "middle_name", "suffix")]


@dataclass(kw_only=True)
class _Reading:
    """A row, what it says, and what is wrong with that."""

    row: Row
    student_id: str = ""
    scores: dict[str, Decimal] = field(default_factory=dict)
    problems: list[RowProblem] = field(default_factory=list)


def scores_import(
    *, actor: Principal, rows: Sequence[Row], term_id: int, on_duplicate: str, dry_run: bool, progress: Progress
) -> list[RowFate]:
    """Bring the exam scores of a term to what a file says, and return what becomes of each row, in their order.

    1  hold the term open     2  read the cells     3  who is meant? hold the enrollments     4  each row's fate
    5  unless one is refused, or only asked: write as `scores_record` does

    A blank cell keeps the score that is stored; none is ever removed, and the enrollment's status is never touched.
    With `skip` a score that is stored stays, and missing ones are added.

    Problems of rows: `required`, `unknown_cadet`, `not_enrolled`, `duplicate_row`, `invalid_number`,
    `too_many_decimals`, `out_of_range`, and what `core.tables` refuses in a cell. Raises NotFound, Conflict
    (`term_closed`), and what `progress` raises.
    """
    term_hold_open(term_id=term_id)
    readings = [_read(row) for row in tables.rows_told(rows, progress)]
    enrollments = _enrollments(term_id, readings)
    ids = sorted(enrollment.pk for enrollment in enrollments.values())
    enrollments_lock(ids)
    stored = stored_scores(ids)
    _refuse_strangers(readings, enrollments)
    keep_existing = on_duplicate == tables.SKIP_EXISTING
    fates, wanted = [], {}
    for reading in readings:
        enrollment = enrollments.get(reading.student_id.lower())
        fate, scores = _fate(reading, enrollment, stored, keep_existing=keep_existing)
        fates.append(fate)
        wanted.update(scores)
    if not dry_run and all(fate.fate != tables.REFUSE for fate in fates):
        scores_write(actor=actor, term_id=term_id, wanted=wanted, stored=stored, progress=progress)
    return fates


def _read(row: Row) -> _Reading:
    facts, refusals = tables.cells_read(row, _READERS)
    student_id = facts.pop("student_id", "")
    if not student_id:
        refusals.setdefault("student_id", CellRefused("required", "Write the student number of the cadet."))
    problems = [row.problem(name, refusal.code, refusal.detail) for name, refusal in refusals.items()]
    return _Reading(row=row, student_id=student_id, scores=facts, problems=problems)


def _enrollments(term_id: int, readings: Iterable[_Reading]) -> dict[str, Enrollment]:
    """Who is meant, by the number in small letters. One query."""
    rows = Enrollment.objects.alias(number=Lower("cadet__student_id")).filter(
        term_id=term_id, number__in=_numbers(readings)
    )
    return {row.cadet.student_id.lower(): row for row in rows.select_related("cadet").only("cadet_id", *_NAMED)}


def _numbers(readings: Iterable[_Reading]) -> set[str]:
    # Numbers are ASCII; of other letters, small ones may be compared otherwise in PostgreSQL than here.
    return {reading.student_id.lower() for reading in readings if reading.student_id.isascii()}


def _refuse_strangers(readings: Sequence[_Reading], enrollments: Mapping[str, Enrollment]) -> None:
    """Refuse rows of nobody, of cadets who are not enrolled, and of those in an earlier row. At most one query."""
    missing = _numbers(readings) - set(enrollments)
    strangers: set[str] = set()
    if missing:
        cadets = Cadet.objects.alias(number=Lower("student_id")).filter(number__in=missing)
        strangers = {number.lower() for number in cadets.values_list("student_id", flat=True)}
    first: dict[str, Row] = {}
    for reading in readings:
        number, row = reading.student_id.lower(), reading.row
        if not number:
            continue
        earlier = first.setdefault(number, row)
        if number in strangers:
            detail = "This cadet is not enrolled in this term. Enroll the cadet first, or remove the row."
            reading.problems.append(row.problem("student_id", "not_enrolled", detail))
        elif number not in enrollments or not reading.student_id.isascii():
            detail = "There is no cadet with this number. Correct it, or add the cadet first."
            reading.problems.append(row.problem("student_id", "unknown_cadet", detail))
        elif earlier is not row:
            detail = f"This cadet stands in {earlier.place} already. Remove one of the two."
            reading.problems.append(row.problem("student_id", "duplicate_row", detail))


def _fate(
    reading: _Reading, enrollment: Enrollment | None, stored: Mapping[Key, Decimal], *, keep_existing: bool
) -> tuple[RowFate, dict[Key, Decimal]]:
    """What becomes of a row, and the scores that it writes."""
    row = reading.row
    label = str(enrollment.cadet) if enrollment is not None else reading.student_id
    if reading.problems or enrollment is None:
        problems = tuple(reading.problems)
        return RowFate(sheet=row.sheet, row=row.row, fate=tables.REFUSE, label=label[:255], problems=problems), {}
    differing = {
        (enrollment.pk, exam): score
        for exam, score in reading.scores.items()
        if stored.get((enrollment.pk, exam)) != score
    }
    written = {key: score for key, score in differing.items() if not (keep_existing and key in stored)}
    if written:
        fate = tables.CHANGE if any(key in stored for key in written) else tables.CREATE
    else:
        fate = tables.SKIP if differing else tables.UNCHANGED
    changes = {
        exam: (rules.points_text(stored[key, exam]) if (key, exam) in stored else None, rules.points_text(score))
        for (key, exam), score in written.items()
    }
    return RowFate(sheet=row.sheet, row=row.row, fate=fate, label=label[:255], changes=changes), written
