from typing import Any

import pytest

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import PASSWORD, Person
from apps.cadets.models import StaffFunction, StaffProfile
from apps.cadets.tests import factories
from apps.cadets.tests.expectations import at_once, fields_of, recorded, refused, told
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/staff"
STAFF = ["role:admin", "role:training_staff"]
GIVEN = {
    "rank": "CPT",
    "last_name": "Villanueva",
    "first_name": "Corazon",
    "middle_name": "Núñez",
    "suffix": "",
    "email": "Corazon@example.mil.ph",
    "function": "commandant",
    "afpsn": "O-15522",
    "contact_number": "0917 555 0145",
}


def test_an_administrator_makes_a_staff_profile(admin: Person) -> None:
    answer = admin.client.post(PATH, GIVEN)
    assert answer.status_code == 201, answer.content
    body, row = answer.json(), StaffProfile.objects.get()
    assert body == {
        "id": row.pk,
        **GIVEN,
        "user_id": None,
        "archived_at": None,
        "created_at": body["created_at"],
        "updated_at": body["updated_at"],
        "version": 1,
    }
    assert admin.client.get(answer["Location"]).json() == body
    assert told() == [("staff.created", STAFF)]
    assert AuditEntry.objects.get(action="staff.create").after == GIVEN


@pytest.mark.parametrize(
    ("change", "corrections"),
    [
        ({"email": ""}, {"email": "blank"}),
        ({"email": "x"}, {"email": "invalid"}),
        ({"function": "general"}, {"function": "invalid_choice"}),
        ({"rank": "CDT"}, {"rank": "invalid_choice"}),
        ({"last_name": ""}, {"last_name": "blank"}),
        ({"afpsn": "x" * 33}, {"afpsn": "max_length"}),
        ({"user_id": 1}, {"user_id": "unknown_field"}),
    ],
)
def test_a_field_that_needs_correction_is_named_and_nothing_is_written(
    admin: Person, change: dict[str, Any], corrections: dict[str, str]
) -> None:
    assert fields_of(admin.client.post(PATH, {**GIVEN, **change})) == corrections
    assert not StaffProfile.objects.exists()
    assert told() == []


def test_an_address_belongs_to_one_profile_in_any_letter_case(admin: Person) -> None:
    first = admin.client.post(PATH, GIVEN).json()
    other = {**GIVEN, "email": "corazon@EXAMPLE.mil.ph"}
    assert refused(admin.client.post(PATH, other)) == (409, "email_taken")
    admin.client.post(f"{PATH}/{first['id']}/archive")
    assert refused(admin.client.post(PATH, other)) == (409, "email_taken")
    second = admin.client.post(PATH, {**GIVEN, "email": "x@example.org"})
    answer = admin.client.patch(second["Location"], {"email": other["email"]}, headers={"if-match": '"v1"'})
    assert refused(answer) == (409, "email_taken")


def test_the_same_address_sent_twice_at_once_is_taken_once(admin: Person) -> None:
    answers = at_once(*[lambda: admin.client.post(PATH, GIVEN)] * 3)
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]


def test_a_function_is_changed_with_the_version_that_was_read(admin: Person, instructor: StaffPerson) -> None:
    path = f"{PATH}/{instructor.profile.pk}"
    answer = admin.client.patch(path, {"function": "commandant"}, headers={"if-match": '"v1"'})
    assert (answer.status_code, answer.json()["function"], answer["ETag"]) == (200, "commandant", '"v2"')
    assert told() == [("staff.changed", [*STAFF, f"user:{instructor.user.pk}"])]
    assert refused(admin.client.patch(path, {"rank": "MAJ"}, headers={"if-match": '"v1"'})) == (412, "version_changed")
    assert refused(admin.client.patch(path, {"rank": "MAJ"})) == (428, "if_match_missing")


def test_who_is_archived_no_longer_signs_in_until_restored(admin: Person, instructor: StaffPerson) -> None:
    path = f"{PATH}/{instructor.profile.pk}"
    sign_in = {"username": "Ramon", "password": PASSWORD}
    for _ in range(2):
        assert admin.client.post(f"{path}/archive").json()["archived_at"] is not None
    assert refused(instructor.client.get(PATH)) == (401, "token_revoked")
    assert refused(admin.client.post("/api/v1/auth/login", sign_in)) == (403, "account_archived")
    for _ in range(2):
        assert admin.client.post(f"{path}/restore").json()["archived_at"] is None
    assert admin.client.post("/api/v1/auth/login", sign_in).status_code == 200
    assert recorded("staff.") == ["staff.archive", "staff.restore"]
    assert Event.objects.filter(type="staff.changed").count() == 2


def test_administrators_do_not_archive_themselves_by_their_profile(admin: Person) -> None:
    profile = factories.staff_profile(user=admin.user)
    answer = admin.client.post(f"{PATH}/{profile.pk}/archive")
    assert answer.status_code == 409
    assert answer.json()["code"] in {"own_account", "last_admin"}
    profile.refresh_from_db()
    assert profile.archived_at is None
    assert told() == []


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("nunez", ["corazon"]),
        ("VILLANUEVA corazon", ["corazon"]),
        ("o-15522", ["corazon"]),
        ("example.mil", ["corazon"]),
        ("villanueva", ["corazon", "ramon"]),
        ("%", []),
        ("", ["corazon", "ramon"]),
    ],
)
def test_staff_are_found_by_name_address_and_serial_number(
    admin: Person, instructor: StaffPerson, typed: str, found: list[str]
) -> None:
    admin.client.post(PATH, GIVEN)
    rows = instructor.client.get(PATH, {"search": typed}).json()["results"]
    assert [row["first_name"].lower() for row in rows] == found


def test_staff_are_filtered_by_function_and_archive(admin: Person, instructor: StaffPerson) -> None:
    profile = factories.staff_profile(function=StaffFunction.ADMIN_NCO)
    client = instructor.client
    assert [row["id"] for row in client.get(PATH, {"function": "admin_nco"}).json()["results"]] == [profile.pk]
    admin.client.post(f"{PATH}/{profile.pk}/archive")
    assert client.get(PATH, {"function": "admin_nco"}).json()["count"] == 0
    assert client.get(PATH, {"archived": "true"}).json()["count"] == 1
    assert fields_of(client.get(PATH, {"function": "x"})) == {"function": "invalid_choice"}


def test_staff_read_and_do_not_write(instructor: StaffPerson) -> None:
    path = f"{PATH}/{instructor.profile.pk}"
    assert instructor.client.get(path).json()["id"] == instructor.profile.pk
    assert instructor.client.get(f"{PATH}/me").json()["id"] == instructor.profile.pk
    for answer in (
        instructor.client.post(PATH, GIVEN),
        instructor.client.patch(path, {"function": "commandant"}, headers={"if-match": '"v1"'}),
        instructor.client.post(f"{path}/archive"),
        instructor.client.post(f"{path}/restore"),
        instructor.client.put(f"{path}/account", {"user_id": 1}),
        instructor.client.delete(f"{path}/account"),
    ):
        assert refused(answer) == (403, "permission_denied")
    assert told() == []


def test_cadets_see_no_staff_profiles(liza: CadetPerson, instructor: StaffPerson) -> None:
    for path in (PATH, f"{PATH}/{instructor.profile.pk}", f"{PATH}/me"):
        assert refused(liza.client.get(path)) == (403, "permission_denied")


def test_an_account_without_profile_is_told_so(admin: Person) -> None:
    assert refused(admin.client.get(f"{PATH}/me")) == (404, "no_staff_profile")
    assert refused(admin.client.get(f"{PATH}/999")) == (404, "not_found")
