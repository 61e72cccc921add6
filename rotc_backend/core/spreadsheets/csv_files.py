"""CSV as it comes from spreadsheet programs, whatever they think that is."""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence

from core.spreadsheets.cells import (
    FORMULA,
    LONGEST_CELL,
    MOST_COLUMNS,
    TOO_LONG,
    Book,
    Cell,
    Sheet,
    refused,
    restored,
)

_DELIMITERS = ",;\t|"
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
_TEXT_FORMULA = re.compile(r'="([^"]*)"')  # how a CSV file keeps Excel from taking 007 for a number
_HEAD_ROWS = 25


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
    reader = csv.reader(io.StringIO(text[:65_536], newline=""), delimiter=delimiter)
    best = 0
    try:
        for _, cells in zip(range(_HEAD_ROWS), reader, strict=False):
            best = max(best, familiar(cells))
    except csv.Error:
        return best
    return best


def _records(text: str, delimiter: str) -> Iterator[tuple[int, Sequence[Cell]]]:
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
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
                f"Row {number} cannot be read: a quotation mark is not closed, or stands in the middle of a cell.",
            ) from error
        if len(record) > MOST_COLUMNS and any(cell.strip() for cell in record[MOST_COLUMNS:]):
            raise refused("too_many_columns", f"Row {number} has more than {MOST_COLUMNS} columns.")
        cells = [_cell(cell) for cell in record[:MOST_COLUMNS]]
        if any(cell is not None for cell in cells):
            yield number, cells


def _cell(raw: str) -> Cell:
    text = raw.strip().strip("\u200b\ufeff").strip()
    if not text:
        return None
    if match := _TEXT_FORMULA.fullmatch(text):
        return match[1].strip() or None
    if text.startswith("="):
        return FORMULA
    return TOO_LONG if len(text) > LONGEST_CELL else restored(text)
