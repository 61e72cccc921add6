import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.cadets import rules
from core.tables import CellRefused, folded


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


# --- Tables -----------------------------------------------------------------------------------------------------------


def test_no_title_of_a_column_means_two_of_them() -> None:
    titles = [folded(title) for column in rules.CADET_COLUMNS for title in (column.title, *column.aliases)]
    assert sorted(set(titles)) == sorted(titles)
    assert "" not in titles


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Macaraeg, Liza", ("Macaraeg", "Liza", "", "")),
        ("Macaraeg,Liza Peña", ("Macaraeg", "Liza", "Peña", "")),
        ("Dela Cruz, Ana Maria Santos", ("Dela Cruz", "Ana Maria", "Santos", "")),
        ("Cruz, Ana B.", ("Cruz", "Ana", "B.", "")),
        ("Cruz, Ana dela Peña", ("Cruz", "Ana", "dela Peña", "")),
        ("Cruz, Ana De La Peña", ("Cruz", "Ana", "De La Peña", "")),
        ("Cruz, Ma. Ana Sta. Maria", ("Cruz", "Ma. Ana", "Sta. Maria", "")),
        ("Cruz, De la Peña", ("Cruz", "De", "la Peña", "")),
        ("Cruz, Juan P. Jr.", ("Cruz", "Juan", "P.", "Jr.")),
        ("Cruz, Juan Jr", ("Cruz", "Juan", "", "Jr")),
        ("CRUZ JR., JUAN P.", ("CRUZ", "JUAN", "P.", "JR.")),
        ("Cruz, Juan P., Jr.", ("Cruz", "Juan", "P.", "Jr.")),
        ("Cruz, III, Juan", ("Cruz", "Juan", "", "III")),
        ("Cruz, Juan V.", ("Cruz", "Juan", "V.", "")),
        ("Cruz, Juan,", ("Cruz", "Juan", "", "")),
        ("O'Hara-Ñuñez, Jo-Ann d'Or", ("O'Hara-Ñuñez", "Jo-Ann", "d'Or", "")),
    ],
)
def test_a_name_in_one_column_is_taken_apart(text: str, parts: tuple[str, ...]) -> None:
    found = rules.name_parts(text)
    assert tuple(found.get(f"{name}", "") for name in ("last_name", "first_name", "middle_name", "suffix")) == parts
    assert "" not in found.values()


@pytest.mark.parametrize(
    ("options", "first", "middle"),
    [
        ({"known": ("Liza", "Mae Peña")}, "LIZA", "MAE PENA"),
        ({"known": ("Liza Mae Peña", "")}, "LIZA MAE PENA", ""),
        ({"known": ("Liza Mae", "Reyes")}, "LIZA MAE", "PENA"),
        ({"middle": "Peña"}, "LIZA MAE", "PENA"),
        ({"middle": "Mae Peña"}, "LIZA", "MAE PENA"),
        ({"middle": "Reyes"}, "LIZA MAE PENA", ""),
        ({"middle": "Liza Mae Peña"}, "LIZA MAE PENA", ""),
    ],
)
def test_what_is_known_of_a_name_says_where_the_middle_name_begins(
    options: dict[str, Any], first: str, middle: str
) -> None:
    parts = rules.name_parts("MACARAEG, LIZA MAE PENA", **options)
    assert (parts["first_name"], parts.get("middle_name", "")) == (first, middle)


@pytest.mark.parametrize(
    "text",
    ["Liza Macaraeg", ",", "Macaraeg,", ", Liza", "a, b, c", "Cruz Jr., Juan III", "Cruz, Jr.", ""],
)
def test_a_name_that_could_be_read_in_two_ways_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(CellRefused) as refused:
        rules.name_parts(text)
    assert refused.value.code == "invalid_name"
    assert "Macaraeg, Liza" in refused.value.detail


@given(st.text(), st.text(), st.tuples(st.text(), st.text()))
def test_whatever_stands_in_a_name_is_taken_apart_or_refused(text: str, middle: str, known: tuple[str, str]) -> None:
    try:
        parts = rules.name_parts(text, middle=middle, known=known)
    except CellRefused:
        return
    assert parts["last_name"]
    assert parts["first_name"]
    words = " ".join(parts.values()).split()
    assert sorted(words) == sorted(text.replace(",", " ").split())  # none is lost


@pytest.mark.parametrize(("cell", "level"), [(1, 1), (5.0, 5), ("3", 3), ("2nd", 2), ("2ND YEAR", 2), ("Year 4", 4)])
def test_a_year_level_is_read_as_offices_write_it(cell: Any, level: int) -> None:
    assert rules.year_level_of(cell) == level


@pytest.mark.parametrize("cell", [0, 6, 2.5, "-3", "0", "6th", "2-3", "II", "first", True, float("nan"), "\u0663"])
def test_a_year_level_beyond_the_five_is_refused(cell: Any) -> None:
    with pytest.raises(CellRefused):
        rules.year_level_of(cell)


def test_a_birthdate_is_in_the_past_and_not_of_another_century() -> None:
    today = dt.date(2026, 8, 20)
    assert rules.birthdate_of("2006-03-14", today=today) == dt.date(2006, 3, 14)
    for cell in ("2026-08-20", "2027-01-01", "1899-12-31", "14/3/2006"):
        with pytest.raises(CellRefused):
            rules.birthdate_of(cell, today=today)
