"""Terms in the admin site: made, changed, closed and reopened."""

import datetime as dt
import threading

import pytest
from django.db import OperationalError, connection, connections, transaction

from apps.accounts.models import AuditEntry
from apps.cadets.models import Term
from apps.cadets.services.terms import term_hold_open
from apps.cadets.tests import factories as unit
from apps.grading.models import GradeSheet
from apps.grading.tests import factories
from core.clock import now
from tests.admin_pages import NOTHING, Site, address_of, refusals, said, saved, written

pytestmark = pytest.mark.django_db
GIVEN = {"school_year": "2027-2028", "semester": "2nd", "starts_on": "2028-01-10", "ends_on": "2028-05-20"}


@pytest.fixture
def site(admin) -> Site:
    return Site(admin.user)


def close(term):
    Term.objects.filter(pk=term.pk).update(closed_at=now())


def test_a_term_is_created_through_the_service_and_not_yet_current(site, admin, term):
    assert saved(site.add(Term, **GIVEN))
    made = Term.objects.get(school_year="2027-2028")
    assert (made.semester, made.starts_on, made.is_current) == ("2nd", dt.date(2028, 1, 10), False)
    assert AuditEntry.objects.get(action="term.create").actor_id == admin.user.pk
    assert written() == (["term.create"], ["term.created"])


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"school_year": "2027-2029"}, "school_year", "two consecutive years"),
        ({"ends_on": "2027-01-01"}, "ends_on", "cannot end before it begins"),
        ({"school_year": "2026-2027", "semester": "1st"}, "__all__", "already. Change that one."),
    ],
    ids=["years", "dates", "exists"],
)
def test_a_term_that_cannot_be_is_refused(site, term, changes, field, words):
    assert words in refusals(site.add(Term, **{**GIVEN, **changes}))[field][0]
    assert Term.objects.get() == term
    assert written() == NOTHING


def test_a_term_is_changed_through_the_service_and_a_stale_page_is_refused(site, term):
    opened = site.fields_of(term)
    later = str(term.ends_on + dt.timedelta(days=7))
    assert saved(site.change(term, ends_on=later))
    assert written() == (["term.change"], ["term.changed"])
    assert "Somebody has changed this" in refusals(site.change(term, opened, semester="2nd"))["__all__"][0]
    term.refresh_from_db()
    assert (str(term.ends_on), term.semester, term.version) == (later, "1st", 2)
    assert written() == (["term.change"], ["term.changed"])


def test_a_term_is_not_shortened_past_a_training_day(site, term):
    factories.day(term)
    answer = site.change(term, ends_on=str(unit.today() - dt.timedelta(days=30)))
    assert "outside these dates" in refusals(answer)["__all__"][0]
    assert written() == NOTHING


def test_making_a_term_current_takes_it_from_the_one_before(site, term):
    former = unit.former_term()
    assert "Choose one term" in said(site.act("make_current", term, former))
    assert written() == NOTHING
    site.act("make_current", former)
    assert Term.objects.get(is_current=True) == former
    assert written() == (["term.make_current"], ["term.changed"] * 2)
    close(term)
    assert "frozen" in said(site.act("make_current", term))
    assert Term.objects.get(is_current=True) == former


def test_closing_asks_first_and_then_freezes_every_grade(site, liza, omar, term):
    factories.default_policy()
    factories.attend(liza.enrollment, factories.days(1, term), ["present"])
    factories.scores(liza.enrollment, "85", "90", "95")
    asked = site.act("close", term)
    assert str(term) in asked.content.decode()
    assert (written(), GradeSheet.objects.count()) == (NOTHING, 0)
    answer = site.confirm("close", term)
    assert "2 grades are frozen; 1 lack an exam" in said(answer)
    term.refresh_from_db()
    assert term.closed_at is not None
    assert GradeSheet.objects.filter(superseded_at=None).count() == 2
    audited, told = written()
    assert audited == ["term.close"]
    assert told == ["term.closed", "grade.released", "grade.released"]


def test_a_closed_term_is_not_closed_again_nor_changed(site, term):
    factories.default_policy()
    opened = site.fields_of(term)
    close(term)
    assert "closed already" in said(site.confirm("close", term))
    page = site.client.get(address_of(Term, "change", term.pk))
    assert page.context["has_change_permission"] is False
    assert "frozen" in refusals(site.change(term, opened, semester="2nd"))["__all__"][0]
    assert (written(), GradeSheet.objects.count()) == (NOTHING, 0)


def test_reopening_needs_a_reason_and_supersedes_the_sheets(site, liza, term):
    factories.default_policy()
    site.confirm("close", term)
    before = written()
    assert "reason" in site.confirm("reopen", term, reason=" ").context["form"].errors
    assert written() == before
    assert "1 term reopened." in said(site.confirm("reopen", term, reason="A score was missing"))
    term.refresh_from_db()
    assert term.closed_at is None
    assert GradeSheet.objects.get().superseded_at is not None
    assert AuditEntry.objects.filter(action="term.reopen", after__reason="A score was missing").exists()
    assert written()[1][-1] == "term.reopened"


def test_terms_are_chosen_by_whether_they_are_closed(site, term):
    former = unit.former_term()
    close(former)
    assert (site.list_of(Term, closed="yes"), site.list_of(Term, closed="no")) == ([former], [term])


def test_an_open_term_is_not_reopened(site, term):
    assert "is open" in said(site.confirm("reopen", term, reason="By mistake"))
    assert written() == NOTHING


# --- While others write -----------------------------------------------------------------------------------------------


@pytest.fixture
def held(term):
    """Somebody writes in the term, and whoever answers a request does not wait for long."""
    begun, ended = threading.Event(), threading.Event()

    def import_something():
        try:
            with transaction.atomic():
                term_hold_open(term_id=term.pk)
                begun.set()
                ended.wait(30)
        finally:
            connections.close_all()

    thread = threading.Thread(target=import_something)
    thread.start()
    assert begun.wait(10)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    yield term
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")
    ended.set()
    thread.join(10)


@pytest.mark.django_db(transaction=True)
def test_an_action_that_waits_too_long_says_so_and_begins_no_other(site, held):
    below = unit.former_term()
    answer = site.confirm("close", held, below)
    assert said(answer).count("try again soon") == 1
    assert f"{held}: Others are writing" in said(answer)
    assert "Not tried after it: 1." in said(answer)
    assert not Term.objects.exclude(closed_at=None).exists()


@pytest.mark.django_db(transaction=True)
def test_a_form_that_waits_too_long_comes_back_as_it_was_filled_in(site, held):
    answer = site.change(held, ends_on=str(held.ends_on + dt.timedelta(days=7)))
    assert "try again soon" in refusals(answer)["__all__"][0]
    assert written() == NOTHING
    assert saved(site.add(Term, **GIVEN))


def test_a_page_without_the_database_is_answered_503(site):
    def away(*_):
        raise OperationalError("away")

    with connection.execute_wrapper(away):
        answer = site.client.get(address_of(Term, "changelist"))
    assert answer.status_code == 503
    assert "try again soon" in answer.content.decode()
