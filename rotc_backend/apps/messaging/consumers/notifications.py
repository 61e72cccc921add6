from typing import Any

from apps.messaging.events import NotificationCreated, NotificationRead, NotificationRemoved
from apps.messaging.selectors.notifications import unread_count
from apps.realtime.streams import Stream

EVENT_TYPES = frozenset({NotificationCreated.type, NotificationRead.type, NotificationRemoved.type})


class NotificationStream(Stream):
    """/ws/notifications/: one's own notifications as they come, are read and go, and how many are unread."""

    @classmethod
    def hears(cls, event_type: str) -> bool:
        return event_type in EVENT_TYPES

    def welcome(self) -> dict[str, Any]:
        return {"unread": unread_count(user_id=self.principal.user_id)}
