from dataclasses import dataclass
from typing import Any

import pytest

from apps.accounts.tests.factories import Person
from apps.cadets.models import Company, Platoon
from apps.cadets.tests import factories
from apps.cadets.tests.expectations import at_once, fields_of, recorded, refused, told
from apps.cadets.tests.factories import CadetPerson, StaffPerson

pytestmark = pytest.mark.django_db(transaction=True)
EVERYBODY = ["role:admin", "role:training_staff", "role:cadet"]


@dataclass(frozen=True, kw_only=True)
class ListCase:
    noun: str
    path: str
    table: Any


@pytest.fixture(params=["company", "platoon"])
def case(request: pytest.FixtureRequest) -> ListCase:
    if request.param == "company":
        return ListCase(noun="company", path="companies", table=Company)
    return ListCase(noun="platoon", path="platoons", table=Platoon)


@pytest.fixture(autouse=True)
def _begin_with_empty_lists(db: None) -> None:
    Company.objects.all().delete()
    Platoon.objects.all().delete()


def made(admin: Person, path: str, name: str, **more: Any) -> dict[str, Any]:
    answer = admin.client.post(f"/api/v1/{path}", {"name": name, **more})
    assert answer.status_code == 201, answer.content
    body: dict[str, Any] = answer.json()
    assert admin.client.get(answer["Location"]).json() == body
    return body


def test_an_administrator_extends_the_list(admin: Person, case: ListCase) -> None:
    body = made(admin, case.path, "Echo  Team")
    assert body == {
        "id": case.table.objects.get().pk,
        "name": "Echo Team",
        "position": 100,
        "archived_at": None,
        "version": 1,
    }
    assert told() == [(f"{case.noun}.changed", EVERYBODY)]
    assert recorded(f"{case.noun}.") == [f"{case.noun}.create"]


def test_the_list_is_in_its_order_for_everybody(admin: Person, instructor: StaffPerson, case: ListCase) -> None:
    for name, position in (("Zulu", 5), ("Bravo", 10), ("Alpha", 10)):
        made(admin, case.path, name, position=position)
    cadet = factories.cadet_person("Liza", company=None, platoon=None)
    for person in (admin, instructor, cadet):
        rows = person.client.get(f"/api/v1/{case.path}").json()["results"]
        assert [row["name"] for row in rows] == ["Zulu", "Alpha", "Bravo"]


@pytest.mark.parametrize("name", ["ALPHA", "alpha", "  Alpha "])
def test_a_name_stands_once_in_any_letter_case_also_when_archived(admin: Person, case: ListCase, name: str) -> None:
    entry = made(admin, case.path, "Alpha")
    assert refused(admin.client.post(f"/api/v1/{case.path}", {"name": name})) == (409, "name_taken")
    admin.client.post(f"/api/v1/{case.path}/{entry['id']}/archive")
    assert refused(admin.client.post(f"/api/v1/{case.path}", {"name": name})) == (409, "name_taken")
    assert case.table.objects.count() == 1


def test_the_same_name_twice_at_once_stands_once(admin: Person, case: ListCase) -> None:
    answers = at_once(*[lambda: admin.client.post(f"/api/v1/{case.path}", {"name": "Echo"})] * 3)
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]


@pytest.mark.parametrize(
    ("given", "corrections"),
    [
        ({"name": ""}, {"name": "blank"}),
        ({}, {"name": "required"}),
        ({"name": "x" * 65}, {"name": "max_length"}),
        ({"name": "a:b"}, {"name": "colon"}),
        ({"name": "a\nb"}, {"name": "control_character"}),
        ({"name": "a\u202eb"}, {"name": "control_character"}),
        ({"name": "Echo", "position": -1}, {"position": "min_value"}),
        ({"name": "Echo", "position": 10**30}, {"position": "max_value"}),
        ({"name": "Echo", "archived_at": None}, {"archived_at": "unknown_field"}),
    ],
)
def test_a_field_that_needs_correction_is_named(
    admin: Person, case: ListCase, given: dict[str, Any], corrections: dict[str, str]
) -> None:
    assert fields_of(admin.client.post(f"/api/v1/{case.path}", given)) == corrections
    assert not case.table.objects.exists()


