"""A report in the worker: claimed once, ended once, one file whatever happens; and what becomes of old ones."""

import datetime as dt
import logging
import threading
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.core.files.storage import default_storage
from django.db import OperationalError, connection

from apps.accounts.models import AuditEntry, Role, User
from apps.accounts.services import user_archive
from apps.cadets.tests import factories as cadets
from apps.events.models import Event
from apps.reports import rules, tasks
from apps.reports.models import Report, State
from apps.reports.services import asking, performing
from apps.reports.services.contents.people import master_list
from apps.reports.services.ends import LEASES
from apps.reports.services.retention import reports_expire, reports_resume
from apps.reports.tests import factories
from core import leases
from core.clock import now
from core.errors import Unavailable
from core.leases import LeaseLost
from core.retries import TryLater

pytestmark = pytest.mark.django_db(transaction=True)


def deliver(report: Report, contents: Any = performing.CONTENTS) -> float | None:
    """A message as the worker gets it: the seconds until it is tried again, or None."""
    later = None
    try:
        tasks._perform(report_id=report.pk, contents=contents)
    except TryLater as asked:
        later = asked.seconds
    report.refresh_from_db()
    return later


def failing(error: BaseException) -> dict[str, Any]:
    def content(report: Report, progress: Any) -> Any:
        raise error

    return {"master_list": content}


@pytest.fixture
def report(admin, term, liza) -> Report:
    return factories.asked(admin.principal, "master_list")


def test_a_message_makes_the_report_and_a_second_one_nothing(report, admin):
    assert deliver(report) is None
    assert (report.state, report.attempt, report.pages, report.rows_done) == (State.READY, 1, 1, 1)
    assert report.expires_at - report.finished_at == dt.timedelta(days=rules.FILE_DAYS)
    assert factories.stored_files() == [str(default_storage.path(report.file))]
    assert report.file_bytes == len(factories.content_of(report))
    told = Event.objects.get(type="report.ready")
    assert (told.recipients, told.data["report_id"]) == ([f"user:{admin.user.pk}"], report.pk)
    entry = AuditEntry.objects.get(action="report.make")
    assert entry.actor_id == admin.user.pk
    before = report.file
    assert deliver(report) is None
    assert (report.file, report.attempt) == (before, 1)
    assert Event.objects.filter(type="report.ready").count() == 1


def test_one_that_another_worker_has_is_asked_for_again_when_its_lease_has_ended(report):
    factories.claimed(report)
    assert 25 < (deliver(report) or 0) <= 31
    assert report.state == State.RUNNING


@pytest.mark.parametrize("error", [OperationalError("x"), Unavailable("x")])
def test_what_may_pass_is_tried_again_three_times_and_then_ends_in_words(report, error):
    for attempt, least in ((1, 15), (2, 30), (3, 60)):
        assert least <= (deliver(report, failing(error)) or 0) <= 2 * least
        assert (report.state, report.attempt) == (State.RUNNING, attempt)
    assert deliver(report, failing(error)) is None
    assert (report.state, report.problem_code) == (State.FAILED, "attempts_exhausted")
    assert Event.objects.get(type="report.failed").data["code"] == "attempts_exhausted"
    assert factories.stored_files() == []


def test_an_error_of_ours_ends_in_words_and_the_log_tells_where_but_of_nobody(report, caplog):
    with caplog.at_level(logging.DEBUG):
        assert deliver(report, failing(ValueError("Macaraeg has an odd grade"))) is None
    assert (report.state, report.problem_code) == (State.FAILED, "unexpected")
    written = "\n".join(f"{record.getMessage()} {record.exc_text or ''}" for record in caplog.records)
    assert "ValueError content:" in written
    assert "Macaraeg" not in report.problem + written


def test_one_that_takes_too_long_ends_in_words(report):
    assert deliver(report, failing(SoftTimeLimitExceeded())) is None
    assert (report.state, report.problem_code) == (State.FAILED, "took_too_long")


