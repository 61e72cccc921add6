import datetime as dt
import threading
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connections
from rest_framework.test import APIClient
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.state import token_backend

from apps.accounts.models import AuditEntry, Session, Status, TokenGeneration, User
from apps.accounts.tests.factories import Person
from core.clock import now

pytestmark = pytest.mark.django_db(transaction=True)  # what ends a session is announced after the commit


def exchange(refresh: str) -> tuple[int, dict[str, Any]]:
    answer = APIClient().post("/api/v1/auth/refresh", {"refresh": refresh})
    return answer.status_code, answer.json()


def me(access: str) -> int:
    return APIClient().get("/api/v1/auth/me", headers={"Authorization": f"Bearer {access}"}).status_code


def reread(person: Person) -> Session:
    return Session.objects.get(pk=person.session.pk)


def test_a_refresh_token_is_exchanged_for_a_new_pair(cadet: Person) -> None:
    status, pair = exchange(cadet.refresh)
    assert status == 200
    assert set(pair) == {"access", "refresh"}
    assert pair["refresh"] != cadet.refresh
    assert me(pair["access"]) == 200
    assert me(cadet.access) == 200  # the older access token lives out its minutes
    assert exchange(pair["refresh"])[0] == 200


def test_each_exchange_gives_the_session_seven_days_again(cadet: Person) -> None:
    Session.objects.filter(pk=cadet.session.pk).update(expires_at=now() + dt.timedelta(minutes=5))
    exchange(cadet.refresh)
    assert now() + dt.timedelta(days=6, hours=23) < reread(cadet).expires_at


def test_a_token_that_was_just_exchanged_is_refused_and_the_session_lives(cadet: Person) -> None:
    # A client whose answer got lost sends it again within seconds.
    _, pair = exchange(cadet.refresh)
    status, problem = exchange(cadet.refresh)
    assert (status, problem["code"]) == (401, "token_used")
    assert "has ended" not in problem["detail"]
    assert reread(cadet).ended_at is None
    assert exchange(pair["refresh"])[0] == 200


def test_a_token_that_was_exchanged_longer_ago_ends_the_session_for_the_thief_and_the_owner(cadet: Person) -> None:
    _, pair = exchange(cadet.refresh)
    Session.objects.filter(pk=cadet.session.pk).update(rotated_at=now() - dt.timedelta(seconds=31))
    assert exchange(cadet.refresh)[1]["code"] == "token_revoked"
    assert reread(cadet).ended_at is not None
    assert exchange(pair["refresh"])[1]["code"] == "token_revoked"
    assert me(pair["access"]) == 401
    assert me(cadet.access) == 401
    assert AuditEntry.objects.filter(action="session.end_reused", target=f"session:{cadet.session.pk}").count() == 1


def test_a_token_before_the_previous_one_ends_the_session_at_any_time(cadet: Person) -> None:
    _, second = exchange(cadet.refresh)
    exchange(second["refresh"])
    assert exchange(cadet.refresh)[1]["code"] == "token_revoked"
    assert reread(cadet).ended_at is not None


def test_of_two_requests_with_the_same_token_exactly_one_wins_and_the_session_lives(cadet: Person) -> None:
    refresh = cadet.refresh
    for _ in range(5):
        answers: list[tuple[int, dict[str, Any]]] = []
        start = threading.Barrier(2, timeout=10)

        def attempt(
            token: str = refresh, answers: list[tuple[int, dict[str, Any]]] = answers, start: threading.Barrier = start
        ) -> None:
            try:
                start.wait()
                answers.append(exchange(token))
            finally:
                connections.close_all()

        threads = [threading.Thread(target=attempt) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=20)
        assert sorted(status for status, _ in answers) == [200, 401]
        assert reread(cadet).ended_at is None
        (refresh,) = [body["refresh"] for status, body in answers if status == 200]
    assert exchange(refresh)[0] == 200


def test_after_logout_the_refresh_token_is_refused(cadet: Person) -> None:
    cadet.client.post("/api/v1/auth/logout")
    assert exchange(cadet.refresh)[1]["code"] == "token_revoked"
    assert AuditEntry.objects.filter(action__startswith="session.end").count() == 1


@pytest.mark.parametrize("changes", [{"status": Status.PENDING}, {"archived_at": now()}])
def test_an_account_that_was_closed_gets_no_new_tokens(cadet: Person, changes: dict[str, Any]) -> None:
    User.objects.filter(pk=cadet.user.pk).update(**changes)
    assert exchange(cadet.refresh)[1]["code"] == "token_revoked"
    assert reread(cadet).ended_at is not None
    assert AuditEntry.objects.filter(action="session.end_inactive").count() == 1


def test_a_session_past_its_end_is_not_prolonged(cadet: Person) -> None:
    Session.objects.filter(pk=cadet.session.pk).update(expires_at=now() - dt.timedelta(seconds=1))
    assert exchange(cadet.refresh)[1]["code"] == "token_revoked"


def test_each_reason_to_refuse_a_refresh_token_is_told_truthfully(cadet: Person) -> None:
    claims = token_backend.decode(cadet.refresh)  # type: ignore[arg-type]  # its hint says Token, it takes text
    past = {**claims, "exp": int((now() - dt.timedelta(minutes=1)).timestamp())}
    other_key = TokenBackend("HS256", django_settings.SECRET_KEY)
    codes = {
        "undefined": "token_malformed",
        cadet.access: "token_wrong_type",
        token_backend.encode(past): "token_expired",
        other_key.encode(claims): "token_bad_signature",
        token_backend.encode({**claims, "sid": "not-an-id"}): "token_revoked",
        token_backend.encode({**claims, "sid": "5b2d6b0e-0000-4000-8000-000000000000"}): "token_revoked",
    }
    for token, code in codes.items():
        assert exchange(token)[1]["code"] == code
    assert exchange(cadet.refresh)[0] == 200  # none of these harmed the session


def test_a_refresh_token_from_before_a_restore_is_refused(cadet: Person) -> None:
    TokenGeneration.objects.update(generation=2)
    assert exchange(cadet.refresh)[1]["code"] == "token_revoked"


def test_a_token_of_a_service_whose_clock_is_ahead_is_accepted(cadet: Person) -> None:
    claims = token_backend.decode(cadet.access)  # type: ignore[arg-type]  # its hint says Token, it takes text
    ahead = {**claims, "iat": int((now() + dt.timedelta(seconds=3)).timestamp())}
    assert me(token_backend.encode(ahead)) == 200


@pytest.mark.parametrize("body", [{}, {"refresh": ""}, {"refresh": None}, {"refresh": "x" * 4097}])
def test_a_body_without_a_token_is_refused(body: dict[str, Any]) -> None:
    answer = APIClient().post("/api/v1/auth/refresh", body)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["refresh"]


def test_a_broken_token_in_the_header_does_not_break_the_exchange(cadet: Person) -> None:
    answer = APIClient().post(
        "/api/v1/auth/refresh", {"refresh": cadet.refresh}, headers={"Authorization": "Bearer undefined"}
    )
    assert answer.status_code == 200
