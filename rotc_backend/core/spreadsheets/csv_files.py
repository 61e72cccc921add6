"""CSV as it comes from spreadsheet programs, whatever they think that is."""

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Sequence

from core.errors import ValidationFailed
from core.spreadsheets.cells import (
    FORMULA,
    LAST_ROW,
    MOST_COLUMNS,
    MOST_ROWS,
    Book,
    Cell,
    Sheet,
    refused,
    restored,
    text_cell,
)

_DELIMITERS = ",;\t|"
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
_TEXT_FORMULA = re.compile(r'="([^"]*)"')  # how a CSV file keeps Excel from taking 007 for a number
_HEAD_ROWS = 25
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")  # not every line end of Unicode ends a row
_MOST_SEPARATORS = 65_536  # in a record, those within quoted cells too; the reader keeps every cell of it


def csv_book(content: bytes, *, familiar: Callable[[Sequence[Cell]], int]) -> Book:
    """Raises ValidationFailed. `familiar` counts in a row the titles of known columns: that tells the delimiter."""
    text, notes = _decoded(content)
    if "\n" not in text:
        text = text.replace("\r", "\n")
    match = _SEPARATOR_LINE.match(text)
    if match:
        return Book(sheets=[Sheet(name="", rows=_records(text[match.end() :], match[1]))], notes=notes)
    delimiter = max(_DELIMITERS, key=lambda one: _familiarity(text, one, familiar))
    return Book(sheets=[Sheet(name="", rows=_records(text, delimiter))], notes=notes)


def _decoded(content: bytes) -> tuple[str, list[str]]:
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if content.startswith(mark):
            return _strictly(content[len(mark) :], name), []
    zeros = content[:1000].count(0)
    if zeros > len(content[:1000]) // 4:  # every other byte of plain letters in UTF-16
        return _strictly(content, "utf-16-be" if content[:1] == b"\0" else "utf-16-le"), []
    try:
        return content.decode("utf-8"), []
    except UnicodeDecodeError:
        text = _strictly(content, "cp1252")
        return text, ["The file is not UTF-8 and was read as Windows-1252. Look at names with ñ or accents."]


def _strictly(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        raise refused(
            "encoding",
            f"Near row {row} stand bytes that are no text. Save the file as “CSV UTF-8” or as .xlsx and send it again.",
        ) from error


def _familiarity(text: str, delimiter: str, familiar: Callable[[Sequence[Cell]], int]) -> int:
    reader = csv.reader(_Lines(text[:65_536], delimiter), delimiter=delimiter)
    best = 0
    try:
        for _, cells in zip(range(_HEAD_ROWS), reader, strict=False):
            best = max(best, familiar(cells))
    except (csv.Error, ValidationFailed):
        return best
    return best


class _Lines:
    """The lines of `text` for a reader of records, with a bound on what it collects for one of them."""

    def __init__(self, text: str, delimiter: str) -> None:
        self._lines = _LINE.finditer(text)
        self._delimiter = delimiter
        self._separators = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)[0]
        self._separators += line.count(self._delimiter)
        if self._separators > _MOST_SEPARATORS:
            raise refused("too_many_columns", f"A row has more than {MOST_COLUMNS} columns.")
        return line

    def record_ended(self) -> None:
        self._separators = 0


def _records(text: str, delimiter: str) -> Iterator[tuple[int, Sequence[Cell]]]:
    lines = _Lines(text, delimiter)
    try:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
    except (csv.Error, ValueError, TypeError) as error:
        raise refused("file_malformed", "The first line names a separator that cannot be one.") from error
    number = 0
    while True:
        number += 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise refused(
                "file_malformed",
                f"Row {number} cannot be read: a quotation mark is not closed or stands in the middle of a cell, or a "
                "cell is far too long.",
            ) from error
        lines.record_ended()
        if len(record) > MOST_COLUMNS and any(cell.strip() for cell in record[MOST_COLUMNS:]):
            raise refused("too_many_columns", f"Row {number} has more than {MOST_COLUMNS} columns.")
        cells = [_cell(cell) for cell in record[:MOST_COLUMNS]]
        if any(cell is not None for cell in cells):
            yield number, cells
        elif number > LAST_ROW:
            raise refused("too_many_rows", f"The file has more than {MOST_ROWS} rows. Send several files.")


def _cell(raw: str) -> Cell:
    cell = text_cell(raw)
    if not isinstance(cell, str):
        return cell
    if match := _TEXT_FORMULA.fullmatch(cell):
        return text_cell(match[1])
    return FORMULA if cell.startswith("=") else restored(cell)
