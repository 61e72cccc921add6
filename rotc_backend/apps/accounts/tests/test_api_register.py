from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts import services
from apps.accounts.models import AuditEntry, User
from apps.accounts.tests import factories
from apps.accounts.tests.concurrency import together
from apps.accounts.tests.events_of import heard
from apps.accounts.tests.factories import PASSWORD, Person
from apps.events.models import Event

pytestmark = pytest.mark.django_db

LIZA = {
    "username": "liza.macaraeg",
    "password": PASSWORD,
    "email": "liza@rotc.example",
    "first_name": "Liza",
    "last_name": "Macaraeg",
}


def register(**changes: Any) -> Any:
    return APIClient().post("/api/v1/auth/register", {**LIZA, **changes})


def test_who_registers_is_a_pending_cadet_and_cannot_sign_in() -> None:
    answer = register()
    assert answer.status_code == 201
    user = User.objects.get()
    assert answer.headers["Location"] == f"/api/v1/users/{user.pk}"
    assert answer.json() == {
        "id": user.pk,
        "username": "liza.macaraeg",
        "email": "liza@rotc.example",
        "first_name": "Liza",
        "last_name": "Macaraeg",
        "role": "cadet",
        "status": "pending",
    }
    signed_in = APIClient().post("/api/v1/auth/login", {"username": "liza.macaraeg", "password": PASSWORD})
    assert (signed_in.status_code, signed_in.json()["code"]) == (403, "account_pending")


def test_administrators_hear_of_it_and_the_trail_holds_it_without_the_password() -> None:
    register()
    user = User.objects.get()
    assert heard() == [("user.registered", ["role:admin"], user.pk)]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor_id, entry.target) == ("user.register", None, f"user:{user.pk}")
    assert PASSWORD not in str([entry.after, list(Event.objects.values("data"))])
    assert user.password not in str([entry.after, list(Event.objects.values("data"))])


def test_only_the_name_and_the_password_are_needed() -> None:
    answer = APIClient().post("/api/v1/auth/register", {"username": "omar", "password": PASSWORD})
    assert answer.status_code == 201, answer.json()


@pytest.mark.parametrize("extra", [{"role": "admin"}, {"status": "approved"}, {"is_staff": True}, {"id": 1}])
def test_nobody_gives_oneself_a_role_or_an_approval(extra: dict[str, Any]) -> None:
    answer = register(**extra)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "unknown_field")
    assert User.objects.count() == 0


@pytest.mark.parametrize("name", ["liza", "LIZA"])
def test_a_name_in_use_is_a_conflict_and_changes_nothing(name: str) -> None:
    factories.user("Liza")
    answer = register(username=name)
    assert (answer.status_code, answer.json()["code"]) == (409, "username_taken")
    assert User.objects.count() == 1
    assert heard() == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"username": "with space"}, "username"),
        ({"username": "nul\x00"}, "username"),
        ({"username": "x" * 151}, "username"),
        ({"username": True}, "username"),
        ({"username": ["a"]}, "username"),
        ({"email": "nobody"}, "email"),
        ({"email": f"{'a' * 250}@rotc.example"}, "email"),
        ({"password": "t1ny!"}, "password"),
        ({"password": "liza.macaraeg"}, "password"),
        ({"password": "x" * 257}, "password"),
        ({"first_name": None}, "first_name"),
    ],
)
def test_what_is_malformed_is_named_and_never_repeated(changes: dict[str, Any], field: str) -> None:
    answer = register(**changes)
    assert answer.status_code == 400
    assert {error["field"] for error in answer.json()["errors"]} == {field}
    assert User.objects.count() == 0
    if field == "password":
        assert changes["password"] not in answer.content.decode()


def test_registrations_from_one_address_have_an_end(settings: Settings) -> None:
    settings.REGISTRATIONS_PER_ADDRESS = 2
    assert [register(username=f"cadet{number}").status_code for number in range(3)] == [201, 201, 429]
    assert User.objects.count() == 2
    factories.user("Omar")
    assert services.session_open(username="Omar", password=PASSWORD, address="127.0.0.1")


def test_a_token_that_is_sent_along_does_not_matter(cadet: Person) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Bearer undefined")
    assert client.post("/api/v1/auth/register", LIZA).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_of_two_that_register_the_same_name_at_once_one_gets_it() -> None:
    names = ["contested", "CONTESTED", "Contested"]
    works = [(lambda name=name: str(register(username=name).status_code)) for name in names]
    assert together(works) == ["201", "409", "409"]
    assert User.objects.count() == AuditEntry.objects.count() == len(heard()) == 1
