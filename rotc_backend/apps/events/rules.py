import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

LARGEST_EVENT = 32_768  # bytes of JSON in UTF-8

_RECIPIENT = re.compile(
    r"(?:user|room):[1-9][0-9]{0,18}|role:[a-z][a-z_]{0,39}|company:[^\s:](?:[^\r\n:]{0,62}[^\s:])?"
)
_RESUME_ID = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):(0|[1-9][0-9]{0,18})")


class EventRefused(ValueError):
    """An event that must not be written: a mistake of the code that publishes it, never of a user."""


def checked_recipients(recipients: Sequence[str]) -> list[str]:
    """`recipients` without repeats, in their order.

    Each is `user:42`, `room:7`, `role:admin` or `company:Alpha`. Raises EventRefused when one is anything
    else or there is none: an event that nobody can receive is a mistake, and so is one addressed to a typing
    error.
    """
    if isinstance(recipients, str):
        raise EventRefused(f"Recipients are a list of strings, not one string: {recipients!r}")
    if not recipients:
        raise EventRefused("An event needs at least one recipient")
    for recipient in recipients:
        if not isinstance(recipient, str) or not _RECIPIENT.fullmatch(recipient):
            raise EventRefused(f"{recipient!r} is not a recipient: write user:42, room:7, role:admin or company:Alpha")
    return list(dict.fromkeys(recipients))


@dataclass(frozen=True, kw_only=True)
class ResumeId:
    """Where a client stands in the log: `epoch:position`. A restore of the database changes the epoch."""

    epoch: uuid.UUID
    position: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.position}"


def resume_id(text: str) -> ResumeId | None:
    """The resume id that `text` spells in the service's own form, or None."""
    match = _RESUME_ID.fullmatch(text)
    return ResumeId(epoch=uuid.UUID(match[1]), position=int(match[2])) if match else None
