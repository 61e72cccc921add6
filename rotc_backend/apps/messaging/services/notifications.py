"""Notifications. Each write is its rows, an audit entry and an event in one transaction.

The recipient's row is locked first, always: writes for one person happen one after another, so the unread
count that each event carries is exact and the events stand in the log in the order of the writes.
"""

import datetime as dt

from django.db import transaction

from apps.accounts.models import User
from apps.accounts.rules import Principal
from apps.accounts.services import audit_record
from apps.events.services import publish
from apps.messaging.events import NotificationCreated, NotificationRead, NotificationRemoved
from apps.messaging.models import BODY_LENGTH, Notification
from apps.messaging.selectors import notifications as selectors
from apps.pictures.models import Picture
from core import cache
from core.clock import now
from core.errors import NotFound
from core.messages import Event

_REMOVED = "You have no notification with this id. It may have been removed."


def notification_create(
    *, actor_id: int | None, recipient_id: int, title: str, body: str, correlation_id: str | None = None
) -> Notification:
    """Notify one person; without `actor_id` it is the system. Raises NotFound for the recipient."""
    with transaction.atomic():
        _lock(recipient_id)
        notification = Notification.objects.create(
            recipient_id=recipient_id, title=title, body=body, correlation_id=correlation_id
        )
        notification.refresh_from_db(fields=["created_at"])
        # Only the title: the trail says that somebody was written to, it is no second copy of what.
        audit_record(
            actor_id=actor_id,
            action="notification.create",
            target=_target(notification.pk),
            after={"recipient_id": recipient_id, "title": title},
        )
        _tell(
            recipient_id,
            NotificationCreated(
                id=notification.pk,
                title=title,
                body=body,
                correlation_id=correlation_id,
                created_at=notification.created_at,
                unread=selectors.unread_count(user_id=recipient_id),
            ),
        )
    return notification


def picture_refused(picture: Picture, subject: str) -> None:
    """Tell whoever sent a picture that it could not be used, and why."""
    notification_create(
        actor_id=None,
        recipient_id=picture.sent_by_id,
        title="Picture not used",
        body=f"The picture that you sent as {subject} could not be used. {picture.problem}"[:BODY_LENGTH],
    )


def notification_read(*, actor: Principal, notification_id: int) -> Notification:
    """Mark one's own notification as read, once: nothing is told again. Raises NotFound."""
    with transaction.atomic():
        _lock(actor.user_id)
        own = Notification.objects.filter(pk=notification_id, recipient_id=actor.user_id)
        claimed = own.filter(read_at=None).update(read_at=now())
        notification = own.first()
        if notification is None:
            raise NotFound(_REMOVED)
        if claimed and notification.read_at is not None:
            audit_record(
                actor_id=actor.user_id,
                action="notification.read",
                target=_target(notification_id),
            )
            _tell(
                actor.user_id,
                NotificationRead(
                    id=notification_id,
                    read_at=notification.read_at,
                    unread=selectors.unread_count(user_id=actor.user_id),
                ),
            )
    return notification


def notification_delete(*, actor: Principal, notification_id: int) -> None:
    """Remove one's own notification, or as an administrator anybody's. Raises NotFound."""
    visible = selectors.notification_visible_to(
        user_id=actor.user_id, is_admin=actor.is_admin, notification_id=notification_id
    )
    with transaction.atomic():
        _lock(visible.recipient_id)
        deleted, _ = Notification.objects.filter(pk=notification_id).delete()
        if not deleted:
            raise NotFound(_REMOVED)
        audit_record(
            actor_id=actor.user_id,
            action="notification.delete",
            target=_target(notification_id),
            before={"recipient_id": visible.recipient_id, "title": visible.title},
        )
        _tell_removed(visible.recipient_id, [notification_id])


def notifications_expire(*, read_before: dt.datetime) -> int:
    """Remove what was read before `read_before` and return how many; one transaction for each person."""
    expired = Notification.objects.filter(read_at__lt=read_before)
    total = 0
    for recipient_id in expired.values_list("recipient_id", flat=True).distinct().order_by("recipient_id"):
        with transaction.atomic():
            _lock(recipient_id)
            ids = list(expired.filter(recipient_id=recipient_id).order_by("id").values_list("id", flat=True))
            if not ids:
                continue
            Notification.objects.filter(pk__in=ids).delete()
            audit_record(
                actor_id=None,
                action="notification.expire",
                target=f"user:{recipient_id}",
                before={"notification_ids": ids},
            )
            _tell_removed(recipient_id, ids)
        total += len(ids)
    return total


def _lock(user_id: int) -> None:
    # NO KEY: rows that refer to this person can still be inserted meanwhile.
    if not User.objects.select_for_update(no_key=True).filter(pk=user_id).values_list("pk").first():
        raise NotFound("There is no such recipient.")


def _tell_removed(recipient_id: int, notification_ids: list[int]) -> None:
    unread = selectors.unread_count(user_id=recipient_id)
    for notification_id in notification_ids:
        _tell(recipient_id, NotificationRemoved(id=notification_id, unread=unread))


def _tell(recipient_id: int, event: Event) -> None:
    # The cache first: who is woken by the event fetches at once, and must not find what was cached before it.
    cache.touch(selectors.notifications_version(user_id=recipient_id))
    publish(event=event, recipients=[f"user:{recipient_id}"])


def _target(notification_id: int) -> str:
    return f"notification:{notification_id}"
