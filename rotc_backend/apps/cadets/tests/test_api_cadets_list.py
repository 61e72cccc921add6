from typing import Any

import pytest
from django.core.cache import cache as django_cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet, Company, Platoon, Term
from apps.cadets.tests import factories
from apps.cadets.tests.expectations import fields_of, refused
from apps.cadets.tests.factories import StaffPerson, enrolled

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/cadets"


def numbers(person: Person, **query: Any) -> list[str]:
    answer = person.client.get(PATH, query)
    assert answer.status_code == 200, answer.content
    return [row["student_id"] for row in answer.json()["results"]]


@pytest.fixture
def unit(term: Term, alpha: Company, bravo: Company, first_platoon: Platoon) -> None:
    """a and b in Alpha (b dropped), c in Bravo without platoon, d of the former term only, e archived, f nowhere."""
    enrolled("a", last_name="Abad", first_name="Zenaida", year_level=2, level="MS2")
    enrolled("b", last_name="Abad", first_name="Carlo", status="dropped", platoon=factories.platoon("Band"))
    enrolled("c", last_name="Cruz", first_name="Ana", company=bravo, platoon=None, year_level=1)
    enrolled("d", last_name="Dela Cruz", first_name="Bea", term=factories.former_term(), company=bravo)
    enrolled("e", last_name="Ebal", first_name="Dan")
    Cadet.objects.filter(student_id="e").update(archived_at="2026-01-01T00:00:00Z")
    factories.cadet("f", last_name="Flores", first_name="Eva")


def test_a_row_holds_the_cadet_and_the_place_in_the_current_term(admin: Person, term: Term, alpha: Company) -> None:
    enrollment = enrolled("2024-1", last_name="Peña", first_name="Liza", suffix="Jr.", course="BS Forestry")
    (row,) = admin.client.get(PATH).json()["results"]
    assert row == {
        "id": enrollment.cadet_id,
        "student_id": "2024-1",
        "last_name": "Peña",
        "first_name": "Liza",
        "middle_name": "",
        "suffix": "Jr.",
        "full_name": "Peña, Liza Jr.",
        "course": "BS Forestry",
        "year_level": None,
        "photo_url": None,
        "user_id": None,
        "archived_at": None,
        "version": 1,
        "enrollment": {
            "id": enrollment.pk,
            "term_id": term.pk,
            "company": {"id": alpha.pk, "name": "Alpha"},
            "platoon": {"id": enrollment.platoon_id, "name": "1st Platoon"},
            "battalion": "",
            "position": "",
            "rank": "CDT",
            "level": "MS1",
            "status": "ongoing",
            "enrolled_on": str(term.starts_on),
            "version": 1,
        },
    }


def test_everybody_who_is_not_archived_is_listed_by_name(admin: Person, unit: None) -> None:
    assert numbers(admin) == ["b", "a", "c", "d", "f"]
    rows = {row["student_id"]: row["enrollment"] for row in admin.client.get(PATH).json()["results"]}
    assert (rows["d"], rows["f"]) == (None, None)  # not in the current term
    assert rows["a"]["company"]["name"] == "Alpha"


def test_filters_are_about_the_enrollment_in_the_term(
    admin: Person, unit: None, term: Term, alpha: Company, bravo: Company
) -> None:
    former, first_platoon = factories.former_term(), factories.platoon("1st Platoon")
    assert numbers(admin, archived="true") == ["e"]
    assert numbers(admin, term=term.pk) == ["b", "a", "c"]
    assert numbers(admin, term=former.pk) == ["d"]
    assert numbers(admin, term=9999) == []
    assert numbers(admin, company=alpha.pk) == ["b", "a"]
    assert numbers(admin, company=bravo.pk) == ["c"]  # d was there in the former term
    assert numbers(admin, company=bravo.pk, term=former.pk) == ["d"]
    assert numbers(admin, platoon=first_platoon.pk) == ["a"]
    assert numbers(admin, level="MS2") == ["a"]
    assert numbers(admin, status="dropped") == ["b"]
    assert numbers(admin, company=alpha.pk, status="ongoing", level="MS2", platoon=first_platoon.pk) == ["a"]
    assert numbers(admin, company=alpha.pk, status="completed") == []


