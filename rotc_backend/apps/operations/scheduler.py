"""Beat's scheduler: django-celery-beat's, with a heartbeat, slots, and a table of the code's own jobs that wins."""

import datetime as dt
import logging
import time
from collections.abc import Mapping
from typing import Any

from celery import schedules
from celery.beat import SchedulingError
from celery.utils.time import maybe_make_aware
from django.db import DatabaseError, InterfaceError, close_old_connections, transaction
from django.db.models import Q
from django_celery_beat.models import PeriodicTask, PeriodicTasks
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from apps.operations import rules, selectors
from core import broker
from core.checks import refuse_misconfiguration
from core.clock import iso, now

logger = logging.getLogger("rgms.beat")

RETRY_SECONDS = 5.0
_PUBLISH = {"retry": True, "retry_policy": {"max_retries": 3, "interval_start": 0.2, "interval_step": 0.5}}
OWNED = "Installed by the code's table of periodic jobs; changes here last until the next start of beat."


class SlotScheduler(DatabaseScheduler):
    """Sends each due job with the slot that it is due for, so that a worker can claim it.

    Survives an absent database: it looks again after some seconds, and health says meanwhile that beat is silent.
    """

    _initial_read: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        refuse_misconfiguration(serves_http=False)
        self._installed = False
        self._started_at = now()
        self._beat_at: float | None = None
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Put off to the first tick: the tables may not be migrated yet, and the web service does that."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        try:
            if not self._installed:
                table_install(table=self.app.conf.beat_schedule, app=self.app)
                self._installed = True
            seconds: float = super().tick(*args, **kwargs)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("The schedule cannot be read: %s", type(error).__name__)
            close_old_connections()
            # Otherwise the original would believe that it has read the schedule, and fail on what it has not.
            self._initial_read = self._initial_read or self._schedule is None
            return RETRY_SECONDS
        self._beat()
        return seconds

    def close(self) -> None:
        super().close()
        broker.heartbeat_remove()

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        entry.options = {**entry.options, **_PUBLISH}
        slot = slot_of(entry.schedule, at=now())
        if slot is not None:
            entry.options["headers"] = {
                **entry.options.get("headers", {}),
                rules.SLOT_HEADER: iso(slot),
                rules.CRONTAB_HEADER: selectors.crontab_text(entry.model.crontab),
            }
        try:
            return super().apply_async(entry, producer=producer, advance=advance, **kwargs)
        except SchedulingError:
            self._take_back(entry)
            raise

    def _take_back(self, entry: Any) -> None:
        # The original has marked the job as run before it was sent. Unmarked, it is due again at the next
        # tick; otherwise a Redis that was away for a moment would cost a weekly job its week.
        entry.model.last_run_at = entry.last_run_at
        entry.model.total_run_count -= 1
        self._schedule[entry.name] = type(entry)(entry.model, app=self.app)
        self._dirty.add(entry.name)  # the mark is in the database already
        self._heap = None

    def _get_crontab_exclude_query(self) -> Q:
        # The original loads only what is due within two hours of now, so that a daily job missed in a longer
        # outage would never be noticed. Five rows cost nothing.
        return Q(pk__in=())

    def _beat(self) -> None:
        if not rules.heartbeat_due(now=time.monotonic(), written_at=self._beat_at):
            return
        try:
            facts = broker.own_facts(
                started_at=self._started_at, redis_id=broker.identity(), database_id=selectors.database_id()
            )
            broker.heartbeat_write(facts=facts)
            self._beat_at = time.monotonic()
        except broker.BrokerAway as error:
            logger.warning("The heartbeat could not be written: %s", error)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("The heartbeat says nothing, since the database is away: %s", type(error).__name__)


def slot_of(schedule: Any, *, at: dt.datetime) -> dt.datetime | None:
    """The scheduled time that a job sent at `at` is for: the latest one of its crontab. None for other schedules."""
    if not isinstance(schedule, schedules.crontab):
        return None
    return selectors.crontab_of(schedule).latest(now=maybe_make_aware(at))


def table_install(*, table: Mapping[str, Mapping[str, Any]], app: Any) -> None:
    """Make beat's rows say what the code's table says. A person's pause survives, and so does the last run.

    `table` maps a job's name to Celery's `task`, `schedule` and `options`. Jobs that the table no longer holds go.
    """
    with transaction.atomic():
        for name, entry in table.items():
            ModelEntry.from_entry(name, app=app, **entry)
            PeriodicTask.objects.filter(name=name).update(description=OWNED)
            # Otherwise every restart would begin anew, and a job missed while beat was away would not be noticed.
            PeriodicTask.objects.filter(name=name, last_run_at=None).update(last_run_at=now())
        PeriodicTask.objects.filter(description=OWNED).exclude(name__in=list(table)).delete()
        PeriodicTasks.update_changed()
