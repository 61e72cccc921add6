"""Training days in the admin site."""

import datetime as dt

import pytest

from apps.accounts.models import AuditEntry
from apps.cadets.tests import factories as cadets
from apps.training.models import AttendanceRecord, TrainingDay
from apps.training.tests import factories
from core.clock import now
from tests.admin_pages import NOTHING, Site, address_of, refusals, said, saved, written

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(admin) -> Site:
    return Site(admin.user)


def given(**fields):
    return {
        "term": cadets.term().pk,
        "date": str(cadets.today()),
        "title": "Map reading",
        "description": "Bring\r\na compass.",
        "location": "Grandstand",
        "late_after": "07:15",
        **fields,
    }


def close(term):
    term.closed_at = now()
    term.save()


def test_a_day_is_created_through_the_service(site, admin):
    assert saved(site.add(TrainingDay, **given()))
    day = TrainingDay.objects.get()
    assert (day.term, day.title, day.description) == (cadets.term(), "Map reading", "Bring\na compass.")
    assert day.late_after == dt.time(7, 15)
    entry = AuditEntry.objects.get(action="training_day.create")
    assert (entry.actor_id, (entry.after or {}).get("title")) == (admin.user.pk, "Map reading")
    assert written() == (["training_day.create"], ["training_day.created"])


def test_the_form_for_a_new_day_offers_open_terms_and_begins_with_the_current_one(site):
    current, former = cadets.term(), cadets.former_term()
    close(former)
    form = site.client.get(address_of(TrainingDay, "add")).context["adminform"].form
    assert form["term"].value() == current.pk
    assert list(form.fields["term"].queryset) == [current]
    assert "term" in refusals(site.add(TrainingDay, **given(term=former.pk, date=str(former.starts_on))))
    assert written() == NOTHING


def test_a_date_outside_the_term_is_refused_beside_the_date(site):
    answer = site.add(TrainingDay, **given(date="2020-01-01"))
    assert "The term lasts from" in refusals(answer)["date"][0]
    assert not TrainingDay.objects.exists()
    assert written() == NOTHING


def test_a_day_is_changed_through_the_service(site):
    day = factories.day()
    assert saved(site.change(day, title="Drill with arms"))
    day.refresh_from_db()
    assert (day.title, day.version) == ("Drill with arms", 2)
    entry = AuditEntry.objects.get(action="training_day.change")
    assert (entry.before, entry.after) == ({"title": "Basic drill"}, {"title": "Drill with arms"})
    assert written() == (["training_day.change"], ["training_day.changed"])


def test_a_change_of_what_somebody_has_changed_meanwhile_is_refused(site):
    day = factories.day()
    opened = site.fields_of(day)
    assert saved(site.change(day, title="Drill with arms"))
    told = written()
    assert "Somebody has changed this" in refusals(site.change(day, opened, location="Gymnasium"))["__all__"][0]
    day.refresh_from_db()
    assert (day.title, day.location) == ("Drill with arms", "")
    assert written() == told


def test_a_day_of_a_closed_term_is_only_shown_and_a_page_opened_before_is_refused(site):
    day = factories.day()
    opened = site.fields_of(day)
    close(day.term)
    page = site.client.get(address_of(TrainingDay, "change", day.pk))
    assert (page.status_code, page.context["has_change_permission"]) == (200, False)
    assert "closed and its grades are frozen" in refusals(site.change(day, opened, title="Other"))["__all__"][0]
    day.refresh_from_db()
    assert day.title == "Basic drill"
    assert written() == NOTHING


def test_days_are_cancelled_with_a_reason_that_a_page_asks_for(site):
    first, second = factories.day(), factories.day(days_ago=6)
    page = site.act("cancel", first, second)
    assert "Basic drill" in page.content.decode()
    assert "reason" in site.confirm("cancel", first, reason="").context["form"].errors
    assert written() == NOTHING
    answer = site.confirm("cancel", first, second, reason="Typhoon signal")
    assert said(answer) == "2 training days cancelled."
    first.refresh_from_db()
    assert (first.cancelled_at is not None, first.cancel_reason) == (True, "Typhoon signal")
    assert written() == (["training_day.cancel"] * 2, ["training_day.cancelled"] * 2)


def test_of_chosen_days_the_one_that_is_cancelled_already_is_named_and_the_other_cancelled(site):
    cancelled = factories.day(cancelled_at=now(), cancel_reason="Rain")
    other = factories.day(days_ago=6)
    answer = site.confirm("cancel", cancelled, other, reason="Typhoon signal")
    assert "cancelled already" in said(answer)
    assert "1 training day cancelled." in said(answer)
    cancelled.refresh_from_db()
    assert cancelled.cancel_reason == "Rain"
    assert written() == (["training_day.cancel"], ["training_day.cancelled"])


def test_a_cancelled_day_is_reinstated_and_one_that_takes_place_is_not(site):
    cancelled = factories.day(cancelled_at=now(), cancel_reason="Rain")
    other = factories.day(days_ago=6)
    assert "is not cancelled" in said(site.act("reinstate", cancelled, other))
    cancelled.refresh_from_db()
    assert (cancelled.cancelled_at, cancelled.cancel_reason) == (None, "")
    assert written() == (["training_day.reinstate"], ["training_day.changed"])


def test_the_list_leads_to_the_records_of_a_day_and_to_them_alone(site):
    day, other = factories.day(), factories.day(days_ago=6)
    record = factories.record(day, cadets.enrolled().cadet)
    factories.record(other, cadets.enrolled().cadet)
    page = site.client.get(address_of(TrainingDay, "changelist")).content.decode()
    assert f"{address_of(AttendanceRecord, 'changelist')}?day={day.pk}" in page
    assert site.list_of(AttendanceRecord, day=day.pk) == [record]


def test_days_are_chosen_by_whether_they_take_place(site):
    cancelled, other = factories.day(cancelled_at=now(), cancel_reason="Rain"), factories.day(days_ago=6)
    assert site.list_of(TrainingDay, cancelled="yes") == [cancelled]
    assert site.list_of(TrainingDay, cancelled="no") == [other]
    assert len(site.list_of(TrainingDay, cancelled="x")) == 2
