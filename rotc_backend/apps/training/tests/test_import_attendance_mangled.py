"""Whatever stands in the cells of a file: a row is refused with words, or is taken; nothing else ever happens."""

import datetime as dt
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet
from apps.cadets.tests import factories as cadets
from apps.cadets.tests import tables
from apps.training import rules
from apps.training.models import AttendanceRecord, TrainingDay
from apps.training.selectors.exports import attendance_sheet
from apps.training.services.imports import attendance_import
from apps.training.tests import factories
from core.spreadsheets.reading import spreadsheet_read
from core.spreadsheets.writing import csv_stream, xlsx_stream
from core.tables import FATES, REFUSE, Row, RowFate

pytestmark = pytest.mark.django_db

FIELDS = ("student_id", "status", "time_in", "time_out", "remarks")
DAY = dt.timedelta(days=1)
FIRST, LAST = dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999)  # noqa: DTZ001 - as cells have them
HEALTH = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
numbers = st.sampled_from(["M-1", "m-2", "M-3", " M-4 ", "M-5", "2026-00000"])
values = st.one_of(
    st.text(max_size=300),
    st.integers(),
    st.floats(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.dates(),
    st.times(),
    st.datetimes(),
    st.timedeltas(),  # what a workbook gives for a duration
    st.sampled_from(["p", "LATE", "07:05", "7:05 PM", "0705H", "24:00", "2026-13-01 07:00", "=1+1", "\x00", "\ud800"]),
)
cells = st.fixed_dictionaries({}, optional={"student_id": numbers | values, **dict.fromkeys(FIELDS[1:], values)})


@pytest.fixture
def day(db: None) -> TrainingDay:
    held = factories.day()
    people = [cadets.enrolled(f"M-{number}").cadet for number in (1, 2, 3)]
    factories.record(held, people[0], "late", time_in=factories.morning(held), remarks="Bus")
    factories.record(held, cadets.enrolled("M-4", archived_at=held.created_at).cadet, "absent")
    cadets.cadet("M-5")
    return held


def imported(person: Person, day: TrainingDay, rows: list[Row], **options: Any) -> list[RowFate]:
    told = {"on_duplicate": "update", "dry_run": False, **options}
    return attendance_import(actor=person.principal, rows=rows, training_day_id=day.pk, progress=tables.heard, **told)


@settings(max_examples=150, deadline=None, suppress_health_check=HEALTH)
@example(lines=[{"student_id": "M-1", "status": "p", "time_in": LAST}], on_duplicate="update")
@example(lines=[{"student_id": "M-1", "status": "p", "time_in": FIRST}], on_duplicate="update")
@example(lines=[{"student_id": "M-2", "remarks": "\ufffe"}], on_duplicate="update")
@given(lines=st.lists(cells, max_size=6), on_duplicate=st.sampled_from(["update", "skip"]))
def test_a_mangled_row_is_refused_or_taken(
    admin: Person, day: TrainingDay, lines: list[dict[str, Any]], on_duplicate: str
) -> None:
    rows = tables.rows(rules.ATTENDANCE_COLUMNS, *lines)
    with transaction.atomic():
        before = tables.footprint(AttendanceRecord)
        tried = imported(admin, day, rows, on_duplicate=on_duplicate, dry_run=True)
        assert tables.footprint(AttendanceRecord) == before
        done = imported(admin, day, rows, on_duplicate=on_duplicate)
        assert done == tried
        assert [fate.row for fate in done] == [row.row for row in rows]
        assert set(tables.fates(done)) <= set(FATES)
        assert all(bool(fate.problems) == (fate.fate == REFUSE) for fate in done)
        assert all(one.detail and one.code and one.field in FIELDS for fate in done for one in fate.problems)
        if REFUSE in tables.fates(done):
            assert tables.footprint(AttendanceRecord) == before
        else:
            again = imported(admin, day, rows, on_duplicate=on_duplicate)
            assert set(tables.fates(again)) <= {"unchanged", "skip"}
        list(AttendanceRecord.objects.all())  # what was written can be read
        transaction.set_rollback(True)


@settings(max_examples=60, deadline=None, suppress_health_check=HEALTH)
@given(
    remarks=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=255),
    after=st.none() | st.timedeltas(-DAY, 2 * DAY - dt.timedelta.resolution),
    file_format=st.sampled_from(["csv", "xlsx"]),
)
def test_whatever_is_stored_comes_back_unchanged(
    admin: Person, day: TrainingDay, remarks: str, after: dt.timedelta | None, file_format: str
) -> None:
    came = None if after is None else factories.morning(day, 0, 0) + after
    with transaction.atomic():
        who = Cadet.objects.get(student_id="M-2")
        factories.record(day, who, "late", remarks=remarks, time_in=came)
        sheet: Any = {"columns": rules.ATTENDANCE_COLUMNS, "rows": attendance_sheet(training_day=day)}
        stream = csv_stream(**sheet) if file_format == "csv" else xlsx_stream(**sheet, sheet_name="Attendance")
        table = spreadsheet_read(b"".join(stream), columns=rules.ATTENDANCE_COLUMNS)
        assert table.problems == []
        assert set(tables.fates(imported(admin, day, list(table.rows)))) == {"unchanged"}
        transaction.set_rollback(True)
