import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from apps.events.models import Event


@dataclass(frozen=True, kw_only=True)
class Head:
    """The end of the log. `waiting`: events have been committed that have no position yet."""

    epoch: uuid.UUID
    position: int
    waiting: bool


def head() -> Head:
    """Where the log ends: one statement that takes no lock, so a hub can ask it every second."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT epoch, position, EXISTS (SELECT FROM event WHERE position IS NULL) FROM event_head")
        row = cursor.fetchone()
    if row is None:
        raise RuntimeError("The event log has lost its head row; run `manage.py migrate`, which puts it back")
    return Head(epoch=row[0], position=row[1], waiting=row[2])


def events_after(position: int, limit: int) -> list[Event]:
    """At most `limit` events whose position is greater than `position`, in order."""
    return list(Event.objects.filter(position__gt=position).order_by("position")[:limit])


def events_missed(*, after: int, to: int, recipients: Sequence[str], limit: int) -> list[Event] | None:
    """The first `limit` events for `recipients` with `after < position <= to`, in order.

    None when the log no longer goes back to `after`: some of them may have been removed.
    """
    found = list(
        Event.objects.filter(position__gt=after, position__lte=to, recipients__overlap=list(recipients)).order_by(
            "position"
        )[:limit]
    )
    # Asked afterwards, since events may be removed meanwhile, and only from the front.
    if after >= to:
        return found
    first = Event.objects.filter(position__isnull=False).order_by("position").values_list("position", flat=True).first()
    return found if first is not None and first <= after + 1 else None