def test_a_new_name_is_everywhere_and_history_stays(admin: Person, liza: CadetPerson, case: ListCase) -> None:
    entry = getattr(liza.enrollment, case.noun)
    answer = admin.client.patch(f"/api/v1/{case.path}/{entry.pk}", {"name": "Renamed"}, headers={"if-match": '"v1"'})
    assert (answer.status_code, answer.json()["name"], answer["ETag"]) == (200, "Renamed", '"v2"')
    enrollment = admin.client.get(f"/api/v1/enrollments/{liza.enrollment.pk}").json()
    assert enrollment[case.noun] == {"id": entry.pk, "name": "Renamed"}
    again = admin.client.patch(f"/api/v1/{case.path}/{entry.pk}", {"name": "x"}, headers={"if-match": '"v1"'})
    assert refused(again) == (412, "version_changed")


def test_a_name_in_another_letter_case_is_no_conflict_with_itself(admin: Person, case: ListCase) -> None:
    entry, _ = made(admin, case.path, "alpha"), made(admin, case.path, "Bravo")
    one = f"/api/v1/{case.path}/{entry['id']}"
    assert admin.client.patch(one, {"name": "Alpha"}, headers={"if-match": '"v1"'}).json()["name"] == "Alpha"
    assert refused(admin.client.patch(one, {"name": "BRAVO"}, headers={"if-match": '"v2"'})) == (409, "name_taken")


def test_archiving_and_restoring_are_told_once(admin: Person, case: ListCase) -> None:
    entry = made(admin, case.path, "Echo")
    one, whole = f"/api/v1/{case.path}/{entry['id']}", f"/api/v1/{case.path}"
    for _ in range(2):
        assert admin.client.post(f"{one}/archive").json()["archived_at"].endswith("Z")
    assert admin.client.get(whole).json()["results"] == []
    assert [row["id"] for row in admin.client.get(whole, {"archived": "true"}).json()["results"]] == [entry["id"]]
    for _ in range(2):
        assert admin.client.post(f"{one}/restore").json()["archived_at"] is None
    assert admin.client.get(whole).json()["count"] == 1
    assert len(told()) == 3
    assert recorded(f"{case.noun}.") == [f"{case.noun}.create", f"{case.noun}.archive", f"{case.noun}.restore"]


def test_an_archived_one_keeps_its_cadets_and_takes_no_new_ones(
    admin: Person, liza: CadetPerson, case: ListCase
) -> None:
    entry = getattr(liza.enrollment, case.noun)
    admin.client.post(f"/api/v1/{case.path}/{entry.pk}/archive")
    own = f"/api/v1/enrollments/{liza.enrollment.pk}"
    assert admin.client.get(own).json()[case.noun]["id"] == entry.pk
    stays = admin.client.patch(own, {f"{case.noun}_id": entry.pk, "status": "deferred"}, headers={"if-match": '"v1"'})
    assert (stays.status_code, stays.json()["status"]) == (200, "deferred")
    someone = factories.cadet()
    answer = admin.client.post(f"/api/v1/cadets/{someone.pk}/enrollments", {f"{case.noun}_id": entry.pk})
    assert fields_of(answer) == {f"{case.noun}_id": f"archived_{case.noun}"}
    assert not someone.enrollments.exists()


def test_only_administrators_write_the_list(admin: Person, instructor: StaffPerson, case: ListCase) -> None:
    entry = made(admin, case.path, "Echo")
    one = f"/api/v1/{case.path}/{entry['id']}"
    cadet = factories.cadet_person("Liza", company=None, platoon=None)
    for person in (instructor, cadet):
        assert refused(person.client.post(f"/api/v1/{case.path}", {"name": "x"})) == (403, "permission_denied")
        assert refused(person.client.patch(one, {"name": "x"})) == (403, "permission_denied")
        for action in ("archive", "restore"):
            assert refused(person.client.post(f"{one}/{action}")) == (403, "permission_denied")
    assert case.table.objects.get().version == 1


def test_one_that_does_not_exist_is_not_found(admin: Person, case: ListCase) -> None:
    one = f"/api/v1/{case.path}/999"
    assert refused(admin.client.get(one)) == (404, "not_found")
    assert refused(admin.client.patch(one, {"name": "x"}, headers={"if-match": '"v1"'})) == (404, "not_found")
    assert refused(admin.client.post(f"{one}/archive")) == (404, "not_found")