def test_a_storage_that_is_away_is_tried_again_and_leaves_no_name(report, monkeypatch):
    def away(*_: Any, **__: Any) -> str:
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(default_storage, "save", away)
        assert deliver(report) is not None
    assert report.state == State.RUNNING
    assert deliver(report) is None
    assert report.state == State.READY
    assert len(factories.stored_files()) == 1


def test_an_attempt_that_died_after_storing_leaves_one_file_in_the_end(report, monkeypatch):
    def dies(**_: Any) -> None:
        raise KeyboardInterrupt

    claim = factories.claimed(report)
    # As a kill would: without any of what is done for errors.
    with monkeypatch.context() as patched:
        patched.setattr(performing, "report_ready", dies)
        patched.setattr("core.uploads.file_discard", lambda name: None)
        with pytest.raises(KeyboardInterrupt):
            performing.report_perform(claim=claim)
    (orphan,) = factories.stored_files()
    Report.objects.update(lease_until=now() - dt.timedelta(seconds=1))
    assert deliver(report) is None
    assert (report.state, report.attempt) == (State.READY, 2)
    (kept,) = factories.stored_files()
    assert kept != orphan
    assert kept.endswith(report.file)


# --- While it is under way --------------------------------------------------------------------------------------------


class Pausing:
    """The master list, which having been read waits until it is told to go on."""

    def __init__(self) -> None:
        self.read, self.go_on = threading.Event(), threading.Event()
        self.contents = {"master_list": self._content}

    def _content(self, report: Report, progress: Any) -> Any:
        document = master_list(report, progress)
        self.read.set()
        assert self.go_on.wait(20)
        progress("reading", 2, None)
        return document


def in_thread(work: Any) -> Any:
    found: list[Any] = []

    def carried() -> None:
        try:
            found.append(work())
        except Exception as error:  # noqa: BLE001 - the caller looks at it
            found.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=carried)
    thread.start()

    def end() -> Any:
        thread.join(30)
        assert not thread.is_alive()
        return found[0]

    return end


@pytest.fixture
def quick(monkeypatch) -> None:
    monkeypatch.setattr(leases, "TOLD_SECONDS", 0.05)


def wait_for(condition: Any) -> Any:
    waited = threading.Event()
    for _ in range(400):
        if found := condition():
            return found
        waited.wait(0.05)
    raise AssertionError("in vain")


@pytest.mark.usefixtures("quick")
def test_its_progress_is_told_and_its_lease_extended_while_it_is_made(report):
    pausing, claim = Pausing(), factories.claimed(report)
    end = in_thread(lambda: performing.report_perform(claim=claim, contents=pausing.contents))
    assert pausing.read.wait(20)
    Report.objects.update(lease_until=now())
    wait_for(lambda: Report.objects.filter(lease_until__gt=now() + dt.timedelta(seconds=20)).exists())
    told = wait_for(lambda: Event.objects.filter(type="report.progress").first())
    assert told.data == {"report_id": report.pk, "phase": "reading", "done": 1, "total": None}
    pausing.go_on.set()
    assert end() == State.READY


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("action", [asking.report_cancel, asking.report_delete])
def test_who_stops_or_removes_it_is_answered_at_once_and_the_worker_stores_nothing(report, admin, action):
    pausing, claim = Pausing(), factories.claimed(report)
    end = in_thread(lambda: performing.report_perform(claim=claim, contents=pausing.contents))
    assert pausing.read.wait(20)
    action(actor=admin.principal, report_id=report.pk)
    pausing.go_on.set()
    assert isinstance(end(), LeaseLost)
    assert [one.state for one in Report.objects.all()] in ([State.CANCELLED], [])
    assert factories.stored_files() == []
    assert not Event.objects.filter(type="report.ready").exists()


