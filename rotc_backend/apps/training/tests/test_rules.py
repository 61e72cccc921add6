import datetime as dt

import pytest

from apps.training import rules
from apps.training.rules import AttendanceCount

TODAY = dt.date(2026, 8, 22)
DAY = dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("date", "cancelled", "term_closed", "held"),
    [
        (TODAY, False, False, True),
        (TODAY - DAY, False, False, True),
        (TODAY + DAY, False, False, False),
        (TODAY + DAY, False, True, True),
        (TODAY, True, False, False),
        (TODAY, True, True, False),
    ],
)
def test_a_day_counts_from_its_date_on_unless_it_is_cancelled_and_all_do_once_the_term_is_closed(
    date: dt.date, cancelled: bool, term_closed: bool, held: bool
) -> None:
    assert rules.day_is_held(date=date, cancelled=cancelled, term_closed=term_closed, today=TODAY) is held


@pytest.mark.parametrize(
    ("date", "term_closed", "counts"),
    [(TODAY - DAY, False, False), (TODAY, False, True), (TODAY + DAY, False, True), (TODAY - DAY, True, True)],
)
def test_a_day_before_the_enrollment_counts_only_once_the_term_is_closed(
    date: dt.date, term_closed: bool, counts: bool
) -> None:
    assert rules.day_counts_for(date=date, enrolled_on=TODAY, term_closed=term_closed) is counts


@pytest.mark.parametrize(
    ("instant", "fits"),
    [
        ("2026-08-20T15:59:59+00:00", False),  # 20 August, 23:59:59 in Manila
        ("2026-08-20T16:00:00+00:00", True),
        ("2026-08-22T06:30:00+08:00", True),
        ("2026-08-23T15:59:59+00:00", True),
        ("2026-08-23T16:00:00+00:00", False),
        ("9999-12-31T23:59:59+00:00", False),
        ("0001-01-01T00:00:00+00:00", False),
    ],
)
def test_a_time_lies_on_the_day_in_manila_or_on_the_one_beside_it(instant: str, fits: bool) -> None:
    assert rules.time_fits_day(dt.datetime.fromisoformat(instant), date=TODAY) is fits


@pytest.mark.parametrize(
    ("state", "refusal"),
    [
        ("pending", None),
        ("approved", "letter_decided"),
        ("rejected", "letter_decided"),
        ("withdrawn", "letter_withdrawn"),
    ],
)
def test_only_a_pending_letter_can_be_decided_or_withdrawn(state: str, refusal: str | None) -> None:
    assert rules.decision_refusal(state=state) == refusal


def test_what_is_missing_to_the_days_held_is_unmarked() -> None:
    assert AttendanceCount(held=3, by_status={"present": 1, "late": 0, "excused": 1, "absent": 0}).unmarked == 1
    assert AttendanceCount(held=2).unmarked == 2
