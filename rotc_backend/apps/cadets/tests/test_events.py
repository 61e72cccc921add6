from typing import Any

import pytest

from apps.accounts.tests.factories import Person
from apps.cadets.models import Company, Platoon
from apps.cadets.tests import factories
from apps.events.models import Event

pytestmark = pytest.mark.django_db(transaction=True)

VERSION_1 = {"if-match": '"v1"'}


def folded(*types: str) -> dict[int, dict[str, Any]]:
    """What a client holds that has put every event of these types over what it held, by id."""
    state: dict[int, dict[str, Any]] = {}
    for event in Event.objects.filter(type__in=types).order_by("id"):
        state[event.data["id"]] = dict(event.data)
    return state


def agrees(state: dict[int, dict[str, Any]], fetched: list[dict[str, Any]]) -> bool:
    """Whether each fetched row says of every field that it shares with the folded state the same."""
    return set(state) == {row["id"] for row in fetched} and all(
        row[name] == value for row in fetched for name, value in state[row["id"]].items() if name in row
    )


def test_a_client_that_folds_the_events_of_terms_holds_what_it_would_fetch(admin: Person) -> None:
    client = admin.client
    given = {"school_year": "2027-2028", "starts_on": "2027-08-09", "ends_on": "2027-12-17"}
    ids = [client.post("/api/v1/terms", {**given, "semester": name}).json()["id"] for name in ("1st", "2nd", "summer")]
    client.post(f"/api/v1/terms/{ids[0]}/make-current")
    client.post(f"/api/v1/terms/{ids[1]}/make-current")
    client.patch(f"/api/v1/terms/{ids[2]}", {"ends_on": "2028-01-15"}, headers=VERSION_1)
    state, fetched = folded("term.created", "term.changed"), client.get("/api/v1/terms").json()["results"]
    assert sorted(state.values(), key=lambda row: row["id"]) == sorted(fetched, key=lambda row: row["id"])


def test_a_client_that_folds_the_events_of_a_list_holds_what_it_would_fetch(admin: Person) -> None:
    Company.objects.all().delete()
    Platoon.objects.all().delete()
    client = admin.client
    for path, kind in (("companies", "company.changed"), ("platoons", "platoon.changed")):
        ids = [client.post(f"/api/v1/{path}", {"name": name}).json()["id"] for name in ("Echo", "Foxtrot", "Golf")]
        client.patch(f"/api/v1/{path}/{ids[0]}", {"name": "Echo Team", "position": 1}, headers=VERSION_1)
        for number in ids[:2]:
            client.post(f"/api/v1/{path}/{number}/archive")
        client.post(f"/api/v1/{path}/{ids[0]}/restore")
        state = folded(kind)
        used = client.get(f"/api/v1/{path}").json()["results"]
        archived = client.get(f"/api/v1/{path}", {"archived": "true"}).json()["results"]
        assert sorted(state.values(), key=lambda row: row["id"]) == sorted(used + archived, key=lambda row: row["id"])


def test_a_client_that_folds_the_events_of_people_holds_what_it_would_fetch(admin: Person) -> None:
    client, term, bravo = admin.client, factories.term(), factories.company("Bravo")
    names = {"last_name": "Peña", "first_name": "Liza"}
    ids = [client.post("/api/v1/cadets", {"student_id": f"n{number}", **names}).json()["id"] for number in range(3)]
    client.patch(f"/api/v1/cadets/{ids[0]}", {"year_level": 4, "student_id": "N0"}, headers=VERSION_1)
    for number in ids[1:]:
        client.post(f"/api/v1/cadets/{number}/archive")
    client.post(f"/api/v1/cadets/{ids[1]}/restore")
    enrollment = client.post(f"/api/v1/cadets/{ids[0]}/enrollments", {"term_id": term.pk}).json()["id"]
    moved = {"company_id": bravo.pk, "rank": "CDT SGT", "status": "incomplete"}
    client.patch(f"/api/v1/enrollments/{enrollment}", moved, headers=VERSION_1)
    staff = client.post("/api/v1/staff", {**names, "email": "x@example.org"}).json()["id"]
    client.patch(f"/api/v1/staff/{staff}", {"function": "commandant"}, headers=VERSION_1)
    client.post(f"/api/v1/staff/{staff}/archive")

    cadets = folded("cadet.created", "cadet.changed", "cadet.archived", "cadet.restored")
    assert agrees(cadets, [client.get(f"/api/v1/cadets/{number}").json() for number in ids])
    fetched = client.get(f"/api/v1/enrollments/{enrollment}").json()
    places = folded("enrollment.created", "enrollment.changed")
    assert agrees(places, [fetched])
    assert places[enrollment]["company_id"] == fetched["company"]["id"] == bravo.pk
    assert places[enrollment]["platoon_id"] is fetched["platoon"] is None
    assert agrees(folded("staff.created", "staff.changed"), [client.get(f"/api/v1/staff/{staff}").json()])
