"""E-mail that events cause, against a mail server that speaks SMTP."""

import datetime as dt
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from apps.accounts import services
from apps.accounts.models import AuditEntry, Mail, MailPreferences, Role, Status, User
from apps.accounts.services import ToSend, mail_resend, mails, mails_queue, mails_resume
from apps.accounts.tests import factories
from apps.accounts.tests.concurrency import together
from apps.events.models import OutboxJob
from core.clock import now
from core.errors import Conflict
from core.retries import TryLater
from core.tests.smtp_stand_in import MailServer, mail_server_running

pytestmark = pytest.mark.django_db(transaction=True)
State = Mail.State
PATH = "/api/v1/auth/me/mail-preferences"


@pytest.fixture
def server(settings: Settings) -> Iterator[MailServer]:
    with mail_server_running() as running:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_CONFIGURED = True
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", running.port, 3
        settings.EMAIL_PER_MINUTE = 1000
        yield running


def queue(*users: User, event: str = "grade.released", **context: Any) -> None:
    told = {"term": "2026-2027 First", "revision": 1, **context}
    with transaction.atomic():
        mails_queue(
            kind="grade_released",
            mails=[ToSend(recipient_id=user.pk, event=f"{event}:{user.pk}", context=told) for user in users],
        )


def states() -> list[tuple[str, str]]:
    return list(Mail.objects.order_by("event").values_list("state", "detail"))


def parts(message: Any) -> dict[str, str]:
    return {
        part.get_content_type(): part.get_payload(decode=True).decode()
        for part in message.walk()
        if not part.is_multipart()
    }


# --- What is sent -----------------------------------------------------------------------------------------------------


def test_an_approved_account_is_told_as_text_and_html_once(server: MailServer) -> None:
    admin, user = factories.admin(), factories.user("Liza", status=Status.PENDING)
    for _ in range(2):
        services.user_approve(actor=admin.principal, user_id=user.pk)
    assert mails.mails_send() == 1
    assert mails.mails_send() == 0
    (message,) = server.messages
    assert message["To"] == "liza@rotc.example"
    assert message["Subject"] == "Your account in the ROTC grading system is open"
    written = parts(message)
    assert "an administrator has approved your account Liza" in written["text/plain"]
    assert "<strong>Liza</strong>" in written["text/html"]
    mail = Mail.objects.get()
    assert message["Message-ID"] == f"<mail-{mail.pk}@rgms>"
    assert (mail.state, mail.address, mail.context, mail.attempts) == (State.SENT, "liza@rotc.example", {}, 1)


def test_words_of_people_are_shown_and_never_become_markup(server: MailServer) -> None:
    user = factories.user("Liza")
    with transaction.atomic():
        context = {"date_absent": "2026-03-01", "state": "rejected", "note": "<b>No</b> & no"}
        mails_queue(
            kind="letter_decided", mails=[ToSend(recipient_id=user.pk, event="letter.decided:1", context=context)]
        )
    mails.mails_send()
    written = parts(server.messages[0])
    assert "<b>No</b> & no" in written["text/plain"]
    assert "&lt;b&gt;No&lt;/b&gt; &amp; no" in written["text/html"]
    assert server.messages[0]["Subject"] == "Your excuse letter for 2026-03-01 was rejected"


def test_one_event_causes_one_message_however_often_it_is_told(server: MailServer) -> None:
    user = factories.user("Liza")
    queue(user)
    mails.mails_send()
    queue(user)
    assert mails.mails_send() == 0
    assert (len(server.messages), Mail.objects.count()) == (1, 1)


def test_what_is_rolled_back_is_not_told(server: MailServer) -> None:
    user = factories.user("Liza")
    with transaction.atomic():
        queue(user)
        transaction.set_rollback(True)
    assert (mails.mails_send(), Mail.objects.count(), OutboxJob.objects.count()) == (0, 0, 0)


def test_three_hundred_at_once_are_one_job_one_connection_and_the_pace_that_was_granted(
    server: MailServer, settings: Settings
) -> None:
    settings.EMAIL_PER_MINUTE = 60
    users = User.objects.bulk_create(
        User(username=f"cadet-{number}", email=f"cadet-{number}@rotc.example", status=Status.APPROVED, password="!")
        for number in range(300)
    )
    queue(*users)
    assert OutboxJob.objects.filter(task="accounts.mails_send").count() == 1
    with pytest.raises(TryLater) as later:
        mails.mails_send()
    assert len(server.messages) == 60
    assert server.commands.count("EHLO") == 1
    assert 30 < later.value.seconds <= 61
    assert Mail.objects.filter(state=State.WAITING).count() == 240
    for _ in range(4):
        Mail.objects.exclude(claimed_at=None).update(claimed_at=now() - dt.timedelta(seconds=61))
        with pytest.raises(TryLater) if len(server.messages) < 240 else nothing():
            mails.mails_send()
    assert sorted(server.recipients) == sorted(user.email for user in users)
    assert set(Mail.objects.values_list("state", flat=True)) == {State.SENT}


