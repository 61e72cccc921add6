"""Documents on A4, with reportlab's canvas: rows are drawn one by one, so that a page is done with once it is full.

reportlab's own tables (platypus) measure a whole table before its first page, which costs minutes and hundreds of
megabytes for some thousand rows. The library is loaded in here only, and only by who writes a report: web does not.

Letters are those of Noto Sans, which has all that names of the country need. Its package brings the regular weight:
bold is drawn twice, a little apart, as typewriters did it. A thin line around the letters would not do: browsers draw
no line thinner than a pixel, and small letters would run together. Only the letters used are embedded.
"""

import datetime as dt
import functools
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from apps.reports import rules
from apps.reports.services.documents import (
    CENTRE,
    LEFT,
    RIGHT,
    Banner,
    Block,
    CertificatePage,
    Document,
    Facts,
    Grid,
    Heading,
    Made,
    Progress,
    ReportColumn,
    Row,
    Signatures,
    Words,
)
from core.spreadsheets.writing import Written

_FONT, _SLANTED = "Noto", "NotoItalic"
_MM = 72 / 25.4
_SHORT, _LONG = 210 * _MM, 297 * _MM
_MARGIN, _FOOT = 14 * _MM, 15 * _MM
_CELL, _LEADING, _PADDING = 7.8, 9.6, 1.9  # points: of letters, from line to line, above and below them in a row
_GAP = 1.2 * _MM  # beside the text of a cell
_MOST_LINES = 4  # of one cell; what is longer ends in an ellipsis
_HEADED = 36 * _MM  # a heading, the titles of its table in up to three lines, and three rows
_WIDEST = 1.2  # a narrow table grows by so much, not to the whole width
_STRUCK_APART = 0.04  # of the size, between the two times that a bold letter is drawn
_TOLD_ROWS = 100
_INK, _QUIET, _HEAD, _ZEBRA, _LINE = 0.0, 0.38, 0.88, 0.965, 0.72  # greys: printers of offices have no colours
_UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def paper_made(document: Document | CertificatePage, progress: Progress) -> Made:
    """The document as a PDF. `progress` hears of every hundred rows, and may raise to stop."""
    content = io.BytesIO()
    pen = _Pen(content, title=document.title, landscape=isinstance(document, CertificatePage) or document.landscape)
    if isinstance(document, CertificatePage):
        _certificate_drawn(pen, document)
        pages = 1
    else:
        pages = _Pages(pen, document, progress).drawn()
    pen.canvas.save()
    return Made(content=content.getvalue(), pages=pages)


@functools.cache
def _fonts_registered() -> None:
    import fontpkg_noto_sans
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    files = fontpkg_noto_sans.ROOT / "files"
    pdfmetrics.registerFont(TTFont(_FONT, str(files / "NotoSans[wdth,wght].ttf")))
    pdfmetrics.registerFont(TTFont(_SLANTED, str(files / "NotoSans-Italic[wdth,wght].ttf")))


@functools.lru_cache(maxsize=20_000)
def _width(text: str, size: float, font: str = _FONT) -> float:
    from reportlab.pdfbase.pdfmetrics import stringWidth

    return float(stringWidth(text, font, size))


def shown(value: Written) -> str:
    """What stands in a cell of paper."""
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return f"{value:%d %b %H:%M}"
    if isinstance(value, dt.time):
        return f"{value:%H:%M}"
    if isinstance(value, Decimal):
        return format(value, "f")
    return _UNSHOWN.sub("", unicodedata.normalize("NFC", str(value)))


