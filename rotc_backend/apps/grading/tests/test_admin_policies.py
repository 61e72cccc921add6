"""Grading policies and grade sheets in the admin site."""

import pytest

from apps.accounts.models import AuditEntry
from apps.cadets.models import Term
from apps.cadets.tests import factories as unit
from apps.grading import rules
from apps.grading.models import GradeSheet, GradingPolicy
from apps.grading.services import closing
from apps.grading.tests import factories
from core.clock import now
from tests.admin_pages import NOTHING, Site, address_of, refusals, saved, written

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(admin) -> Site:
    factories.default_policy()
    return Site(admin.user)


def weights(attendance, aptitude, subject):
    return {"attendance_weight": attendance, "aptitude_weight": aptitude, "subject_weight": subject}


def fields_of_a_new_one(site, term):
    form = site.client.get(address_of(GradingPolicy, "add")).context["adminform"].form
    shown = {name: form[name].value() for name in form.fields if name != "row_version"}
    return {**shown, "term": term.pk}


def test_the_default_is_changed_through_the_service_and_bands_are_written_a_line_each(site, admin):
    row = factories.default_policy()
    fields = site.fields_of(row)
    assert fields["bands"].splitlines()[0] == "95.00 1.00"
    bands = "96 1.00\n90.00 1.50\n\n75.00   3.00"
    answer = site.change(row, fields, bands=bands.replace("\n\n", "\n"), attended_statuses=["present", "late"])
    assert saved(answer)
    row.refresh_from_db()
    assert row.bands == [["96.00", "1.00"], ["90.00", "1.50"], ["75.00", "3.00"]]
    assert row.attended_statuses == ["present", "late"]
    assert AuditEntry.objects.get(action="grading_policy.change").actor_id == admin.user.pk
    assert written() == (["grading_policy.change"], ["grading_policy.changed"])


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        (weights("30", "30", "30"), "attendance_weight", "add up to exactly 100"),
        ({"bands": "95.00 1.00\n96.00 1.50"}, "bands", "Line 2: Each bound must be less"),
        ({"bands": "95.00 1.00\nninety 1.50"}, "bands", "Line 2: write a lower bound"),
        ({"bands": "95.00 best"}, "bands", "Line 1: Write an equivalent"),
        ({"bands": "1e9999999 1.00"}, "bands", "Line 1: write a lower bound"),
        ({"bands": ""}, "bands", "required"),
        ({"attended_statuses": []}, "attended_statuses", "required"),
        ({"failing_equivalent": "F"}, "failing_equivalent", "two decimals"),
    ],
)
def test_what_cannot_be_graded_by_is_refused_beside_its_field(site, changes, field, words):
    row = factories.default_policy()
    assert words in " ".join(refusals(site.change(row, **changes))[field])
    row.refresh_from_db()
    assert (row.version, row.bands) == (1, rules.UNIT_POLICY["bands"])
    assert written() == NOTHING


def test_a_stale_page_is_refused(site):
    row = factories.default_policy()
    opened = site.fields_of(row)
    assert saved(site.change(row, **weights("20", "40", "40")))
    assert "Somebody has changed" in refusals(site.change(row, opened, failing_equivalent="6.00"))["__all__"][0]
    row.refresh_from_db()
    assert row.failing_equivalent == "5.00"
    assert written() == (["grading_policy.change"], ["grading_policy.changed"])


def test_a_term_gets_a_policy_of_its_own_that_begins_as_the_default(site, term):
    fields = fields_of_a_new_one(site, term)
    assert fields["bands"].startswith("95.00 1.00")
    assert saved(site.add(GradingPolicy, **{**fields, **weights("25", "35", "40")}))
    own = GradingPolicy.objects.get(term=term)
    assert str(own.attendance_weight) == "25.00"
    assert written() == (["grading_policy.create"], ["grading_policy.changed"])
    assert "term" in refusals(site.add(GradingPolicy, **fields)), "it has one now"


def test_a_policy_needs_a_term_and_one_that_is_open(site, term):
    fields = fields_of_a_new_one(site, term)
    former = unit.former_term()
    Term.objects.filter(pk=former.pk).update(closed_at=now())
    for wrong in ("", former.pk):
        assert "term" in refusals(site.add(GradingPolicy, **{**fields, "term": wrong}))
    assert GradingPolicy.objects.count() == 1
    assert written() == NOTHING


def test_the_policy_of_a_closed_term_is_only_shown(site, term):
    own = factories.own_policy(term)
    opened = site.fields_of(own)
    Term.objects.filter(pk=term.pk).update(closed_at=now())
    page = site.client.get(address_of(GradingPolicy, "change", own.pk))
    assert page.context["has_change_permission"] is False
    assert "frozen" in refusals(site.change(own, opened, failing_equivalent="6.00"))["__all__"][0]
    own.refresh_from_db()
    assert own.failing_equivalent == "5.00"
    assert written() == NOTHING


# --- Grade sheets -----------------------------------------------------------------------------------------------------


@pytest.fixture
def sheet(site, admin, liza, term) -> GradeSheet:
    factories.attend(liza.enrollment, factories.days(2, term), ["present", "absent"])
    factories.scores(liza.enrollment, "85", "90", None)
    factories.award(liza.enrollment, 10)
    factories.adjustment(liza.enrollment, "subject", "1.50", reason="Board <b>decision</b>")
    closing.term_close(actor=admin.principal, term_id=term.pk)
    return GradeSheet.objects.get()


def test_a_sheet_shows_what_it_gave_and_what_that_was_made_of(site, sheet):
    text = site.client.get(address_of(GradeSheet, "change", sheet.pk)).content.decode()
    for shown in ("1 of 2 days attended", "15.00 of 30.00", "missing final", "10 points", "85.00", sheet.digest):
        assert shown in text, shown
    assert "Board &lt;b&gt;decision" in text
    assert "<b>decision" not in text
    assert text.index("Days present") < text.index("Days late") < text.index("Days absent")
    for query in ({"q": "macaraeg"}, {"superseded": "no"}):
        assert site.list_of(GradeSheet, **query) == [sheet], query
    assert site.list_of(GradeSheet, superseded="yes") == []


def test_a_sheet_that_somebody_has_written_over_is_still_shown(site, sheet):
    GradeSheet.objects.filter(pk=sheet.pk).update(inputs=[], result={"total": "x"})
    page = site.client.get(address_of(GradeSheet, "change", sheet.pk))
    assert (page.status_code, page.content.decode().count("This cannot be read")) == (200, 2)
    assert site.list_of(GradeSheet) == [sheet]


def test_a_sheet_is_never_edited(site, sheet):
    for page, arguments in (("change", [sheet.pk]), ("add", [])):
        assert site.client.post(address_of(GradeSheet, page, *arguments), {"revision": 2}).status_code == 403
    sheet.refresh_from_db()
    assert sheet.revision == 1
