"""Rows as files give them, and what a write leaves behind; for the tests of imports."""

from collections.abc import Callable, Sequence
from typing import Any

from django.core.cache import cache as django_cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import AuditEntry
from apps.events.models import Event
from core.spreadsheets.reading import spreadsheet_read
from core.tables import Column, Row, RowFate


def rows(columns: Sequence[Column], *lines: dict[str, Any], sheet: str = "") -> list[Row]:
    """Rows below a header in row 1, with every column in its place."""
    letters = {column.field: chr(ord("A") + place) for place, column in enumerate(columns)}
    return [Row(sheet=sheet, row=number, values=line, letters=letters) for number, line in enumerate(lines, start=2)]


def read(answer: Any, columns: Sequence[Column]) -> list[Row]:
    """The rows of a download, as an import reads them; nothing of it may be unreadable."""
    table = spreadsheet_read(answer.getvalue(), columns=columns)
    assert (table.problems, table.notes) == ([], [])
    return list(table.rows)


def fates(done: Sequence[RowFate]) -> list[str]:
    return [fate.fate for fate in done]


def problems(done: Sequence[RowFate]) -> list[tuple[int, str, str, str]]:
    """(row, column, field, code) of everything that has to be corrected."""
    return [(one.row, one.column, one.field, one.code) for fate in done for one in fate.problems]


def heard(_: int) -> None:
    """Progress that nobody listens to."""


def queries(work: Callable[[], Any]) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        work()
    return len(captured)


def footprint(model: Any, *versions: str) -> dict[str, Any]:
    """What is stored, audited, told, and under which versions it is cached: equal if nothing was written between."""
    keys = [f"version:{version}" for version in versions]
    for key in keys:
        django_cache.add(key, "as it was")
    return {
        "rows": list(model.objects.order_by("pk").values()),
        "audit": list(AuditEntry.objects.order_by("pk").values_list("pk", "action")),
        "events": list(Event.objects.order_by("pk").values_list("pk", "type")),
        "versions": django_cache.get_many(keys),
    }
