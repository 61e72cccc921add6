import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from core.messages import Event


@dataclass(frozen=True, kw_only=True)
class _Account:
    """The account as it is now, for administrators' lists and for its owner. `version` is the one of its ETag."""

    id: int
    username: str
    email: str
    first_name: str
    last_name: str
    role: str
    status: str
    archived_at: dt.datetime | None
    version: int


@dataclass(frozen=True, kw_only=True)
class UserRegistered(_Account, Event):
    """Somebody waits for approval. To administrators."""

    type: ClassVar[str] = "user.registered"


@dataclass(frozen=True, kw_only=True)
class UserCreated(_Account, Event):
    """An administrator has made an account. To administrators."""

    type: ClassVar[str] = "user.created"


@dataclass(frozen=True, kw_only=True)
class UserApproved(_Account, Event):
    type: ClassVar[str] = "user.approved"


@dataclass(frozen=True, kw_only=True)
class UserChanged(_Account, Event):
    type: ClassVar[str] = "user.changed"


@dataclass(frozen=True, kw_only=True)
class UserArchived(_Account, Event):
    """Its sessions have ended. To administrators; its own sockets are closed instead (4401)."""

    type: ClassVar[str] = "user.archived"


@dataclass(frozen=True, kw_only=True)
class UserRestored(_Account, Event):
    type: ClassVar[str] = "user.restored"