class _Pen:
    """A canvas that knows one family of letters, in regular and bold, and greys."""

    def __init__(self, content: io.BytesIO, *, title: str, landscape: bool) -> None:
        from reportlab.pdfgen.canvas import Canvas

        _fonts_registered()
        self.width, self.height = (_LONG, _SHORT) if landscape else (_SHORT, _LONG)
        self.canvas: Any = Canvas(content, pagesize=(self.width, self.height), pageCompression=1, lang="en-PH")
        self.canvas.setTitle(title)
        self.canvas.setAuthor(rules.HEADING[-1])
        self.canvas.setCreator("RGMS")

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        *,
        bold: bool = False,
        align: str = LEFT,
        grey: float = _INK,
        font: str = _FONT,
    ) -> None:
        canvas = self.canvas
        canvas.setFont(font, size)
        canvas.setFillGray(grey)
        if align != LEFT:
            x -= _width(text, size, font) / (1 if align == RIGHT else 2)
        if bold:
            apart = size * _STRUCK_APART
            canvas.drawString(x - apart / 2, y, text)
            x += apart / 2
        canvas.drawString(x, y, text)

    def line(self, x: float, y: float, to_x: float, to_y: float, *, grey: float = _LINE, width: float = 0.4) -> None:
        self.canvas.setStrokeGray(grey)
        self.canvas.setLineWidth(width)
        self.canvas.line(x, y, to_x, to_y)

    def box(self, x: float, y: float, width: float, height: float, *, fill: float) -> None:
        self.canvas.setFillGray(fill)
        self.canvas.rect(x, y, width, height, stroke=0, fill=1)

    def frame(self, x: float, y: float, width: float, height: float, *, line: float) -> None:
        self.canvas.setStrokeGray(_INK)
        self.canvas.setLineWidth(line)
        self.canvas.rect(x, y, width, height, stroke=1, fill=0)


