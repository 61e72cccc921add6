from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.accounts import services
from apps.accounts.models import AuditEntry, Session, User
from apps.accounts.tests import factories
from apps.accounts.tests.concurrency import together
from apps.accounts.tests.events_of import heard
from apps.accounts.tests.factories import PASSWORD, Person

pytestmark = pytest.mark.django_db
NEW = "another long password"


def change(person: Person, current: str = PASSWORD, new: str = NEW) -> Any:
    return person.client.post("/api/v1/auth/password", {"current_password": current, "new_password": new})


# --- Password ---------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_new_password_ends_every_session_and_answers_with_a_fresh_one(cadet: Person, stranger: Person) -> None:
    second = factories.signed_in(cadet.user)
    answer = change(cadet)
    assert answer.status_code == 200
    assert set(answer.json()) == {"access", "refresh"}
    for person in (cadet, second):
        assert person.client.get("/api/v1/auth/me").json()["code"] == "token_revoked"
        assert APIClient().post("/api/v1/auth/refresh", {"refresh": person.refresh}).status_code == 401
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['access']}")
    assert client.get("/api/v1/auth/me").json()["username"] == "Liza"
    assert APIClient().post("/api/v1/auth/refresh", {"refresh": answer.json()["refresh"]}).status_code == 200
    assert stranger.client.get("/api/v1/auth/me").status_code == 200
    assert services.session_open(username="Liza", password=NEW)


def test_it_is_recorded_without_either_password(cadet: Person) -> None:
    change(cadet)
    entry = AuditEntry.objects.get(action="user.change_password")
    assert (entry.actor_id, entry.target, entry.after) == (cadet.user.pk, f"user:{cadet.user.pk}", None)


@pytest.mark.parametrize(
    ("current", "new", "field", "code"),
    [
        ("not the password", NEW, "current_password", "password_wrong"),
        (PASSWORD, "short", "new_password", "password_too_short"),
        (PASSWORD, "x" * 257, "new_password", "max_length"),
    ],
)
def test_a_refused_change_changes_nothing(cadet: Person, current: str, new: str, field: str, code: str) -> None:
    answer = change(cadet, current, new)
    assert answer.status_code == 400
    assert (field, code) in {(error["field"], error["code"]) for error in answer.json()["errors"]}
    assert current not in answer.content.decode()
    assert cadet.client.get("/api/v1/auth/me").status_code == 200
    assert not AuditEntry.objects.filter(action="user.change_password").exists()


def test_wrong_current_passwords_lock_like_wrong_sign_ins_and_with_them(cadet: Person) -> None:
    for _ in range(3):
        assert change(cadet, "not the password").status_code == 400
    for _ in range(2):
        APIClient().post("/api/v1/auth/login", {"username": "LIZA", "password": "not the password"})
    answer = change(cadet)
    assert (answer.status_code, answer.json()["code"]) == (429, "account_locked")
    assert int(answer.headers["Retry-After"]) > 0
    assert User.objects.get(pk=cadet.user.pk).check_password(PASSWORD)


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_at_once_one_wins(cadet: Person) -> None:
    works = [
        (lambda new=new: str(change(cadet, new=new).status_code))
        for new in ("first long password", "second long password")
    ]
    assert together(works) == ["200", "401"]
    assert AuditEntry.objects.filter(action="user.change_password").count() == 1
    assert Session.objects.filter(user=cadet.user, ended_at=None).count() == 1


def test_a_stranger_changes_no_password() -> None:
    assert APIClient().post("/api/v1/auth/password", {}).status_code == 401


# --- Names and address ------------------------------------------------------------------------------------------------


def patch(person: Person, changes: dict[str, Any], tag: str = '"v1"') -> Any:
    return person.client.patch("/api/v1/auth/me", changes, headers={"If-Match": tag} if tag else None)


