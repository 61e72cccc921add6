"""The event log, and the outbox of jobs.

The log: `publish` and `publish_many` are the only ways in, in the transaction of what the events tell of.

writer      BEGIN … rows … publish() … COMMIT       inserts only, waits for nobody
sequencer   lock the head; give the next positions to all that is committed and has none
reader      position > last, in order: dense, so nothing can be missing in between

The outbox: `core.after_commit.enqueue` is the only way in.

writer      BEGIN … rows … enqueue() … COMMIT       the job's row; its message is sent after the commit
worker      job_begin … the task … job_end          the row goes when the task has come to its end, and not before
sweep       jobs_resend                             what is due has lost its message: another one, later and later
"""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection, connections, transaction
from django.db.models import Min

from apps.events.models import ClockTimestamp, Event, OutboxJob
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

# A message that has left is given so long to be taken; then longer and longer, since a queue may be full for hours.
SENT_SECONDS, RESENT_SECONDS, MOST_RESENT_SECONDS = 120, 600, 6 * 3600
TAKEN_SECONDS = 600  # longer than a task may run, and than Redis keeps it from others: meanwhile nobody sends it again
RESENT_AT_ONCE = 1000

_KEEP = """
INSERT INTO ops.outbox (task, arguments, request_id, due_at)
VALUES (%s, %s::jsonb, %s, clock_timestamp() + make_interval(secs => %s)) RETURNING id
"""
_OVERDUE = "UPDATE ops.outbox SET due_at = clock_timestamp() WHERE id = %s AND starts = 0"
# What the worker notes of a job need not be on the disk when it goes on: lost with the database's last half second, the
# job is sent once more, and its task finds that it is done. It costs a task two waits for the disk less.
_SOON = "(SELECT set_config('synchronous_commit', 'off', true)) = 'off'"
_BEGIN = f"""
UPDATE ops.outbox SET starts = starts + 1, due_at = clock_timestamp() + make_interval(secs => %s)
WHERE id = %s AND {_SOON} RETURNING starts
"""  # noqa: S608 - written here
_WAIT = f"""
UPDATE ops.outbox SET starts = 0, due_at = clock_timestamp() + make_interval(secs => %s) WHERE id = %s AND {_SOON}
"""  # noqa: S608
_END = f"DELETE FROM ops.outbox WHERE id = %s AND {_SOON}"  # noqa: S608
_RESEND = """
UPDATE ops.outbox SET sends = least(sends + 1, 30000),
    due_at = clock_timestamp() + make_interval(secs => least(%(first)s * 2 ^ least(sends - 1, 16), %(most)s))
WHERE id IN (
    SELECT id FROM ops.outbox WHERE due_at <= clock_timestamp() ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
) RETURNING id, task, arguments, request_id
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


# --- The outbox -------------------------------------------------------------------------------------------------------


class DatabaseOutbox:
    """What `core.after_commit` keeps jobs in."""

    def keep(self, *, task: str, arguments: Mapping[str, Any], request_id: str | None) -> int:
        adapted = connection.ops.adapt_json_value(dict(arguments), None)
        with connection.cursor() as cursor:
            cursor.execute(_KEEP, [task, adapted, request_id or "", SENT_SECONDS])
            return int(cursor.fetchone()[0])

    def overdue(self, number: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_OVERDUE, [number])


def job_begin(*, number: int) -> int | None:
    """Say that a worker begins with a job. The count of beginnings since one ended in order, or None: it is done.

    No claim: two workers may hold messages of one job at once, and the tasks keep out of each other's way by claims of
    their own.
    """
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN, [TAKEN_SECONDS, number])
        row = cursor.fetchone()
    return int(row[0]) if row else None


def job_wait(*, number: int, seconds: float) -> None:
    """An attempt has ended in order, and a message for the next one is under way, due in `seconds`."""
    with connection.cursor() as cursor:
        cursor.execute(_WAIT, [TAKEN_SECONDS + seconds, number])


def job_end(*, number: int) -> None:
    """The job is done, or somebody else looks after it now."""
    with connection.cursor() as cursor:
        cursor.execute(_END, [number])


def jobs_absorb(*, task: str, into: int) -> None:
    """Take the other jobs of a task that works on whatever waits out of the outbox: the one that stays does theirs.

    Nothing happens once `into` was itself taken out: two that took out each other would leave nobody. For one caller
    at a time.
    """
    if OutboxJob.objects.filter(pk=into).exists():
        OutboxJob.objects.filter(task=task).exclude(pk=into).delete()


def jobs_resend() -> int:
    """Send again what is due, RESENT_AT_ONCE at the most; return how many messages left.

    A message more than needed does nothing. When the broker is away, the rest waits for the next time.
    """
    with connection.cursor() as cursor:
        cursor.execute(_RESEND, {"first": RESENT_SECONDS, "most": MOST_RESENT_SECONDS, "limit": RESENT_AT_ONCE})
        due = sorted(cursor.fetchall())
    for place, (number, task, arguments, request_id) in enumerate(due):
        plain = json.loads(arguments) if isinstance(arguments, str) else arguments
        if not after_commit.task_known(task):
            continue  # of another release; integrity tells of it
        if not after_commit.job_send(task=task, arguments=plain, request_id=request_id or None, number=number):
            OutboxJob.objects.filter(pk__in=[row[0] for row in due[place:]]).update(due_at=ClockTimestamp())
            return place
    return len(due)