class nothing:  # noqa: N801 - reads as a word
    def __enter__(self) -> None: ...
    def __exit__(self, *raised: object) -> None: ...


def test_the_job_that_has_to_wait_takes_the_others_out_of_the_outbox(server: MailServer, settings: Settings) -> None:
    settings.EMAIL_PER_MINUTE = 1
    for name in ("Liza", "Omar", "Rhea"):
        queue(factories.user(name))
    first, *_ = jobs = list(OutboxJob.objects.order_by("pk").values_list("pk", flat=True))
    assert len(jobs) == 3
    with pytest.raises(TryLater):
        mails.mails_send(job_number=first)
    assert list(OutboxJob.objects.values_list("pk", flat=True)) == [first]


def test_of_two_jobs_that_have_to_wait_at_the_same_moment_one_stays(server: MailServer, settings: Settings) -> None:
    settings.EMAIL_PER_MINUTE = 1
    for name in ("Liza", "Omar", "Rhea"):
        queue(factories.user(name))
    first, second, _ = OutboxJob.objects.order_by("pk").values_list("pk", flat=True)
    mails._claim(None)  # the minute's one message is on its way, so both of them have to wait
    for number in (first, second):  # each has begun before the other one took it out
        with pytest.raises(TryLater):
            mails.mails_send(job_number=number)
    assert list(OutboxJob.objects.values_list("pk", flat=True)) == [first]


# --- What is not sent -------------------------------------------------------------------------------------------------


def test_without_email_url_it_is_recorded_as_not_sent_and_can_be_sent_later(
    settings: Settings, server: MailServer
) -> None:
    settings.EMAIL_CONFIGURED = False
    admin, user = factories.admin(), factories.user("Liza")
    queue(user)
    assert mails.mails_send() == 0
    assert states() == [(State.NOT_SENT, "E-mail is not set up: EMAIL_URL is not set.")]
    settings.EMAIL_CONFIGURED = True
    mail_resend(actor=admin.principal, mail_id=Mail.objects.get().pk)
    assert mails.mails_send() == 1
    entry = AuditEntry.objects.get(action="mail.resend")
    assert entry.before is not None
    assert (entry.actor, entry.before["state"]) == (admin.user, "not_sent")
    with pytest.raises(Conflict):
        mail_resend(actor=admin.principal, mail_id=Mail.objects.get().pk)


def test_who_has_declined_has_no_address_or_was_archived_gets_nothing(server: MailServer) -> None:
    declined, nowhere, archived = factories.user("Liza"), factories.user("Omar"), factories.user("Rhea")
    MailPreferences.objects.create(user=declined, grades=False)
    User.objects.filter(pk=nowhere.pk).update(email="")
    queue(declined, nowhere, archived)
    User.objects.filter(pk=archived.pk).update(archived_at=now())
    assert mails.mails_send() == 0
    assert server.messages == []
    assert states() == [
        (State.SKIPPED, "Declined in the preferences."),
        (State.SKIPPED, "The account has no e-mail address."),
        (State.SKIPPED, "The account is not open."),
    ]


@pytest.mark.parametrize(
    ("answers", "state"), [({"RCPT": "550 no such user"}, State.NOT_SENT), ({"DATA.": ""}, State.UNKNOWN)]
)
def test_what_became_of_it_is_told_truthfully_and_the_next_is_sent_all_the_same(
    server: MailServer, answers: dict[str, str], state: str
) -> None:
    queue(factories.user("Liza"))
    server.answers = answers
    mails.mails_send()
    assert Mail.objects.get().state == state
    server.answers = {}
    queue(factories.user("Omar"))
    assert mails.mails_send() == 1
    assert server.recipients[-1] == "omar@rotc.example"


def test_a_server_that_is_away_is_asked_again_later_each_time_and_then_no_more(server: MailServer) -> None:
    queue(factories.user("Liza"), factories.user("Omar"))
    server.answers = {"MAIL": "421 going down"}
    waits = []
    for _ in range(8):
        Mail.objects.filter(event__endswith=str(User.objects.get(username="Omar").pk)).update(
            due_at=now() + dt.timedelta(days=1)
        )
        Mail.objects.filter(state=State.WAITING).exclude(due_at__gt=now() + dt.timedelta(hours=2)).update(due_at=now())
        with pytest.raises(TryLater):
            mails.mails_send()
        mail = Mail.objects.get(recipient_id=User.objects.get(username="Liza").pk)
        waits.append(round((mail.due_at - now()).total_seconds(), -1))
    assert waits[:7] == [60, 120, 240, 480, 960, 1920, 3600]
    assert (mail.state, mail.attempts) == (State.NOT_SENT, 8)
    assert "421" in mail.detail
    assert server.messages == []


