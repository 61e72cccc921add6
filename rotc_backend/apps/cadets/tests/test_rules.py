import datetime as dt

import pytest

from apps.cadets import rules


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("Peña", ["pena"]),
        ("PEN\u0303A", ["pena"]),  # the mark as a character of its own
        ("  Macaraeg,Liza  ", ["macaraeg", "liza"]),
        ("Liza liza LIZA", ["liza"]),
        ("2024-01183", ["2024-01183"]),
        ("50%_\\", ["50%_\\"]),
        (" , ", []),
        ("", []),
    ],
)
def test_a_search_is_split_into_plain_words(typed: str, words: list[str]) -> None:
    assert rules.search_words(typed) == words


def test_every_marked_letter_has_a_plain_one() -> None:
    assert len(rules.MARKED) == len(rules.PLAIN)
    assert "'" not in rules.MARKED + rules.PLAIN  # they stand in SQL


@pytest.mark.parametrize(
    ("school_year", "is_one"),
    [
        ("2025-2026", True),
        ("1999-2000", True),
        ("2025-2027", False),
        ("2025-2025", False),
        ("2026-2025", False),
        ("2025 2026", False),
        ("2025-2026\n", False),
        ("٢٠٢٥-٢٠٢٦", False),
        ("", False),
    ],
)
def test_a_school_year_is_two_consecutive_years(school_year: str, is_one: bool) -> None:
    assert rules.school_year_is_one(school_year) is is_one


@pytest.mark.parametrize(("today", "expected"), [(1, 10), (10, 10), (15, 15), (20, 20), (25, 20)])
def test_who_is_enrolled_today_counts_from_the_nearest_day_of_the_term(today: int, expected: int) -> None:
    day = rules.enrollment_date(
        today=dt.date(2026, 8, today), starts_on=dt.date(2026, 8, 10), ends_on=dt.date(2026, 8, 20)
    )
    assert day == dt.date(2026, 8, expected)


@pytest.mark.parametrize(
    ("record", "role", "archived", "refusal"),
    [
        ("cadet", "cadet", False, None),
        ("cadet", "training_staff", False, "role_does_not_fit"),
        ("cadet", "admin", False, "role_does_not_fit"),
        ("staff", "training_staff", False, None),
        ("staff", "admin", False, None),
        ("staff", "cadet", False, "role_does_not_fit"),
        ("staff", "admin", True, "account_archived"),
        ("cadet", "cadet", True, "account_archived"),
    ],
)
def test_an_account_stands_only_behind_a_record_of_its_kind(
    record: str, role: str, archived: bool, refusal: str | None
) -> None:
    assert rules.account_refusal(record=record, role=role, archived=archived) == refusal


def test_instructors_decide_nothing() -> None:
    assert rules.INSTRUCTOR not in rules.DECIDING_FUNCTIONS
    assert rules.ADMIN not in rules.DECIDING_FUNCTIONS
    assert len(rules.DECIDING_FUNCTIONS) == 5
