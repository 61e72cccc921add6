"""Attendance from files. Belongs into the transaction of whoever reads the file."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.accounts.rules import Principal
from apps.cadets.models import Cadet
from apps.training import rules
from apps.training.models import AttendanceRecord, AttendanceSource, TrainingDay
from apps.training.services.attendance import CADETS
from apps.training.services.records import ARCHIVED, Flaw, Mark, Plan, day_to_mark, marks_plan, write
from core import tables
from core.tables import (
    CellRefused,
    Progress,
    Row,
    RowFate,
    RowProblem,
    Value,
    choice_of,
    text_of,
    time_of,
    written_text,
)

_NAMED = ("student_id", "last_name", "first_name", "middle_name", "suffix")


@dataclass(kw_only=True)
class _Reading:
    """A row, what it says, and what is wrong with that."""

    row: Row
    student_id: str = ""
    label: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    problems: list[RowProblem] = field(default_factory=list)


def attendance_import(
    *,
    actor: Principal,
    rows: Sequence[Row],
    training_day_id: int,
    on_duplicate: str,
    dry_run: bool,
    progress: Progress,
) -> list[RowFate]:
    """Bring one day's attendance to what a file says, and return what becomes of each row, in their order.

    1  hold the term and the day: may it be marked?     2  read the cells     3  who is meant, and what is stored?
    4  each row's fate     5  unless one is refused, or only asked: write as `attendance_mark_many` does

    A blank cell keeps what is stored, and a row without anything leaves its cadet unmarked. With `skip` a cadet who has
    a record keeps it whole. An archived cadet may stand in the file as long as nothing changes.

    Problems of rows: `required`, `unknown_cadet`, `not_enrolled`, `cadet_archived`, `duplicate_row`, `invalid_choice`,
    `invalid_time`, `time_outside_day`, `time_out_before_in`, `too_long`, and what `core.tables` refuses in a cell.
    Raises NotFound, Conflict (`term_closed`, `day_cancelled`, `day_in_future`), and what `progress` raises.
    """
    day = day_to_mark(training_day_id)
    readings = [_read(row, day=day) for row in tables.rows_told(rows, progress)]
    # Rows with bad cells are planned as well, so that everything wrong with the file is told at once.
    named = [reading for reading in readings if reading.student_id]
    marks = [Mark(student_id=reading.student_id, facts=reading.facts) for reading in named]
    plan = marks_plan(CADETS, day=day, marks=marks, recognised=_recognised)
    keep_existing = on_duplicate == tables.SKIP_EXISTING
    planned = iter(_fates(plan, named, keep_existing=keep_existing))
    fates = [next(planned) if reading.student_id else _refused(reading) for reading in readings]
    if dry_run or any(fate.fate == tables.REFUSE for fate in fates):
        return fates
    kept = plan.existing if keep_existing else {}
    write(
        CADETS,
        actor_id=actor.user_id,
        day=day,
        wanted={person_id: facts for person_id, facts in plan.differing.items() if person_id not in kept},
        existing=plan.existing,
        people=plan.people,
        source=AttendanceSource.IMPORT,
        progress=progress,
    )
    return fates


def _read(row: Row, *, day: TrainingDay) -> _Reading:
    def instant(value: Value) -> dt.datetime:
        return rules.instant_of_day(time_of(value), date=day.date)

    readers: dict[str, Callable[[Value], Any]] = {
        "student_id": text_of,
        "status": lambda value: choice_of(value, rules.STATUS_WORDS),
        "time_in": instant,
        "time_out": instant,
        "remarks": _remarks,
    }
    facts, refusals = tables.cells_read(row, readers)
    problems = [row.problem(name, refusal.code, refusal.detail) for name, refusal in refusals.items()]
    reading = _Reading(row=row, facts=facts, problems=problems)
    reading.student_id = reading.facts.pop("student_id", "")
    if not reading.student_id and all(problem.field != "student_id" for problem in reading.problems):
        reading.problems.append(row.problem("student_id", "required", "Write the student number of the cadet."))
    return reading


def _remarks(value: Value) -> str:
    text = written_text(text_of(value))
    if len(text) > rules.LONGEST_REMARKS:
        raise CellRefused("too_long", f"Write at most {rules.LONGEST_REMARKS} characters; these are {len(text)}.")
    return text


def _recognised(name: str, given: Any, stored: Any) -> bool:
    """Whether a cell holds what an export writes for the stored fact."""
    if isinstance(given, dt.datetime):
        return stored is not None and rules.same_second(given, stored)
    return name == "remarks" and bool(given == written_text(stored))


def _fates(plan: Plan[AttendanceRecord], readings: Sequence[_Reading], *, keep_existing: bool) -> list[RowFate]:
    """What becomes of the rows whose marks were planned, in their order."""
    cadets = Cadet.objects.filter(pk__in=plan.people).only(*_NAMED).in_bulk()
    labels = {cadet.student_id.lower(): str(cadet) for cadet in cadets.values()}
    people = {index: person_id for person_id, index in plan.index_of.items()}
    first: dict[str, Row] = {}
    flaws: dict[int, list[Flaw]] = {}
    for flaw in plan.flaws:
        flaws.setdefault(flaw.index, []).append(flaw)
    fates = []
    for index, reading in enumerate(readings):
        number = reading.student_id.lower()
        earlier = first.setdefault(number, reading.row)
        person_id = people.get(index)
        reading.label = labels.get(number, "") if reading.student_id.isascii() else ""
        stays = keep_existing and person_id in plan.existing
        if not stays:  # what the file says of a record that stays as it is need not fit to it
            bad = {problem.field for problem in reading.problems}
            told = [_problem(flaw, reading.row, earlier) for flaw in flaws.get(index, ()) if flaw.field not in bad]
            reading.problems += told
        fates.append(_refused(reading) if person_id is None else _fate(plan, reading, person_id, stays=stays))
    return fates


def _fate(plan: Plan[AttendanceRecord], reading: _Reading, person_id: int, *, stays: bool) -> RowFate:
    stored = plan.stored(person_id)
    both = {name: (stored[name], fact) for name, fact in plan.wanted.get(person_id, stored).items()}
    changes = {
        name: (_shown(before, plan.day), _shown(after, plan.day))
        for name, (before, after) in both.items()
        if before != after
    }
    if changes and not stays and plan.people[person_id].archived:
        reading.problems.append(reading.row.problem("student_id", "cadet_archived", ARCHIVED))
    if reading.problems:
        return _refused(reading)
    fate = tables.UNCHANGED
    if changes:
        written = tables.CHANGE if person_id in plan.existing else tables.CREATE
        fate, changes = (tables.SKIP, {}) if stays else (written, changes)
    return RowFate(sheet=reading.row.sheet, row=reading.row.row, fate=fate, label=reading.label[:255], changes=changes)


def _problem(flaw: Flaw, row: Row, earlier: Row) -> RowProblem:
    detail = flaw.detail
    if flaw.code == "duplicate_row":
        detail = f"This cadet stands in {earlier.place} already. Remove one of the two."
    elif flaw.code == "unknown_cadet":
        detail = "There is no cadet with this number. Correct it, or add the cadet first."
    return row.problem(flaw.field, flaw.code, detail)


def _refused(reading: _Reading) -> RowFate:
    row, label = reading.row, reading.label or reading.student_id
    return RowFate(
        sheet=row.sheet, row=row.row, fate=tables.REFUSE, label=label[:255], problems=tuple(reading.problems)
    )


def _shown(fact: Any, day: TrainingDay) -> str | None:
    """A fact as the file shows it."""
    if isinstance(fact, dt.datetime):
        return str(rules.written_time(fact, date=day.date))
    return fact or None
