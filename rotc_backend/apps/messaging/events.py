import datetime as dt
from dataclasses import dataclass
from typing import ClassVar, TypedDict

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


@dataclass(frozen=True, kw_only=True)
class RoomOpened(Event):
    """There is a new room. Its own events go to `room:<id>`, where nobody listens who does not know of it."""

    type: ClassVar[str] = "room.opened"

    id: int
    kind: str


class Author(TypedDict):
    id: int
    username: str
    name: str
    role: str


@dataclass(frozen=True, kw_only=True)
class MessageCreated(Event):
    """The message as `GET rooms/{id}/messages` gives it. `client_id` lets its author's client recognise its own."""

    type: ClassVar[str] = "message.created"

    id: int
    room_id: int
    author: Author
    body: str
    client_id: str
    created_at: dt.datetime
    edited_at: dt.datetime | None
    deleted_at: dt.datetime | None


@dataclass(frozen=True, kw_only=True)
class MessageEdited(Event):
    type: ClassVar[str] = "message.edited"

    id: int
    room_id: int
    body: str
    edited_at: dt.datetime


@dataclass(frozen=True, kw_only=True)
class MessageDeleted(Event):
    """The body is gone, the message stays in its place."""

    type: ClassVar[str] = "message.deleted"

    id: int
    room_id: int
    deleted_at: dt.datetime


@dataclass(frozen=True, kw_only=True)
class MessageRead(Event):
    """Somebody has read the room up to and including a message."""

    type: ClassVar[str] = "message.read"

    room_id: int
    user_id: int
    last_message_id: int
    read_at: dt.datetime


@dataclass(frozen=True, kw_only=True)
class AnnouncementPublished(Event):
    """An announcement has appeared, or is back from the archive. The text is fetched: it may be long."""

    type: ClassVar[str] = "announcement.published"

    id: int
    kind: str
    title: str
    date: dt.date
    version: int


@dataclass(frozen=True, kw_only=True)
class AnnouncementChanged(Event):
    """Its words or its photos have changed: fetch it again."""

    type: ClassVar[str] = "announcement.changed"

    id: int
    kind: str
    title: str
    date: dt.date
    version: int


@dataclass(frozen=True, kw_only=True)
class AnnouncementArchived(Event):
    type: ClassVar[str] = "announcement.archived"

    id: int
    version: int
