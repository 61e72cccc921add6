import json
import time

import pytest
from celery import current_app as app
from kombu import pools

from apps.operations.jobs import ProbeRecord
from core import broker

TASK = ProbeRecord.task


def publish() -> None:
    app.tasks[TASK].apply_async(kwargs={"probe_id": "x"}, headers={"request_id": "abc"}, retry=False)


@pytest.fixture
def broker_at():
    """A function that points Celery to another address, for the test."""
    before = app.conf.broker_url

    def use(url: str) -> None:
        app.conf.broker_url = url
        pools.reset()
        app._pool = app.amqp._producer_pool = None

    yield lambda port: use(f"redis://127.0.0.1:{port}/0")
    use(before)


def test_a_message_is_json_and_carries_when_it_was_sent_and_the_request_that_caused_it(empty_redis):
    publish()
    message = json.loads(empty_redis.lindex("rgms", 0))
    assert message["content-type"] == "application/json"
    assert message["headers"]["request_id"] == "abc"
    assert message["headers"][broker.PUBLISHED_AT] == pytest.approx(time.time(), abs=10)


def test_the_queue_is_one_list_and_not_one_for_each_priority(empty_redis):
    app.tasks[TASK].apply_async(kwargs={"probe_id": "x"}, priority=9)
    assert empty_redis.llen("rgms") == 1


@pytest.mark.parametrize("address", ["silent_port", "closed_port"])
def test_a_broker_that_is_away_holds_nobody_for_long(address, broker_at, request):
    broker_at(request.getfixturevalue(address))
    started = time.monotonic()
    with pytest.raises(Exception, match=r"(?i)time|connect|refused"):
        publish()
    assert time.monotonic() - started < 2 * app.conf.broker_connection_timeout + 0.5


def test_every_declared_job_has_its_task():
    from core.messages import Job

    assert set(Job.registry) <= set(app.tasks)


def test_results_are_not_stored_and_nothing_but_json_is_read():
    assert app.conf.task_ignore_result
    assert app.conf.accept_content == ["json"]
    assert app.conf.result_backend is None


def test_a_message_is_handed_on_after_its_lease_and_looked_for_every_five_seconds():
    options = app.conf.broker_transport_options
    assert options["visibility_timeout"] == 300
    assert (options["unacked_restore_interval"], options["unacked_restore_throttle"]) == (5, 1)