def _lines(text: str, width: float, size: float, *, most: int = _MOST_LINES) -> list[str]:
    """`text` broken to fit into `width`, at blanks where there are some."""
    if _width(text, size) <= width:
        return [text]
    lines: list[str] = []
    for word in _pieces(text, width, size):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _width(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > most:
        last = lines[most - 1]
        while last and _width(f"{last}…", size) > width:
            last = last[:-1]
        lines[most - 1 :] = [f"{last}…"]
    return lines


def _pieces(text: str, width: float, size: float) -> Iterator[str]:
    """The words of a text, longer ones than a line in parts."""
    for word in text.split():
        rest = word
        while _width(rest, size) > width and len(rest) > 1:
            fits = max(1, int(len(rest) * width / _width(rest, size)))
            while fits > 1 and _width(rest[:fits], size) > width:
                fits -= 1
            yield rest[:fits]
            rest = rest[fits:]
        yield rest


class _Pages:
    """The pages of a document, from top to bottom. `y` is where the next thing stands below."""

    def __init__(self, pen: _Pen, document: Document, progress: Progress) -> None:
        self._pen, self._document, self._progress = pen, document, progress
        self._left, self._right = _MARGIN, pen.width - _MARGIN
        self._bottom = _FOOT + 4 * _MM
        self._page = 0
        self._y = 0.0
        self._top = 0.0  # where the present page began, below its head
        self._rows = 0
        self._section = ""  # what the present rows belong to, for the heads of further pages

    def drawn(self) -> int:
        """Draw all; return how many pages."""
        self._begin()
        for block in self._document.blocks:
            self._draw(block)
        self._end()
        self._pen.canvas.beginForm("pages", 0, -4, 60, 12)
        self._pen.text(0, 0, str(self._page), 7.2, grey=_QUIET)
        self._pen.canvas.endForm()
        return self._page

    def _draw(self, block: Block) -> None:
        match block:
            case Grid():
                self._grid(block)
            case Facts():
                self._facts(block)
            case Heading():
                self._heading(block)
            case Words():
                self._words(block)
            case Banner():
                self._banner(block)
            case Signatures():
                self._signatures(block)

    # --- Pages --------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        pen, document = self._pen, self._document
        self._page += 1
        middle, y = pen.width / 2, pen.height - _MARGIN
        if self._page == 1:
            for line, size, bold in zip(rules.HEADING, (11.5, 8.6, 8.6), (True, False, False), strict=True):
                y -= size * 1.05
                pen.text(middle, y, line, size, bold=bold, align=CENTRE)
                y -= size * 0.28
            y -= 2.2 * _MM
            pen.line(self._left, y, self._right, y, grey=_INK, width=0.9)
            y -= 6.6 * _MM
            pen.text(middle, y, document.title.upper(), 14, bold=True, align=CENTRE)
            y -= 5.2 * _MM
            pen.text(middle, y, shown(document.subtitle), 9.4, align=CENTRE)
            self._y = y - 4.2 * _MM
        else:
            y -= 8
            pen.text(self._left, y, " · ".join(filter(None, (document.title, self._section))), 8, bold=True)
            pen.text(self._right, y, shown(document.subtitle), 8, align=RIGHT, grey=_QUIET)
            y -= 2 * _MM
            pen.line(self._left, y, self._right, y, grey=_INK, width=0.6)
            self._y = y - 3.4 * _MM
        self._top = self._y

    def _end(self) -> None:
        pen, y = self._pen, _FOOT - 4.4 * _MM
        pen.line(self._left, y + 3.4 * _MM, self._right, y + 3.4 * _MM)
        pen.text(self._left, y, self._document.origin, 7.2, grey=_QUIET)
        if self._document.mark:
            pen.text(pen.width / 2, y, self._document.mark, 7.2, bold=True, align=CENTRE)
        words = f"Page {self._page} of "
        end = self._right - 4.6 * _MM
        pen.text(end, y, words, 7.2, align=RIGHT, grey=_QUIET)
        pen.canvas.saveState()
        pen.canvas.translate(end, y)
        pen.canvas.doForm("pages")  # which is written when the number of pages is known
        pen.canvas.restoreState()
        pen.canvas.showPage()

    def _turn(self) -> None:
        self._end()
        self._begin()

    def _room(self, height: float) -> bool:
        return self._y - height >= self._bottom

    def _need(self, height: float) -> None:
        if not self._room(height) and self._y < self._top:
            self._turn()

    # --- Blocks -------------------------------------------------------------------------------------------------------

    def _heading(self, block: Heading) -> None:
        # With some of what it is a heading of.
        self._section = ""
        if (block.new_page and self._y < self._top - 30 * _MM) or not self._room(_HEADED):
            self._turn()
        self._section = shown(block.text)
        self._y -= 2.4 * _MM
        self._pen.text(self._left, self._y - 9, shown(block.text), 10, bold=True)
        self._y -= 9 + 2.2 * _MM

    def _words(self, block: Words) -> None:
        size = 7.2 if block.small else 8.4
        lines = _lines(shown(block.text), self._right - self._left, size, most=12)
        self._need(len(lines) * size * 1.3 + 2 * _MM)
        self._y -= 0.8 * _MM
        for line in lines:
            self._y -= size * 1.3
            self._pen.text(self._left, self._y + size * 0.25, line, size, grey=_QUIET if block.small else _INK)
        self._y -= 1.4 * _MM

    def _banner(self, block: Banner) -> None:
        lines = _lines(shown(block.text), self._right - self._left - 8 * _MM, 9)
        height = 6.4 * _MM + (len(lines) - 1) * 11
        self._need(height + 2 * _MM)
        self._y -= height
        self._pen.frame(self._left, self._y, self._right - self._left, height, line=0.9)
        for place, line in enumerate(lines):
            y = self._y + height - 2 * _MM - 7.4 - place * 11
            self._pen.text((self._left + self._right) / 2, y, line, 9, bold=True, align=CENTRE)
        self._y -= 2.6 * _MM

    def _facts(self, block: Facts) -> None:
        across, size = (self._right - self._left) / block.across, 12.0 if block.large else 8.8
        leading = size * 1.25
        labels = [
            max(_width(f"{name}:", 8.2) for name, _ in block.pairs[place :: block.across]) + 2.5 * _MM
            for place in range(min(block.across, len(block.pairs)))
        ]
        self._y -= 0.6 * _MM
        for start in range(0, len(block.pairs), block.across):
            pairs = block.pairs[start : start + block.across]
            broken = [
                _lines(shown(value), across - label - 3 * _MM, size)
                for (_, value), label in zip(pairs, labels, strict=False)
            ]
            height = max(map(len, broken)) * leading + 2.4
            self._need(height)
            for place, ((name, _), lines) in enumerate(zip(pairs, broken, strict=True)):
                x = self._left + place * across
                self._pen.text(x, self._y - size, f"{name}:", 8.2, grey=_QUIET)
                for number, line in enumerate(lines):
                    self._pen.text(x + labels[place], self._y - size - leading * number, line, size, bold=True)
            self._y -= height
        self._y -= 1.8 * _MM

    def _signatures(self, block: Signatures) -> None:
        height = 31 * _MM
        if not self._room(height):
            self._turn()
        self._y -= 7 * _MM
        across = (self._right - self._left) / len(block.places)
        line = min(across - 8 * _MM, 62 * _MM)
        for place, (what, function) in enumerate(block.places):
            x = self._left + place * across + (across - line) / 2
            self._pen.text(x, self._y - 8, f"{what}:", 8.4)
            y = self._y - 17 * _MM
            self._pen.line(x, y, x + line, y, grey=_INK, width=0.6)
            self._pen.text(x + line / 2, y - 10, function, 9, bold=True, align=CENTRE)
            self._pen.text(x + line / 2, y - 18.5, "Signature over printed name, date", 6.6, align=CENTRE, grey=_QUIET)
        self._y -= height - 7 * _MM

    # --- Tables -------------------------------------------------------------------------------------------------------

    def _grid(self, block: Grid) -> None:
        used = [(place, column) for place, column in enumerate(block.columns) if column.width]
        places = [place for place, _ in used]
        columns = [column for _, column in used]
        scale = min((self._right - self._left) / sum(column.width for column in columns), _WIDEST * _MM)
        widths = [column.width * scale for column in columns]
        head = [
            _lines(column.title, width - 2 * _GAP, _CELL, most=3) for column, width in zip(columns, widths, strict=True)
        ]
        head_height = max(map(len, head)) * _LEADING + 2 * _PADDING + 1.4
        if not self._room(head_height + 3 * (_LEADING + 2 * _PADDING)):
            self._turn()
        self._head_row(columns, widths, head, head_height)
        total = self._document.length
        for number, row in enumerate(block.rows):
            cells = self._broken(columns, widths, [row[place] for place in places])
            height = max(map(len, cells)) * _LEADING + 2 * _PADDING
            if not self._room(height):
                self._close(widths)
                self._turn()
                self._head_row(columns, widths, head, head_height)
            self._row(columns, widths, cells, height, shaded=number % 2 == 1)
            self._rows += 1
            if self._rows % _TOLD_ROWS == 0:
                self._progress(rules.WRITING, self._rows, total)
        if block.totals is not None:
            self._totals(columns, widths, [block.totals[place] for place in places])
        self._close(widths)
        self._y -= 1.6 * _MM

    def _broken(self, columns: Sequence[ReportColumn], widths: Sequence[float], row: Row) -> list[list[str]]:
        return [_lines(shown(value), width - 2 * _GAP, _CELL) for value, width in zip(row, widths, strict=True)]

    def _head_row(
        self, columns: Sequence[ReportColumn], widths: Sequence[float], head: list[list[str]], height: float
    ) -> None:
        self._pen.box(self._left, self._y - height, sum(widths), height, fill=_HEAD)
        self._pen.line(self._left, self._y, self._left + sum(widths), self._y, grey=_INK, width=0.6)
        self._cells(columns, widths, head, height, bold=True, at_foot=True)
        self._y -= height
        self._pen.line(self._left, self._y, self._left + sum(widths), self._y, grey=_INK, width=0.6)

    def _row(
        self,
        columns: Sequence[ReportColumn],
        widths: Sequence[float],
        cells: list[list[str]],
        height: float,
        *,
        shaded: bool,
    ) -> None:
        if shaded:
            self._pen.box(self._left, self._y - height, sum(widths), height, fill=_ZEBRA)
        self._cells(columns, widths, cells, height)
        self._y -= height

    def _totals(self, columns: Sequence[ReportColumn], widths: Sequence[float], row: Row) -> None:
        height = _LEADING + 2 * _PADDING + 1.4
        self._need(height)
        self._pen.line(self._left, self._y, self._left + sum(widths), self._y, grey=_INK, width=0.6)
        self._cells(columns, widths, self._broken(columns, widths, row), height, bold=True)
        self._y -= height

    def _close(self, widths: Sequence[float]) -> None:
        self._pen.line(self._left, self._y, self._left + sum(widths), self._y, grey=_INK, width=0.6)

    def _cells(
        self,
        columns: Sequence[ReportColumn],
        widths: Sequence[float],
        cells: list[list[str]],
        height: float,
        *,
        bold: bool = False,
        at_foot: bool = False,
    ) -> None:
        x = self._left
        for column, width, lines in zip(columns, widths, cells, strict=True):
            at = {LEFT: x + _GAP, RIGHT: x + width - _GAP, CENTRE: x + width / 2}[column.align]
            first = self._y - _PADDING - _CELL
            if at_foot:
                first = self._y - height + _PADDING + 1.4 + (len(lines) - 1) * _LEADING
            for number, line in enumerate(lines):
                if line:
                    y = first - number * _LEADING
                    self._pen.text(at, y, line, _CELL, bold=bold or column.strong, align=column.align)
            x += width


# --- Certificates -----------------------------------------------------------------------------------------------------


def _certificate_drawn(pen: _Pen, page: CertificatePage) -> None:
    middle = pen.width / 2
    for inset, thickness in ((9, 2.2), (11, 0.6)):
        edge = inset * _MM
        pen.frame(edge, edge, pen.width - 2 * edge, pen.height - 2 * edge, line=thickness)
    y = pen.height - 29 * _MM
    for words, size, bold in zip(page.heading, (15, 10.5, 10.5), (True, False, False), strict=True):
        pen.text(middle, y, words, size, bold=bold, align=CENTRE)
        y -= size + 4
    y -= 15 * _MM
    pen.text(middle, y, page.title.upper(), 30, bold=True, align=CENTRE)
    y -= 14 * _MM
    pen.text(middle, y, page.lead, 12, align=CENTRE, font=_SLANTED)
    name, size = shown(page.name), 27.0
    while _width(name, size) > pen.width - 60 * _MM and size > 12:
        size -= 1
    y -= 17 * _MM
    pen.text(middle, y, name, size, bold=True, align=CENTRE)
    half = max(_width(name, size) / 2 + 10 * _MM, 60 * _MM)
    pen.line(middle - half, y - 3.4 * _MM, middle + half, y - 3.4 * _MM, grey=_INK, width=0.6)
    y -= 14 * _MM
    for line in page.lines:
        pen.text(middle, y, line, 12, align=CENTRE)
        y -= 17
    y -= 5 * _MM
    facts = "   ·   ".join(f"{label}: {value}" for label, value in page.facts)
    pen.text(middle, y, facts, 13, bold=True, align=CENTRE)
    y -= 7 * _MM
    pen.text(middle, y, page.given, 10, align=CENTRE)
    _certificate_places(pen, page)
    _certificate_code(pen, page)


def _certificate_places(pen: _Pen, page: CertificatePage) -> None:
    left, y, line = 66 * _MM, 34 * _MM, 66 * _MM
    across = (pen.width - left - 24 * _MM) / len(page.places)
    for place, (_, function) in enumerate(page.places):
        x = left + place * across + (across - line) / 2
        pen.line(x, y, x + line, y, grey=_INK, width=0.6)
        pen.text(x + line / 2, y - 12, function, 10, bold=True, align=CENTRE)
        pen.text(x + line / 2, y - 21, "Signature over printed name", 7, align=CENTRE, grey=_QUIET)


def _certificate_code(pen: _Pen, page: CertificatePage) -> None:
    import segno

    left, bottom, side = 18 * _MM, 28 * _MM, 30 * _MM
    matrix = segno.make_qr(page.address or page.code, error="m", boost_error=False).matrix
    module = side / len(matrix)
    pen.canvas.setFillGray(_INK)
    for number, row in enumerate(matrix):
        start = None
        for place, dark in enumerate([*row, 0]):
            if dark and start is None:
                start = place
            elif not dark and start is not None:
                y = bottom + side - (number + 1) * module
                pen.canvas.rect(left + start * module, y, (place - start) * module, module, stroke=0, fill=1)
                start = None
    pen.text(left, bottom - 4.4 * _MM, page.code, 9, bold=True)
    words = f"Check it at {page.address}" if page.address else "Ask the unit to check this code."
    pen.text(left, bottom - 8.4 * _MM, words, 7, grey=_QUIET)
    pen.text(pen.width - 18 * _MM, bottom - 8.4 * _MM, page.origin, 7, align=RIGHT, grey=_QUIET)
