import contextlib
import datetime as dt
import time
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tables import (
    CellRefused,
    Value,
    choice_of,
    choices_by_fold,
    date_of,
    decimal_of,
    folded,
    text_of,
    time_of,
    whole_number_of,
)

ANY_VALUE = st.one_of(
    st.text(),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.decimals(allow_nan=False),
    st.dates(),
    st.datetimes(),
    st.times(),
)
DAY = dt.date(2004, 3, 25)


@pytest.mark.parametrize(
    "written",
    [
        "2004-03-25",
        "2004-3-25",
        "3/25/2004",
        "03-25-2004",
        "25 March 2004",
        "25-Mar-2004",
        "March 25, 2004",
        "Mar. 25, 2004",
        "25th march 2004",
        "2004-03-25 00:00:00",
        "2004-03-25T00:00:00",
        38071,
        38071.0,
        "38071",
        DAY,
        dt.datetime(2004, 3, 25),  # noqa: DTZ001 - spreadsheets know no zone
    ],
)
def test_a_date_is_read_in_every_way_in_which_offices_write_it(written: object) -> None:
    assert date_of(written) == DAY  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("25/3/2004", "ambiguous_date"),
        ("30 February 2004", "invalid_date"),
        ("2004", "invalid_date"),
        (2004, "invalid_date"),
        (99_999, "invalid_date"),
        (True, "invalid_date"),
        ("soon", "invalid_date"),
        ("3/25/04", "invalid_date"),
        ("0204-03-25", "invalid_date"),
        (dt.datetime(2004, 3, 25, 7, 5), "invalid_date"),  # noqa: DTZ001 - spreadsheets know no zone
        (dt.time(7, 5), "invalid_date"),
    ],
)
def test_what_is_no_date_is_refused_with_words(written: object, code: str) -> None:
    with pytest.raises(CellRefused) as refusal:
        date_of(written)  # type: ignore[arg-type]
    assert refusal.value.code == code
    assert "2004-03-25" in refusal.value.detail


@pytest.mark.parametrize("number", [59_999.5, 1e9, Decimal("59999.5"), float("nan"), Decimal("nan"), float("inf")])
def test_a_number_that_is_no_day_is_refused_at_once(number: float | Decimal) -> None:
    began = time.process_time()
    for _ in range(2_000):
        with pytest.raises(CellRefused):
            date_of(number)
    assert time.process_time() - began < 1, "a sheet has 50,000 rows"


@pytest.mark.parametrize(
    "written", ["7:05", "07:05", "07:05:00", "7:05 AM", "7:05 a.m.", "0705H", "0705", 705, 0.2951388, dt.time(7, 5)]
)
def test_a_time_is_read_in_every_way_in_which_offices_write_it(written: object) -> None:
    assert time_of(written) == dt.time(7, 5)  # type: ignore[arg-type]


@pytest.mark.parametrize("written", ["25:00", "7:61", "13:05 PM", "0 AM", "2460", 2460, 7, 1.5, "early", "7", True])
def test_what_is_no_time_is_refused(written: object) -> None:
    with pytest.raises(CellRefused):
        time_of(written)  # type: ignore[arg-type]


def test_a_time_may_name_its_day() -> None:
    assert time_of("2026-11-24 17:05") == dt.datetime(2026, 11, 24, 17, 5)  # noqa: DTZ001 - of the unit's own zone
    assert time_of("12:30 AM") == dt.time(0, 30)
    assert time_of("12:30 pm") == dt.time(12, 30)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("85", "85.00"),
        ("85.5", "85.50"),
        (85.1, "85.10"),
        (87.30000000000001, "87.30"),
        (100, "100.00"),
        ("0.10", "0.10"),
    ],
)
def test_a_score_is_the_number_that_the_sheet_shows(written: object, number: str) -> None:
    assert decimal_of(written) == Decimal(number)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("85.125", "too_many_decimals"),
        (85.125, "too_many_decimals"),
        ("85,5", "invalid_number"),
        ("85%", "invalid_number"),
        (True, "invalid_number"),
        (float("nan"), "invalid_number"),
        (float("inf"), "invalid_number"),
        (1e300, "invalid_number"),
        ("٨٥", "invalid_number"),
        (dt.date(2004, 3, 25), "invalid_number"),
    ],
)
def test_nothing_is_rounded_and_nothing_guessed(written: object, code: str) -> None:
    with pytest.raises(CellRefused) as refusal:
        decimal_of(written)  # type: ignore[arg-type]
    assert refusal.value.code == code


def test_a_student_number_that_became_a_number_is_text_again() -> None:
    assert text_of(20210001.0) == "20210001"
    assert text_of(20210001) == "20210001"
    assert text_of("  Dela   Cruz ") == "Dela Cruz"
    assert text_of(0.1 + 0.2) == "0.3"
    with pytest.raises(CellRefused):
        text_of("a\x00b")
    for cut in (202_100_012_345_678_900, 2.021000123456789e17):
        with pytest.raises(CellRefused, match="15 digits"):
            text_of(cut)


def test_words_of_a_list_are_known_without_regard_to_spelling() -> None:
    statuses = choices_by_fold("present", "absent", p="present")
    assert choice_of(" PRESENT ", statuses) == choice_of("P.", statuses) == "present"
    with pytest.raises(CellRefused, match="present, absent"):
        choice_of("perhaps", statuses)
    assert folded("Student  No. (ñ)") == "studentnon"
    assert whole_number_of("3") == whole_number_of(3.0) == 3


@given(value=ANY_VALUE)
def test_whatever_stands_in_a_cell_is_read_or_refused(value: Value) -> None:
    readers: tuple[Callable[[Value], object], ...] = (text_of, date_of, time_of, decimal_of, whole_number_of)
    for read in readers:
        with contextlib.suppress(CellRefused):
            read(value)
