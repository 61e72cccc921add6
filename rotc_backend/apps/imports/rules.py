"""Decisions about imports, in plain Python."""

import datetime as dt
import decimal
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from core.clock import iso
from core.tables import CHANGE, CREATE, FATES, Column, RowFate, RowProblem

CADETS, SCORES, ATTENDANCE = "cadets", "scores", "attendance"
KINDS = (CADETS, SCORES, ATTENDANCE)
STAFF_KINDS = (SCORES, ATTENDANCE)  # those that training staff may import; administrators may import all

QUEUED, RUNNING, READY = "queued", "running", "ready"
REFUSED, DONE, CANCELLED, FAILED = "refused", "done", "cancelled", "failed"
STATES = (QUEUED, RUNNING, READY, REFUSED, DONE, CANCELLED, FAILED)
UNDER_WAY = (QUEUED, RUNNING)
# The others are ends: the file has been removed by then.
UNFINISHED = (QUEUED, RUNNING, READY)

READING, CHECKING, WRITING = "reading", "checking", "writing"

LEASE_SECONDS = 30  # after which a worker that says nothing is taken for dead
ATTEMPTS = 3
MOST_UNFINISHED = 20  # of one person: each holds a file in the database
READY_HOURS = 24  # a preview that nobody applies for so long is forgotten, with its file
ROW_DAYS = 30  # what became of single rows is kept for so long; the run and its counts stay
LOST_MINUTES = 5  # a message that did not reach the queue is sent again after so long
_LONGEST_NAME, _LONGEST_SHEET, _LONGEST_LABEL = 120, 64, 255
_LONGEST_TEXT = 1000  # of a value or words in a preview


def may_import(*, kind: str, is_admin: bool, is_staff_member: bool) -> bool:
    return is_admin or (is_staff_member and kind in STAFF_KINDS)


def phase_after(*, phase: str, done: int, rows: int, writes: bool) -> str:
    """The phase when an importer has just said `rows`, after `done` in `phase`; `writes` is False for a dry run.

    An importer counts its rows twice, while it checks them and while it writes them: a count that falls is the second.
    """
    return WRITING if writes and phase == CHECKING and rows < done else phase


def counts_of(fates: Sequence[RowFate]) -> dict[str, int]:
    """How many rows have each fate; all fates are named."""
    counts = dict.fromkeys(FATES, 0)
    for fate in fates:
        counts[fate.fate] += 1
    return counts


def writes(counts: Mapping[str, int]) -> int:
    """How many rows an import with these counts would write, or has written."""
    return counts.get(CREATE, 0) + counts.get(CHANGE, 0)


def with_cell_problems(fates: Sequence[RowFate], problems: Sequence[RowProblem]) -> list[RowFate]:
    """`fates`, where rows with cells that could not be read are refused with these cells' problems as well.

    What an importer says of such a cell is left out: to it the cell was blank.
    """
    by_row: dict[tuple[str, int], list[RowProblem]] = {}
    for problem in problems:
        by_row.setdefault((problem.sheet, problem.row), []).append(problem)
    merged = []
    for fate in fates:
        of_cells = by_row.get((fate.sheet, fate.row))
        if of_cells:
            unread = {problem.field for problem in of_cells}
            others = [problem for problem in fate.problems if problem.field not in unread]
            merged.append(
                RowFate(sheet=fate.sheet, row=fate.row, fate="refuse", label=fate.label, problems=(*of_cells, *others))
            )
        else:
            merged.append(fate)
    return merged


def file_name_of(name: str) -> str:
    """A file's name as it is kept: what can be shown of its last part, with its ending."""
    shown = "".join(letter for letter in name.replace("\\", "/").rpartition("/")[2] if letter.isprintable()).strip()
    if len(shown) > _LONGEST_NAME:
        stem, dot, ending = shown.rpartition(".")
        ending = f"{dot}{ending}" if stem and len(ending) <= 5 else ""
        shown = shown[: _LONGEST_NAME - len(ending)] + ending
    return shown or "file"


def sheet_of(name: str) -> str:
    return text_kept(name)[:_LONGEST_SHEET]


def label_of(label: str) -> str:
    return text_kept(label)[:_LONGEST_LABEL]


def text_kept(text: str) -> str:
    """`text` as the database can keep it: without NUL and halves of surrogate pairs, and not without end."""
    kept = text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    return kept if len(kept) <= _LONGEST_TEXT else f"{kept[:_LONGEST_TEXT]}…"


def value_kept(value: Any) -> Any:
    """`value` of a cell or a row in JSON's own types."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return iso(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, float | decimal.Decimal | uuid.UUID):
        return str(value)
    return text_kept(str(value))


def changes_kept(fate: RowFate) -> dict[str, dict[str, Any]]:
    return {
        text_kept(field): {"before": value_kept(before), "after": value_kept(after)}
        for field, (before, after) in fate.changes.items()
    }


def problems_kept(fate: RowFate) -> list[dict[str, Any]]:
    return [
        {
            "sheet": sheet_of(problem.sheet),
            "row": problem.row,
            "column": problem.column,
            "field": problem.field,
            "code": problem.code,
            "detail": text_kept(problem.detail),
        }
        for problem in sorted(fate.problems, key=lambda one: (len(one.column), one.column))  # A, B … Z, AA
    ]


# --- What a template says ---------------------------------------------------------------------------------------------

NOTES_TITLE = "Notes (not imported)"
_GENERAL_NOTES = (
    "Write one row for each person, below the titles.",
    "A blank cell keeps what is stored. To correct a value, write the right one.",
    "This column is for you to read. It is passed over when the file is imported.",
)
_NOTES = {
    CADETS: (
        "Write dates as 2004-03-25, or 25 March 2004. Of 3/4/2004 the month stands first.",
        "Write a name in one column as Last, First Middle, or in several columns.",
        "Companies and platoons are those of the unit's lists.",
    ),
    SCORES: ("Scores are numbers from 0 to 100 with at most two decimals, with a point: 85.50.",),
    ATTENDANCE: (
        "Statuses are present, late, excused and absent, or p, l, e and a.",
        "Write times of the day as 07:05, or 7:05 AM.",
    ),
}


def notes_of(kind: str, columns: Sequence[Column]) -> list[str]:
    """What stands in the last column of a template: which columns are required, their other titles, value forms."""
    required = [f"“{column.title}”" for column in columns if column.required]
    notes = [f"Required: {', '.join(required)}. Columns that you do not need can be removed."] if required else []
    notes += [*_GENERAL_NOTES, *_NOTES[kind]]
    notes += [
        f"“{column.title}” may also be called {', '.join(column.aliases)}."
        for column in columns
        if column.imported and column.aliases
    ]
    return notes
