"""Empty files with the titles of an import."""

from collections.abc import Iterator, Sequence

from apps.imports.rules import NOTES_TITLE, notes_of
from apps.imports.services.kinds import KINDS
from core.spreadsheets.writing import Written
from core.tables import Column


def template_columns(kind: str) -> list[Column]:
    return [*_asked_for(kind), Column(field="notes", title=NOTES_TITLE, imported=False)]


def template_rows(kind: str) -> Iterator[Sequence[Written]]:
    """Rows in which only the notes' column is filled: they are none to an import."""
    columns = _asked_for(kind)
    for note in notes_of(kind, columns):
        yield [*[None] * len(columns), note]


def _asked_for(kind: str) -> list[Column]:
    return [column for column in KINDS[kind].columns if column.imported]
