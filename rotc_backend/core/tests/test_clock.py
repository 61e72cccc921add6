import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import clock


def test_a_day_in_manila_begins_at_sixteen_hours_utc_of_the_day_before() -> None:
    start, end = clock.manila_day(dt.date(2026, 3, 1))
    assert start == dt.datetime(2026, 2, 28, 16, tzinfo=dt.UTC)
    assert end == dt.datetime(2026, 3, 1, 16, tzinfo=dt.UTC)
    assert start.utcoffset() == dt.timedelta(0)


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        (dt.datetime(2026, 2, 28, 15, 59, 59, 999_999, tzinfo=dt.UTC), dt.date(2026, 2, 28)),
        (dt.datetime(2026, 2, 28, 16, tzinfo=dt.UTC), dt.date(2026, 3, 1)),
        (dt.datetime(2025, 12, 31, 16, tzinfo=dt.UTC), dt.date(2026, 1, 1)),
    ],
)
def test_the_date_changes_at_midnight_in_manila_and_not_in_utc(instant: dt.datetime, day: dt.date) -> None:
    assert clock.manila_date(instant) == day


@given(day=st.dates(min_value=dt.date(1995, 1, 1), max_value=dt.date(2100, 1, 1)))
def test_every_instant_of_a_day_lies_in_it_and_its_end_is_the_next_days_start(day: dt.date) -> None:
    start, end = clock.manila_day(day)
    assert clock.manila_date(start) == clock.manila_date(end - dt.timedelta(microseconds=1)) == day
    assert clock.manila_day(day + dt.timedelta(days=1))[0] == end
    assert clock.manila_date(start - dt.timedelta(microseconds=1)) == day - dt.timedelta(days=1)


def test_a_timestamp_is_written_in_utc_with_z_and_milliseconds() -> None:
    in_manila = dt.datetime(2026, 1, 1, 0, 0, 0, 5_999, tzinfo=clock.MANILA)
    assert clock.iso(in_manila) == "2025-12-31T16:00:00.005Z"


def test_now_is_aware_and_in_utc() -> None:
    assert clock.now().utcoffset() == dt.timedelta(0)
    assert abs(clock.now() - dt.datetime.now(tz=dt.UTC)) < dt.timedelta(seconds=5)
