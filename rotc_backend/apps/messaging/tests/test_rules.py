import datetime as dt

import pytest

from apps.accounts.rules import Principal
from apps.messaging import rules
from core.errors import ValidationFailed

NOW = dt.datetime(2026, 8, 22, 1, 15, tzinfo=dt.UTC)


def somebody(role: str) -> Principal:
    return Principal(user_id=1, username="x", role=role, session_id="s", version=1, generation=1, expires_at=NOW)


@pytest.mark.parametrize(
    ("role", "kind", "own", "member", "looks"),
    [
        ("admin", "company", None, True, True),
        ("admin", "staff", None, True, True),
        ("admin", "direct", "pair", True, True),
        ("admin", "direct", None, False, True),
        ("training_staff", "company", None, True, True),
        ("training_staff", "staff", None, True, True),
        ("training_staff", "direct", "pair", True, True),
        ("training_staff", "direct", None, False, False),
        ("cadet", "company", "company", True, True),
        ("cadet", "company", None, False, False),
        ("cadet", "staff", None, False, False),
        ("cadet", "direct", "pair", True, True),
        ("cadet", "direct", None, False, False),
    ],
)
def test_who_is_in_a_room_and_who_may_look_into_it(
    role: str, kind: str, own: str | None, member: bool, looks: bool
) -> None:
    actor = somebody(role)
    found = rules.is_member(actor=actor, kind=kind, is_own_company=own == "company", is_own_pair=own == "pair")
    assert found is member
    assert rules.may_look(actor=actor, is_member=found) is looks


@pytest.mark.parametrize(
    ("role", "other", "same", "allowed"),
    [
        ("cadet", "cadet", True, True),
        ("cadet", "cadet", False, False),
        ("cadet", "training_staff", False, True),
        ("cadet", "admin", False, True),
        ("training_staff", "cadet", False, True),
        ("training_staff", "training_staff", False, True),
        ("admin", "cadet", False, True),
    ],
)
def test_who_begins_a_direct_room_with_whom(role: str, other: str, same: bool, allowed: bool) -> None:
    assert rules.may_open_direct(role=role, other_role=other, is_same_company=same) is allowed


def test_a_body_is_stored_without_the_white_space_around_it() -> None:
    assert rules.message_body(" \n Formation,\n 06:30 \t") == "Formation,\n 06:30"
    assert rules.message_body("x" * 4000 + " ") == "x" * 4000


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "blank"),
        (" \n\u2003", "blank"),
        ("x" * 4001, "max_length"),
        ("a\x00b", "invalid"),
        ("a\ud83db", "invalid"),
    ],
)
def test_a_body_that_cannot_be_sent_is_refused_with_a_code(body: str, code: str) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        rules.message_body(body)
    assert [(error.field, error.code) for error in refusal.value.errors] == [("body", code)]


def test_a_client_id_is_one_word_of_plain_characters() -> None:
    for text in ("a", "0f9a6f0e-5f57-4c7e-9a59-7f9d0c1b2a33", "phone:7_3.b", "x" * 64):
        assert rules.client_id(text) == text
    for text in ("", "two words", "x" * 65, "a\n", "é"):
        with pytest.raises(ValidationFailed) as refusal:
            rules.client_id(text)
        assert [(error.field, error.code) for error in refusal.value.errors] == [("client_id", "invalid")]


def test_twenty_messages_in_ten_seconds_are_let_through_and_the_next_waits_for_the_first_of_them() -> None:
    sent = [NOW - dt.timedelta(seconds=second / 2) for second in range(20)]  # newest first; the oldest 9.5 s ago
    assert rules.seconds_to_wait(newest=sent[:19], now=NOW) == 0
    assert rules.seconds_to_wait(newest=sent, now=NOW) == 1
    assert rules.seconds_to_wait(newest=sent, now=NOW + dt.timedelta(seconds=0.5)) == 0
    assert rules.seconds_to_wait(newest=[NOW] * 20, now=NOW) == 10
