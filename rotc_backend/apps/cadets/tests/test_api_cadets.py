import datetime as dt
from typing import Any

import pytest

from apps.accounts.models import AuditEntry, User
from apps.accounts.tests.factories import PASSWORD, Person
from apps.cadets.models import Cadet
from apps.cadets.tests import factories
from apps.cadets.tests.expectations import at_once, fields_of, recorded, refused, told
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event
from core.clock import manila_date, now

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/cadets"
STAFF = ["role:admin", "role:training_staff"]
GIVEN = {
    "student_id": "2024-01183",
    "last_name": "Macaraeg",
    "first_name": "Liza",
    "middle_name": "Peña",
    "suffix": "",
    "email": "liza@example.edu.ph",
    "contact_number": "+63 (917) 555-0123",
    "address": "Maigo, Lanao del Norte",
    "gender": "female",
    "birthdate": "2006-03-14",
    "religion": "Islam",
    "course": "BS Agriculture",
    "year_level": 2,
}


# --- Create -----------------------------------------------------------------------------------------------------------


def test_an_administrator_makes_a_cadet_without_account_and_enrollment(admin: Person) -> None:
    answer = admin.client.post(PATH, GIVEN)
    assert answer.status_code == 201, answer.content
    body, row = answer.json(), Cadet.objects.get()
    assert body == {
        "id": row.pk,
        **GIVEN,
        "full_name": "Macaraeg, Liza Peña",
        "photo_url": None,
        "photo_state": None,
        "user_id": None,
        "archived_at": None,
        "created_at": body["created_at"],
        "updated_at": body["updated_at"],
        "version": 1,
    }
    assert body["created_at"].endswith("Z")
    assert answer["ETag"] == '"v1"'
    assert admin.client.get(answer["Location"]).json() == body
    assert not row.enrollments.exists()


def test_creating_leaves_an_audit_entry_and_one_event_for_the_staff(admin: Person) -> None:
    body = admin.client.post(PATH, GIVEN).json()
    entry = AuditEntry.objects.get(action="cadet.create")
    assert (entry.actor, entry.target, entry.before, entry.after) == (admin.user, f"cadet:{body['id']}", None, GIVEN)
    assert told() == [("cadet.created", STAFF)]
    data = Event.objects.get().data
    assert {name: data[name] for name in ("id", "version", "student_id", "last_name")} == {
        name: body[name] for name in ("id", "version", "student_id", "last_name")
    }
    assert "birthdate" not in data


def test_three_fields_are_enough(admin: Person) -> None:
    answer = admin.client.post(PATH, {"student_id": "7", "last_name": "X", "first_name": "Y"})
    assert answer.status_code == 201
    assert (answer.json()["year_level"], answer.json()["email"], answer.json()["gender"]) == (None, "", "")


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"student_id": ""}, "student_id", "blank"),
        ({"student_id": "2024 01183"}, "student_id", "invalid"),
        ({"student_id": "x" * 33}, "student_id", "max_length"),
        ({"student_id": "٢٠٢٤"}, "student_id", "invalid"),
        ({"last_name": " "}, "last_name", "blank"),
        ({"last_name": None}, "last_name", "null"),
        ({"last_name": "x" * 65}, "last_name", "max_length"),
        ({"first_name": "a\tb"}, "first_name", "control_character"),
        ({"first_name": ["a"]}, "first_name", "invalid"),
        ({"email": "no address"}, "email", "invalid"),
        ({"contact_number": "call me"}, "contact_number", "invalid"),
        ({"gender": "x"}, "gender", "invalid_choice"),
        ({"year_level": 0}, "year_level", "min_value"),
        ({"year_level": 6}, "year_level", "max_value"),
        ({"year_level": 10**400}, "year_level", "max_value"),
        ({"year_level": "two"}, "year_level", "invalid"),
        ({"birthdate": "14.3.2006"}, "birthdate", "invalid"),
        ({"birthdate": "1899-12-31"}, "birthdate", "out_of_range"),
        ({"birthdate": "9999-12-31"}, "birthdate", "out_of_range"),
        ({"archived_at": None}, "archived_at", "unknown_field"),
        ({"user_id": 1}, "user_id", "unknown_field"),
        ({"photo": "x"}, "photo", "unknown_field"),
    ],
)
def test_a_field_that_needs_correction_is_named_and_nothing_is_written(
    admin: Person, change: dict[str, Any], field: str, code: str
) -> None:
    assert fields_of(admin.client.post(PATH, {**GIVEN, **change}))[field] == code
    assert not Cadet.objects.exists()
    assert told() == []
    assert recorded("cadet.") == []


