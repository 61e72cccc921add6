"""Who is in which room, what may be sent, and how fast. Plain Python."""

import datetime as dt
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from apps.accounts.rules import ADMIN, CADET, TRAINING_STAFF, Principal
from apps.cadets.events import (
    CadetArchived,
    CadetChanged,
    CadetRestored,
    CompanyChanged,
    EnrollmentChanged,
    EnrollmentCreated,
    TermChanged,
)
from core.errors import FieldError, ValidationFailed

COMPANY, STAFF, DIRECT = "company", "staff", "direct"

LONGEST_MESSAGE, LONGEST_CLIENT_ID = 4000, 64  # characters
CLIENT_ID = rf"^[A-Za-z0-9._:-]{{1,{LONGEST_CLIENT_ID}}}\Z"
MESSAGES_AT_ONCE, WITHIN = 20, dt.timedelta(seconds=10)
MOST_PHOTOS = 5
UNREAD_COUNTED = 100  # more is "100 or more": nobody reads the exact number, and counting it would cost

# Who has left a term or put it off has no part in the company's conversation.
STATUSES_OUTSIDE = frozenset({"dropped", "deferred"})

# After which somebody may belong to another company than before, or to none.
STANDING_TYPES = frozenset(
    event.type
    for event in (
        CadetArchived,
        CadetChanged,
        CadetRestored,
        CompanyChanged,
        EnrollmentChanged,
        EnrollmentCreated,
        TermChanged,
    )
)
# Staff sit in every company's room, until the company is archived.
STAFF_STANDING_TYPES = frozenset({CompanyChanged.type})
TYPING = "typing"
TYPING_SECONDS = 2.0  # between two of one person in one room: it is shown for a few seconds
LARGEST_HISTORY, USUAL_HISTORY = 100, 50  # messages of one answer
LARGEST_ANSWER = 262_144  # bytes of history in one frame: a client is dropped that leaves a megabyte unread

STAFF_ROLES = (f"role:{ADMIN}", f"role:{TRAINING_STAFF}")
EVERYBODY = (*STAFF_ROLES, f"role:{CADET}")


def announcements_version() -> str:
    """The cache version of all lists of announcements."""
    return "announcements"


def is_member(*, actor: Principal, kind: str, is_own_company: bool, is_own_pair: bool) -> bool:
    """Whether `actor` writes and reads in a room.

    ==================  =========================  ===============  ============
                        administrator              training staff   cadet
    ==================  =========================  ===============  ============
    company's room      yes                        yes              own company
    staff room          yes                        yes              no
    direct room         own; reads others' (audit) own              own
    ==================  =========================  ===============  ============
    """
    if kind == DIRECT:
        return is_own_pair
    return actor.is_staff_member or (kind == COMPANY and is_own_company)


def may_look(*, actor: Principal, is_member: bool) -> bool:
    """Whether `actor` reads a room: its members, and an administrator every room.

    In a direct room of two others an administrator reads and removes, which the audit trail shows, but does not write:
    nobody should find a third voice in a conversation of two.
    """
    return is_member or actor.is_admin


def may_open_direct(*, role: str, other_role: str, is_same_company: bool) -> bool:
    """Whether somebody of `role` may begin a direct room with somebody of `other_role`.

    Staff and administrators with anybody, cadets with them and with cadets of the own company in the current term. A
    room that exists stays open to its two people when one of them moves to another company.
    """
    return role != CADET or other_role != CADET or is_same_company


def message_body(text: str) -> str:
    """`text` as it is stored: without white space around it.

    Raises ValidationFailed with an error at `body`: `blank`, `max_length`, or `invalid` for characters that no text
    has (NUL, half a surrogate pair).
    """
    body = text.strip()
    if not body:
        raise _refused("body", "blank", "Write something.")
    if len(body) > LONGEST_MESSAGE:
        raise _refused("body", "max_length", f"Write at most {LONGEST_MESSAGE} characters.")
    if "\x00" in body or any("\ud800" <= character <= "\udfff" for character in body):
        raise _refused("body", "invalid", "The text holds a character that no text has.")
    return body


def client_id(text: str) -> str:
    """`text`, if it can be a message's client id. Raises ValidationFailed with the error `invalid` at `client_id`."""
    if not re.match(CLIENT_ID, text):
        raise _refused("client_id", "invalid", f"Write 1 to {LONGEST_CLIENT_ID} letters, digits, and . _ : - only.")
    return text


def frame_fields(
    data: Any, *, required: Mapping[str, type], optional: Mapping[str, type] | None = None
) -> dict[str, Any]:
    """The fields of a client's frame. Raises ValidationFailed with `required`, `invalid` and `unknown_field`.

    Whole numbers are ids or counts: from 1 to 2**63 - 1.
    """
    known = {**required, **(optional or {})}
    given = data if isinstance(data, dict) else {}
    errors = [
        FieldError(field=name, code="required", detail="This frame needs this field.")
        for name in required
        if name not in given
    ]
    for name, value in given.items():
        if name not in known:
            detail = f"This frame has no such field; it has {', '.join(known) or 'none'}."
            errors.append(FieldError(field=name[:64], code="unknown_field", detail=detail))
        elif known[name] is int and not (type(value) is int and 0 < value < 2**63):
            errors.append(FieldError(field=name, code="invalid", detail="Write a whole number from 1 on."))
        elif known[name] is str and not isinstance(value, str):
            errors.append(FieldError(field=name, code="invalid", detail="Write a text."))
    if errors:
        raise ValidationFailed("This frame cannot be understood.", errors=errors)
    return given


def _refused(field: str, code: str, detail: str) -> ValidationFailed:
    return ValidationFailed("This message cannot be sent.", errors=[FieldError(field=field, code=code, detail=detail)])


def seconds_to_wait(*, newest: Sequence[dt.datetime], now: dt.datetime) -> int:
    """How many whole seconds somebody has to wait before the next message; 0: none.

    `newest` are the instants of the author's last messages in all rooms, newest first; MESSAGES_AT_ONCE of them are
    enough. That many may be sent within WITHIN.
    """
    if len(newest) < MESSAGES_AT_ONCE:
        return 0
    left = newest[MESSAGES_AT_ONCE - 1] + WITHIN - now
    return max(0, math.ceil(left.total_seconds()))
