from typing import Any

import pytest

from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet
from apps.cadets.tests import factories as unit
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.grading.tests import factories
from core.clock import now

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/leaderboard"
OWN = "/api/v1/leaderboard/me"


def test_cadets_stand_by_lifetime_merits_and_equals_share_a_place(instructor: StaffPerson, liza: CadetPerson) -> None:
    former = unit.enroll(liza.cadet, term=unit.former_term())
    factories.awards(former, merits=120, demerits=90)
    factories.awards(liza.enrollment, merits=40)
    for last_name, merits in (("Cruz", 60), ("Abad", 60), ("Bautista", 10), ("Dagohoy", 0)):
        factories.awards(unit.enrolled(last_name=last_name, first_name="Ana"), merits=merits)
    factories.awards(unit.enrolled(last_name="Evangelista"), demerits=50)
    body = instructor.client.get(PATH).json()
    assert body["count"] == 4
    assert [
        (row["place"], row["cadet"]["full_name"], row["lifetime_merits"], row["badges"]) for row in body["results"]
    ] == [
        (1, "Macaraeg, Liza", 160, [50, 100, 150]),
        (2, "Abad, Ana", 60, [50]),
        (2, "Cruz, Ana", 60, [50]),
        (3, "Bautista, Ana", 10, []),
    ]
    assert body["results"][0]["company"] == "Alpha"  # of the current term


def test_revoked_merits_and_archived_cadets_are_left_out(
    admin: Person, instructor: StaffPerson, liza: CadetPerson, omar: CadetPerson
) -> None:
    factories.award(liza.enrollment, 100)
    row = factories.award(liza.enrollment, 100)
    factories.award(omar.enrollment, 100)
    factories.award(omar.enrollment, 50)
    admin.client.post(f"/api/v1/merits/{row.pk}/revoke", {"reason": "x"})
    names = [one["cadet"]["id"] for one in instructor.client.get(PATH).json()["results"]]
    assert names == [omar.cadet.pk, liza.cadet.pk]
    Cadet.objects.filter(pk=omar.cadet.pk).update(archived_at=now())
    factories.cache_emptied()
    body = instructor.client.get(PATH).json()
    assert (body["count"], [one["place"] for one in body["results"]]) == (1, [1])
    assert liza.client.get(OWN).json()["place"] == 1


def test_one_sees_the_own_place(liza: CadetPerson, omar: CadetPerson) -> None:
    for merits in (90, 90, 70):
        factories.awards(unit.enrolled(), merits=merits)
    factories.awards(liza.enrollment, merits=62)
    assert liza.client.get(OWN).json() == {
        "place": 3,
        "of": 4,
        "lifetime_merits": 62,
        "badges": [50],
        "next_badge": 100,
    }
    assert omar.client.get(OWN).json() == {
        "place": None,
        "of": 4,
        "lifetime_merits": 0,
        "badges": [],
        "next_badge": 50,
    }


def test_pages_do_not_share_a_line(instructor: StaffPerson) -> None:
    for _ in range(7):
        factories.award(unit.enrolled(last_name="Cruz", first_name="Ana"), 10)
    client = instructor.client
    pages = [client.get(PATH, {"page": page, "page_size": 3}).json()["results"] for page in (1, 2, 3, 4)]
    ids = [row["cadet"]["id"] for page in pages for row in page]
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert len(set(ids)) == 7
    assert {row["place"] for page in pages for row in page} == {1}


def test_it_costs_two_queries_however_long_it_is_and_none_from_the_cache(
    instructor: StaffPerson, liza: CadetPerson, django_assert_num_queries: Any
) -> None:
    client, own = instructor.client, liza.client
    for _ in range(20):
        factories.award(unit.enrolled(), 10)
    factories.token_read_lately(client)
    with django_assert_num_queries(2):
        client.get(PATH)
    with django_assert_num_queries(0):
        assert client.get(PATH)["Cache-Status"] == "rgms; hit"
    own.get(OWN)
    with django_assert_num_queries(1):
        assert own.get(OWN)["Cache-Status"] == "rgms; hit"


def test_the_list_is_for_staff_and_the_own_place_for_cadets(instructor: StaffPerson, liza: CadetPerson) -> None:
    assert liza.client.get(PATH).status_code == 403
    assert instructor.client.get(OWN).status_code == 403
