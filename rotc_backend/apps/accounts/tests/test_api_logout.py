import pytest
from rest_framework.test import APIClient

from apps.accounts import services
from apps.accounts.models import AuditEntry, Revocation, Session
from apps.accounts.tests import factories
from apps.accounts.tests.factories import Person

pytestmark = pytest.mark.django_db(transaction=True)  # the end of a session is announced after the commit


def test_logout_ends_the_session_at_once(cadet: Person) -> None:
    client = cadet.client
    assert client.get("/api/v1/auth/me").status_code == 200
    answer = client.post("/api/v1/auth/logout")
    assert (answer.status_code, answer.content) == (204, b"")
    refused = client.get("/api/v1/auth/me")
    assert (refused.status_code, refused.json()["code"]) == (401, "token_revoked")
    assert Session.objects.get(pk=cadet.session.pk).ended_at is not None


def test_logout_leaves_other_sessions_and_other_people_alone(cadet: Person, stranger: Person) -> None:
    second = factories.signed_in(cadet.user)
    cadet.client.post("/api/v1/auth/logout/")
    assert second.client.get("/api/v1/auth/me").status_code == 200
    assert stranger.client.get("/api/v1/auth/me").status_code == 200


def test_logout_is_recorded_once_however_often_it_is_asked(cadet: Person) -> None:
    principal = cadet.principal
    cadet.client.post("/api/v1/auth/logout")
    services.session_end(actor=principal)
    entry = AuditEntry.objects.get(action="session.end")
    assert (entry.actor_id, entry.target) == (cadet.user.pk, f"session:{cadet.session.pk}")
    assert Revocation.objects.count() == 1


def test_nobody_signs_out_without_a_token(cadet: Person) -> None:
    answer = APIClient().post("/api/v1/auth/logout")
    assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")
    assert Revocation.objects.count() == 0
