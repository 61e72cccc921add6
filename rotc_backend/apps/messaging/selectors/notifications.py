from django.db.models import QuerySet

from apps.messaging.models import Notification
from core.errors import NotFound


def notifications_of(*, user_id: int) -> QuerySet[Notification]:
    """A person's notifications, newest first."""
    return Notification.objects.filter(recipient_id=user_id).order_by("-id")


def unread_count(*, user_id: int) -> int:
    return Notification.objects.filter(recipient_id=user_id, read_at=None).count()


def notification_visible_to(*, user_id: int, is_admin: bool, notification_id: int) -> Notification:
    """The notification, if it is one's own or one is an administrator.

    Raises NotFound, for another's as well: whether it exists is nobody else's business.
    """
    visible = Notification.objects.filter(pk=notification_id)
    if not is_admin:
        visible = visible.filter(recipient_id=user_id)
    notification = visible.first()
    if notification is None:
        raise NotFound("You have no notification with this id. It may have been removed.")
    return notification


def notifications_version(*, user_id: int) -> str:
    """The version key of all that is cached about a person's notifications."""
    return f"notifications:{user_id}"
