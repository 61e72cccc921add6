"""Tables that people exchange as files, in plain Python: what a column is, what a row holds, what became of it.

core.spreadsheets reads files into rows and writes rows into files; the apps declare their columns and say what a row
means.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Value = str | int | float | Decimal | bool | dt.datetime | dt.date | dt.time
# Called with how many rows have been worked on; raises ImportCancelled when somebody has asked to stop.
Progress = Callable[[int], None]

# What becomes of a row.
CREATE, CHANGE, UNCHANGED, SKIP, REFUSE = "create", "change", "unchanged", "skip", "refuse"
FATES = (CREATE, CHANGE, UNCHANGED, SKIP, REFUSE)

# What an import does with what exists already: leave it as it is, or bring it to what the file says.
SKIP_EXISTING, UPDATE_EXISTING = "skip", "update"
ON_DUPLICATE = (SKIP_EXISTING, UPDATE_EXISTING)


class ImportCancelled(Exception):
    """Somebody has asked to stop; the transaction must take everything back."""


class CellRefused(Exception):
    """What stands in a cell cannot be meant. `detail` says what to write instead."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column by its field. `title` is what exports write; titles and aliases are compared without regard to letter
    case, blanks, punctuation and accents.

    `imported=False`: written for people to read, and passed over when the file comes back.
    """

    field: str
    title: str
    aliases: tuple[str, ...] = ()
    required: bool = False
    imported: bool = True


@dataclass(frozen=True, kw_only=True)
class RowProblem:
    """What has to be corrected, and where: sheet (empty for CSV), row as spreadsheets count (from 1), column letter."""

    sheet: str
    row: int
    column: str
    field: str
    code: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a file. `values` has the cells that are not blank, by field; `letters` the letters of all columns."""

    sheet: str
    row: int
    values: Mapping[str, Value]
    letters: Mapping[str, str]

    def problem(self, field: str, code: str, detail: str) -> RowProblem:
        """What is wrong with this row, at the column of `field`."""
        column = self.letters.get(field, "")
        return RowProblem(sheet=self.sheet, row=self.row, column=column, field=field, code=code, detail=detail)


@dataclass(frozen=True, kw_only=True)
class Table:
    """The rows of a file, and what its sender should know: ignored columns and sheets, a guessed encoding.

    `problems` are those of single cells that cannot be read at all (a formula, an error value).
    """

    rows: Sequence[Row]
    notes: Sequence[str] = ()
    problems: Sequence[RowProblem] = ()


@dataclass(frozen=True, kw_only=True)
class RowFate:
    """What becomes of one row. `label` names whom it is about; `changes` maps fields to (before, after).

    With problems the fate is REFUSE, and nothing of the whole file is saved.
    """

    sheet: str
    row: int
    fate: str
    label: str = ""
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    problems: tuple[RowProblem, ...] = ()
