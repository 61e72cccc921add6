import datetime as dt
from typing import Any

import jwt
import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.state import token_backend

from apps.accounts import selectors
from apps.accounts.models import TokenGeneration, User
from apps.accounts.tests.factories import Person
from core.clock import now

pytestmark = pytest.mark.django_db


def asked_with(header: str | None) -> Any:
    return APIClient().get("/api/v1/auth/me", headers={"Authorization": header} if header is not None else None)


def claims_of(person: Person) -> dict[str, Any]:
    return dict(token_backend.decode(person.access))  # type: ignore[arg-type]  # its hint says Token


def test_everybody_sees_the_own_account(admin: Person, instructor: Person, cadet: Person) -> None:
    for person, role in ((admin, "admin"), (instructor, "training_staff"), (cadet, "cadet")):
        answer = person.client.get("/api/v1/auth/me/")
        assert answer.status_code == 200
        assert answer.json() == {
            "id": person.user.pk,
            "username": person.user.username,
            "email": person.user.email,
            "first_name": "",
            "last_name": "",
            "role": role,
            "status": "approved",
        }


def test_knowing_who_asks_costs_no_query_while_the_copy_is_fresh(
    cadet: Person, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    cadet.client.get("/api/v1/auth/me")
    with django_assert_num_queries(1):  # the account itself
        cadet.client.get("/api/v1/auth/me")


@pytest.mark.parametrize("header", [None, ""])
def test_no_token_is_told_as_missing(header: str | None) -> None:
    answer = asked_with(header)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="rgms"'


@pytest.mark.parametrize(
    "header",
    [
        "Bearer undefined",
        "Bearer null",
        "Bearer",
        "Bearer [object Object]",
        "Bearer a.b.c",
        "Bearer \xe9.\xe9.\xe9",
        "Bearer " + "A" * 5000,
        "Basic YWRtaW46YWRtaW4=",
        "Token 9944b09199c62bcf",
        "undefined",
    ],
)
def test_what_is_no_token_is_told_as_malformed_and_not_as_a_bad_signature(header: str) -> None:
    # The failure that cost the replaced system sixteen commits: a client that sent "Bearer undefined".
    answer = asked_with(header)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_malformed")
    assert 'error_description="token_malformed"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer ", "Bearer  "])
def test_the_scheme_is_read_in_any_letter_case_and_with_any_space(cadet: Person, scheme: str) -> None:
    assert asked_with(f"{scheme} {cadet.access}").status_code == 200


def test_an_expired_token_is_told_as_expired(cadet: Person) -> None:
    past = {**claims_of(cadet), "exp": int((now() - dt.timedelta(seconds=1)).timestamp())}
    assert asked_with(f"Bearer {token_backend.encode(past)}").json()["code"] == "token_expired"


def test_a_forged_token_is_told_as_badly_signed_even_when_it_has_expired_too(cadet: Person) -> None:
    claims = {**claims_of(cadet), "role": "admin"}
    past = {**claims, "exp": 1_000_000_000}
    header, body, signature = cadet.access.split(".")
    forged = [
        TokenBackend("HS256", "another key of more than enough length").encode(claims),
        TokenBackend("HS256", django_settings.SECRET_KEY).encode(claims),  # the key of cookies signs no tokens
        TokenBackend("HS256", django_settings.SECRET_KEY).encode(past),
        TokenBackend("HS512", django_settings.TOKEN_KEY).encode(claims),
        jwt.encode(claims, "", algorithm="none"),
        f"{header}.{token_backend.encode(claims).split('.')[1]}.{signature}",
        f"{header}.{body}.{signature[:-4]}AAAA",
    ]
    for token in forged:
        answer = asked_with(f"Bearer {token}")
        assert (answer.status_code, answer.json()["code"]) == (401, "token_bad_signature")


def test_a_refresh_token_opens_no_request(cadet: Person) -> None:
    answer = asked_with(f"Bearer {cadet.refresh}")
    assert (answer.status_code, answer.json()["code"]) == (401, "token_wrong_type")


@pytest.mark.parametrize(
    "changes", [{"sub": None}, {"sub": "admin"}, {"ver": "x"}, {"sid": None, "name": None}, {"token_type": "other"}]
)
def test_a_token_that_we_signed_but_cannot_understand_is_told_as_malformed(
    cadet: Person, changes: dict[str, Any]
) -> None:
    claims = {name: value for name, value in {**claims_of(cadet), **changes}.items() if value is not None}
    assert asked_with(f"Bearer {token_backend.encode(claims)}").json()["code"] == "token_malformed"


def test_a_token_of_an_older_generation_is_refused_after_a_restore(
    cadet: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    TokenGeneration.objects.update(generation=2)
    monkeypatch.setattr(selectors, "_copy", selectors._Copy())
    assert cadet.client.get("/api/v1/auth/me").json()["code"] == "token_revoked"


def test_a_token_of_somebody_whose_row_is_gone_finds_nothing(cadet: Person) -> None:
    claims = {**claims_of(cadet), "sub": str(User.objects.order_by("-pk")[0].pk + 1000)}
    answer = asked_with(f"Bearer {token_backend.encode(claims)}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_when_revocations_cannot_be_read_nobody_is_let_in_and_nobody_is_called_wrong(
    cadet: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*arguments: Any) -> None:
        raise OperationalError("the connection is closed")

    monkeypatch.setattr(selectors, "_copy", selectors._Copy())
    with connection.execute_wrapper(away):
        answer = cadet.client.get("/api/v1/auth/me")
    assert (answer.status_code, answer.json()["code"]) == (503, "revocations_unreadable")
    assert "WWW-Authenticate" not in answer.headers
