import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from core.messages import Event


@dataclass(frozen=True, kw_only=True)
class NotificationCreated(Event):
    """`unread` is the recipient's count with this one; it replaces what the client has counted itself."""

    type: ClassVar[str] = "notification.created"

    id: int
    title: str
    body: str
    correlation_id: str | None
    created_at: dt.datetime
    unread: int


@dataclass(frozen=True, kw_only=True)
class NotificationRead(Event):
    type: ClassVar[str] = "notification.read"

    id: int
    read_at: dt.datetime
    unread: int


@dataclass(frozen=True, kw_only=True)
class NotificationRemoved(Event):
    type: ClassVar[str] = "notification.removed"

    id: int
    unread: int