def test_a_sheet_shows_one_moment_however_long_it_is_read(report, admin):
    pausing = Pausing()

    def twice(report: Report, progress: Any) -> Any:
        pausing._content(report, progress)
        return master_list(report, progress)

    claim = factories.claimed(report)
    end = in_thread(lambda: performing.report_perform(claim=claim, contents={"master_list": twice}))
    assert pausing.read.wait(20)
    cadets.enrolled(last_name="Zamora")  # meanwhile
    pausing.go_on.set()
    assert end() == State.READY
    report.refresh_from_db()
    assert "Zamora" not in " ".join(factories.pages_of(factories.content_of(report)))


# --- Whom it is made for ----------------------------------------------------------------------------------------------


def test_an_account_that_was_archived_meanwhile_gets_nothing(instructor, admin, term):
    report = factories.asked(instructor.principal, "grade_sheet")
    user_archive(actor=admin.principal, user_id=instructor.user.pk)
    assert factories.performed(report) == State.FAILED
    assert report.problem_code == "permission_denied"


def test_a_role_that_was_lost_meanwhile_counts(admin, term, liza):
    report = factories.asked(admin.principal, "master_list")
    User.objects.filter(pk=admin.user.pk).update(role=Role.TRAINING_STAFF)
    assert factories.performed(report) == State.FAILED


def test_a_cadet_whose_account_was_taken_away_gets_no_slip(liza, term):
    report = factories.asked(liza.principal, "grade_slip")
    liza.cadet.user = None
    liza.cadet.save(update_fields=["user"])
    assert factories.performed(report) == State.FAILED


# --- Old and lost ones ------------------------------------------------------------------------------------------------


def test_a_file_goes_after_its_time_and_the_row_stays_and_can_be_asked_for_again(report, admin):
    assert factories.performed(report) == State.READY
    other, _ = factories.made(admin.principal, "master_list")
    Report.objects.filter(pk=report.pk).update(expires_at=now() - dt.timedelta(seconds=1))
    assert reports_expire() == 1
    report.refresh_from_db()
    assert (report.state, report.file, report.pages, report.problem_code) == (State.EXPIRED, "", None, "expired")
    assert report.finished_at is not None
    assert factories.stored_files() == [str(default_storage.path(other.file))]
    entry = AuditEntry.objects.get(action="report.expire")
    assert (entry.actor_id, entry.target) == (None, f"report:{report.pk}")
    assert not Event.objects.filter(type="report.failed").exists()
    assert reports_expire() == 0
    asking.report_retry(actor=admin.principal, report_id=report.pk)
    assert factories.performed(report) == State.READY
    assert report.problem_code == ""


def test_the_worker_is_asked_again_for_what_waits_too_long_or_lost_its_worker(admin, term, monkeypatch):
    sent: list[int] = []
    monkeypatch.setattr("apps.reports.services.retention.enqueue", lambda job: sent.append(job.report_id))
    lost, fresh, dead, alive, done = (factories.asked(admin.principal, "master_list") for _ in range(5))
    moments: dict[Report, dict[str, Any]] = {lost: {"queued_at": now() - dt.timedelta(minutes=6)}, fresh: {}}
    moments[dead] = {"state": "running", "lease_until": now() - dt.timedelta(seconds=1)}
    moments[alive] = {"state": "running", "lease_until": now() + dt.timedelta(seconds=20)}
    moments[done] = {"state": "failed", "queued_at": now() - dt.timedelta(days=1)}
    for row, changes in moments.items():
        if changes:
            Report.objects.filter(pk=row.pk).update(**changes)
    assert reports_resume() == 2
    assert sent == [lost.pk, dead.pk]


def test_of_many_who_claim_at_once_one_gets_it(report):
    ends = [in_thread(lambda: LEASES.claim(row_id=report.pk, phase="reading")) for _ in range(6)]
    found = [end() for end in ends]
    assert sum(isinstance(one, leases.Claim) for one in found) == 1
    assert sum(isinstance(one, leases.RowHeld) for one in found) == 5
