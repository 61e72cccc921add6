"""XLSX, read row by row. openpyxl costs 20 MB, so only who reads a file imports it: the worker."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from core.archives import MEBIBYTE, Flaw, office_flaw
from core.spreadsheets.cells import (
    ERROR_VALUE,
    FORMULA,
    LONGEST_CELL,
    MOST_COLUMNS,
    TOO_LONG,
    Book,
    Cell,
    Sheet,
    refused,
)

_MOST_UNPACKED = 64 * MEBIBYTE
_LAST_ROW = 1_048_576
_MOST_SHEETS = 50
_DAMAGED = "The workbook is damaged or packed oddly. Open it in a spreadsheet program and save it anew as .xlsx."
_FLAWS = {
    Flaw.FOREIGN: ("file_type", "This archive is no Excel workbook. Save the file as .xlsx or as CSV."),
    Flaw.DAMAGED: ("file_malformed", _DAMAGED),
    Flaw.LOCKED: ("encrypted", "The workbook is locked by a password. Save it without one."),
    Flaw.MACROS: ("macros", "The workbook holds macros. Save it as .xlsx, which has none."),
}


def xlsx_refuse_flawed(content: bytes) -> None:
    """Raises ValidationFailed for what is no workbook, a bomb, locked, or has macros."""
    flaw = office_flaw(content, part="xl/workbook.xml", most_unpacked=_MOST_UNPACKED)
    if flaw is not None:
        raise refused(*_FLAWS[flaw])


def xlsx_book(content: bytes) -> Book:
    """Raises ValidationFailed, at once or while its sheets are read."""
    import io

    import openpyxl

    xlsx_refuse_flawed(content)
    notes: list[str] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a reader of cells does not need: styles, validations
            # No links to other workbooks: nothing of them is wanted, and they are parsed at once.
            book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, keep_links=False)
        shown = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        hidden = [str(sheet.title) for sheet in book.worksheets if sheet.sheet_state != "visible"]
    except Exception as error:  # whatever a hostile file makes of its reader
        raise refused("file_malformed", _DAMAGED) from error
    if hidden:
        notes.append(f"Hidden sheets were passed over: {', '.join(hidden)}.")
    if len(shown) > _MOST_SHEETS:
        raise refused("too_many_sheets", f"The workbook has more than {_MOST_SHEETS} sheets.")
    return Book(sheets=[Sheet(name=str(sheet.title)[:64], rows=_rows(sheet)) for sheet in shown], notes=notes)


def _rows(sheet: Any) -> Iterator[tuple[int, Sequence[Cell]]]:
    sheet.reset_dimensions()  # what a file says of its own size is often wrong
    rows = enumerate(sheet.iter_rows(max_col=MOST_COLUMNS + 1, max_row=_LAST_ROW), start=1)
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                number, raw = next(rows, (0, ()))
                cells = [_cell(one) for one in raw]
        except Exception as error:
            raise refused("file_malformed", f"Sheet “{sheet.title}”: {_DAMAGED}") from error
        if not number:
            return
        if len(cells) > MOST_COLUMNS and cells[MOST_COLUMNS] is not None:
            raise refused(
                "too_many_columns", f"Row {number} of sheet “{sheet.title}” has more than {MOST_COLUMNS} columns."
            )
        if any(cell is not None for cell in cells):
            yield number, cells[:MOST_COLUMNS]


def _cell(cell: Any) -> Cell:
    value, kind = cell.value, getattr(cell, "data_type", "n")
    if kind == "f":
        return FORMULA
    if value is None:
        return None
    if kind == "e":
        return ERROR_VALUE
    if isinstance(value, str):
        text = value.strip().strip("\u200b\ufeff").strip()
        return TOO_LONG if len(text) > LONGEST_CELL else text or None
    found: Cell = value
    return found
