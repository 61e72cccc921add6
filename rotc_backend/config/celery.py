"""The Celery application, and what its processes need beside the tasks: identity, heartbeats, logs, limits."""

import gc
import logging
import os
import time
from typing import Any

from celery import Celery, bootsteps, signals
from celery.worker import state
from django.db import close_old_connections

from apps.operations import rules
from config.reliable_task import ReliableTask
from config.schedule import SCHEDULE
from core import broker, cache
from core.clock import now

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

logger = logging.getLogger("rgms.celery")

PUBLISH_SECONDS = 1.0  # for each step of reaching the broker; a request that enqueues must not wait for longer
POLLING_SECONDS = 5  # one blocking command lasts so long: an idle worker asks 12 times a minute, not 60
CHILD_MEMORY_KB = 180_000  # a worker process that has grown beyond it is replaced after its task


app = Celery("rgms", task_cls=ReliableTask)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    # --- Delivery: a task is acknowledged when it has ended, so a worker that dies hands it on
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=False,  # claims protect what is delivered again meanwhile
    task_soft_time_limit=rules.SOFT_LIMIT_SECONDS,
    task_time_limit=rules.HARD_LIMIT_SECONDS,
    worker_soft_shutdown_timeout=20.0,  # at SIGQUIT; SIGTERM waits for what runs, within the platform's delay
    worker_max_memory_per_child=CHILD_MEMORY_KB,
    # --- Messages
    accept_content=["json"],
    task_serializer="json",
    task_ignore_result=True,
    result_expires=None,  # or beat would schedule a job that cleans results nobody stores
    task_create_missing_queues=True,
    # --- Database: Celery would connect anew for every task, which costs more than most tasks do; see renew_connections
    CELERY_DB_REUSE_MAX=1_000_000_000,
    # --- Nothing travels that nobody reads
    worker_send_task_events=False,
    task_send_sent_event=False,
    worker_enable_remote_control=False,
    # --- Logs: config.settings writes them
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    # --- Broker
    broker_connection_timeout=PUBLISH_SECONDS,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,  # a worker waits for Redis for as long as it takes
    broker_pool_limit=4,
    broker_pool_acquire_timeout=PUBLISH_SECONDS,
    task_publish_retry=False,
    broker_transport_options={
        "visibility_timeout": rules.VISIBILITY_SECONDS,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,  # else only every tenth look is one, and a lost task comes back late
        "unacked_mutex_expire": 30,
        "unacked_key": broker.UNACKED_KEY,
        "unacked_index_key": f"{broker.UNACKED_KEY}_index",
        "unacked_mutex_key": f"{broker.UNACKED_KEY}_mutex",
        "priority_steps": [0],  # one list; kombu's four would be asked for each time
        "polling_interval": POLLING_SECONDS,
        "socket_connect_timeout": PUBLISH_SECONDS,
        "socket_timeout": PUBLISH_SECONDS,
        "socket_keepalive": True,
        # Without these a publisher tries for ever to reach a broker that is away.
        "max_retries": 0,
        "interval_start": 0,
        "interval_step": 0,
        "interval_max": 0,
    },
    # --- Beat
    beat_schedule=SCHEDULE,
    beat_sync_every=1,  # the time of the last run is in the database at once
)
app.autodiscover_tasks()


@signals.before_task_publish.connect
def stamp_time(*, headers: dict[str, Any], **kwargs: Any) -> None:  # noqa: ARG001 - Celery's signature
    """Let whoever looks at the queue see how long its oldest task has waited."""
    headers[broker.PUBLISHED_AT] = time.time()


@signals.setup_logging.connect
def keep_logging(**kwargs: Any) -> None:
    """Django has set logging up; without a receiver Celery would do it again, in its own format."""


@signals.task_prerun.connect
def renew_connections(**kwargs: Any) -> None:  # noqa: ARG001 - Celery's signature
    """As between two requests: a connection that is too old or has failed goes, another is asked whether it lives."""
    close_old_connections()


@signals.task_postrun.connect
def settle_cache(**kwargs: Any) -> None:  # noqa: ARG001 - Celery's signature
    """Pay what the cache owes from a moment in which Redis was away, here where no sampler runs."""
    cache.settle()


@signals.celeryd_init.connect
def prepare_worker(*, conf: Any, **kwargs: Any) -> None:  # noqa: ARG001 - Celery's signature
    from core.checks import refuse_misconfiguration

    refuse_misconfiguration(serves_http=False)
    # A worker's connection waits in a blocking command, which must be allowed to come to its end: to break it
    # off at shutdown could lose the task that it was about to bring.
    conf.broker_transport_options = {**conf.broker_transport_options, "socket_timeout": POLLING_SECONDS + 2}


@signals.worker_init.connect
def freeze_memory(**kwargs: Any) -> None:  # noqa: ARG001 - Celery's signature
    # Collected later, every page that the processes share would be written to, and so be copied for each.
    gc.collect()
    gc.freeze()


class Heartbeat(bootsteps.StartStopStep):
    """Says from the worker's own event loop that it is alive, what it is doing and when it last completed a task.

    In the loop and not in a thread, since a thread would go on beating for a loop that hangs.
    """

    requires = ("celery.worker.components:Timer",)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self._timer: Any = None
        self._started_at = now()
        self._completed = 0
        self._progress_at = time.monotonic()

    def start(self, worker: Any) -> None:
        self._progress_at = time.monotonic()
        self._beat()
        self._timer = worker.timer.call_repeatedly(rules.HEARTBEAT_SECONDS, self._beat)
        signals.worker_ready.connect(self._on_ready)

    def stop(self, worker: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            broker.heartbeat_remove()

    def _on_ready(self, **kwargs: Any) -> None:
        self._beat()

    def _beat(self) -> None:
        active = [
            {
                "task": request.name,
                "seconds": round(time.time() - request.time_start, 1),
                "limit": request.time_limits[0] or request.task.time_limit or rules.HARD_LIMIT_SECONDS,
            }
            for request in list(state.active_requests)
            if request.time_start
        ]
        try:
            facts = broker.own_facts(started_at=self._started_at, redis_id=broker.identity(), database_id=None)
            broker.heartbeat_write(facts={**facts, "active": active, "idle_seconds": self._idle_seconds()})
        except broker.BrokerAway:
            return  # health says so itself, and the loop's own reconnection is logged

    def _idle_seconds(self) -> float:
        """Seconds since a task was last completed, or since the start: accepted tasks that are no longer active."""
        completed = sum(state.total_count.values()) - len(state.active_requests)
        if completed != self._completed:
            self._completed, self._progress_at = completed, time.monotonic()
        return round(time.monotonic() - self._progress_at, 1)


class OutboxSweep(bootsteps.StartStopStep):
    """Whenever the worker has reached the broker: sends what could not be sent while that was away, or the worker.

    By a task, since this process must not wait for a database.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, consumer: Any) -> None:
        try:
            app.tasks["operations.outbox_sweep"].apply_async(retry=False)
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker has to start
            logger.warning("The outbox could not be swept: %s", type(error).__name__)


app.steps["worker"].add(Heartbeat)
app.steps["consumer"].add(OutboxSweep)
