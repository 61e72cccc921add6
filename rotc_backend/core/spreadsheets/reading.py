"""Files that people send, read into rows of known columns.

1  which kind: by its first bytes, never by its name      2  cells: csv_files, xlsx_files
3  in each sheet the row with the titles                  4  the rows below it, by field
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from core.errors import ContentTooLarge
from core.spreadsheets.cells import MOST_ROWS, Book, Cell, Sheet, Unreadable, letter_of, refused
from core.spreadsheets.csv_files import csv_book
from core.spreadsheets.xlsx_files import xlsx_book, xlsx_refuse_flawed
from core.tables import PROGRESS_ROWS, Column, Progress, Row, RowProblem, Table, Value, folded

LARGEST_FILE = 10 * 1024 * 1024  # bytes
HEAD_ROWS = 25  # in which the titles stand
MOST_CHARACTERS = 24_000_000  # of all cells together: texts that cells share count for each of them
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LOCKED = "EncryptedPackage".encode("utf-16-le")  # the stream in which a workbook with a password lies
_ZIP = b"PK\x03\x04"


def spreadsheet_refuse_hopeless(content: bytes) -> None:
    """What the first bytes tell, without reading the file: for whoever takes it before the worker reads it.

    Raises ContentTooLarge and ValidationFailed (`empty`, `file_type`, `file_malformed`, `encrypted`, `macros`).
    """
    if len(content) > LARGEST_FILE:
        raise ContentTooLarge(f"Send at most {LARGEST_FILE // 1024 // 1024} MB. Send several files instead.")
    head = content[:512].lstrip()
    if not head:
        raise refused("empty", "The file is empty.")
    if head.startswith(_OLE):
        if _LOCKED in content:
            raise refused("encrypted", "The workbook is locked by a password. Save it without one.")
        raise refused("file_type", "This is an old Excel file (.xls). Save it as .xlsx and send that.")
    if head.startswith((b"%PDF-", b"{\\rtf", b"\x89PNG", b"\xff\xd8\xff", b"GIF8")):
        raise refused("file_type", "This is no table. Send an Excel workbook (.xlsx) or a CSV file.")
    if head[:1] == b"<" or head.lower().startswith(b"\xef\xbb\xbf<"):
        raise refused("file_type", "This is a web page, whatever it is called. Save it as .xlsx or as CSV.")
    if content.startswith(_ZIP):
        xlsx_refuse_flawed(content)


def spreadsheet_read(content: bytes, *, columns: Sequence[Column], progress: Progress | None = None) -> Table:
    """The rows of a CSV or XLSX file by the fields of `columns`.

    Raises ContentTooLarge, and ValidationFailed at `file`: what `spreadsheet_refuse_hopeless` says, `encoding`,
    `no_header`, `duplicate_column`, `too_many_rows`, `too_many_columns`, `too_many_sheets`, `too_much_text`. Problems
    of single cells stand in the table.
    """
    spreadsheet_refuse_hopeless(content)
    known = {folded(title): column for column in columns for title in (column.title, *column.aliases)}
    known.pop("", None)  # a title of punctuation alone would be found in every blank cell

    def familiar(cells: Sequence[Cell]) -> int:
        return len(_recognised(cells, known))

    book: Book = xlsx_book(content) if content.startswith(_ZIP) else csv_book(content, familiar=familiar)
    reading = _Reading(columns=columns, progress=progress, known=known, notes=book.notes)
    if not [sheet for sheet in book.sheets if _read_sheet(sheet, reading)]:
        raise _no_header(columns, reading.closest)
    return Table(rows=reading.rows, notes=reading.notes, problems=reading.problems)


@dataclass(kw_only=True)
class _Reading:
    """What has been found so far, by the titles that are known."""

    columns: Sequence[Column]
    progress: Progress | None
    known: Mapping[str, Column]  # by folded title
    rows: list[Row] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    letters: Mapping[str, str] = field(default_factory=dict)  # of the present sheet's columns, by field
    characters: int = 0
    closest: tuple[int, str, frozenset[str]] = (0, "", frozenset())  # known titles of the best row, which, its fields

    def titles_of(self, sheet: Sheet, rows: Iterator[tuple[int, Sequence[Cell]]]) -> dict[int, Column] | None:
        """The columns by their place, from the first of HEAD_ROWS rows that has all that are required."""
        required = {column.field for column in self.columns if column.required}
        seen = 0
        for number, cells in islice(rows, HEAD_ROWS):
            seen = number
            recognised = _recognised(cells, self.known)
            if required <= {column.field for column in recognised.values()}:
                titles = _checked_titles(recognised, sheet, number)
                self.letters = {column.field: letter_of(index) for index, column in titles.items()}
                self._note_ignored(sheet, cells, titles)
                return titles
            if len(recognised) > self.closest[0]:
                fields = frozenset(column.field for column in recognised.values())
                self.closest = len(recognised), _place(sheet, number), fields
        if seen:
            self.notes.append(f"{_sheet_words(sheet)} has no row with known titles and was passed over.")
        return None

    def add(self, sheet: Sheet, number: int, cells: Sequence[Cell], titles: Mapping[int, Column]) -> None:
        """Take over the row if anything is written under its known titles. Raises ValidationFailed."""
        letters = self.letters
        values: dict[str, Value] = {}
        unreadable = False
        for index, column in titles.items():
            cell = cells[index] if index < len(cells) else None
            if cell is None or not column.imported:
                continue
            if isinstance(cell, Unreadable):
                place = {"sheet": sheet.name, "column": letters[column.field], "field": column.field}
                self.problems.append(RowProblem(row=number, code=cell.code, detail=cell.detail, **place))
                unreadable = True
            else:
                values[column.field] = cell
                self.characters += len(cell) if isinstance(cell, str) else 0
        if not values and not unreadable:
            return
        self.rows.append(Row(sheet=sheet.name, row=number, values=values, letters=letters))
        if len(self.rows) > MOST_ROWS:
            raise refused("too_many_rows", f"The file has more than {MOST_ROWS} rows. Send several files.")
        if self.characters > MOST_CHARACTERS:
            raise refused("too_much_text", "The file holds too much text. Send several files.")
        if self.progress is not None and len(self.rows) % PROGRESS_ROWS == 0:
            self.progress(len(self.rows))

    def _note_ignored(self, sheet: Sheet, cells: Sequence[Cell], titles: Mapping[int, Column]) -> None:
        ignored = [cell for index, cell in enumerate(cells) if isinstance(cell, str) and index not in titles]
        if ignored:
            names = ", ".join(f"“{name[:40]}”" for name in ignored[:20])
            where = f" of sheet “{sheet.name}”" if sheet.name else ""
            self.notes.append(f"Columns{where} that were passed over, since nothing is known of them: {names}.")


def _read_sheet(sheet: Sheet, reading: _Reading) -> bool:
    """Whether the sheet has titles; its rows are added to what was found."""
    rows = iter(sheet.rows)
    titles = reading.titles_of(sheet, rows)
    if titles is None:
        return False
    repeated = 0
    for number, cells in rows:
        if len(titles) > 1 and all(reading.known.get(_title(cells, i)) is column for i, column in titles.items()):
            repeated += 1
        else:
            reading.add(sheet, number, cells, titles)
    if repeated:
        reading.notes.append(f"{_sheet_words(sheet)}: titles that are repeated were passed over.")
    return True


def _recognised(cells: Sequence[Cell], known: Mapping[str, Column]) -> dict[int, Column]:
    return {index: column for index in range(len(cells)) if (column := known.get(_title(cells, index))) is not None}


def _title(cells: Sequence[Cell], index: int) -> str:
    cell = cells[index] if index < len(cells) else None
    return folded(cell[:200]) if isinstance(cell, str) else ""


def _checked_titles(recognised: Mapping[int, Column], sheet: Sheet, number: int) -> dict[int, Column]:
    by_field: dict[str, int] = {}
    for index, column in recognised.items():
        if column.imported and column.field in by_field:
            both = f"{letter_of(by_field[column.field])} and {letter_of(index)}"
            raise refused(
                "duplicate_column",
                f"{_place(sheet, number)}: columns {both} are both “{column.title}”. Remove or rename one.",
            )
        by_field[column.field] = index
    return dict(recognised)


def _no_header(columns: Sequence[Column], closest: tuple[int, str, frozenset[str]]) -> Exception:
    _, place, present = closest
    wanted = "; ".join(
        f"“{column.title}” (also: {', '.join(column.aliases)})" if column.aliases else f"“{column.title}”"
        for column in columns
        if column.required and column.field not in present
    )
    if place:
        return refused("no_header", f"{place} comes closest to a row of titles, but has no column {wanted}.")
    return refused("no_header", f"No row of the first {HEAD_ROWS} has the column {wanted}.")


def _sheet_words(sheet: Sheet) -> str:
    return f"Sheet “{sheet.name}”" if sheet.name else "The file"


def _place(sheet: Sheet, number: int) -> str:
    return f"Row {number} of sheet “{sheet.name}”" if sheet.name else f"Row {number}"
