"""The only way out of a transaction: jobs for the worker and wake-ups for the sockets, both after commit.

Nothing here may fail the request whose rows are already committed: what cannot be sent is logged, and what it stood for
is in the database (an event in its log, the row that a job works on).
"""

import asyncio
import logging

from asgiref.sync import async_to_sync
from celery import current_app
from channels.layers import get_channel_layer
from django.db import transaction

from core.measure import current_request_id
from core.messages import Job

logger = logging.getLogger("rgms.after_commit")

WAKE_GROUP = "rgms.wake"
WAKE_SECONDS = 0.5


def enqueue(job: Job) -> None:
    """Send `job` to the worker once the present transaction has committed."""
    transaction.on_commit(lambda: _send(job), robust=True)


def wake() -> None:
    """Tell every channels process, once the present transaction has committed, that the event log has grown."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("wake() belongs into the transaction that wrote the event")
    # Once for all events of a transaction, since a wake-up opens a connection of its own, and at the end: who is woken
    # fetches at once, and must find the cache moved by all that was written. What a savepoint takes back, it takes
    # from this list too, with its events.
    waiting = transaction.get_connection().run_on_commit
    for entry in [entry for entry in waiting if entry[1] is _wake]:
        waiting.remove(entry)
        waiting.append(entry)
        return
    transaction.on_commit(_wake, robust=True)


def _send(job: Job) -> None:
    task = current_app.tasks[type(job).task]
    try:
        # `send_task` would ignore eager mode. No retry: a broker that is away must not hold the request.
        task.apply_async(kwargs=job.data(), headers={"request_id": current_request_id()}, retry=False)
    except Exception:
        logger.exception("The job %s could not be sent; its row waits in the database", type(job).task)


def _wake() -> None:
    try:
        async_to_sync(_wake_all)()
    except Exception as error:  # noqa: BLE001 - whatever it is, the rows are committed
        # A lost wake-up costs a second, never an event: every hub also looks by itself.
        logger.warning("The sockets could not be woken: %s", type(error).__name__)


async def _wake_all() -> None:
    layer = get_channel_layer()
    async with asyncio.timeout(WAKE_SECONDS):
        await layer.group_send(WAKE_GROUP, {"type": "wake"})