def test_a_message_whose_worker_died_is_unknown_and_never_sent_by_itself(server: MailServer) -> None:
    user = factories.user("Liza")
    queue(user)
    Mail.objects.update(state=State.SENDING, claimed_at=now() - dt.timedelta(seconds=30), attempts=1)
    queue(factories.user("Omar"))
    with pytest.raises(TryLater) as later:
        mails.mails_send()  # its worker may still be at it
    assert 1 <= later.value.seconds <= mails.LOOK_SECONDS + 1
    assert server.messages == []
    Mail.objects.filter(state=State.SENDING).update(claimed_at=now() - dt.timedelta(seconds=mails.LEASE_SECONDS + 1))
    assert mails.mails_send() == 1
    assert server.recipients == ["omar@rotc.example"]
    assert states()[0] == (State.UNKNOWN, "The worker ended while it was sending.")


def test_of_several_workers_one_sends(server: MailServer) -> None:
    queue(*(factories.user(f"cadet-{number}") for number in range(12)))

    def send() -> str:
        try:
            mails.mails_send()
        except TryLater:
            return "later"
        return "done"

    outcomes = together([send] * 4)
    while "done" not in outcomes or Mail.objects.exclude(state=State.SENT).exists():
        time.sleep(0.1)
        outcomes.append(send())
    assert len(server.messages) == len(set(server.recipients)) == 12


def test_the_account_is_not_held_while_a_slow_server_is_spoken_to(server: MailServer) -> None:
    user = factories.user("Liza")
    queue(user)
    waiting, go_on = threading.Event(), threading.Event()

    class Slow(dict[str, str]):
        def __contains__(self, verb: object) -> bool:
            if verb == "MAIL":
                waiting.set()
                go_on.wait(10)
            return False

    server.answers = Slow()

    def send() -> None:
        try:
            mails.mails_send()
        finally:
            connection.close()

    thread = threading.Thread(target=send)
    thread.start()
    assert waiting.wait(10)
    started = time.monotonic()
    User.objects.filter(pk=user.pk).update(first_name="Lisa")
    assert Mail.objects.get().state == State.SENDING
    assert time.monotonic() - started < 1
    go_on.set()
    thread.join(10)
    assert Mail.objects.get().state == State.SENT


def test_a_message_that_cannot_be_written_does_not_keep_the_others(server: MailServer) -> None:
    liza, omar = factories.user("Liza"), factories.user("Omar")
    queue(liza)
    Mail.objects.update(kind="of_yesterday")
    queue(omar)
    assert mails.mails_send() == 1
    assert (State.NOT_SENT, "It could not be written: TemplateDoesNotExist.") in states()


def test_what_waits_without_a_job_is_asked_for_again(server: MailServer) -> None:
    queue(factories.user("Liza"))
    OutboxJob.objects.all().delete()
    assert not mails_resume()
    Mail.objects.update(due_at=now() - dt.timedelta(seconds=mails.LATE_SECONDS + 1))
    assert mails_resume()
    assert OutboxJob.objects.filter(task="accounts.mails_send").count() == 1


def test_old_messages_go_except_those_that_wait(server: MailServer) -> None:
    queue(factories.user("Liza"))
    mails.mails_send()
    queue(factories.user("Omar"))
    Mail.objects.update(created_at=now() - dt.timedelta(days=91))
    assert services.mails_expire(before=now() - dt.timedelta(days=90)) == 1
    assert Mail.objects.get().state == State.WAITING


# --- Preferences ------------------------------------------------------------------------------------------------------


def test_everybody_chooses_what_to_be_told_and_nobody_elses() -> None:
    liza, omar = factories.signed_in(factories.user("Liza")), factories.signed_in(factories.user("Omar"))
    everything = {"excuse_letters": True, "grades": True, "daily_reports": True}
    own = {"username": "Liza", "email": "liza@rotc.example"}
    assert liza.client.get(PATH).json() == {**own, **everything}
    answer = liza.client.patch(PATH, {"grades": False})
    assert (answer.status_code, answer.json()) == (200, {**own, **everything, "grades": False})
    liza.client.patch(PATH, {"grades": False})
    assert omar.client.get(PATH).json()["grades"] is True
    entry = AuditEntry.objects.get(action="mail_preferences.change")
    assert (entry.before, entry.after) == ({"grades": True}, {"grades": False})
    assert MailPreferences.objects.count() == 1


def test_a_preference_that_there_is_none_of_is_refused() -> None:
    liza = factories.signed_in(factories.user("Liza", role=Role.ADMIN))
    for body in ({"invitations": False}, {"grades": "perhaps"}, {"grades": None}):
        assert liza.client.patch(PATH, body).status_code == 400
    assert not MailPreferences.objects.exists()


def test_the_table_is_what_the_model_says() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, is_nullable FROM information_schema.columns "
            "WHERE table_schema = 'ops' AND table_name = 'mail'"
        )
        found = dict(cursor.fetchall())
    assert found == {field.column: "YES" if field.null else "NO" for field in Mail._meta.local_fields}
