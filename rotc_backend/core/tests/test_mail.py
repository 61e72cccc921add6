import socket
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from core.mail import Outcome, mail_deliver
from core.tests.smtp_stand_in import MailServer, mail_server_running


@pytest.fixture
def server(settings: Settings) -> Iterator[MailServer]:
    with mail_server_running() as running:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_CONFIGURED = True
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", running.port, 3
        settings.DEFAULT_FROM_EMAIL = "RGMS <rgms@rotc.example>"
        yield running


def deliver() -> tuple[Outcome, str]:
    sent = mail_deliver(to="liza@rotc.example", subject="Good day", text="Hello Liza\n", message_id="1@rgms")
    return sent.outcome, sent.detail


def test_a_message_reaches_the_server_as_it_was_written(server: MailServer) -> None:
    assert deliver() == (Outcome.SENT, "")
    (message,) = server.messages
    assert server.recipients == ["liza@rotc.example"]
    assert (message["From"], message["To"], message["Subject"]) == (
        "RGMS <rgms@rotc.example>",
        "liza@rotc.example",
        "Good day",
    )
    assert message["Message-ID"] == "<1@rgms>"
    assert message.get_payload() == "Hello Liza\r\n"
    assert server.commands[-1] == "QUIT"


def test_the_server_is_told_who_sends_when_it_wants_to_know(server: MailServer, settings: Settings) -> None:
    server.account = ("rgms", "s3cret")
    outcome, detail = deliver()
    assert outcome == Outcome.REFUSED
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = server.account
    assert deliver()[0] == Outcome.SENT
    settings.EMAIL_HOST_PASSWORD = "another"
    outcome, detail = deliver()
    assert outcome == Outcome.AWAY
    assert "535" in detail
    assert "another" not in detail


@pytest.mark.parametrize(
    ("answers", "outcome", "word"),
    [
        ({"RCPT": "550 no such user"}, Outcome.REFUSED, "550"),
        ({"RCPT": "451 try later"}, Outcome.AWAY, "451"),
        ({"MAIL": "553 not from you"}, Outcome.REFUSED, "553"),
        ({"DATA": "452 disk full"}, Outcome.AWAY, "452"),
        ({"DATA.": "554 it looks like spam"}, Outcome.REFUSED, "spam"),
        ({"DATA.": ""}, Outcome.UNKNOWN, "may have been sent"),
        ({"EHLO": "421 going down", "HELO": "421 going down"}, Outcome.AWAY, "421"),
    ],
)
def test_what_a_server_answers_is_told_truthfully(
    server: MailServer, answers: dict[str, str], outcome: Outcome, word: str
) -> None:
    server.answers = answers
    came, detail = deliver()
    assert came == outcome
    assert word in detail
    assert server.messages == []


def test_a_server_that_is_away_was_sent_nothing(server: MailServer, settings: Settings) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings.EMAIL_PORT = free.getsockname()[1]
    assert deliver()[0] == Outcome.AWAY


def test_without_a_server_nothing_is_sent_and_it_is_said(settings: Settings) -> None:
    settings.EMAIL_CONFIGURED = False
    outcome, detail = deliver()
    assert outcome == Outcome.NOT_CONFIGURED
    assert "EMAIL_URL" in detail


def test_an_address_that_would_add_a_header_is_refused(server: MailServer) -> None:
    sent = mail_deliver(to="liza@rotc.example\nBcc: all@rotc.example", subject="x", text="x", message_id="1@rgms")
    assert sent.outcome == Outcome.REFUSED
    assert server.messages == []