def test_somebody_with_many_terms_is_one_row(admin: Person, unit: None) -> None:
    factories.enroll(Cadet.objects.get(student_id="a"), term=factories.former_term())
    assert numbers(admin) == ["b", "a", "c", "d", "f"]
    assert admin.client.get(PATH).json()["count"] == 5


def test_without_a_current_term_nobody_has_a_place(admin: Person, unit: None, alpha: Company) -> None:
    Term.objects.update(is_current=False)
    assert len(numbers(admin)) == 5
    assert {row["enrollment"] for row in admin.client.get(PATH).json()["results"]} == {None}
    assert numbers(admin, company=alpha.pk) == []


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ({"company": "Alpha"}, "company", "invalid"),
        ({"term": "0"}, "term", "min_value"),
        ({"term": "9" * 30}, "term", "max_value"),
        ({"level": "MS9"}, "level", "invalid_choice"),
        ({"status": "x"}, "status", "invalid_choice"),
        ({"archived": "perhaps"}, "archived", "invalid"),
        ({"sort": "birthdate"}, "sort", "invalid_choice"),
        ({"sort": "--name"}, "sort", "invalid_choice"),
        ({"search": "x" * 101}, "search", "max_length"),
        ({"search": "\x00"}, "search", "null_characters_not_allowed"),
        ({"serach": "x"}, "serach", "unknown_field"),
        ({"page": "0"}, "page", "out_of_range"),
        ({"page_size": "201"}, "page_size", "out_of_range"),
    ],
)
def test_a_parameter_that_cannot_be_read_is_named(admin: Person, query: dict[str, str], field: str, code: str) -> None:
    assert fields_of(admin.client.get(PATH, query)) == {field: code}


# --- Search -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("pena", ["2024-7"]),
        ("PEÑA", ["2024-7"]),
        ("Pen\u0303a", ["2024-7"]),
        ("EÑA", ["2024-7"]),
        ("maria jose", ["2024-7"]),
        ("jose pena", ["2024-7"]),
        ("pena, jose", ["2024-7"]),
        ("pena,jose", ["2024-7"]),
        ("2024", ["2024-7", "2024-8"]),
        ("2024 uy", ["2024-8"]),
        ("uy pena", []),
        ("%", []),
        ("_", []),
        ("\\", []),
        ("100%", []),
        ("'; DROP TABLE", []),
        ("", ["2024-7", "2024-8"]),
        ("   ", ["2024-7", "2024-8"]),
    ],
)
def test_a_search_finds_whoever_has_all_of_its_words(admin: Person, typed: str, found: list[str]) -> None:
    factories.cadet("2024-7", last_name="PEÑA", first_name="María José", middle_name="Cruz")
    factories.cadet("2024-8", last_name="Uy", first_name="Ana")
    assert numbers(admin, search=typed) == found


def test_wildcards_find_what_really_holds_them(admin: Person) -> None:
    factories.cadet("a_1", last_name="Uy", first_name="Ana")
    factories.cadet("ab1", last_name="Uy", first_name="Bea")
    assert numbers(admin, search="a_1") == ["a_1"]


# --- Order and pages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("name", ["b", "a", "c", "d", "f"]),
        ("-name", ["f", "d", "c", "a", "b"]),
        ("student_id", ["a", "b", "c", "d", "f"]),
        ("-student_id", ["f", "d", "c", "b", "a"]),
        ("company", ["b", "a", "c", "d", "f"]),
        ("-company", ["c", "a", "b", "f", "d"]),
        ("year_level", ["c", "a", "b", "d", "f"]),
        ("-year_level", ["a", "c", "f", "d", "b"]),
        ("updated", ["a", "b", "c", "d", "f"]),
        ("-updated", ["f", "d", "c", "b", "a"]),
    ],
)
def test_rows_come_in_the_order_that_was_asked(admin: Person, unit: None, sort: str, expected: list[str]) -> None:
    Company.objects.filter(name="Alpha").update(position=10)
    Company.objects.filter(name="Bravo").update(position=20)
    assert numbers(admin, sort=sort) == expected


