"""The daily reports: yesterday's attendance and discipline, of the unit and of every company, made once."""

import datetime as dt

import pytest

from apps.accounts.models import AuditEntry
from apps.cadets.tests import factories as cadets
from apps.events.models import Event
from apps.grading.models import MeritDemerit
from apps.grading.selectors.daily import day_facts
from apps.grading.tests import factories as grading
from apps.reports.models import Report, State
from apps.reports.services.daily import daily_report_make
from apps.reports.tests import factories
from apps.training.tests import factories as training
from core.clock import MANILA, manila_date, now

pytestmark = pytest.mark.django_db
YESTERDAY = manila_date(now()) - dt.timedelta(days=1)


@pytest.fixture
def happened(liza, omar, term):
    """A training day yesterday, and merits around midnight in Manila."""
    day = training.day(days_ago=1, title="Marksmanship", location="Range")
    training.record(day, liza.cadet, "present")
    training.record(day, omar.cadet, "late", remarks="Bus")
    noon = dt.datetime.combine(YESTERDAY, dt.time(12), tzinfo=MANILA)
    issued = {
        "of the day": noon,
        "a minute before midnight": noon.replace(hour=23, minute=59),
        "a minute after": noon.replace(hour=23, minute=59) + dt.timedelta(minutes=2),
        "the day before": noon - dt.timedelta(days=1),
    }
    for reason, at in issued.items():
        award = grading.award(liza.enrollment, 5, reason=reason)
        MeritDemerit.objects.filter(pk=award.pk).update(issued_at=at)
    return day


def test_there_is_one_of_the_unit_and_one_of_each_company_that_has_cadets(happened, django_capture_on_commit_callbacks):
    cadets.company("Empty")
    with django_capture_on_commit_callbacks() as callbacks:
        made = daily_report_make(day=YESTERDAY)
    assert [one.company.name if one.company else "unit" for one in made] == ["unit", "Alpha", "Bravo"]
    assert len(callbacks) == 3
    assert {one.requested_by for one in made} == {None}
    assert made[1].title == f"Daily report, Alpha, {YESTERDAY}"


def test_however_often_the_job_runs_they_are_the_same_and_only_failed_ones_are_begun_again(
    happened, django_capture_on_commit_callbacks
):
    first = daily_report_make(day=YESTERDAY)
    Report.objects.filter(pk=first[1].pk).update(state=State.FAILED, problem_code="unexpected", attempt=3)
    with django_capture_on_commit_callbacks() as callbacks:
        again = daily_report_make(day=YESTERDAY)
    assert [one.pk for one in again] == [one.pk for one in first]
    assert (again[1].state, again[1].attempt) == (State.QUEUED, 0)
    assert len(callbacks) == 1
    assert AuditEntry.objects.filter(action="report.create").count() == 3
    assert daily_report_make(day=YESTERDAY - dt.timedelta(days=1))[0].pk not in {one.pk for one in first}


def test_the_units_report_has_every_company_and_who_was_missing(happened):
    unit = daily_report_make(day=YESTERDAY)[0]
    assert factories.performed(unit) == State.READY
    (page,) = factories.pages_of(factories.content_of(unit))
    for words in (
        "DAILY REPORT",
        "The unit",
        "Marksmanship, Range",
        "Alpha 1 1 0 0 0 0 100.0",
        "Bravo 1 0 1 0 0 0 100.0",
        "The unit 2 1 1 0 0 0 100.0",
        "Late, excused, absent or unmarked · 1",
        "Pangandaman, Omar",
        "Issued: 2 merits of 10 points, 0 demerits of 0 points. Revoked: 0.",
        "a minute before midnight",
        "by the daily schedule",
    ):
        assert words in page, words
    assert "a minute after" not in page
    assert "the day before" not in page
    told = Event.objects.get(type="report.ready")
    assert told.recipients == ["role:admin", "role:training_staff"]


def test_a_companys_report_tells_of_nobody_elses_cadets(happened):
    bravo = daily_report_make(day=YESTERDAY)[2]
    factories.performed(bravo)
    (page,) = factories.pages_of(factories.content_of(bravo))
    assert "Bravo Company" in page
    assert "Pangandaman" in page
    assert "Macaraeg" not in page
    assert "No merit or demerit was issued or revoked." in page


def test_a_day_without_training_says_so(liza, term):
    unit, alpha = daily_report_make(day=YESTERDAY)
    for report in (unit, alpha):
        factories.performed(report)
        assert "There was no training day." in factories.pages_of(factories.content_of(report))[0]


def test_a_cancelled_day_and_a_revoked_merit_are_told(happened, admin, liza, term):
    training.day(days_ago=1, title="March", cancelled_at=now(), cancel_reason="Typhoon")
    award = MeritDemerit.objects.get(reason="the day before")
    at = dt.datetime.combine(YESTERDAY, dt.time(9), tzinfo=MANILA)
    MeritDemerit.objects.filter(pk=award.pk).update(
        revoked_at=at, revoked_by=admin.user, revoke_reason="The other one was meant"
    )
    _, content = factories.made(admin.principal, "daily", day=YESTERDAY)
    text = " ".join(factories.pages_of(content))
    assert "CANCELLED \u2013 Typhoon" in text
    assert "Merit revoked" in text
    assert "The other one was meant" in text


def test_who_was_enrolled_later_or_has_left_was_not_expected(happened, admin):
    cadets.enrolled(last_name="Newcomer", enrolled_on=manila_date(now()))
    cadets.enrolled(last_name="Dropped", status="dropped")
    text = " ".join(factories.pages_of(factories.made(admin.principal, "daily", day=YESTERDAY)[1]))
    assert "The unit 2 1 1 0 0 0 100.0" in text
    assert "Newcomer" not in text
    assert "Dropped" not in text


def test_the_table_and_the_list_of_the_missing_agree(admin, term):
    factories.unit(cadets_of_each=40, days=3)
    report, content = factories.made(admin.principal, "daily", day=YESTERDAY)
    (held,) = day_facts(day=YESTERDAY).held
    missing = held.unit.total() - held.unit["present"]
    assert missing > 5
    assert f"absent or unmarked \u00b7 {missing}" in factories.pages_of(content)[0]
    assert report.rows_total == missing + 2
