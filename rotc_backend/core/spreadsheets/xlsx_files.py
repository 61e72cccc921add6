"""XLSX, read row by row as it is unpacked: the cells only, by SpreadsheetML (ECMA-376-1, 18.3, 18.4 and 18.8).

1  the archive is looked at as a whole      2  workbook.xml and its relations: which sheets, shown or hidden
3  styles: which numbers are days           4  shared texts      5  each sheet: rows as they come
"""

import io
import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from core.archives import MEBIBYTE, UNREADABLE_INSIDE, Flaw, office_flaw
from core.spreadsheets.cells import (
    ERROR_VALUE,
    FORMULA,
    LAST_ROW,
    LONGEST_CELL,
    MOST_COLUMNS,
    MOST_ROWS,
    PERCENTAGE,
    Book,
    Cell,
    Sheet,
    refused,
    restored,
    text_cell,
)
from core.spreadsheets.serials import BUILT_IN, PLAIN, NumberFormat, number_format, number_value
from core.spreadsheets.xml_parts import Damaged, Listener, listened

_MOST_UNPACKED = 64 * MEBIBYTE
_LARGEST_PART = 8 * MEBIBYTE  # of those that are no sheet and no texts
_LAST_COLUMN = 16_384
_MOST_SHEETS = 50
_MOST_ENTRIES = 66_000  # of styles, sheets, relations: Excel itself ends before
_MOST_TEXTS = 500_000
_MOST_CHARACTERS = 24_000_000  # of the shared texts together
_MOST_AREAS = 200  # with one formula for many cells
_KEPT_OF_A_CELL = 8 * LONGEST_CELL  # characters as the file writes them; more are too long in any case
_LONGEST_NAME = 64
_DAMAGED = (
    "The workbook is damaged, packed oddly or too large once unpacked. Open it in a spreadsheet program and save it "
    "anew as .xlsx; of a large one send several parts."
)
_FLAWS = {
    Flaw.FOREIGN: ("file_type", "This archive is no Excel workbook. Save the file as .xlsx or as CSV."),
    Flaw.DAMAGED: ("file_malformed", _DAMAGED),
    Flaw.LOCKED: ("encrypted", "The workbook is locked by a password. Save it without one."),
    Flaw.MACROS: ("macros", "The workbook holds macros. Save it as .xlsx, which has none."),
}
_PLACE = re.compile(r"([A-Za-z]{1,3})([1-9]\d{0,6})", re.ASCII)
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def xlsx_refuse_flawed(content: bytes) -> None:
    """Raises ValidationFailed for what is no workbook, a bomb, locked, or has macros."""
    flaw = office_flaw(content, part="xl/workbook.xml", most_unpacked=_MOST_UNPACKED)
    if flaw is not None:
        raise refused(*_FLAWS[flaw])


