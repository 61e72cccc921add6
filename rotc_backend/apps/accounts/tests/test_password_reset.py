import datetime as dt
import socketserver
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts import services
from apps.accounts.jobs import PasswordResetMail
from apps.accounts.models import AuditEntry, Invitation, PasswordReset, Role, Status, User
from apps.accounts.services import resets
from apps.accounts.tests import factories
from apps.accounts.tests.concurrency import together
from apps.accounts.tests.factories import PASSWORD
from core.clock import now
from core.retries import TryLater
from core.tests.smtp_stand_in import MailServer, mail_server_running

pytestmark = pytest.mark.django_db(transaction=True)
NEW = "another long password"
PATH = "/api/v1/auth/password-reset"


@pytest.fixture
def mail(settings: Settings) -> Iterator[MailServer]:
    with mail_server_running() as running:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_CONFIGURED = True
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", running.port, 3
        yield running


@pytest.fixture
def sent_jobs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would go to the broker; the tests deliver it themselves, as often as they like."""
    messages: list[dict[str, Any]] = []
    task = current_app.tasks[PasswordResetMail.task]
    monkeypatch.setattr(task, "apply_async", lambda **message: messages.append(message))
    return messages


def ask(**body: str) -> Any:
    return APIClient().post(PATH, body)


def deliver(messages: list[dict[str, Any]]) -> None:
    for message in messages:
        current_app.tasks[PasswordResetMail.task](**message["kwargs"])


def text_of(message: Any) -> str:
    return str(message.get_payload(decode=True).decode())


def token_in(message: Any) -> str:
    return text_of(message).partition("#token=")[2].split()[0]


def test_a_host_with_an_endless_port_is_refused_and_nothing_is_kept(mail: MailServer) -> None:
    answer = APIClient().post(PATH, {"username": "Liza"}, headers={"Host": f"testserver:{'0' * 600}"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "Host")
    assert not PasswordReset.objects.exists()


@pytest.mark.parametrize("body", [{"username": "LIZA"}, {"email": "Liza@rotc.example"}])
def test_a_link_comes_by_email_and_sets_the_password(
    mail: MailServer, sent_jobs: list[dict[str, Any]], body: dict[str, str]
) -> None:
    factories.user("Liza")
    answer = ask(**body)
    assert answer.status_code == 202
    assert Invitation.objects.count() == 0
    deliver(sent_jobs)
    (message,) = mail.messages
    assert message["To"] == "liza@rotc.example"
    assert "http://testserver/invitation/#token=" in text_of(message)
    accepted = APIClient().post("/api/v1/auth/invitations/accept", {"token": token_in(message), "password": NEW})
    assert accepted.status_code == 204
    assert services.session_open(username="Liza", password=NEW)
    assert PasswordReset.objects.get().state == "sent"


def test_nothing_secret_passes_through_the_broker(mail: MailServer, sent_jobs: list[dict[str, Any]]) -> None:
    factories.user("Liza")
    ask(username="Liza")
    ((_, kwargs),) = [(None, message["kwargs"]) for message in sent_jobs]
    assert kwargs == {"reset_id": str(PasswordReset.objects.get().pk)}
    deliver(sent_jobs)
    tables: list[Any] = [PasswordReset, Invitation, AuditEntry]
    rows = str([list(table.objects.values()) for table in tables])
    assert token_in(mail.messages[0]) not in rows


@pytest.mark.parametrize("case", ["pending", "archived", "without address"])
def test_an_account_that_is_not_open_or_has_no_address_gets_nothing_and_the_answer_does_not_tell(
    mail: MailServer, sent_jobs: list[dict[str, Any]], case: str
) -> None:
    factories.user("Liza")
    closed = factories.user("Rhea")
    every: dict[str, dict[str, Any]] = {
        "pending": {"status": Status.PENDING},
        "archived": {"archived_at": now()},
        "without address": {"email": ""},
    }
    User.objects.filter(pk=closed.pk).update(**every[case])
    answers = [ask(username=name) for name in ("Liza", "Rhea", "nobody")]
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, answers[0].content)}
    assert len(sent_jobs) == 3
    deliver(sent_jobs)
    assert mail.recipients == ["liza@rotc.example"]
    assert sorted(PasswordReset.objects.values_list("state", flat=True)) == ["ignored", "ignored", "sent"]


def test_the_answer_costs_the_same_for_a_name_that_nobody_has(sent_jobs: list[dict[str, Any]]) -> None:
    factories.user("Liza")
    costs = []
    for name in ("Liza", "nobody"):
        with CaptureQueriesContext(connection) as queries:
            ask(username=name)
        costs.append([query["sql"].split()[0] for query in queries])
    assert costs[0] == costs[1]
    assert len(sent_jobs) == 2


def test_accounts_that_share_an_address_get_a_link_each(mail: MailServer, sent_jobs: list[dict[str, Any]]) -> None:
    for name in ("Liza", "Omar"):
        User.objects.filter(pk=factories.user(name).pk).update(email="family@rotc.example")
    ask(email="FAMILY@rotc.example")
    deliver(sent_jobs)
    texts = "".join(text_of(message) for message in mail.messages)
    assert len(mail.messages) == 2
    assert "Liza" in texts
    assert "Omar" in texts


def test_a_message_that_is_delivered_twice_sends_one_email(mail: MailServer, sent_jobs: list[dict[str, Any]]) -> None:
    factories.user("Liza")
    ask(username="Liza")
    deliver(sent_jobs * 3)
    assert len(mail.messages) == 1


def test_deliveries_at_once_send_one_email(mail: MailServer, sent_jobs: list[dict[str, Any]]) -> None:
    factories.user("Liza")
    ask(username="Liza")

    def delivered() -> str:
        deliver(sent_jobs)
        return "done"

    outcomes = together([delivered] * 3)
    # The slower ones are told to look again later, in case the first does not finish, or find it finished.
    assert set(outcomes) <= {"done", "TryLater"}
    assert "done" in outcomes
    assert len(mail.messages) == 1


def test_a_second_request_within_minutes_sends_nothing_more(mail: MailServer, sent_jobs: list[dict[str, Any]]) -> None:
    factories.user("Liza")
    ask(username="Liza")
    deliver(sent_jobs)
    ask(email="liza@rotc.example")
    deliver(sent_jobs[1:])
    assert len(mail.messages) == 1
    assert PasswordReset.objects.latest("requested_at").state == "ignored"
    PasswordReset.objects.update(claimed_at=now() - dt.timedelta(minutes=6))
    ask(username="Liza")
    deliver(sent_jobs[2:])
    assert len(mail.messages) == 2
    older, newer = (token_in(message) for message in mail.messages)
    accept = lambda token: APIClient().post("/api/v1/auth/invitations/accept", {"token": token, "password": NEW})  # noqa: E731
    assert accept(older).json()["code"] == "invitation_replaced"
    assert accept(newer).status_code == 204


def test_a_server_that_is_away_is_asked_again_and_the_older_link_goes_on_working_until_then(
    mail: MailServer, sent_jobs: list[dict[str, Any]]
) -> None:
    factories.user("Liza")
    ask(username="Liza")
    deliver(sent_jobs)
    sent_jobs.clear()
    older = Invitation.objects.get()
    PasswordReset.objects.all().delete()
    mail.answers = {"EHLO": "421 going down", "HELO": "421 going down"}
    ask(username="Liza")
    (message,) = sent_jobs
    with pytest.raises(TryLater):
        deliver([message])
    reset = PasswordReset.objects.get()
    assert (reset.state, reset.attempts) == ("waiting", 1)
    assert "421" in reset.detail
    older.refresh_from_db()
    assert older.replaced_at is None
    mail.answers = {}
    deliver([message])
    assert len(mail.messages) == 2
    token = token_in(mail.messages[0])
    accepted = APIClient().post("/api/v1/auth/invitations/accept", {"token": token, "password": NEW})
    assert accepted.json()["code"] == "invitation_replaced"  # by the one that was sent in the end


def test_it_is_given_up_after_some_attempts(mail: MailServer, sent_jobs: list[dict[str, Any]]) -> None:
    factories.user("Liza")
    mail.answers = {"RCPT": "451 try later"}
    ask(username="Liza")
    for _ in range(resets.LARGEST_ATTEMPTS - 1):
        with pytest.raises(TryLater):
            deliver(sent_jobs)
    deliver(sent_jobs)
    assert PasswordReset.objects.get().state == "failed"
    assert Invitation.objects.count() == 0


@pytest.mark.parametrize(
    ("answers", "state", "links"),
    [({"RCPT": "550 no such user"}, "failed", 0), ({"DATA.": ""}, "unknown", 1)],
)
def test_what_became_of_it_is_recorded_truthfully(
    mail: MailServer, sent_jobs: list[dict[str, Any]], answers: dict[str, str], state: str, links: int
) -> None:
    factories.user("Liza")
    mail.answers = answers
    ask(username="Liza")
    deliver(sent_jobs)
    deliver(sent_jobs)
    assert PasswordReset.objects.get().state == state
    assert Invitation.objects.count() == links
    assert AuditEntry.objects.filter(action="password_reset.send").count() == 1


def test_a_task_whose_worker_died_is_not_sent_again_and_says_so(
    mail: MailServer, sent_jobs: list[dict[str, Any]]
) -> None:
    factories.user("Liza")
    ask(username="Liza")
    PasswordReset.objects.update(state="sending", claimed_at=now())
    with pytest.raises(TryLater):
        deliver(sent_jobs)  # perhaps it still runs
    PasswordReset.objects.update(claimed_at=now() - resets.LEASE - dt.timedelta(seconds=1))
    deliver(sent_jobs)
    assert PasswordReset.objects.get().state == "unknown"
    assert mail.messages == []


def test_without_a_mail_server_the_answer_says_so_and_the_row_too(sent_jobs: list[dict[str, Any]]) -> None:
    factories.user("Liza")
    answers = [ask(username=name) for name in ("Liza", "nobody")]
    assert {answer.json()["detail"] for answer in answers} == {
        "This system cannot send e-mail. Ask an administrator for a link to choose a new password."
    }
    deliver(sent_jobs)
    row = PasswordReset.objects.exclude(user=None).get()
    assert (row.state, "EMAIL_URL" in row.detail) == ("failed", True)


@pytest.mark.parametrize(
    "body", [{}, {"username": "a", "email": "a@b.example"}, {"email": "x"}, {"username": "nul\x00"}, {"other": "x"}, []]
)
def test_a_request_names_one_account_or_address(body: Any) -> None:
    assert APIClient().post(PATH, body).status_code == 400
    assert PasswordReset.objects.count() == 0


def test_requests_from_one_address_have_an_end(settings: Settings, sent_jobs: list[dict[str, Any]]) -> None:
    settings.PASSWORD_RESETS_PER_ADDRESS = 2
    answers = [ask(username=f"cadet{number}") for number in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[2].json()["code"] == "address_locked"
    assert len(sent_jobs) == 2


def test_a_job_whose_row_is_gone_does_nothing(mail: MailServer) -> None:
    resets.password_reset_send(reset_id=uuid.uuid4())
    assert mail.messages == []


def test_cleaning_up_says_what_is_known_of_lost_requests() -> None:
    account = factories.user("Liza")
    old = now() - dt.timedelta(hours=2)
    for state in ("waiting", "sending", "sent"):
        row = PasswordReset.objects.create(user=account, page="x", state=state, claimed_at=old)
        PasswordReset.objects.filter(pk=row.pk).update(requested_at=old)
    ancient = PasswordReset.objects.create(user=account, page="x")
    PasswordReset.objects.filter(pk=ancient.pk).update(requested_at=now() - dt.timedelta(days=31))
    assert services.tokens_cleanup()["password_resets"] == 1
    assert sorted(PasswordReset.objects.values_list("state", flat=True)) == ["failed", "sent", "unknown"]


class Silent(socketserver.BaseRequestHandler):
    """A server that takes the connection and says nothing."""

    def handle(self) -> None:
        self.request.recv(1)


def test_a_slow_mail_server_does_not_hold_the_account(
    mail: MailServer, sent_jobs: list[dict[str, Any]], settings: Settings
) -> None:
    account = factories.user("Liza")
    ask(username="Liza")
    finished: list[str] = []

    def sending() -> str:
        with pytest.raises(TryLater):
            deliver(sent_jobs)
        finished.append("sending")
        return "given up"

    def signing_in() -> str:
        time.sleep(0.3)
        services.session_open(username=account.username, password=PASSWORD)
        finished.append("signing in")
        return "signed in"

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Silent) as silent:
        silent.daemon_threads = True
        settings.EMAIL_PORT = silent.server_address[1]
        serving = threading.Thread(target=silent.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        assert together([sending, signing_in]) == ["given up", "signed in"]
        silent.shutdown()
        serving.join()
    assert finished == ["signing in", "sending"]


def test_an_administrator_resets_the_same_way(mail: MailServer, sent_jobs: list[dict[str, Any]]) -> None:
    factories.user("Amina", role=Role.ADMIN)
    ask(username="amina")
    deliver(sent_jobs)
    assert mail.recipients == ["amina@rotc.example"]


def test_nobody_ends_a_link_of_an_administrator_by_asking_for_another(
    mail: MailServer, sent_jobs: list[dict[str, Any]]
) -> None:
    account, admin = factories.user("Liza"), factories.admin()
    link = admin.client.post(f"/api/v1/users/{account.pk}/invitation", {"send_email": False}).json()["link"]
    answers = [ask(username=name) for name in ("Liza", "nobody")]
    assert answers[0].content == answers[1].content
    deliver(sent_jobs)
    assert mail.messages == []
    assert PasswordReset.objects.get(user=account).state == "ignored"
    token = link.partition("#token=")[2]
    accepted = APIClient().post("/api/v1/auth/invitations/accept", {"token": token, "password": NEW})
    assert accepted.status_code == 204


def test_an_expired_link_of_an_administrator_hinders_nobody(mail: MailServer, sent_jobs: list[dict[str, Any]]) -> None:
    account, admin = factories.user("Liza"), factories.admin()
    admin.client.post(f"/api/v1/users/{account.pk}/invitation", {"send_email": False})
    Invitation.objects.update(expires_at=now() - dt.timedelta(seconds=1))
    ask(username="Liza")
    deliver(sent_jobs)
    assert len(mail.messages) == 1


@pytest.mark.parametrize("meanwhile", ["password", "address", "link"])
def test_a_link_that_was_overtaken_on_its_way_does_not_open(
    mail: MailServer, sent_jobs: list[dict[str, Any]], meanwhile: str
) -> None:
    account, admin = factories.user("Liza"), factories.admin()
    ask(username="Liza")
    claimed = resets._claim(PasswordReset.objects.get().pk)
    assert claimed is not None
    assert claimed.user is not None
    if meanwhile == "password":
        services.user_set_password(actor_id=None, user=User.objects.get(pk=account.pk), password=NEW)
    elif meanwhile == "address":
        User.objects.filter(pk=account.pk).update(email="other@rotc.example")
    else:
        services.invitation_create(actor=admin.principal, user_id=account.pk, page="x", send=False)
    resets._send(claimed, claimed.user)
    assert not Invitation.objects.filter(created_by=None).exists()
    assert PasswordReset.objects.get().state == "sent"


def test_a_mail_greets_by_username_and_carries_no_words_that_somebody_registered(
    mail: MailServer, sent_jobs: list[dict[str, Any]]
) -> None:
    account = factories.user("Liza")
    User.objects.filter(pk=account.pk).update(first_name="Liza\nYour prize waits at evil.example", last_name="X")
    ask(username="Liza")
    deliver(sent_jobs)
    text = text_of(mail.messages[0])
    assert text.startswith("Good day Liza,")
    assert "evil.example" not in text
