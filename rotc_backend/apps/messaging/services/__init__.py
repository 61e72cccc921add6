"""What other apps do with messages: they notify."""

from apps.messaging.services.notifications import (
    notification_create,
    notification_delete,
    notification_read,
    notifications_expire,
)

__all__ = ["notification_create", "notification_delete", "notification_read", "notifications_expire"]
