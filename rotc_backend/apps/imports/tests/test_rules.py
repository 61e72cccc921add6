import datetime as dt
import decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.imports import rules
from core.tables import CREATE, REFUSE, RowFate, RowProblem


@pytest.mark.parametrize(
    ("kind", "admin", "staff", "may"),
    [
        ("cadets", True, True, True),
        ("cadets", False, True, False),
        ("scores", False, True, True),
        ("attendance", False, True, True),
        ("attendance", False, False, False),
        ("anything", False, True, False),
    ],
)
def test_cadets_are_imported_by_administrators_only(kind, admin, staff, may):
    assert rules.may_import(kind=kind, is_admin=admin, is_staff_member=staff) is may


@pytest.mark.parametrize(("writes", "second"), [(True, "writing"), (False, "checking")])
def test_a_count_that_falls_is_the_second_time_an_importer_goes_through_its_rows(writes, second):
    phase, done, seen = rules.CHECKING, 0, []
    for rows in (250, 500, 600, 250, 500, 600):
        phase, done = rules.phase_after(phase=phase, done=done, rows=rows, writes=writes), rows
        seen.append(phase)
    assert seen == ["checking"] * 3 + [second] * 3


def test_problems_of_cells_refuse_their_row_and_replace_what_the_importer_says_of_these_cells():
    def problem(row: int, field: str, code: str) -> RowProblem:
        return RowProblem(sheet="S", row=row, column="A", field=field, code=code, detail="d")

    fates = [
        RowFate(sheet="S", row=2, fate=CREATE),
        RowFate(sheet="S", row=3, fate=REFUSE, problems=(problem(3, "name", "required"), problem(3, "date", "odd"))),
        RowFate(sheet="T", row=2, fate=CREATE),
    ]
    merged = rules.with_cell_problems(fates, [problem(3, "name", "formula")])
    assert [fate.fate for fate in merged] == [CREATE, REFUSE, CREATE]
    assert [one.code for one in merged[1].problems] == ["formula", "odd"]


@given(st.text(max_size=400))
def test_every_name_of_a_file_can_be_kept_and_shown(name):
    kept = rules.file_name_of(name)
    assert 1 <= len(kept) <= 120
    assert kept.isprintable()
    kept.encode()


def test_a_long_name_keeps_its_ending():
    assert rules.file_name_of("C:\\Users\\S1\\" + "a" * 200 + ".xlsx").endswith("a.xlsx")
    assert rules.file_name_of("") == rules.file_name_of("///") == "file"


@given(
    st.none()
    | st.text(max_size=50)
    | st.floats()
    | st.integers()
    | st.datetimes(timezones=st.none() | st.just(dt.UTC))
    | st.times()
    | st.binary()
)
def test_every_value_can_be_kept(value):
    kept = rules.value_kept(value)
    assert kept is None or isinstance(kept, bool | int | str)
    assert "\x00" not in str(kept)
    str(kept).encode()


def test_values_are_kept_as_people_write_them():
    assert rules.value_kept(decimal.Decimal("85.50")) == "85.50"
    assert rules.value_kept(dt.time(7, 5)) == "07:05:00"
    assert rules.value_kept(dt.date(2004, 3, 25)) == "2004-03-25"
    assert rules.value_kept(dt.datetime(2026, 3, 2, 6, tzinfo=dt.UTC)) == "2026-03-02T06:00:00.000Z"