def test_half_a_character_is_refused(admin: Person) -> None:
    body = '{"student_id": "1", "last_name": "\\ud800", "first_name": "Y"}'
    answer = admin.client.generic("POST", PATH, body, content_type="application/json")
    assert fields_of(answer) == {"last_name": "surrogate_characters_not_allowed"}


def test_nobody_is_born_today(admin: Person) -> None:
    today = manila_date(now())
    assert fields_of(admin.client.post(PATH, {**GIVEN, "birthdate": str(today)})) == {"birthdate": "out_of_range"}
    yesterday = str(today - dt.timedelta(days=1))
    assert admin.client.post(PATH, {**GIVEN, "birthdate": yesterday}).status_code == 201


def test_names_are_kept_in_one_form_of_spelling(admin: Person) -> None:
    body = admin.client.post(PATH, {**GIVEN, "last_name": "  Pen\u0303a   Cruz "}).json()
    assert body["last_name"] == "Peña Cruz"


def test_a_student_number_is_taken_in_any_letter_case_also_by_who_is_archived(admin: Person) -> None:
    first = admin.client.post(PATH, {**GIVEN, "student_id": "ab-12"}).json()
    for number in ("ab-12", "AB-12", " Ab-12 "):
        assert refused(admin.client.post(PATH, {**GIVEN, "student_id": number})) == (409, "student_id_taken")
    admin.client.post(f"{PATH}/{first['id']}/archive")
    assert refused(admin.client.post(PATH, {**GIVEN, "student_id": "AB-12"})) == (409, "student_id_taken")
    assert Cadet.objects.count() == 1


def test_the_same_number_sent_twice_at_once_is_taken_once(admin: Person) -> None:
    for round_ in range(3):
        numbers = (f"x-{round_}", f"X-{round_}")
        answers = at_once(
            *[lambda number=number: admin.client.post(PATH, {**GIVEN, "student_id": number}) for number in numbers]
        )
        assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert Cadet.objects.count() == 3
    assert recorded("cadet.") == ["cadet.create"] * 3


def test_when_the_last_step_fails_nothing_is_left(admin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.cadets.services.cadets import cadet_create
    from apps.events.rules import EventRefused

    principal = admin.principal
    monkeypatch.setattr("apps.events.services.LARGEST_EVENT", 10)
    with pytest.raises(EventRefused):
        cadet_create(actor=principal, fields={"student_id": "1", "last_name": "X", "first_name": "Y"})
    assert not Cadet.objects.exists()
    assert told() == []
    assert recorded("cadet.") == []


# --- Change -----------------------------------------------------------------------------------------------------------


def test_a_change_names_its_version_and_is_told_to_staff_and_cadet(admin: Person, liza: CadetPerson) -> None:
    path = f"{PATH}/{liza.cadet.pk}"
    tag = admin.client.get(path)["ETag"]
    answer = admin.client.patch(path, {"course": "BS Forestry", "year_level": 3}, headers={"if-match": tag})
    assert (answer.status_code, answer["ETag"]) == (200, '"v2"')
    assert (answer.json()["course"], answer.json()["last_name"]) == ("BS Forestry", "Macaraeg")
    assert told() == [("cadet.changed", [*STAFF, f"user:{liza.user.pk}"])]
    entry = AuditEntry.objects.get(action="cadet.change")
    assert (entry.before, entry.after) == (
        {"course": "", "year_level": None},
        {"course": "BS Forestry", "year_level": 3},
    )


def test_a_change_that_changes_nothing_is_not_told(admin: Person, liza: CadetPerson) -> None:
    answer = admin.client.patch(f"{PATH}/{liza.cadet.pk}", {"last_name": "Macaraeg"}, headers={"if-match": '"v1"'})
    assert (answer.status_code, answer["ETag"]) == (200, '"v1"')
    assert told() == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, (428, "if_match_missing")),
        ("*", (400, "validation_failed")),
        ('"v2"', (412, "version_changed")),
        ('W/"v2"', (412, "version_changed")),
    ],
)
def test_a_change_without_the_right_version_is_refused(
    admin: Person, liza: CadetPerson, given: str | None, expected: tuple[int, str]
) -> None:
    headers = {"if-match": given} if given else {}
    answer = admin.client.patch(f"{PATH}/{liza.cadet.pk}", {"course": "x"}, headers=headers)
    assert refused(answer) == expected
    assert told() == []


def test_a_tag_that_a_proxy_has_made_weak_is_as_good(admin: Person, liza: CadetPerson) -> None:
    answer = admin.client.patch(f"{PATH}/{liza.cadet.pk}", {"course": "x"}, headers={"if-match": 'W/"v1"'})
    assert (answer.status_code, answer["ETag"]) == (200, '"v2"')