def xlsx_book(content: bytes) -> Book:
    """Raises ValidationFailed, at once or while its sheets are read."""
    xlsx_refuse_flawed(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _book(_Package(archive, content))
    except (Damaged, *UNREADABLE_INSIDE) as error:
        raise refused("file_malformed", _DAMAGED) from error


class _Package:
    """The parts of an archive by their names, which are compared without regard to letter case."""

    def __init__(self, archive: zipfile.ZipFile, content: bytes) -> None:
        self._content = content
        self._entries = {entry.filename.lower(): entry for entry in archive.infolist()}

    def has(self, name: str) -> bool:
        return name in self._entries

    def tell(self, name: str, listener: Listener) -> Iterator[None]:
        """Tell `listener` of a part, piece by piece. Raises Damaged."""
        try:
            with (
                zipfile.ZipFile(io.BytesIO(self._content)) as archive,
                archive.open(self._entries[name]) as source,
            ):
                yield from listened(source, listener)
        except UNREADABLE_INSIDE as error:
            raise Damaged from error

    def tell_all(self, name: str, listener: Listener, *, largest: int = _LARGEST_PART) -> None:
        """Raises Damaged."""
        if name not in self._entries or self._entries[name].file_size > largest:
            raise Damaged
        for _ in self.tell(name, listener):
            pass


def _book(package: _Package) -> Book:
    workbook, relations, styles, texts = _Workbook(), _Relations(), _Styles(), _Texts()
    package.tell_all("xl/workbook.xml", workbook)
    package.tell_all("xl/_rels/workbook.xml.rels", relations)
    for kind, listener, largest in (("styles", styles, _LARGEST_PART), ("sharedStrings", texts, _MOST_UNPACKED)):
        for name in relations.parts_of(kind):
            package.tell_all(name, listener, largest=largest)
    formats = _Formats(shown=styles.found(), from_1904=workbook.from_1904)
    sheets: list[Sheet] = []
    hidden: list[str] = []
    taken: set[str] = set()
    for entry in workbook.sheets:
        kind, part = relations.found.get(entry.relation, ("", ""))
        if kind.lower().endswith("macrosheet"):
            raise refused(*_FLAWS[Flaw.MACROS])
        if kind != "worksheet":  # a chart that fills a sheet, a dialog
            continue
        if part in taken or not package.has(part):  # one part as many sheets would be read again and again
            raise Damaged
        taken.add(part)
        if entry.hidden:
            hidden.append(entry.name)
        else:
            sheets.append(Sheet(name=entry.name, rows=_rows(package, part, entry.name, texts.found, formats)))
    if len(sheets) > _MOST_SHEETS:
        raise refused("too_many_sheets", f"The workbook has more than {_MOST_SHEETS} sheets.")
    notes = [f"Hidden sheets were passed over: {', '.join(hidden[:_MOST_SHEETS])}."] if hidden else []
    return Book(sheets=sheets, notes=notes)


def _rows(
    package: _Package, part: str, name: str, texts: Sequence[Cell], formats: "_Formats"
) -> Iterator[tuple[int, Sequence[Cell]]]:
    sheet = _SheetRows(name, texts, formats)
    try:
        for _ in package.tell(part, sheet):
            yield from sheet.rows
            sheet.rows.clear()
    except Damaged as error:
        raise refused("file_malformed", f"Sheet “{name}”: {_DAMAGED}") from error


# --- What surrounds the sheets ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _SheetEntry:
    name: str
    relation: str
    hidden: bool


class _Silent:
    """A listener to whom text means nothing."""

    done = False

    def closed(self, name: str) -> None:
        pass

    def said(self, text: str) -> None:
        pass


class _Workbook(_Silent):
    def __init__(self) -> None:
        self.sheets: list[_SheetEntry] = []
        self.from_1904 = False

    def opened(self, name: str, attributes: dict[str, str]) -> None:
        if name == "workbookPr":
            self.from_1904 = attributes.get("date1904", "0").strip().lower() in {"1", "true", "on"}
        elif name == "sheet":
            # The attribute stands in the namespace of relations, under whatever prefix.
            relation = next((value for key, value in attributes.items() if key.endswith(":id")), "")
            hidden = attributes.get("state", "visible") != "visible"
            shown = attributes.get("name", "")[:_LONGEST_NAME]
            self.sheets.append(_SheetEntry(name=shown, relation=relation, hidden=hidden))
            if len(self.sheets) > _MOST_ENTRIES:
                raise Damaged


class _Relations(_Silent):
    def __init__(self) -> None:
        self.found: dict[str, tuple[str, str]] = {}  # by their id: (kind, name of the part in small letters)

    def opened(self, name: str, attributes: dict[str, str]) -> None:
        if name != "Relationship" or attributes.get("TargetMode", "Internal") != "Internal":
            return
        kind = attributes.get("Type", "").rpartition("/")[2]
        target = posixpath.normpath(posixpath.join("/xl", attributes.get("Target", "").replace("\\", "/")))
        self.found[attributes.get("Id", "")] = kind, target.lstrip("/").lower()
        if len(self.found) > _MOST_ENTRIES:
            raise Damaged

    def parts_of(self, kind: str) -> list[str]:
        """The first part of this kind, if there is one."""
        return [part for found, part in self.found.values() if found == kind][:1]


class _Styles(_Silent):
    def __init__(self) -> None:
        self._formats: dict[str, NumberFormat] = {str(number): shown for number, shown in BUILT_IN.items()}
        self._of_cells: list[str] = []
        self._in_cells = False

    def opened(self, name: str, attributes: dict[str, str]) -> None:
        if name == "numFmt":
            self._formats[attributes.get("numFmtId", "")] = number_format(attributes.get("formatCode", ""))
        elif name == "cellXfs":
            self._in_cells = True
        elif name == "xf" and self._in_cells:
            self._of_cells.append(attributes.get("numFmtId", "0")[:10])
        if len(self._of_cells) + len(self._formats) > _MOST_ENTRIES:
            raise Damaged

    def closed(self, name: str) -> None:
        if name == "cellXfs":
            self._in_cells = False

    def found(self) -> list[NumberFormat]:
        return [self._formats.get(number, PLAIN) for number in self._of_cells]


class _Texts:
    """The texts that cells share, each as a cell would have it."""

    done = False

    def __init__(self) -> None:
        self.found: list[Cell] = []
        self._characters = 0
        self._text = _Text()

    def opened(self, name: str, attributes: dict[str, str]) -> None:
        if name == "si":
            self._text.begin()
        else:
            self._text.opened(name)

    def closed(self, name: str) -> None:
        if name != "si":
            self._text.closed(name)
            return
        self.found.append(_written(self._text.whole()))
        self._characters += self._text.size
        if len(self.found) > _MOST_TEXTS or self._characters > _MOST_CHARACTERS:
            raise refused("too_much_text", "The workbook holds too much text. Send several files.")

    def said(self, text: str) -> None:
        self._text.said(text)


class _Text:
    """What is written in one cell: its runs put together, without the readings that stand above Japanese words."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._listening = False
        self._reading = 0
        self.size = 0

    def begin(self) -> None:
        self._parts.clear()
        self._listening, self._reading, self.size = False, 0, 0

    def opened(self, name: str) -> None:
        if name == "rPh":
            self._reading += 1
        elif name in {"t", "v"}:
            self._listening = not self._reading

    def closed(self, name: str) -> None:
        if name == "rPh":
            self._reading -= 1
        elif name in {"t", "v"}:
            self._listening = False

    def said(self, text: str) -> None:
        if self._listening and self.size <= _KEPT_OF_A_CELL:
            self._parts.append(text)
            self.size += len(text)

    def whole(self) -> str:
        return "".join(self._parts)


def _written(raw: str) -> Cell:
    cell = text_cell(_unescaped(raw))
    return restored(cell) if isinstance(cell, str) else cell


def _unescaped(text: str) -> str:
    """`_x000D_` is how a workbook writes what XML has no place for (ECMA-376-1, 22.9.2.19)."""
    return _ESCAPED.sub(_letter, text) if "_x" in text else text


def _letter(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return match[0] if 0xD800 <= code < 0xE000 else chr(code)


# --- A sheet ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Formats:
    shown: Sequence[NumberFormat]
    from_1904: bool

    def of(self, style: str) -> NumberFormat:
        if not style:
            return PLAIN
        if not (style.isascii() and style.isdigit() and len(style) < 7 and int(style) < len(self.shown)):
            raise Damaged
        return self.shown[int(style)]


@dataclass(frozen=True, kw_only=True)
class _Area:
    """Cells that one formula fills, although only the first of them names it."""

    rows: range
    columns: range


@dataclass(kw_only=True)
class _Row:
    number: int
    cells: dict[int, Cell] = field(default_factory=dict)
    column: int = -1  # of the latest cell, from 0


class _SheetRows:
    """Collects the rows of a sheet; whoever reads takes them away. Rows and cells may leave out where they stand."""

    def __init__(self, name: str, texts: Sequence[Cell], formats: _Formats) -> None:
        self.rows: list[tuple[int, Sequence[Cell]]] = []
        self.done = False
        self._name = name
        self._texts = texts
        self._formats = formats
        self._areas: list[_Area] = []
        self._in_data = False
        self._number = 0
        self._filled = 0
        self._row: _Row | None = None
        self._cell: dict[str, str] | None = None  # the attributes of the one that is open
        self._formula = False
        self._text = _Text()
        self._read: dict[str, Callable[[str], Cell]] = {
            "s": self._shared,
            "n": self._numeric,
            "b": lambda raw: raw in {"1", "true"},
            "e": lambda raw: ERROR_VALUE,
        }

    def opened(self, name: str, attributes: dict[str, str]) -> None:
        if self._cell is not None:
            self._text.opened(name)
            if name == "f":
                self._formula = True
                self._remember_area(attributes)
        elif name == "c" and self._row is not None:
            self._open_cell(self._row, attributes)
        elif name == "row" and self._in_data:
            self._number = _numbered(attributes.get("r"), self._number + 1, last=LAST_ROW)
            self._row = _Row(number=self._number)
        elif name == "sheetData":
            self._in_data = True

    def closed(self, name: str) -> None:
        if self._cell is not None:
            self._text.closed(name)
            if name == "c" and self._row is not None:
                self._row.cells[self._row.column] = self._content(self._cell)
                self._cell = None
        elif name == "row" and self._row is not None:
            self._close_row(self._row)
            self._row = None
        elif name == "sheetData":
            self.done = True  # what follows is how the sheet looks

    def said(self, text: str) -> None:
        self._text.said(text)

    def _open_cell(self, row: _Row, attributes: dict[str, str]) -> None:
        place = attributes.get("r")
        row.column = row.column + 1 if place is None else _column_of(place)
        if row.column >= _LAST_COLUMN or row.column in row.cells:
            raise Damaged
        self._cell, self._formula = attributes, False
        self._text.begin()

    def _content(self, attributes: dict[str, str]) -> Cell:
        if self._formula:
            return FORMULA
        raw = self._text.whole()
        if not raw.strip():
            return None
        # Others are texts: inlineStr, str, and d, a date as ISO 8601 writes it.
        read = self._read.get(attributes.get("t", "n"))
        return _written(raw) if read is None else read(raw.strip())

    def _shared(self, raw: str) -> Cell:
        if not (raw.isascii() and raw.isdigit() and len(raw) < 10 and int(raw) < len(self._texts)):
            raise Damaged
        return self._texts[int(raw)]

    def _numeric(self, raw: str) -> Cell:
        shown = self._formats.of((self._cell or {}).get("s", ""))
        value = number_value(raw, shown, from_1904=self._formats.from_1904)
        if value is None:
            return ERROR_VALUE
        return PERCENTAGE if shown.percent else value

    def _remember_area(self, attributes: dict[str, str]) -> None:
        if attributes.get("t") not in {"array", "dataTable"}:
            return
        first, _, last = attributes.get("ref", "").partition(":")
        if not last:
            return
        top, left = _row_of(first), _column_of(first)
        area = _Area(rows=range(top, _row_of(last) + 1), columns=range(left, _column_of(last) + 1))
        self._areas.append(area)
        if len(self._areas) > _MOST_AREAS:
            raise Damaged

    def _close_row(self, row: _Row) -> None:
        cells = {column: cell for column, cell in row.cells.items() if cell is not None}
        if not cells:
            return
        self._filled += 1
        if self._filled > 2 * MOST_ROWS:  # many of them may lie beside the known columns, but not all
            raise refused("too_many_rows", f"The file has more than {MOST_ROWS} rows. Send several files.")
        for area in self._areas:
            if row.number in area.rows:
                cells.update((column, FORMULA) for column in cells if column in area.columns)
        last = max(cells)
        if last >= MOST_COLUMNS:
            raise refused(
                "too_many_columns", f"Row {row.number} of sheet “{self._name}” has more than {MOST_COLUMNS} columns."
            )
        self.rows.append((row.number, [cells.get(column) for column in range(last + 1)]))


def _numbered(text: str | None, following: int, *, last: int) -> int:
    if text is None:
        number = following
    elif text.isascii() and text.isdigit() and len(text) < 9:
        number = int(text)
    else:
        raise Damaged
    if not 1 <= number <= last:
        raise Damaged
    return number


def _column_of(place: str) -> int:
    """From 0; the place is written as A1."""
    match = _PLACE.fullmatch(place)
    if match is None:
        raise Damaged
    column = 0
    for letter in match[1].upper():
        column = column * 26 + ord(letter) - ord("A") + 1
    return column - 1


def _row_of(place: str) -> int:
    match = _PLACE.fullmatch(place)
    if match is None:
        raise Damaged
    return int(match[2])
