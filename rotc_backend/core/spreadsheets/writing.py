"""Rows written as CSV or XLSX while they are read: the first bytes leave at once, and memory does not grow with rows.

No library writes a workbook so: they need the whole archive before its first byte. What is written is the least that
ECMA-376 (Office Open XML) asks of a workbook of one sheet, with texts inside their cells.
"""

import csv
import datetime as dt
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header

from core.clock import MANILA
from core.spreadsheets.cells import LONGEST_CELL, kept, letter_of, neutralised
from core.tables import Column

CSV, XLSX = "csv", "xlsx"
FILE_FORMATS = (CSV, XLSX)
MEDIA_TYPES: Final = {
    CSV: "text/csv; charset=utf-8",
    XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
Written = str | int | Decimal | dt.date | dt.time | dt.datetime | None

_AT_ONCE = 32_768  # bytes that are collected before they are sent
_LONGEST_SHEET_NAME = 31
_FIRST_DAY = dt.datetime(1899, 12, 30)  # noqa: DTZ001 - days of a spreadsheet know no zone
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_TEXT_STYLE, _TITLE_STYLE, _DATE_STYLE, _TIME_STYLE, _INSTANT_STYLE = 1, 2, 3, 4, 5
_TEXT_COLUMN = f' style="{_TEXT_STYLE}"'
_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS: Final = {
    "[Content_Types].xml": f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPES}.sheet.main+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_TYPES}.styles+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPES}.worksheet+xml"/></Types>',
    "_rels/.rels": f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/_rels/workbook.xml.rels": f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
    "xl/styles.xml": f'{_HEAD}<styleSheet xmlns="{_MAIN}">'
    '<numFmts count="3"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/>'
    '<numFmt numFmtId="165" formatCode="hh:mm:ss"/><numFmt numFmtId="166" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/>'
    '</numFmts><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>'
    '</fills><borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="6"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    # 49 is "text": who types a student number into such a cell keeps its leading zeros.
    '<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="49" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1" applyNumberFormat="1"/>'
    '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="165" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="166" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>',
}
_LOOKS_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")  # a workbook writes what XML has no place for as _x000D_
_BLANKS_THAT_COUNT = re.compile(r"^\s|\s$|\s\s|[^\S ]")
# XML 1.0 has no place for these; a carriage return alone would be read back as a line feed.
_UNWRITABLE = dict.fromkeys(
    [*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF], "\ufffd"
)


def spreadsheet_answer(
    *, file_format: str, file_name: str, sheet_name: str, columns: Sequence[Column], rows: Iterable[Sequence[Written]]
) -> StreamingHttpResponse:
    """A download of `rows` under the titles of `columns`. `file_name` comes without its ending."""
    stream = (
        csv_stream(columns=columns, rows=rows)
        if file_format == CSV
        else xlsx_stream(columns=columns, rows=rows, sheet_name=sheet_name)
    )
    answer = StreamingHttpResponse(stream, content_type=MEDIA_TYPES[file_format])
    answer["Content-Disposition"] = content_disposition_header(
        as_attachment=True, filename=f"{file_name}.{file_format}"
    )
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Cache-Control"] = "no-store"
    return answer


def csv_stream(*, columns: Sequence[Column], rows: Iterable[Sequence[Written]]) -> Iterator[bytes]:
    """UTF-8 with a byte order mark, by which Excel knows it; no text in it can become a formula."""
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    written.write("\ufeff")
    writer.writerow([column.title for column in columns])
    for row in rows:
        writer.writerow([_csv_text(value) for value in row])
        if written.tell() >= _AT_ONCE:
            yield _taken(written)
    yield _taken(written)


def _taken(written: io.StringIO) -> bytes:
    text = written.getvalue()
    written.seek(0)
    written.truncate()
    return text.encode("utf-8", "replace")


def _csv_text(value: Written) -> str:
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return _in_manila(value).isoformat(sep=" ")
    if isinstance(value, dt.time):
        return value.replace(tzinfo=None).isoformat(timespec="seconds")
    if isinstance(value, Decimal):
        return format(value, "f")
    return neutralised(value) if isinstance(value, str) else str(value)


def _in_manila(value: dt.datetime) -> dt.datetime:
    """To the second, without zone: files are read by people of the unit."""
    return (value.astimezone(MANILA) if value.tzinfo else value).replace(tzinfo=None, microsecond=0)


