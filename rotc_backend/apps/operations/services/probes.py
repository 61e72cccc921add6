"""The round trip through the queue."""

import uuid
from typing import Any

from django.db import transaction

from apps.events.models import ClockTimestamp
from apps.operations.jobs import ProbeRecord
from apps.operations.models import Probe
from core import after_commit, broker
from core.errors import Unavailable


def probe_request(*, actor_id: int | None) -> Probe:
    """Send a probe to the worker. Raises Unavailable (`queue_unavailable`), before anything is written."""
    try:
        broker.ping()
    except broker.BrokerAway as error:
        raise Unavailable(
            "The queue cannot be reached. Health tells whether Redis is away; try again when it is back.",
            code="queue_unavailable",
        ) from error
    with transaction.atomic():
        probe = Probe.objects.create(requested_by_id=actor_id)
        after_commit.enqueue(ProbeRecord(probe_id=probe.pk))
    probe.refresh_from_db()
    return probe


def probe_record(*, probe_id: uuid.UUID, worker: dict[str, Any]) -> bool:
    """Note that the probe has arrived at `worker`; False when another delivery of the same task has done so."""
    claimed = Probe.objects.filter(pk=probe_id, started_at=None).update(started_at=ClockTimestamp())
    finished = Probe.objects.filter(pk=probe_id, finished_at=None).update(finished_at=ClockTimestamp(), worker=worker)
    return bool(claimed and finished)
