"""The task as the worker calls it: what is tried again, what ends in words, what the log says."""

import datetime as dt
import logging
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import IntegrityError, OperationalError, connection

from apps.cadets.models import Company
from apps.imports import tasks
from apps.imports.models import ImportFile, ImportRun, State
from apps.imports.tests import factories
from core.clock import now
from core.errors import Unavailable
from core.retries import TryLater

pytestmark = pytest.mark.django_db(transaction=True)


def deliver(run: ImportRun, kinds: Any = factories.COMPANIES) -> float | None:
    """The seconds until it is tried again, or None."""
    later = None
    try:
        tasks._perform(run_id=run.pk, kinds=kinds)
    except TryLater as asked:
        later = asked.seconds
    run.refresh_from_db()
    return later


def test_a_message_does_the_run_and_a_second_one_nothing(admin):
    run = factories.run(admin.user)
    assert deliver(run) is None
    assert (run.state, run.attempt) == (State.DONE, 1)
    assert deliver(run) is None
    assert run.attempt == 1


def test_a_run_that_another_worker_has_is_asked_for_again_when_its_lease_has_ended(admin):
    run = factories.run(admin.user)
    factories.claimed(run)
    assert 25 < (deliver(run) or 0) <= 31


@pytest.mark.parametrize("error", [OperationalError("x"), IntegrityError("x"), Unavailable("x")])
def test_what_may_pass_is_tried_again_three_times_and_then_ends_in_words(admin, error):
    kinds = factories.failing(error)
    run = factories.run(admin.user)
    for attempt, least in ((1, 15), (2, 30), (3, 60)):
        assert least <= (deliver(run, kinds) or 0) <= 2 * least
        assert (run.state, run.attempt) == (State.RUNNING, attempt)
    assert deliver(run, kinds) is None
    assert (run.state, run.problem_code) == (State.FAILED, "attempts_exhausted")
    assert not Company.objects.filter(name="Foxtrot").exists()


def test_a_database_that_is_away_costs_no_attempt(admin):
    run = factories.run(admin.user)

    def lose(*_: Any) -> Any:
        raise OperationalError("terminating connection due to administrator command")

    with connection.execute_wrapper(lose), pytest.raises(OperationalError):  # after which every task comes again
        tasks._perform(run_id=run.pk)
    run.refresh_from_db()
    assert (run.state, run.attempt) == (State.QUEUED, 0)


def test_a_run_that_takes_too_long_ends_in_words(admin):
    kinds = factories.failing(SoftTimeLimitExceeded())
    run = factories.run(admin.user)
    assert deliver(run, kinds) is None
    assert (run.state, run.problem_code) == (State.FAILED, "took_too_long")
    assert "smaller parts" in run.problem
    assert not Company.objects.filter(name="Foxtrot").exists()
    assert not ImportFile.objects.exists()


def test_an_error_of_ours_ends_in_words_and_the_log_tells_where_but_nothing_of_the_file(admin, caplog):
    kinds = factories.failing(ValueError("Macaraeg, Liza has an odd birthday"))
    run = factories.run(admin.user)
    with caplog.at_level(logging.DEBUG):
        assert deliver(run, kinds) is None
    assert (run.state, run.problem_code) == (State.FAILED, "unexpected")
    assert "Macaraeg" not in run.problem
    written = "\n".join(f"{record.getMessage()} {record.exc_text or ''}" for record in caplog.records)
    assert "ValueError importer:" in written
    assert "Macaraeg" not in written
    assert not Company.objects.filter(name="Foxtrot").exists()


def test_one_who_lost_the_run_says_nothing_more_of_it(admin):
    run = factories.run(admin.user)

    def take_over() -> None:
        ImportRun.objects.update(lease_until=now() - dt.timedelta(seconds=1))
        factories.claimed(run)

    def taken_over(*_: Any) -> Any:
        factories.in_thread(take_over)()
        raise ValueError("and broke off")

    kind = factories.COMPANIES["cadets"]
    kinds = {"cadets": type(kind)(columns=kind.columns, import_rows=taken_over)}
    assert deliver(run, kinds) is None
    assert run.state == State.RUNNING
