"""Tables that people exchange as files, in plain Python: what a column is, what a row holds, what became of it.

core.spreadsheets reads files into rows and writes rows into files; the apps declare their columns and say what a row
means.
"""

import datetime as dt
import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Value = str | int | float | Decimal | bool | dt.datetime | dt.date | dt.time
# Called with how many rows have been worked on; raises ImportCancelled when somebody has asked to stop.
Progress = Callable[[int], None]
PROGRESS_ROWS = 250  # so often it is called

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

    @property
    def place(self) -> str:
        """ "row 7 of sheet “Alpha”", as another row's problem speaks of it."""
        return f"row {self.row} of sheet “{self.sheet}”" if self.sheet else f"row {self.row}"

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


def rows_told(rows: Sequence[Row], progress: Progress) -> Iterator[Row]:
    """`rows` one by one; `progress` hears of every PROGRESS_ROWS that have been worked on, and of the last."""
    for number, row in enumerate(rows, start=1):
        yield row
        if number % PROGRESS_ROWS == 0 or number == len(rows):
            progress(number)


def cells_read(
    row: Row, readers: Mapping[str, Callable[[Value], Any]]
) -> tuple[dict[str, Any], dict[str, "CellRefused"]]:
    """(what the cells of a row say, why others cannot be meant), by field. One that is blank, or only looks filled in,
    is in neither.
    """
    facts: dict[str, Any] = {}
    refusals: dict[str, CellRefused] = {}
    for name, read in readers.items():
        value = row.values.get(name, "")
        if isinstance(value, str) and not written_text(value):
            continue
        try:
            facts[name] = read(value)
        except CellRefused as refusal:
            refusals[name] = refusal
    return facts, refusals


# --- What stands in a cell --------------------------------------------------------------------------------------------

_MARKS = re.compile(r"[^a-z0-9]+")
_SERIAL_DAYS = range(10_000, 60_001)  # 1927 to 2064, as Excel counts days: other numbers are no dates
_SERIAL_START = dt.date(1899, 12, 30)
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            ("january", "jan"),
            ("february", "feb"),
            ("march", "mar"),
            ("april", "apr"),
            ("may",),
            ("june", "jun"),
            ("july", "jul"),
            ("august", "aug"),
            ("september", "sep", "sept"),
            ("october", "oct"),
            ("november", "nov"),
            ("december", "dec"),
        ),
        start=1,
    )
    for name in names
}
_ISO_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[t ]00:00(?::00(?:\.0+)?)?)?", re.ASCII)
_SLASHED = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})", re.ASCII)
_DAY_FIRST = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?[ -]+([a-z]+)\.?[ ,-]+(\d{4})", re.ASCII)
_MONTH_FIRST = re.compile(r"([a-z]+)\.?[ -]+(\d{1,2})(?:st|nd|rd|th)?[ ,-]+(\d{4})", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?\s*([ap])?\.?(?:m\.?)?", re.ASCII)
_MILITARY = re.compile(r"([01]\d|2[0-3])([0-5]\d) ?(?:h|hrs?|hours)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,18}(?:\.0+)?", re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d{1,18}(?:\.\d+)?", re.ASCII)

DATE_WORDS = "Write a date as 2004-03-25, or 25 March 2004."
TIME_WORDS = "Write a time as 07:05, or 7:05 AM."


def folded(text: str) -> str:
    """`text` as titles and words of a list are compared: small letters without accents, blanks and punctuation."""
    bare = unicodedata.normalize("NFKD", text).casefold()
    return _MARKS.sub("", bare)


def text_of(value: Value) -> str:
    """What a person reads in the cell; blanks inside collapsed. A number 20210001.0 is the text "20210001"."""
    if isinstance(value, bool):
        raise CellRefused("not_text", "This cell holds TRUE or FALSE. Write text.")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise CellRefused("not_text", "This cell holds no number that can be read. Write text.")
        _refuse_cut(value)
        return str(int(value)) if value.is_integer() else format(Decimal(f"{value:.15g}"), "f")
    if isinstance(value, int | Decimal):
        _refuse_cut(value)
        return format(Decimal(value), "f")
    if isinstance(value, dt.datetime):
        return str(value.date()) if value.time() == dt.time.min else value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, str):
        text = " ".join(value.split())
        if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in text):
            raise CellRefused("invisible_characters", "This cell holds characters that cannot be shown. Type it anew.")
        return text
    return str(value)


def written_text(text: str) -> str:
    """A free text as a cell of a sheet holds it, on one line: what no sheet can show, and what readers cut off the
    ends of a cell, is gone. Reading it gives the same again.
    """
    shown = "".join(" " if _is_unwritable(letter) else letter for letter in text)
    return " ".join(shown.strip(_CUT_OFF).split()).strip(_CUT_OFF)


_CUT_OFF = " \u200b\ufeff"


def _is_unwritable(letter: str) -> bool:
    return letter in "\ufffe\uffff" or unicodedata.category(letter) in {"Cc", "Cs"}


def _refuse_cut(value: float | Decimal) -> None:
    if not -(10**15) < value < 10**15:
        raise CellRefused(
            "too_many_digits",
            "A spreadsheet keeps 15 digits of a number and makes zeros of the others. Format the column as text and "
            "write it anew.",
        )


