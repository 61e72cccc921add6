import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connection

from apps.operations import rules, tasks
from apps.operations.models import DeadLetter, ScheduledRun
from apps.operations.services import runs
from core import broker
from core.retries import TryLater

SLOT = "2026-03-02T02:00:00.000Z"
SCHEDULED = {rules.SLOT_HEADER: SLOT, rules.CRONTAB_HEADER: "0 2 * * *"}
BY_A_PERSON = {broker.PUBLISHED_AT: 1772416800.25}

pytestmark = pytest.mark.usefixtures("no_runs")


class Delivery:
    """One message as the worker gets it; its headers are what a retry would send."""

    def __init__(self, headers: dict[str, Any]) -> None:
        self.request = type("Request", (), {"headers": dict(headers)})()


@contextmanager
def database_away(*, after: int) -> Iterator[None]:
    """PostgreSQL as a process sees it that lost it after so many statements."""
    left = after

    def lose(execute: Any, *arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise OperationalError("terminating connection due to administrator command")
        return execute(*arguments)

    with connection.execute_wrapper(lose):
        yield


def deliver(headers: dict[str, Any], perform: Any) -> tuple[dict[str, Any], float]:
    """The headers of the retry that is asked for, and its seconds."""
    delivery = Delivery(headers)
    with pytest.raises(TryLater) as later:
        tasks._slot(delivery, job="cleanup", perform=perform)
    return delivery.request.headers, later.value.seconds


def broken(slot: dt.datetime) -> rules.Outcome:
    raise ConnectionResetError


def test_a_slot_whose_claim_fails_is_left_to_the_retries_of_every_task() -> None:
    with database_away(after=0), pytest.raises(OperationalError):
        tasks._slot(Delivery(SCHEDULED), job="cleanup", perform=broken)


def test_a_slot_is_tried_again_when_the_database_goes_away_during_its_work() -> None:
    with database_away(after=1):  # so that the slot cannot be given back either
        headers, seconds = deliver(SCHEDULED, broken)
    assert headers == SCHEDULED
    assert 15 <= seconds <= 30


def test_a_run_that_a_person_asked_for_keeps_its_slot_over_its_retries_and_is_given_up() -> None:
    headers: dict[str, Any] = BY_A_PERSON
    for _ in range(rules.ATTEMPTS - 1):
        headers, _ = deliver(headers, broken)
    with pytest.raises(runs.RunGivenUp, match="ConnectionResetError in attempt 5"):  # from here on it is a dead letter
        tasks._slot(Delivery(headers), job="cleanup", perform=broken)
    run = ScheduledRun.objects.get()
    assert (run.attempt, run.outcome, run.trigger) == (rules.ATTEMPTS, "failed", "person")
    assert "ConnectionResetError in attempt 5" in run.detail
    tasks._slot(Delivery(headers), job="cleanup", perform=broken)  # done: nothing happens
    assert ScheduledRun.objects.get().attempt == rules.ATTEMPTS


def test_a_message_that_is_delivered_again_after_its_worker_died_is_the_same_slot() -> None:
    claim = runs.run_claim(job="cleanup", slot=tasks._slot_of(BY_A_PERSON), crontab="")
    assert claim is not None
    assert deliver(BY_A_PERSON, broken)[1] == pytest.approx(rules.LEASE_SECONDS, abs=3)
    assert ScheduledRun.objects.count() == 1


def test_what_breaks_off_in_the_last_attempt_is_given_up_also_when_the_error_may_pass() -> None:
    def lose(slot: dt.datetime) -> rules.Outcome:
        raise OperationalError("deadlock detected")

    headers: dict[str, Any] = SCHEDULED
    for _ in range(rules.ATTEMPTS - 1):
        headers, _ = deliver(headers, lose)
    with pytest.raises(runs.RunGivenUp):
        tasks._slot(Delivery(headers), job="cleanup", perform=lose)
    assert ScheduledRun.objects.get().outcome == "failed"


def test_a_daily_report_that_was_laid_aside_is_made_for_its_own_day_when_it_is_retried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[dt.datetime] = []

    def report(*, slot: dt.datetime) -> rules.Outcome:
        asked.append(slot)
        if len(asked) <= 2:
            raise ValueError
        return rules.Outcome(succeeded=True, counts={})

    def run(headers: dict[str, Any], arguments: dict[str, Any]) -> None:
        task = tasks.daily_reports
        task.push_request(id="1", args=[], kwargs=arguments, headers=headers, called_directly=False, is_eager=False)
        try:
            task(**arguments)
        finally:
            task.pop_request()

    monkeypatch.setattr(tasks.reports, "daily_reports", report)
    monkeypatch.setattr(runs, "ATTEMPTS", 1)
    arguments: dict[str, Any] = {}
    for headers in (SCHEDULED, {broker.PUBLISHED_AT: 1772593200.0}):  # the second two days later
        with pytest.raises(runs.RunGivenUp):
            run({**headers}, arguments)
        arguments = DeadLetter.objects.latest("pk").arguments
    run({broker.PUBLISHED_AT: 1772679600.0}, arguments)
    assert {slot.isoformat() for slot in asked} == {"2026-03-02T02:00:00+00:00"}
    assert len(asked) == 3
    assert ScheduledRun.objects.count() == 3
