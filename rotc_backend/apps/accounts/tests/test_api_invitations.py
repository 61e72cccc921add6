import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts import services
from apps.accounts.models import AuditEntry, Invitation, Role, Session, Status, User
from apps.accounts.tests import factories
from apps.accounts.tests.concurrency import together
from apps.accounts.tests.events_of import heard
from apps.accounts.tests.factories import PASSWORD, Person
from apps.events.models import Event
from core.tests.smtp_stand_in import MailServer, mail_server_running

pytestmark = pytest.mark.django_db
NEW = "another long password"


def invite(admin: Person, user: User, **body: Any) -> Any:
    return admin.client.post(f"/api/v1/users/{user.pk}/invitation", body)


def token_of(link: str) -> str:
    page, _, token = link.partition("#token=")
    assert page == "http://testserver/invitation/"
    return token


def accept(token: str, password: str = NEW) -> Any:
    return APIClient().post("/api/v1/auth/invitations/accept", {"token": token, "password": password})


def entered(username: str, password: str) -> int:
    return APIClient().post("/api/v1/auth/login", {"username": username, "password": password}).status_code


@pytest.fixture
def rhea(db: None) -> User:
    return services.user_create(actor_id=None, username="Rhea", role=Role.TRAINING_STAFF, status=Status.APPROVED)


@pytest.fixture
def mail(settings: Settings) -> Iterator[MailServer]:
    with mail_server_running() as running:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_CONFIGURED = True
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", running.port, 3
        yield running


# --- Making -----------------------------------------------------------------------------------------------------------


def test_an_administrator_makes_an_account_with_a_link_instead_of_a_password(admin: Person) -> None:
    answer = admin.client.post(
        "/api/v1/users", {"username": "Ramon.V", "role": "training_staff", "email": "ramon@rotc.example"}
    )
    assert answer.status_code == 201, answer.json()
    body = answer.json()
    user = User.objects.get(username="Ramon.V")
    assert (answer.headers["Location"], answer.headers["ETag"]) == (f"/api/v1/users/{user.pk}", '"v1"')
    assert (body["role"], body["status"], body["last_login"]) == ("training_staff", "approved", None)
    assert body["invitation"]["emailed"] is False
    assert "EMAIL_URL" in body["invitation"]["reason"]
    assert not user.has_usable_password()
    assert heard() == [("user.created", ["role:admin"], user.pk)]
    assert accept(token_of(body["invitation"]["link"])).status_code == 204
    assert entered("ramon.v", NEW) == 200


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"username": "AMINA"}, 409, None),
        ({"username": "with space"}, 400, "username"),
        ({"role": "king"}, 400, "role"),
        ({"password": PASSWORD}, 400, "password"),
        ({"email": "x"}, 400, "email"),
    ],
)
def test_an_account_that_cannot_be_made_leaves_no_link(
    admin: Person, changes: dict[str, Any], status: int, field: str | None
) -> None:
    answer = admin.client.post("/api/v1/users", {"username": "Ramon.V", "role": "cadet", **changes})
    assert answer.status_code == status
    assert [error["field"] for error in answer.json()["errors"]] == ([field] if field else [])
    assert (User.objects.count(), Invitation.objects.count(), heard()) == (1, 0, [])


def test_a_link_lives_for_72_hours_and_only_its_digest_is_kept(admin: Person, rhea: User) -> None:
    body = invite(admin, rhea).json()
    token = token_of(body["link"])
    invitation = Invitation.objects.get()
    assert invitation.expires_at - invitation.created_at == pytest.approx(
        dt.timedelta(hours=72), abs=dt.timedelta(seconds=5)
    )
    assert body["expires_at"][:19] == invitation.expires_at.isoformat()[:19]
    assert invitation.token_digest == hashlib.sha256(token.encode()).hexdigest()
    assert len(token) >= 43
    written = json.dumps([list(model.objects.values()) for model in (AuditEntry, Event, Invitation, User)], default=str)
    assert token not in written


