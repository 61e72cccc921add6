"""What readers of files give: sheets of rows of cells, before anybody has asked what the columns mean."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from core.errors import FieldError, ValidationFailed
from core.tables import Value

MOST_ROWS = 50_000  # that are not blank
MOST_COLUMNS = 100
LAST_ROW = 1_048_576  # that a spreadsheet program has, blank ones counted
LONGEST_CELL = 32_767  # characters, as in Excel

# Text that a spreadsheet program would take for a formula when it opens a CSV file. It is written with one more
# apostrophe in front, and read with one less, so that +63917… comes back as it was.
# In East Asian settings the wide forms of the four signs (U+FF1D …) begin a formula, too.
_LOOKS_LIKE_FORMULA = re.compile(r"'*[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n]")


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A cell whose content cannot be taken: a formula, an error value."""

    code: str
    detail: str


FORMULA = Unreadable(
    code="formula",
    detail="This cell holds a formula. Copy the column and paste it as values (Paste special → Values).",
)
ERROR_VALUE = Unreadable(code="error_value", detail="This cell holds an error. Write what is meant, or leave it blank.")
PERCENTAGE = Unreadable(
    code="percentage",
    detail="This cell is shown as a percentage, of which the file holds the hundredth part. Format the column as a "
    "number, and write 85 for 85 %.",
)
TOO_LONG = Unreadable(code="too_long", detail=f"This cell holds more than {LONGEST_CELL} characters.")
INVISIBLE = Unreadable(
    code="invisible_characters", detail="This cell holds characters that cannot be shown. Type it anew."
)

Cell = Value | Unreadable | None


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """`rows` are (number as the spreadsheet program shows it, cells from column A), blank rows left out."""

    name: str
    rows: Iterable[tuple[int, Sequence[Cell]]]


@dataclass(frozen=True, kw_only=True)
class Book:
    sheets: Iterable[Sheet]
    notes: list[str] = field(default_factory=list)


def refused(code: str, detail: str) -> ValidationFailed:
    """The error for a file that cannot be taken as a whole."""
    return ValidationFailed(detail, errors=[FieldError(field="file", code=code, detail=detail)])


def text_cell(raw: str) -> Cell:
    """A text as rows hold it: without blanks around it, or None."""
    text = raw.strip().strip("\u200b\ufeff").strip()
    if not text:
        return None
    if len(text) > LONGEST_CELL:
        return TOO_LONG
    # Blanks of all kinds may stay: whoever takes the text collapses them.
    if not text.isprintable() and any(unicodedata.category(one) in {"Cc", "Cs"} and not one.isspace() for one in text):
        return INVISIBLE
    return text


def neutralised(text: str) -> str:
    return f"'{text}" if _LOOKS_LIKE_FORMULA.match(text) else text


def restored(text: str) -> str:
    """`text` without the apostrophe of `neutralised`, in a workbook too: an export as CSV may be saved as one."""
    return text[1:] if text.startswith("'") and _LOOKS_LIKE_FORMULA.match(text) else text


def kept(text: str) -> str:
    """`text` as a workbook, where no text can become a formula, has to hold it so that `restored` gives it back."""
    return f"'{text}" if restored(text) != text else text


def letter_of(index: int) -> str:
    """The letters of a column, counted from 0: A, B … Z, AA."""
    letters = ""
    number = index + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