def test_of_two_officers_who_change_the_same_version_one_is_told_so(admin: Person, liza: CadetPerson) -> None:
    path = f"{PATH}/{liza.cadet.pk}"
    answers = at_once(
        *[
            lambda course=course: admin.client.patch(path, {"course": course}, headers={"if-match": '"v1"'})
            for course in ("BS Forestry", "BS Fisheries")
        ]
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    (winner,) = [answer for answer in answers if answer.status_code == 200]
    assert Cadet.objects.get(pk=liza.cadet.pk).course == winner.json()["course"]
    assert len(told()) == 1


def test_a_number_is_corrected_but_not_to_anothers(admin: Person, liza: CadetPerson, omar: CadetPerson) -> None:
    path, taken = f"{PATH}/{liza.cadet.pk}", omar.cadet.student_id
    assert refused(admin.client.patch(path, {"student_id": taken}, headers={"if-match": '"v1"'})) == (
        409,
        "student_id_taken",
    )
    assert admin.client.patch(path, {"student_id": "new-1"}, headers={"if-match": '"v1"'}).status_code == 200
    again = admin.client.patch(path, {"student_id": "NEW-1"}, headers={"if-match": '"v2"'})  # the own one
    assert again.json()["student_id"] == "NEW-1"


def test_what_is_not_a_cadet_is_not_found(admin: Person) -> None:
    for number in ("999", "99999999999999999999999", "0"):
        assert refused(admin.client.get(f"{PATH}/{number}")) == (404, "not_found")
        assert refused(admin.client.patch(f"{PATH}/{number}", {}, headers={"if-match": '"v1"'})) == (404, "not_found")
        assert refused(admin.client.post(f"{PATH}/{number}/archive")) == (404, "not_found")


# --- Archive and restore ----------------------------------------------------------------------------------------------


def test_who_is_archived_no_longer_signs_in_and_everything_else_stays(admin: Person, liza: CadetPerson) -> None:
    path = f"{PATH}/{liza.cadet.pk}"
    answer = admin.client.post(f"{path}/archive")
    assert (answer.status_code, answer["ETag"]) == (200, '"v2"')
    assert answer.json()["archived_at"].endswith("Z")
    assert refused(liza.client.get("/api/v1/auth/me")) == (401, "token_revoked")
    sign_in = {"username": "Liza", "password": PASSWORD}
    assert refused(admin.client.post("/api/v1/auth/login", sign_in)) == (403, "account_archived")
    cadet = Cadet.objects.get(pk=liza.cadet.pk)
    assert (cadet.student_id, cadet.user_id) == (liza.cadet.student_id, liza.user.pk)
    assert cadet.enrollments.get().status == "ongoing"
    assert ("cadet.archived", [*STAFF, f"user:{liza.user.pk}"]) in told()
    assert recorded("cadet.") == ["cadet.archive"]


def test_who_is_restored_signs_in_again(admin: Person, liza: CadetPerson) -> None:
    path = f"{PATH}/{liza.cadet.pk}"
    admin.client.post(f"{path}/archive")
    assert admin.client.post(f"{path}/restore").json()["archived_at"] is None
    sign_in = {"username": "Liza", "password": PASSWORD}
    assert admin.client.post("/api/v1/auth/login", sign_in).status_code == 200
    assert recorded("cadet.") == ["cadet.archive", "cadet.restore"]


def test_archiving_twice_is_told_once_and_so_is_restoring(admin: Person, liza: CadetPerson) -> None:
    path = f"{PATH}/{liza.cadet.pk}"
    first = admin.client.post(f"{path}/archive").json()
    count = Event.objects.count()
    assert admin.client.post(f"{path}/archive").json() == first
    assert Event.objects.count() == count
    admin.client.post(f"{path}/restore")
    count = Event.objects.count()
    assert admin.client.post(f"{path}/restore").json()["version"] == 3
    assert Event.objects.count() == count
    assert recorded("cadet.") == ["cadet.archive", "cadet.restore"]


def test_a_cadet_without_account_is_archived_alone(admin: Person) -> None:
    cadet = factories.cadet()
    assert admin.client.post(f"{PATH}/{cadet.pk}/archive").status_code == 200
    assert told() == [("cadet.archived", STAFF)]
    assert not User.objects.exclude(archived_at=None).exists()


def test_when_the_account_cannot_be_archived_the_cadet_is_not_either(admin: Person) -> None:
    cadet = factories.cadet(user=admin.user)  # an account that was a cadet's before it became an administrator's
    assert admin.client.post(f"{PATH}/{cadet.pk}/archive").status_code == 409
    cadet.refresh_from_db()
    assert cadet.archived_at is None
    assert told() == []
    assert recorded("cadet.") == []


# --- Roles ------------------------------------------------------------------------------------------------------------


def test_staff_read_all_and_change_none(instructor: StaffPerson, liza: CadetPerson) -> None:
    path = f"{PATH}/{liza.cadet.pk}"
    assert instructor.client.get(path).json()["id"] == liza.cadet.pk
    assert instructor.client.get(PATH).json()["count"] == 1
    for answer in (
        instructor.client.post(PATH, GIVEN),
        instructor.client.patch(path, {"course": "x"}, headers={"if-match": '"v1"'}),
        instructor.client.post(f"{path}/archive"),
        instructor.client.post(f"{path}/restore"),
        instructor.client.put(f"{path}/account", {"user_id": instructor.user.pk}),
        instructor.client.delete(f"{path}/account"),
        instructor.client.delete(f"{path}/photo"),
        instructor.client.post(f"{path}/enrollments", {}),
        instructor.client.get(f"{PATH}/me"),
    ):
        assert refused(answer) == (403, "permission_denied")
    assert told() == []


def test_cadets_neither_read_nor_change_what_is_the_staffs(liza: CadetPerson, omar: CadetPerson) -> None:
    for path in (PATH, f"{PATH}/{omar.cadet.pk}", f"{PATH}/{liza.cadet.pk}", "/api/v1/enrollments", "/api/v1/staff"):
        assert refused(liza.client.get(path)) == (403, "permission_denied")
    own = f"{PATH}/{liza.cadet.pk}"
    for answer in (
        liza.client.post(PATH, GIVEN),
        liza.client.patch(own, {"email": ""}, headers={"if-match": '"v1"'}),
        liza.client.get(f"{own}/photo"),
        liza.client.get(f"{own}/enrollments"),
        liza.client.post(f"{own}/archive"),
    ):
        assert refused(answer) == (403, "permission_denied")
    assert told() == []


# --- Oneself ----------------------------------------------------------------------------------------------------------


def test_cadets_see_themselves_with_all_terms(liza: CadetPerson, omar: CadetPerson) -> None:
    former = factories.enroll(liza.cadet, term=factories.former_term(), company=factories.company("Bravo"))
    answer = liza.client.get(f"{PATH}/me")
    assert (answer.status_code, answer["ETag"]) == (200, '"v1"')
    body = answer.json()
    assert body["student_id"] == liza.cadet.student_id
    assert [row["id"] for row in body["enrollments"]] == [liza.enrollment.pk, former.pk]
    assert body["enrollments"][1]["company"]["name"] == "Bravo"
    assert body["enrollments"][0]["term"]["is_current"] is True


def test_cadets_change_how_they_can_be_reached_and_nothing_else(liza: CadetPerson) -> None:
    path = f"{PATH}/me"
    contact = {"email": "new@example.org", "contact_number": "0918", "address": "Maigo"}
    answer = liza.client.patch(path, contact, headers={"if-match": '"v1"'})
    assert (answer.status_code, answer["ETag"]) == (200, '"v2"')
    assert {name: answer.json()[name] for name in contact} == contact
    assert told() == [("cadet.changed", [*STAFF, f"user:{liza.user.pk}"])]
    entry = AuditEntry.objects.get(action="cadet.change_own")
    assert (entry.actor, entry.after) == (liza.user, contact)
    for name in ("student_id", "last_name", "year_level", "archived_at", "user_id", "version", "enrollments"):
        given = {name: "1", "address": "Elsewhere"}
        assert fields_of(liza.client.patch(path, given, headers={"if-match": '"v2"'})) == {name: "unknown_field"}
    assert refused(liza.client.patch(path, contact, headers={"if-match": '"v1"'})) == (412, "version_changed")
    assert refused(liza.client.patch(path, contact)) == (428, "if_match_missing")
    liza.cadet.refresh_from_db()
    assert (liza.cadet.address, liza.cadet.version) == ("Maigo", 2)


def test_an_account_without_record_is_told_so(term: Any) -> None:
    from apps.accounts.tests import factories as accounts

    stranger = accounts.stranger()
    for answer in (
        stranger.client.get(f"{PATH}/me"),
        stranger.client.patch(f"{PATH}/me", {"address": "x"}, headers={"if-match": '"v1"'}),
        stranger.client.get(f"{PATH}/me/photo"),
        stranger.client.delete(f"{PATH}/me/photo"),
    ):
        assert refused(answer) == (404, "no_cadet_record")