def test_equal_names_never_move_between_pages(admin: Person) -> None:
    for number in range(25):
        factories.cadet(f"n{number}", last_name="Same", first_name="Same")
    for sort in ("name", "-company", "year_level"):
        seen = [one for page in (1, 2, 3) for one in numbers(admin, sort=sort, page=page, page_size=10)]
        assert len(set(seen)) == 25


def test_a_page_after_the_last_is_empty(admin: Person, unit: None) -> None:
    body = admin.client.get(PATH, {"page": 9, "page_size": 2}).json()
    assert (body["count"], body["page"], body["page_size"], body["results"]) == (5, 9, 2, [])


# --- Cost and cache ---------------------------------------------------------------------------------------------------


def test_a_long_list_takes_as_many_queries_as_a_short_one(admin: Person, term: Term) -> None:
    def queries(**query: Any) -> int:
        client = admin.client
        client.get("/api/v1/terms")  # the token is looked up in this process's copy from now on
        django_cache.clear()
        with CaptureQueriesContext(connection) as captured:
            assert client.get(PATH, {"page_size": 200, **query}).status_code == 200
        return len(captured)

    enrolled("first")
    few = queries(sort="company")
    for number in range(200):
        enrolled(f"n{number}", company=factories.company(f"Company {number % 7}"))
    assert queries(sort="company") == few
    assert few <= 4
    assert queries(search="liza") <= 4
    assert queries(term=term.pk) <= 3


def test_the_second_reading_comes_from_the_cache_and_every_write_is_seen_at_once(admin: Person, unit: None) -> None:
    from apps.cadets.models import Enrollment

    client = admin.client
    cadet = Cadet.objects.get(student_id="a")
    enrollment = Enrollment.objects.get(cadet=cadet)

    def row() -> Any:
        return next(one for one in client.get(PATH).json()["results"] if one["id"] == cadet.pk)

    assert client.get(PATH)["Cache-Status"] == "rgms; fwd=uri-miss; stored"
    assert client.get(PATH)["Cache-Status"] == "rgms; hit"
    assert client.get(PATH, {"sort": "-name"})["Cache-Status"] == "rgms; fwd=uri-miss; stored"
    client.patch(f"{PATH}/{cadet.pk}", {"course": "BS Fisheries"}, headers={"if-match": '"v1"'})
    assert client.get(PATH)["Cache-Status"] == "rgms; fwd=stale; stored"
    assert row()["course"] == "BS Fisheries"
    client.patch(f"/api/v1/enrollments/{enrollment.pk}", {"rank": "CDT SGT"}, headers={"if-match": '"v1"'})
    assert row()["enrollment"]["rank"] == "CDT SGT"
    company = enrollment.company
    assert company is not None
    client.patch(f"/api/v1/companies/{company.pk}", {"name": "Alfa"}, headers={"if-match": '"v1"'})
    assert row()["enrollment"]["company"]["name"] == "Alfa"
    client.post(f"/api/v1/terms/{factories.former_term().pk}/make-current")
    assert row()["enrollment"] is None
    client.post(f"{PATH}/{cadet.pk}/archive")
    assert cadet.pk not in [one["id"] for one in client.get(PATH).json()["results"]]


def test_a_write_of_an_account_that_failed_leaves_the_cache_as_it_was(admin: Person, unit: None) -> None:
    client = admin.client
    client.get(PATH)
    assert client.post(PATH, {"student_id": "A", "last_name": "x", "first_name": "y"}).status_code == 409
    assert client.get(PATH)["Cache-Status"] == "rgms; hit"


def test_a_search_is_not_kept(admin: Person, unit: None) -> None:
    for _ in range(2):
        assert not admin.client.get(PATH, {"search": "abad"}).has_header("Cache-Status")


def test_without_redis_the_database_answers(admin: Person, unit: None, settings: Any) -> None:
    from core import cache

    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    answer = admin.client.get(PATH)
    assert answer.json()["count"] == 5
    assert answer["Cache-Status"] == "rgms; fwd=bypass; detail=redis-away"
    cache.forget_failures()


def test_staff_read_the_list_and_nobody_without_a_token(instructor: StaffPerson, unit: None, client: Any) -> None:
    assert numbers(instructor) == ["b", "a", "c", "d", "f"]
    assert refused(client.get(PATH)) == (401, "token_missing")
