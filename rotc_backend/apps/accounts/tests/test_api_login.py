import datetime as dt

import jwt
import pytest
from django.conf import settings as django_settings
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts import services
from apps.accounts.models import AuditEntry, Role, Session, Status, User
from apps.accounts.tests import factories
from apps.accounts.tests.factories import PASSWORD, Person
from apps.accounts.tests.hashers import WATCHED, WatchedHasher
from core.clock import now

pytestmark = pytest.mark.django_db


def sign_in(username: str, password: str, **headers: str) -> tuple[int, dict[str, object]]:
    answer = APIClient().post(
        "/api/v1/auth/login", {"username": username, "password": password}, headers=headers or None
    )
    return answer.status_code, answer.json()


@pytest.mark.parametrize("path", ["/api/v1/auth/login", "/api/v1/auth/login/"])
def test_the_command_of_the_deployment_guide_works_as_written(path: str) -> None:
    account = factories.user("admin", role=Role.ADMIN)
    answer = APIClient().generic(
        "POST", path, f'{{"username": "admin", "password": "{PASSWORD}"}}', content_type="application/json"
    )
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"access", "refresh", "user"}
    assert body["user"] == {
        "id": account.pk,
        "username": "admin",
        "email": "admin@rotc.example",
        "first_name": "",
        "last_name": "",
        "role": "admin",
        "status": "approved",
    }


def test_the_tokens_live_for_fifteen_minutes_and_for_seven_days() -> None:
    factories.user("Liza")
    _, body = sign_in("Liza", PASSWORD)
    for name, lifetime in (("access", dt.timedelta(minutes=15)), ("refresh", dt.timedelta(days=7))):
        claims = jwt.decode(str(body[name]), django_settings.TOKEN_KEY, algorithms=["HS256"])
        assert claims["token_type"] == name
        assert abs(claims["exp"] - claims["iat"] - lifetime.total_seconds()) <= 1
        assert {"sid", "ver", "gen", "sub", "jti"} <= set(claims)


@pytest.mark.parametrize("typed", ["liza", "LIZA", "LiZa"])
def test_a_username_is_accepted_in_any_letter_case(typed: str) -> None:
    account = factories.user("Liza")
    status, body = sign_in(typed, PASSWORD)
    assert status == 200
    assert body["user"] == {**dict(body["user"]), "id": account.pk, "username": "Liza"}  # type: ignore[call-overload]


def test_a_name_that_only_looks_alike_is_another_account() -> None:
    # PostgreSQL's UPPER takes the dotless i for an i; the unique constraint, which uses LOWER, does not.
    admin, alike = factories.user("admin", role=Role.ADMIN), factories.user("adm\N{LATIN SMALL LETTER DOTLESS I}n")
    for account in (admin, alike):
        status, body = sign_in(account.username, PASSWORD)
        assert status == 200
        assert dict(body["user"])["id"] == account.pk  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("username", "password"),
    [("Liza", "wrong password"), ("Liza", PASSWORD.upper()), ("Liza", f" {PASSWORD} "), ("nobody", PASSWORD)],
)
def test_a_wrong_name_and_a_wrong_password_get_the_same_answer_and_leave_nothing(username: str, password: str) -> None:
    factories.user("Liza")
    before = AuditEntry.objects.count()
    status, body = sign_in(username, password)
    assert (status, body["code"], body["detail"]) == (
        401,
        "credentials_wrong",
        "The username or the password is wrong.",
    )
    assert Session.objects.count() == 0
    assert AuditEntry.objects.count() == before


def test_a_name_that_does_not_exist_costs_as_much_hashing_as_one_that_does(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = WATCHED
    factories.user("Liza")
    costs = []
    for username in ("Liza", "nobody"):
        WatchedHasher.hashed.clear()
        assert sign_in(username, "a wrong guess")[0] == 401
        costs.append(list(WatchedHasher.hashed))
    assert costs == [["a wrong guess"], ["a wrong guess"]]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"status": Status.PENDING}, "account_pending"),
        ({"archived_at": now()}, "account_archived"),
        ({"status": Status.PENDING, "archived_at": now()}, "account_archived"),
    ],
)
def test_why_an_account_is_closed_is_told_only_to_who_knows_its_password(changes: dict[str, object], code: str) -> None:
    account = factories.user("Liza")
    User.objects.filter(pk=account.pk).update(**changes)
    status, body = sign_in("Liza", PASSWORD)
    assert (status, body["code"]) == (403, code)
    assert sign_in("Liza", "a wrong guess")[1]["code"] == "credentials_wrong"
    assert Session.objects.count() == 0


def test_an_account_without_a_password_cannot_be_entered() -> None:
    services.user_create(actor_id=None, username="Liza", role=Role.CADET, status=Status.APPROVED)
    for password in ("", "!", "None"):
        assert sign_in("Liza", password)[0] in {400, 401}
    assert Session.objects.count() == 0


@pytest.mark.parametrize("header", ["Bearer undefined", "Bearer ", "Basic YTpi", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x"])
def test_an_old_or_broken_token_in_the_header_does_not_break_the_sign_in(header: str) -> None:
    factories.user("Liza")
    assert sign_in("Liza", PASSWORD, Authorization=header)[0] == 200


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["username", "password"]),
        ({"username": "Liza"}, ["password"]),
        ({"username": "", "password": None}, ["username", "password"]),
        ({"username": "a" * 151, "password": "b" * 257}, ["username", "password"]),
        ({"username": "nul\x00", "password": "x"}, ["username"]),
        ({"username": ["Liza"], "password": {"$ne": ""}}, ["username", "password"]),
        ([], ["body"]),
    ],
)
def test_a_body_that_is_no_sign_in_is_refused_field_by_field(body: object, fields: list[str]) -> None:
    answer = APIClient().post("/api/v1/auth/login", body)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == fields


def test_a_refused_body_does_not_repeat_the_password() -> None:
    answer = APIClient().post("/api/v1/auth/login", {"username": "", "password": "hunter2" * 50})
    assert answer.status_code == 400
    assert b"hunter2" not in answer.content


def test_a_sign_in_is_recorded_with_its_request_and_without_any_secret() -> None:
    account = factories.user("Liza")
    answer = APIClient().post(
        "/api/v1/auth/login", {"username": "Liza", "password": PASSWORD}, headers={"X-Request-ID": "sign-in-of-liza"}
    )
    session = Session.objects.get()
    entry = AuditEntry.objects.get(action="session.open")
    assert (entry.actor_id, entry.target) == (account.pk, f"session:{session.pk}")
    assert entry.request_id == "sign-in-of-liza" == answer.headers["X-Request-ID"]
    account.refresh_from_db()
    assert account.last_login == session.created_at


def test_a_sign_in_that_overlaps_with_a_change_of_the_password_opens_no_session(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = WATCHED
    account = factories.user("Liza")
    WatchedHasher.after_verify.append(
        lambda: services.user_set_password(actor_id=None, user=account, password="another long password")
    )
    assert sign_in("Liza", PASSWORD)[1]["code"] == "credentials_wrong"
    assert Session.objects.count() == 0
    assert sign_in("Liza", "another long password")[0] == 200


def test_each_sign_in_is_a_session_of_its_own(cadet: Person) -> None:
    status, body = sign_in("Liza", PASSWORD)
    assert status == 200
    assert Session.objects.filter(user=cadet.user, ended_at=None).count() == 2
    assert body["refresh"] != cadet.refresh