def test_the_trail_says_who_made_it_and_for_whom(admin: Person, rhea: User) -> None:
    invite(admin, rhea)
    entry = AuditEntry.objects.get(action="invitation.create")
    assert (entry.actor_id, entry.target) == (admin.user.pk, f"user:{rhea.pk}")
    assert entry.after is not None
    assert entry.after["purpose"] == "first_password"


def test_no_log_line_holds_the_token(
    admin: Person, rhea: User, caplog: pytest.LogCaptureFixture, mail: MailServer
) -> None:
    User.objects.filter(pk=rhea.pk).update(email="rhea@rotc.example")
    with caplog.at_level("DEBUG"):
        token = token_of(invite(admin, rhea).json()["link"])
        accept(token)
    assert caplog.text
    assert token not in caplog.text


def test_an_archived_account_gets_no_link(admin: Person, rhea: User) -> None:
    admin.client.post(f"/api/v1/users/{rhea.pk}/archive")
    answer = invite(admin, rhea)
    assert (answer.status_code, answer.json()["code"]) == (409, "account_archived")


# --- E-mail -----------------------------------------------------------------------------------------------------------


def test_the_link_is_emailed_where_a_server_is_known(admin: Person, rhea: User, mail: MailServer) -> None:
    User.objects.filter(pk=rhea.pk).update(email="rhea@rotc.example")
    body = invite(admin, rhea).json()
    assert (body["emailed"], body["reason"]) == (True, None)
    (message,) = mail.messages
    assert message["To"] == "rhea@rotc.example"
    text = message.get_payload(decode=True)
    assert isinstance(text, bytes)
    assert body["link"].encode() in text.replace(b"\r\n", b"\n")
    assert b"Rhea" in text


@pytest.mark.parametrize(
    ("address", "answers", "body", "reason"),
    [
        ("", {}, {}, "no e-mail address"),
        ("rhea@rotc.example", {"RCPT": "550 no such user"}, {}, "550"),
        ("rhea@rotc.example", {"DATA.": ""}, {}, "may have been sent"),
        ("rhea@rotc.example", {}, {"send_email": False}, "Nobody asked"),
    ],
)
def test_what_was_not_emailed_is_said_with_its_reason_and_the_link_is_given_all_the_same(
    *,
    admin: Person,
    rhea: User,
    mail: MailServer,
    address: str,
    answers: dict[str, str],
    body: dict[str, Any],
    reason: str,
) -> None:
    User.objects.filter(pk=rhea.pk).update(email=address)
    mail.answers = answers
    answer = invite(admin, rhea, **body)
    assert answer.status_code == 200
    assert answer.json()["emailed"] is False
    assert reason in answer.json()["reason"]
    assert mail.messages == []
    assert accept(token_of(answer.json()["link"])).status_code == 204


def test_the_page_of_a_link_can_be_another(admin: Person, rhea: User, settings: Settings) -> None:
    settings.INVITATION_URL = "https://front-end.example/choose"
    assert invite(admin, rhea).json()["link"].startswith("https://front-end.example/choose#token=")


# --- Accepting --------------------------------------------------------------------------------------------------------


def test_a_link_works_once(admin: Person, rhea: User) -> None:
    token = token_of(invite(admin, rhea).json()["link"])
    answer = accept(token)
    assert (answer.status_code, answer.content) == (204, b"")
    again = accept(token, "a third long password")
    assert (again.status_code, again.json()["code"]) == (409, "invitation_used")
    assert [entered("Rhea", password) for password in (NEW, "a third long password")] == [200, 401]
    entry = AuditEntry.objects.get(action="invitation.accept")
    assert (entry.actor_id, entry.target) == (rhea.pk, f"user:{rhea.pk}")


@pytest.mark.django_db(transaction=True)
def test_of_two_acceptances_at_once_one_wins(admin: Person, rhea: User) -> None:
    token = token_of(invite(admin, rhea).json()["link"])
    passwords = ["first long password", "second long password"]
    works = [(lambda password=password: str(accept(token, password).status_code)) for password in passwords]
    assert together(works) == ["204", "409"]
    assert sorted(entered("Rhea", password) for password in passwords) == [200, 401]
    assert AuditEntry.objects.filter(action="invitation.accept").count() == 1