class _Sink(io.RawIOBase):
    """Where the archive is written to: kept until it is taken, and never to be gone back in."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, part: object) -> int:
        kept = bytes(part)  # type: ignore[call-overload]
        self._parts.append(kept)
        self.size += len(kept)
        return len(kept)

    def taken(self) -> bytes:
        whole = b"".join(self._parts)
        self._parts.clear()
        self.size = 0
        return whole


def xlsx_stream(*, columns: Sequence[Column], rows: Iterable[Sequence[Written]], sheet_name: str) -> Iterator[bytes]:
    """A workbook of one sheet, its titles bold and frozen; texts stay texts (leading zeros, a leading =)."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _PARTS.items():
            archive.writestr(name, content)
        archive.writestr("xl/workbook.xml", _workbook(sheet_name))
        with archive.open("xl/worksheets/sheet1.xml", "w") as sheet:
            sheet.write(_sheet_head(columns).encode())
            yield sink.taken()
            for number, row in enumerate(rows, start=2):
                cells = "".join(_xlsx_cell(f"{letter_of(index)}{number}", value) for index, value in enumerate(row))
                sheet.write(f'<row r="{number}">{cells}</row>'.encode())
                if sink.size >= _AT_ONCE:
                    yield sink.taken()
            sheet.write(b"</sheetData></worksheet>")
    yield sink.taken()


def _workbook(sheet_name: str) -> str:
    # Excel refuses some characters and more than 31 of any.
    name = "".join(" " if letter in "[]:*?/\\" else letter for letter in sheet_name.translate(_UNWRITABLE))
    name = name.strip("' ")[:_LONGEST_SHEET_NAME].strip("' ") or "Sheet1"
    return (
        f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><bookViews><workbookView/></bookViews><sheets>'
        f'<sheet name={quoteattr(name)} sheetId="1" r:id="rId1"/></sheets></workbook>'
    )


def _sheet_head(columns: Sequence[Column]) -> str:
    widths = "".join(
        # What identifies a row is text, also in the rows that are added below.
        f'<col min="{index}" max="{index}" width="{max(12, len(column.title) + 4)}" customWidth="1"'
        f"{_TEXT_COLUMN if column.required else ''}/>"
        for index, column in enumerate(columns, start=1)
    )
    titles = "".join(
        _xlsx_text(f"{letter_of(index)}1", column.title, _TITLE_STYLE) for index, column in enumerate(columns)
    )
    return (
        f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
        f'<cols>{widths}</cols><sheetData><row r="1">{titles}</row>'
    )


def _xlsx_cell(place: str, value: Written) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, dt.date) and value.year <= 1900:
        value = _csv_text(value)  # Excel has no days before, and a false one in that year
    if isinstance(value, str):
        return _xlsx_text(place, value, _TEXT_STYLE)
    style, number = _xlsx_number(value)
    return f'<c r="{place}"{style}><v>{number}</v></c>'


def _xlsx_number(value: int | Decimal | dt.date | dt.time) -> tuple[str, str]:
    """(attribute of the style, number). Days are counted from _FIRST_DAY, times are parts of a day."""
    if isinstance(value, dt.datetime):
        since = _in_manila(value) - _FIRST_DAY
        return f' s="{_INSTANT_STYLE}"', repr(since.days + since.seconds / 86_400)
    if isinstance(value, dt.date):
        return f' s="{_DATE_STYLE}"', str((value - _FIRST_DAY.date()).days)
    if isinstance(value, dt.time):
        seconds = value.hour * 3600 + value.minute * 60 + value.second
        return f' s="{_TIME_STYLE}"', repr(seconds / 86_400)
    return "", format(Decimal(value), "f")


def _xlsx_text(place: str, text: str, style: int) -> str:
    # Excel takes a workbook with a longer text for damaged; no field of ours is as long.
    plain = _LOOKS_ESCAPED.sub("_x005F_", kept(text)[:LONGEST_CELL].translate(_UNWRITABLE))
    shown = escape(plain).replace("\r", "&#13;")
    space = ' xml:space="preserve"' if _BLANKS_THAT_COUNT.search(text) else ""
    return f'<c r="{place}" s="{style}" t="inlineStr"><is><t{space}>{shown}</t></is></c>'
