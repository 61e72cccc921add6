"""The event log. `publish` and `publish_many` are the only ways in, in the transaction of what the events tell of.

writer      BEGIN … rows … publish() … COMMIT       inserts only, waits for nobody
sequencer   lock the head; give the next positions to all that is committed and has none
reader      position > last, in order: dense, so nothing can be missing in between
"""

import datetime as dt
import json
from collections.abc import Sequence

from django.db import connection, connections, transaction
from django.db.models import Min

from apps.events.models import Event
from apps.events.rules import LARGEST_EVENT, EventRefused, checked_recipients
from core import after_commit, messages

SEQUENCED_AT_ONCE = 1000
_LOCK_TIMEOUT, _STATEMENT_TIMEOUT = "2s", "5s"  # a hub that hangs with the lock must not hang the others

_SEQUENCE = """
WITH fresh AS MATERIALIZED (
    SELECT id, row_number() OVER (ORDER BY id) AS n FROM event WHERE position IS NULL ORDER BY id LIMIT %s
), moved AS (
    UPDATE event_head SET position = position + (SELECT count(*) FROM fresh)
    WHERE EXISTS (SELECT FROM fresh) RETURNING position
)
UPDATE event SET position = moved.position - (SELECT count(*) FROM fresh) + fresh.n
FROM fresh, moved WHERE event.id = fresh.id
"""

_ENSURE_HEAD = """
INSERT INTO event_head (position) SELECT coalesce(max(position), 0) FROM event ON CONFLICT DO NOTHING
"""


def publish(*, event: messages.Event, recipients: Sequence[str]) -> None:
    """Write `event` into the log for `recipients` (`user:42`, `role:admin`, `company:Alpha`, `room:7`).

    It is delivered after the present transaction has committed, and never if that is rolled back. Raises
    RuntimeError outside a transaction, EventRefused for recipients that cannot exist and for an event beyond
    LARGEST_EVENT bytes.
    """
    publish_many([(event, recipients)])


def publish_many(events: Sequence[tuple[messages.Event, Sequence[str]]]) -> None:
    """Write several events, in their order, by one statement and with one wake-up. Raises as `publish` does."""
    if not connection.in_atomic_block:
        raise RuntimeError("publish() belongs into the transaction of the rows that the event tells of")
    if events:
        Event.objects.bulk_create([_row(event, recipients) for event, recipients in events], batch_size=1000)
        after_commit.wake()


def _row(event: messages.Event, recipients: Sequence[str]) -> Event:
    checked = checked_recipients(recipients)
    data = event.data()
    if len(json.dumps(data, ensure_ascii=False).encode()) > LARGEST_EVENT:
        # The clients' frames are bounded; what is larger is fetched by them over HTTP.
        raise EventRefused(f"{event.type} holds more than {LARGEST_EVENT} bytes; send its id instead of its content")
    return Event(type=event.type, recipients=checked, data=data)


def sequence() -> int:
    """Give positions to at most SEQUENCED_AT_ONCE committed events and return how many got one.

    Harmless when several run at once: the head's lock lets one work and the others find nothing left. Must
    not run inside another transaction, whose snapshot and locks would outlive this work.
    """
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)",
            [_LOCK_TIMEOUT, _STATEMENT_TIMEOUT],
        )
        # Two statements, since the second needs a snapshot taken after the lock was granted: with an older
        # one it would give positions again that another sequencer has just given.
        cursor.execute("SELECT FROM event_head FOR UPDATE")
        cursor.execute(_SEQUENCE, [SEQUENCED_AT_ONCE])
        return int(cursor.rowcount)


def events_expire(*, before: dt.datetime) -> int:
    """Delete events written before `before`; return how many. Who stood earlier has to refetch.

    Only from the front: an older event behind a younger one stays, since a hole would look like a loss to a reader.
    """
    expired = Event.objects.filter(at__lt=before, position__isnull=False)
    first_kept = Event.objects.filter(at__gte=before).aggregate(first=Min("position"))["first"]
    if first_kept is not None:
        expired = expired.filter(position__lt=first_kept)
    deleted, _ = expired.delete()
    return deleted


def head_ensure(*, using: str) -> None:
    """Put a lost head row back, under a new epoch: no client resumes from an old position."""
    with connections[using].cursor() as cursor:
        cursor.execute(_ENSURE_HEAD)