def test_a_newer_link_replaces_the_older_one(admin: Person, rhea: User) -> None:
    older, newer = (token_of(invite(admin, rhea).json()["link"]) for _ in range(2))
    answer = accept(older)
    assert (answer.status_code, answer.json()["code"]) == (409, "invitation_replaced")
    assert accept(newer).status_code == 204


@pytest.mark.django_db(transaction=True)
def test_links_made_at_once_leave_one_open(admin: Person, rhea: User) -> None:
    links: list[str] = []

    def make() -> str:
        answer = invite(admin, rhea)
        links.append(answer.json()["link"])
        return str(answer.status_code)

    assert together([make] * 4) == ["200"] * 4
    assert Invitation.objects.filter(used_at=None, replaced_at=None).count() == 1
    assert sorted(accept(token_of(link)).status_code for link in links) == [204, 409, 409, 409]


def test_a_link_ends_with_its_time(admin: Person, rhea: User) -> None:
    token = token_of(invite(admin, rhea).json()["link"])
    Invitation.objects.update(expires_at=Invitation.objects.get().created_at)
    answer = accept(token)
    assert (answer.status_code, answer.json()["code"]) == (409, "invitation_expired")
    assert entered("Rhea", NEW) == 401


def test_a_link_of_an_account_that_was_archived_meanwhile_does_not_work(admin: Person, rhea: User) -> None:
    token = token_of(invite(admin, rhea).json()["link"])
    admin.client.post(f"/api/v1/users/{rhea.pk}/archive")
    assert accept(token).json()["code"] == "account_archived"


def test_a_link_does_not_approve(admin: Person) -> None:
    omar = factories.user("Omar", status=Status.PENDING)
    assert accept(token_of(invite(admin, omar).json()["link"])).status_code == 204
    assert entered("Omar", NEW) == 403


def test_a_weak_password_is_refused_and_the_link_goes_on_working(admin: Person, rhea: User) -> None:
    token = token_of(invite(admin, rhea).json()["link"])
    answer = accept(token, "short")
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["password"]
    assert accept(token).status_code == 204


@pytest.mark.django_db(transaction=True)
def test_a_forgotten_password_ends_the_sessions_and_the_lock(admin: Person, cadet: Person) -> None:
    token = token_of(invite(admin, cadet.user).json()["link"])
    assert Invitation.objects.get().purpose == "reset"
    for _ in range(5):
        entered("Liza", "not the password")
    assert entered("Liza", PASSWORD) == 429
    assert accept(token).status_code == 204
    assert cadet.client.get("/api/v1/auth/me").json()["code"] == "token_revoked"
    assert Session.objects.filter(user=cadet.user, ended_at=None).count() == 0
    assert [entered("Liza", password) for password in (NEW, PASSWORD)] == [200, 401]


@pytest.mark.parametrize("token", ["x", "a" * 200, "\N{SNOWMAN}", "' OR 1=1"])
def test_a_token_that_is_none_opens_nothing(token: str) -> None:
    answer = accept(token)
    assert (answer.status_code, answer.json()["code"]) == (400, "invitation_unknown")


@pytest.mark.parametrize("body", [{}, {"token": ""}, {"token": "nul\x00", "password": NEW}, {"token": ["x"]}, [], None])
def test_a_body_that_is_no_acceptance_is_refused(body: Any) -> None:
    assert APIClient().post("/api/v1/auth/invitations/accept", body).status_code == 400


def test_guesses_of_tokens_lock_the_address(admin: Person, rhea: User) -> None:
    token = token_of(invite(admin, rhea).json()["link"])
    assert {accept(f"guess{number}").status_code for number in range(30)} == {400}
    answer = accept(token)
    assert (answer.status_code, answer.json()["code"]) == (429, "address_locked")


def test_links_that_have_ended_are_no_guesses(admin: Person, rhea: User) -> None:
    token = token_of(invite(admin, rhea).json()["link"])
    accept(token)
    assert {accept(token).status_code for _ in range(31)} == {409}
