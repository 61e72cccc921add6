"""Real worker and beat processes against the test's own database and Redis."""

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from celery import current_app as app
from django.conf import settings
from django.db import connection

from apps.operations import rules
from apps.operations.models import Probe
from apps.operations.services import probes
from core import broker

SERVICE = Path(settings.BASE_DIR)
WORKER = ("worker", "-n", "celery@worker", "--concurrency", "2", "--loglevel", "info", "--without-gossip",
          "--without-mingle", "--without-heartbeat")  # fmt: skip
BEAT = ("beat", "--loglevel", "info", "--scheduler", "apps.operations.scheduler:SlotScheduler", "--pidfile=")


def environment(**changes: str) -> dict[str, str]:
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    return {
        **os.environ,
        "DATABASE_URL": database,
        "REDIS_URL": settings.REDIS_URL,
        "MEDIA_STORAGE": "local",
        "PYTHONPATH": str(SERVICE),
        "REMAP_SIGTERM": "SIGQUIT",
        **changes,
    }


@contextmanager
def running(*command: str, log: Path, **changes: str) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-q", "-A", "config", *command],
            cwd=SERVICE,
            env=environment(**changes),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()  # its children follow it
        process.wait(10)


def wait_for(condition: Callable[[], Any], *, seconds: float, log: Path) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.1)
    return found


def heartbeat(service: str) -> Mapping[str, Any] | None:
    found = broker.survey(services=[service]).heartbeats.get(service)
    return None if found is None else found.facts


@pytest.mark.django_db(transaction=True)
def test_a_probe_goes_through_a_real_worker_that_beats_and_stops_softly(admin, empty_redis, tmp_path):
    log = tmp_path / "worker.log"
    with running(*WORKER, log=log, RENDER_SERVICE_NAME=rules.WORKER) as process:
        wait_for(lambda: heartbeat(rules.WORKER), seconds=40, log=log)
        probe = probes.probe_request(actor_id=admin.user.pk)
        wait_for(lambda: Probe.objects.get(pk=probe.pk).finished_at, seconds=20, log=log)
        found = Probe.objects.get(pk=probe.pk)
        assert found.worker is not None
        assert found.worker["service"] == rules.WORKER
        assert found.worker["key_fingerprint"] == settings.KEY_FINGERPRINT
        assert found.worker["pid"] != process.pid
        assert (found.queue_delay_ms or 0) < 10_000
        assert broker.survey().queue.depth == 0
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    text = log.read_text()
    assert '"message": "celery@worker ready."' in text
    assert "Traceback" not in text


@pytest.mark.django_db(transaction=True)
def test_beat_beats_and_installs_its_table_and_stops_on_sigterm(empty_redis, tmp_path):
    from django_celery_beat.models import PeriodicTask

    log = tmp_path / "beat.log"
    with running(*BEAT, log=log, RENDER_SERVICE_NAME=rules.BEAT) as process:
        facts = wait_for(lambda: heartbeat(rules.BEAT), seconds=40, log=log)
        assert facts["database_id"]
        assert PeriodicTask.objects.count() == len(app.conf.beat_schedule) == 5
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.django_db(transaction=True)
def test_a_job_that_is_due_is_sent_and_the_log_says_so_in_the_words_of_the_guide(empty_redis, tmp_path):
    from django_celery_beat.models import PeriodicTask

    from apps.operations.scheduler import table_install
    from core.clock import now

    table_install(table=app.conf.beat_schedule, app=app)
    PeriodicTask.objects.update(last_run_at=now())
    PeriodicTask.objects.filter(name="daily-reports").update(last_run_at=now() - dt.timedelta(days=3))
    PeriodicTask.objects.filter(name="database-backup").update(enabled=False, last_run_at=now() - dt.timedelta(days=30))
    log = tmp_path / "beat.log"
    with running(*BEAT, log=log, RENDER_SERVICE_NAME=rules.BEAT):
        due = '"message": "Scheduler: Sending due task daily-reports (operations.daily_reports)"'
        wait_for(lambda: due in log.read_text(), seconds=40, log=log)
        wait_for(lambda: heartbeat(rules.BEAT), seconds=20, log=log)
    text = log.read_text()
    # Missed for three days, it is caught up once; what an administrator has paused stays paused over a deploy.
    assert text.count("Sending due task daily-reports") == 1
    assert "Sending due task database-backup" not in text


@pytest.mark.parametrize("command", [WORKER, BEAT])
def test_neither_starts_with_a_configuration_that_is_refused(command, tmp_path):
    log = tmp_path / "refused.log"
    with running(*command, log=log, DJANGO_SECRET_KEY="short") as process:
        assert process.wait(60) != 0
    assert "DJANGO_SECRET_KEY" in log.read_text()