def test_everybody_changes_the_own_names_and_address(cadet: Person) -> None:
    assert cadet.client.get("/api/v1/auth/me").headers["ETag"] == '"v1"'
    answer = patch(cadet, {"first_name": "Elizabeth", "email": "e@rotc.example", "current_password": PASSWORD})
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"v2"')
    assert answer.json()["email"] == "e@rotc.example"
    assert cadet.client.get("/api/v1/auth/me").json()["first_name"] == "Elizabeth"
    entry = AuditEntry.objects.get(action="user.change")
    assert (entry.actor_id, entry.after) == (cadet.user.pk, {"first_name": "Elizabeth", "email": "e@rotc.example"})
    assert PASSWORD not in str(entry.before) + answer.content.decode()
    assert heard() == [("user.changed", ["role:admin", f"user:{cadet.user.pk}"], cadet.user.pk)]


@pytest.mark.parametrize("field", ["role", "status", "username", "id", "archived_at", "password"])
def test_nobody_changes_more_than_that(cadet: Person, field: str) -> None:
    answer = patch(cadet, {field: "admin"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "unknown_field")
    assert User.objects.get(pk=cadet.user.pk).version == 1


@pytest.mark.parametrize(("tag", "status"), [("", 428), ('"v2"', 412)])
def test_a_change_of_an_older_state_is_refused(cadet: Person, tag: str, status: int) -> None:
    assert patch(cadet, {"first_name": "Elizabeth"}, tag).status_code == status
    assert heard() == []


@pytest.mark.parametrize(
    ("given", "code"), [({}, "required"), ({"current_password": "not the password"}, "password_wrong")]
)
def test_another_address_takes_the_current_password(cadet: Person, given: dict[str, str], code: str) -> None:
    answer = patch(cadet, {"email": "thief@rotc.example", **given})
    assert answer.status_code == 400
    assert [(error["field"], error["code"]) for error in answer.json()["errors"]] == [("current_password", code)]
    assert User.objects.get(pk=cadet.user.pk).email == "liza@rotc.example"
    assert heard() == []


def test_names_and_the_same_address_take_no_password(cadet: Person) -> None:
    assert patch(cadet, {"last_name": "Macaraeg", "email": "liza@rotc.example"}).status_code == 200


def test_guesses_at_it_lock_like_wrong_sign_ins(cadet: Person) -> None:
    for _ in range(5):
        assert patch(cadet, {"email": "thief@rotc.example", "current_password": "a guess"}).status_code == 400
    answer = patch(cadet, {"email": "thief@rotc.example", "current_password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (429, "account_locked")
    assert int(answer.headers["Retry-After"]) > 0
    entered = APIClient().post("/api/v1/auth/login", {"username": "Liza", "password": PASSWORD})
    assert entered.status_code == 429


@pytest.mark.parametrize("name", ["Liza\nMacaraeg", "Liza\r\nX", "Li\tza", "Li\x1bza", "Li\x85za", "Li\u2028za"])
@pytest.mark.parametrize("field", ["first_name", "last_name"])
def test_a_name_is_one_line_without_control_characters(cadet: Person, field: str, name: str) -> None:
    answer = patch(cadet, {field: name})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)
    registered = APIClient().post("/api/v1/auth/register", {"username": "rowena", "password": NEW, field: name})
    assert (registered.status_code, registered.json()["errors"][0]["code"]) == (400, "control_characters")
    assert User.objects.get().version == 1


@pytest.mark.parametrize("name", ["María Clara", "O'Brien-Dimakuta", "Ñ. Jr.", "李"])
def test_names_of_people_are_names(cadet: Person, name: str) -> None:
    assert patch(cadet, {"first_name": name}).json()["first_name"] == name


def test_an_older_name_with_a_line_break_hinders_no_other_change(cadet: Person) -> None:
    User.objects.filter(pk=cadet.user.pk).update(first_name="Liza\nMacaraeg")
    assert patch(cadet, {"last_name": "Macaraeg"}).status_code == 200
