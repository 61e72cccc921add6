import uuid

import pytest

from apps.events.rules import EventRefused, ResumeId, checked_recipients, resume_id


@pytest.mark.parametrize(
    "recipient",
    ["user:42", "room:7", "role:training_staff", "company:Alpha", "company:2nd Platoon", "company:Ñ"],
)
def test_a_recipient_names_its_kind_and_who_it_is(recipient: str) -> None:
    assert checked_recipients([recipient]) == [recipient]


@pytest.mark.parametrize(
    "recipient",
    [
        "",
        "42",
        "user:",
        "user:0",
        "user:-1",
        "user:042",
        "user:x",
        "user:42 ",
        "user:42\n",
        "User:42",
        "users:42",
        "role:",
        "role:Admin",
        "company:",
        "company: Alpha",
        "company:Alpha\n",
        "company:" + "x" * 65,
        "room:7:8",
        42,
        None,
    ],
)
def test_anything_else_is_refused(recipient: str) -> None:
    with pytest.raises(EventRefused):
        checked_recipients(["user:1", recipient])


def test_an_event_for_nobody_is_refused() -> None:
    with pytest.raises(EventRefused):
        checked_recipients([])


def test_one_string_is_not_a_list_of_recipients() -> None:
    with pytest.raises(EventRefused):
        checked_recipients("user:42")


def test_repeated_recipients_are_written_once_in_their_order() -> None:
    assert checked_recipients(["user:2", "user:1", "user:2"]) == ["user:2", "user:1"]


def test_a_resume_id_is_read_as_it_was_written() -> None:
    place = ResumeId(epoch=uuid.UUID("0190a1b2-0000-4000-8000-00000000abcd"), position=17)
    assert str(place) == "0190a1b2-0000-4000-8000-00000000abcd:17"
    assert resume_id(str(place)) == place


@pytest.mark.parametrize("text", ["", ":", "17", "x:17", "0190a1b2-0000-4000-8000-00000000abcd:-1", "é"])
def test_what_is_no_resume_id_is_none(text: str) -> None:
    assert resume_id(text) is None


def test_a_resume_id_has_one_spelling() -> None:
    assert resume_id("0190A1B2-0000-4000-8000-00000000ABCD:17") is None
    assert resume_id("0190a1b2-0000-4000-8000-00000000abcd:017") is None
