"""Rows as files give them, and what a write leaves behind; for the tests of imports."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from django.core.cache import cache as django_cache
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck
from hypothesis import strategies as st

from apps.accounts.models import AuditEntry
from apps.cadets.models import Cadet, Enrollment
from apps.cadets.tests import factories
from apps.events.models import Event
from core.spreadsheets.reading import spreadsheet_read
from core.spreadsheets.writing import csv_stream, xlsx_stream
from core.tables import FATES, REFUSE, Column, ImportCancelled, Row, RowFate

Bring = Callable[..., list[RowFate]]


def rows(columns: Sequence[Column], *lines: dict[str, Any], sheet: str = "") -> list[Row]:
    """Rows below a header in row 1, with every column in its place."""
    letters = {column.field: chr(ord("A") + place) for place, column in enumerate(columns)}
    return [Row(sheet=sheet, row=number, values=line, letters=letters) for number, line in enumerate(lines, start=2)]


def bringing(importer: Callable[..., list[RowFate]], columns: Sequence[Column], **always: Any) -> Bring:
    """What imports lines, or rows that were read from a file, in a transaction; with `always` and what it is told."""

    def run(*lines: dict[str, Any] | Row, sheet: str = "", **options: Any) -> list[RowFate]:
        given: list[Any] = list(lines)
        read_ones = given if given and isinstance(given[0], Row) else rows(columns, *given, sheet=sheet)
        told = {"on_duplicate": "update", "dry_run": False, "progress": heard, **always, **options}
        with transaction.atomic():
            return importer(rows=read_ones, **told)

    return run


def read(answer: Any, columns: Sequence[Column]) -> list[Row]:
    """The rows of a download, as an import reads them; nothing of it may be unreadable."""
    table = spreadsheet_read(answer.getvalue(), columns=columns)
    assert (table.problems, table.notes) == ([], [])
    return list(table.rows)


def enrolled(number: int) -> list[Enrollment]:
    """So many cadets, enrolled in the current term."""
    names = [f"2026-{place:05}X" for place in range(number)]
    people = Cadet.objects.bulk_create(Cadet(student_id=name, last_name="Cruz", first_name=name) for name in names)
    term = factories.term()
    return Enrollment.objects.bulk_create(
        Enrollment(cadet=who, term=term, enrolled_on=term.starts_on) for who in people
    )


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


def moved(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """The versions that are not as they were, of two footprints."""
    versions = before["versions"]
    return {key.removeprefix("version:") for key in versions if versions[key] != after["versions"][key]}


def stops_without_a_trace(bring: Bring, lines: Sequence[Any], *, calls: int, written: Callable[[], Any]) -> None:
    """An import that is stopped when it has told its progress for `calls` times takes everything back."""
    before, left = written(), iter(range(calls))

    def stop(_: int) -> None:
        if next(left, None) is None:
            raise ImportCancelled

    with pytest.raises(ImportCancelled):
        bring(*lines, progress=stop)
    assert written() == before


# --- Whatever stands in the cells -------------------------------------------------------------------------------------

HEALTH = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
ODD_VALUES: list[st.SearchStrategy[Any]] = [
    st.integers(),
    st.floats(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.dates(),
    st.times(),
    st.datetimes(),
    st.timedeltas(),  # what a workbook gives for a duration
]


def refused_or_taken(bring: Bring, lines: Sequence[Row], *, fields: Sequence[str], written: Callable[[], Any]) -> None:
    """A dry run tells what the import does; a refused row has problems in words, and then nothing is written."""
    before = written()
    tried = bring(*lines, dry_run=True)
    assert written() == before
    done = bring(*lines)
    assert done == tried
    assert [fate.row for fate in done] == [row.row for row in lines]
    assert set(fates(done)) <= set(FATES)
    assert all(bool(fate.problems) == (fate.fate == REFUSE) for fate in done)
    assert all(one.detail and one.code and one.field in fields for fate in done for one in fate.problems)
    if REFUSE in fates(done):
        assert written() == before
    else:
        assert set(fates(bring(*lines))) <= {"unchanged", "skip"}


def come_back_unchanged(
    bring: Bring,
    stored: Iterable[Any],
    columns: Sequence[Column],
    file_format: str,
    *,
    read_as: Sequence[Column] | None = None,
) -> None:
    """Rows of an export, written to a file and read from it, say what is stored."""
    sheet: Any = {"columns": columns, "rows": stored}
    stream = csv_stream(**sheet) if file_format == "csv" else xlsx_stream(**sheet, sheet_name="Sheet")
    table = spreadsheet_read(b"".join(stream), columns=read_as or columns)
    assert table.problems == []
    done = bring(*table.rows)
    assert set(fates(done)) == {"unchanged"}, (problems(done), done)
