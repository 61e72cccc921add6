"""Whatever stands in the cells of a file: a row is refused with words, or is taken; nothing else ever happens."""

import datetime as dt
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet
from apps.cadets.tests import factories as cadets
from apps.cadets.tests import tables
from apps.cadets.tests.tables import Bring
from apps.training import rules
from apps.training.models import AttendanceRecord, TrainingDay
from apps.training.selectors.exports import attendance_sheet
from apps.training.services.imports import attendance_import
from apps.training.tests import factories

pytestmark = pytest.mark.django_db

FIELDS = ("student_id", "status", "time_in", "time_out", "remarks")
DAY = dt.timedelta(days=1)
FIRST, LAST = dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999)  # noqa: DTZ001 - as cells have them
numbers = st.sampled_from(["M-1", "m-2", "M-3", " M-4 ", "M-5", "2026-00000"])
values = st.one_of(
    st.text(max_size=300),
    *tables.ODD_VALUES,
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


@pytest.fixture
def bring(admin: Person, day: TrainingDay) -> Bring:
    return tables.bringing(attendance_import, rules.ATTENDANCE_COLUMNS, actor=admin.principal, training_day_id=day.pk)


@settings(max_examples=150, deadline=None, suppress_health_check=tables.HEALTH)
@example(lines=[{"student_id": "M-1", "status": "p", "time_in": LAST}], on_duplicate="update")
@example(lines=[{"student_id": "M-1", "status": "p", "time_in": FIRST}], on_duplicate="update")
@example(lines=[{"student_id": "M-2", "remarks": "\ufffe"}], on_duplicate="update")
@given(lines=st.lists(cells, max_size=6), on_duplicate=st.sampled_from(["update", "skip"]))
def test_a_mangled_row_is_refused_or_taken(bring: Bring, lines: list[dict[str, Any]], on_duplicate: str) -> None:
    with transaction.atomic():
        tables.refused_or_taken(
            partial(bring, on_duplicate=on_duplicate),
            tables.rows(rules.ATTENDANCE_COLUMNS, *lines),
            fields=FIELDS,
            written=lambda: tables.footprint(AttendanceRecord),
        )
        list(AttendanceRecord.objects.all())  # what was written can be read
        transaction.set_rollback(True)


@settings(max_examples=60, deadline=None, suppress_health_check=tables.HEALTH)
@given(
    remarks=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=255),
    after=st.none() | st.timedeltas(-DAY, 2 * DAY - dt.timedelta.resolution),
    file_format=st.sampled_from(["csv", "xlsx"]),
)
def test_whatever_is_stored_comes_back_unchanged(
    bring: Bring, day: TrainingDay, remarks: str, after: dt.timedelta | None, file_format: str
) -> None:
    came = None if after is None else factories.morning(day, 0, 0) + after
    with transaction.atomic():
        who = Cadet.objects.get(student_id="M-2")
        factories.record(day, who, "late", remarks=remarks, time_in=came)
        stored = attendance_sheet(training_day=day)
        tables.come_back_unchanged(bring, stored, rules.ATTENDANCE_COLUMNS, file_format)
        transaction.set_rollback(True)
