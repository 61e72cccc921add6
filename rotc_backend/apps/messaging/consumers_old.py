from typing import Any

from apps.messaging.events import NotificationCreated, NotificationRead, NotificationRemoved
from apps.messaging.selectors.notifications import unread_count
from apps.realtime.sockets import Socket, in_database


class NotificationSocket(Socket):
    """/ws/notifications/: one's own notifications as they come, are read and go, and how many are unread."""

    event_types = frozenset({NotificationCreated.type, NotificationRead.type, NotificationRemoved.type})

    async def welcome(self) -> dict[str, Any]:
        return {"unread": await in_database(self._unread)}

    def _unread(self) -> int:
        return unread_count(user_id=self.principal.user_id)
