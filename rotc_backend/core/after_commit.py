"""The only way out of a transaction: jobs for the worker and wake-ups for the sockets, both after commit.

Nothing here may fail the request whose rows are already committed: what cannot be sent is logged, and what it stood for
is in the database (an event in its log, a job in the outbox, from where it is sent again until it is done).
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Protocol

from asgiref.sync import async_to_sync
from celery import current_app
from channels.layers import get_channel_layer
from django.db import transaction

from core.measure import current_request_id
from core.messages import Job

logger = logging.getLogger("rgms.after_commit")

WAKE_GROUP = "rgms.wake"
WAKE_SECONDS = 0.5
OUTBOX_HEADER = "outbox"  # of a message: the number of its job in the outbox


class Outbox(Protocol):
    """Keeps jobs until they are done. This package owns no table: the app that does installs it at the start."""

    def keep(self, *, task: str, arguments: Mapping[str, Any], request_id: str | None) -> int:
        """Write a job in the present transaction and return its number."""

    def overdue(self, number: int) -> None:
        """The job could not be sent: let it be sent again as soon as anybody can."""


_installed: list[Outbox] = []


def outbox_install(outbox: Outbox) -> None:
    _installed[:] = [outbox]


def enqueue(job: Job) -> None:
    """Keep `job` in the present transaction, and send it to the worker once that has committed."""
    enqueue_task(task=type(job).task, arguments=job.data(), request_id=current_request_id())


def enqueue_task(*, task: str, arguments: Mapping[str, Any], request_id: str | None) -> None:
    """As `enqueue`, for a job that was declared and asked for before."""
    (outbox,) = _installed
    number = outbox.keep(task=task, arguments=arguments, request_id=request_id)

    def leave() -> None:
        if not job_send(task=task, arguments=arguments, request_id=request_id, number=number):
            outbox.overdue(number)

    transaction.on_commit(leave, robust=True)


def task_known(task: str) -> bool:
    return task in current_app.tasks


def job_send(*, task: str, arguments: Mapping[str, Any], request_id: str | None, number: int) -> bool:
    """Hand the job of this number to the broker; False, and a line in the log, if that was not possible."""
    try:
        # `send_task` would ignore eager mode. No retry: a broker that is away must not hold the request.
        current_app.tasks[task].apply_async(
            kwargs=dict(arguments), headers={"request_id": request_id, OUTBOX_HEADER: number}, retry=False
        )
    except Exception:
        logger.exception("The job %s could not be sent; it waits in the outbox", task)
        return False
    return True


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
