"""Reports and certificates in the admin site: fetched, stopped, made again, removed, revoked."""

import pytest
from django.urls import reverse

from apps.accounts.models import AuditEntry
from apps.cadets.tests import factories as cadets
from apps.grading.services.closing import term_close
from apps.grading.tests import factories as grading
from apps.reports.models import Certificate, Report, State
from apps.reports.services.certificates import certificate_issue
from apps.reports.tests import factories
from tests.admin_pages import Site, said

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(admin) -> Site:
    return Site(admin.user)


def test_a_ready_report_is_fetched_from_its_page(site, admin, liza, term):
    report, content = factories.made(admin.principal, "master_list")
    address = reverse("admin:reports_report_file", args=[report.pk])
    assert address in site.page_of(report)
    answer = site.client.get(address)
    assert b"".join(answer.streaming_content) == content
    waiting = factories.asked(admin.principal, "master_list")
    assert site.client.get(reverse("admin:reports_report_file", args=[waiting.pk])).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_reports_are_stopped_made_again_and_removed(site, admin, liza, term):
    ready, _ = factories.made(admin.principal, "master_list")
    waiting = factories.asked(admin.principal, "master_list")
    answer = site.act("cancel", ready, waiting)
    assert "there is nothing to stop" in said(answer)
    assert "1 report stopped" in said(answer)
    waiting.refresh_from_db()
    assert waiting.state == State.CANCELLED
    assert "1 report asked for again" in said(site.act("retry", waiting))
    site.act("remove", ready)
    assert Report.objects.count() == 2
    assert "2 reports removed" in said(site.confirm("remove", ready, waiting))
    assert not Report.objects.exists()
    assert factories.stored_files() == []
    assert AuditEntry.objects.filter(action="report.delete", actor=admin.user).count() == 2


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.FAILED, State.CANCELLED, State.EXPIRED])
def test_the_page_of_every_state_offers_what_can_be_done(site, admin, term, state):
    report = factories.asked(admin.principal, "master_list")
    Report.objects.update(state=state)
    text = site.page_of(report)
    assert ("Make it again" in text) == (state in {State.FAILED, State.CANCELLED, State.EXPIRED})
    assert ("Stop" in text) == (state in {State.QUEUED, State.RUNNING})
    assert "Remove" in text


def test_a_certificate_is_found_by_name_and_revoked_with_a_reason(site, admin, term):
    enrollment = cadets.enrolled(last_name="Peñaranda")
    grading.attend(enrollment, grading.days(1), ["present"])
    grading.scores(enrollment, "85", "90", "95")
    term_close(actor=admin.principal, term_id=term.pk)
    made = certificate_issue(actor=admin.principal, enrollment_id=enrollment.pk, certificate_type="completion")
    assert site.list_of(Certificate, q="Peñaranda") == [made]
    assert "valid" in site.page_of(made)
    site.confirm("revoke", made, reason="")
    made.refresh_from_db()
    assert made.revoked_at is None
    assert "1 certificate revoked" in said(site.confirm("revoke", made, reason="Somebody else's exam"))
    made.refresh_from_db()
    assert (made.revoke_reason, made.revoked_by) == ("Somebody else's exam", admin.user)
    assert "revoked" in site.page_of(made)
