"""A document as a file of the format that was asked for."""

from collections.abc import Iterator

from apps.reports import rules
from apps.reports.services.documents import CertificatePage, Document, Made, Progress, Row
from apps.reports.services.paper import paper_made
from core.spreadsheets.writing import csv_stream, xlsx_stream
from core.tables import Column

_TOLD_ROWS = 500


def document_made(document: Document | CertificatePage, *, file_format: str, progress: Progress) -> Made:
    """The document's file. `progress` hears how many rows are written, and may raise to stop."""
    progress(rules.WRITING, 0, document.length)
    if file_format == rules.PDF or isinstance(document, CertificatePage):
        return paper_made(document, progress)
    columns = [Column(field=column.title, title=column.title) for column in document.columns]
    rows = _told(document, progress)
    stream = (
        csv_stream(columns=columns, rows=rows)
        if file_format == rules.CSV
        else xlsx_stream(columns=columns, rows=rows, sheet_name=document.sheet_name)
    )
    return Made(content=b"".join(stream), pages=None)


def _told(document: Document, progress: Progress) -> Iterator[Row]:
    total = len(document.rows)
    for number, row in enumerate(document.rows, start=1):
        yield row
        if number % _TOLD_ROWS == 0 or number == total:
            progress(rules.WRITING, number, total)