def date_of(value: Value) -> dt.date:
    """A day without time. Of 3/4/2004 the month stands first, as the unit's sheets write it."""
    if isinstance(value, dt.datetime):
        if value.time() != dt.time.min:
            raise CellRefused("invalid_date", f"This is a time of a day. {DATE_WORDS}")
        return value.date()
    if isinstance(value, dt.date):
        return value
    if isinstance(value, str):
        text = text_of(value).lower()
        if not (text.isascii() and text.isdigit() and len(text) == 5):
            return _date_of_text(text)
        value = int(text)
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        value = int(value)
    # Of another kind of number, a range is gone through to its end: some milliseconds for each cell.
    if isinstance(value, int) and value in _SERIAL_DAYS:
        return _SERIAL_START + dt.timedelta(days=value)
    raise CellRefused("invalid_date", f"This is no date. {DATE_WORDS}")


def _date_of_text(text: str) -> dt.date:
    if match := _ISO_DATE.fullmatch(text):
        return _day(match[1], match[2], match[3])
    if match := _SLASHED.fullmatch(text):
        if int(match[1]) > 12 >= int(match[2]):
            raise CellRefused(
                "ambiguous_date",
                "The month stands first in a date like 3/25/2004, and this one seems to begin with the day. Write "
                f"{match[3]}-{int(match[2]):02}-{int(match[1]):02}, if that is meant, in the whole column.",
            )
        return _day(match[3], match[1], match[2])
    if (match := _DAY_FIRST.fullmatch(text)) and match[2] in _MONTHS:
        return _day(match[3], _MONTHS[match[2]], match[1])
    if (match := _MONTH_FIRST.fullmatch(text)) and match[1] in _MONTHS:
        return _day(match[3], _MONTHS[match[1]], match[2])
    raise CellRefused("invalid_date", f"This cannot be read as a date. {DATE_WORDS}")


def _day(year: str, month: str | int, day: str) -> dt.date:
    try:
        date = dt.date(int(year), int(month), int(day))
    except ValueError:
        raise CellRefused("invalid_date", f"There is no such day. {DATE_WORDS}") from None
    if not 1900 <= date.year < 2100:
        raise CellRefused("invalid_date", f"The year {date.year} cannot be meant. {DATE_WORDS}")
    return date


def time_of(value: Value) -> dt.time | dt.datetime:
    """A time of the day, without zone; a datetime where the cell names the day as well."""
    if isinstance(value, dt.datetime | dt.time):
        return value.replace(tzinfo=None)
    if isinstance(value, float) and 0 <= value < 1:  # as Excel keeps a time: a part of a day
        seconds = min(round(value * 86_400), 86_399)
        return dt.time(seconds // 3600, seconds // 60 % 60, seconds % 60)
    if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 2359:
        # As 0705 stands in a sheet. Of a 7 nobody knows whether it is an hour.
        value = f"{value:04}"
    if isinstance(value, str):
        text = text_of(value).lower()
        day, _, clock = text.replace("t", " ", 1).partition(" ") if re.match(r"\d{4}-", text) else ("", "", text)
        if day:
            return dt.datetime.combine(date_of(day), _clock(clock or "00:00"))
        return _clock(clock)
    raise CellRefused("invalid_time", f"This cannot be read as a time. {TIME_WORDS}")


def _clock(text: str) -> dt.time:
    refusal = CellRefused("invalid_time", f"This cannot be read as a time. {TIME_WORDS}")
    if match := _MILITARY.fullmatch(text):
        return dt.time(int(match[1]), int(match[2]))
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise refusal
    hour, half = int(match[1]), match[5]
    if half:
        if not 1 <= hour <= 12:
            raise refusal
        hour = hour % 12 + (12 if half == "p" else 0)
    try:
        return dt.time(hour, int(match[2]), int(match[3] or 0), int((match[4] or "0").ljust(6, "0")))
    except ValueError:
        raise refusal from None


def decimal_of(value: Value, *, places: int = 2) -> Decimal:
    """A number with at most `places` decimals; more are refused, never rounded away.

    A spreadsheet keeps 87.3 as 87.30000000000000xyz: what differs only beyond its 15 digits is the number meant.
    """
    if isinstance(value, bool):
        raise CellRefused("invalid_number", "This cell holds TRUE or FALSE. Write a number.")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise CellRefused("invalid_number", "This cannot be read as a number.")
        number = Decimal(f"{value:.15g}")
    elif isinstance(value, int | Decimal):
        number = Decimal(value)
    else:
        text = text_of(value) if isinstance(value, str) else ""
        if not _DECIMAL.fullmatch(text):
            hint = " Write a point before the decimals." if "," in text else ""
            raise CellRefused("invalid_number", f"This cannot be read as a number, as 85 or 85.5.{hint}")
        number = Decimal(text)
    if not number.is_finite() or number.adjusted() > 17:
        raise CellRefused("invalid_number", "This cannot be read as a number, as 85 or 85.5.")
    exact = number.quantize(Decimal(1).scaleb(-places))
    if exact != number:
        raise CellRefused("too_many_decimals", f"Write at most {places} decimals. Nothing is rounded here.")
    return exact


def whole_number_of(value: Value) -> int:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        if math.isfinite(value) and value == int(value):
            return int(value)
    elif isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value.strip().partition(".")[0])
    raise CellRefused("invalid_number", "Write a whole number.")


def choice_of(value: Value, choices: Mapping[str, str]) -> str:
    """One of a list. `choices` maps what may be written, folded, to what is meant; each meaning is one of its keys."""
    found = choices.get(folded(text_of(value)))
    if found is None:
        allowed = ", ".join(dict.fromkeys(choices.values()))
        raise CellRefused("invalid_choice", f"Write one of: {allowed}.")
    return found


def choices_by_fold(*values: str, **aliases: str) -> dict[str, str]:
    """What `choice_of` takes: each of `values` for itself, and each alias (folded already) for its value."""
    return {**{folded(value): value for value in values}, **aliases}
