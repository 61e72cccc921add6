"""What a report says, apart from how it is written: blocks for paper, and the same rows as a table for spreadsheets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.spreadsheets.writing import Written

# (phase, rows done, rows in all); raises LeaseLost when nobody waits for the report any more
Progress = Callable[[str, int, int | None], None]

LEFT, RIGHT, CENTRE = "left", "right", "centre"


@dataclass(frozen=True, kw_only=True)
class ReportColumn:
    """A column of rows. `width` is a share of the paper's width; 0: only in spreadsheets. `strong` is bold."""

    title: str
    width: float = 0
    align: str = LEFT
    strong: bool = False


Row = Sequence[Written]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table that is broken over pages, its titles repeated on each. `totals` stands bold at its end."""

    columns: Sequence[ReportColumn]
    rows: Sequence[Row]
    totals: Row | None = None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Pairs of a name and what it is, in as many pairs side by side as `across`."""

    pairs: Sequence[tuple[str, str]]
    across: int = 2
    large: bool = False


@dataclass(frozen=True, kw_only=True)
class Heading:
    """`new_page`: begins one, unless nothing stands on the present one."""

    text: str
    new_page: bool = False


@dataclass(frozen=True, kw_only=True)
class Words:
    text: str
    small: bool = False


@dataclass(frozen=True, kw_only=True)
class Banner:
    """What nobody may overlook."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Signatures:
    """(what they do, their function), from left to right; kept together on one page."""

    places: Sequence[tuple[str, str]]


Block = Grid | Facts | Heading | Words | Banner | Signatures


@dataclass(frozen=True, kw_only=True)
class Document:
    """`columns` and `rows` are what spreadsheets get; `origin` says who had it made, when, by function. `mark` stands
    on every page.
    """

    title: str
    subtitle: str
    origin: str
    blocks: Sequence[Block]
    landscape: bool = False
    sheet_name: str = ""
    columns: Sequence[ReportColumn] = ()
    rows: Sequence[Row] = ()
    mark: str = ""

    @property
    def length(self) -> int:
        """Rows on paper, or in a spreadsheet."""
        return sum(len(block.rows) for block in self.blocks if isinstance(block, Grid)) or len(self.rows)


@dataclass(frozen=True, kw_only=True)
class CertificatePage:
    """The one page of a certificate. `lines` stand under the name; `address` is where the code is checked."""

    heading: Sequence[str]
    title: str
    lead: str
    name: str
    lines: Sequence[str]
    facts: Sequence[tuple[str, str]]
    given: str
    code: str
    address: str
    places: Sequence[tuple[str, str]]
    origin: str
    length: int = 1


@dataclass(frozen=True, kw_only=True)
class Made:
    """A file that was written; `pages` only of paper."""

    content: bytes
    pages: int | None
