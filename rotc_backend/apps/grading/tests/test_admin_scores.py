"""Exam scores in the admin site."""

from decimal import Decimal

import pytest

from apps.accounts.models import AuditEntry
from apps.cadets.models import Term
from apps.events.models import Event
from apps.grading.models import ExamScore
from apps.grading.services import scores
from apps.grading.tests import factories
from core.clock import now
from core.errors import PreconditionFailed
from tests.admin_pages import NOTHING, Site, address_of, refusals, said, saved, written

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(admin) -> Site:
    return Site(admin.user)


def given(person, **fields):
    return {"enrollment": person.enrollment.pk, "exam": "prelim", "score": "87.50", **fields}


def close(term):
    Term.objects.filter(pk=term.pk).update(closed_at=now())


def recorded(person, score="80.00"):
    factories.scores(person.enrollment, score)
    return ExamScore.objects.get(enrollment=person.enrollment)


def test_a_score_is_recorded_as_by_the_service(site, admin, liza, omar):
    assert saved(site.add(ExamScore, **given(liza)))
    row = ExamScore.objects.get()
    assert (row.score, row.exam, row.recorded_by_id) == (Decimal("87.50"), "prelim", admin.user.pk)
    assert written() == (["score.record"], ["scores.recorded", "grade.changed"])
    scores.score_put(actor=admin.principal, enrollment_id=omar.enrollment.pk, exam="prelim", score=Decimal("87.50"))
    by_page, by_service = AuditEntry.objects.filter(action="score.record").order_by("id")
    assert by_page.after == {str(liza.enrollment.pk): {"prelim": "87.50"}}
    assert by_service.after == {str(omar.enrollment.pk): {"prelim": "87.50"}}
    assert Event.objects.filter(type="grade.changed").count() == 2


@pytest.mark.parametrize("score", ["100.01", "-1", "87.555", "x", ""])
def test_what_is_no_score_is_refused_beside_it(site, liza, score):
    assert "score" in refusals(site.add(ExamScore, **given(liza, score=score)))
    assert not ExamScore.objects.exists()
    assert written() == NOTHING


def test_a_score_that_is_there_is_not_recorded_over(site, liza):
    row = recorded(liza)
    assert "Somebody has" in refusals(site.add(ExamScore, **given(liza)))["__all__"][0]
    row.refresh_from_db()
    assert row.score == Decimal("80.00")
    assert written() == NOTHING


def test_a_score_is_corrected_and_a_stale_page_is_refused(site, liza):
    row = recorded(liza)
    opened = site.fields_of(row)
    assert saved(site.change(row, score="82"))
    told = written()
    assert told == (["score.record"], ["scores.recorded", "grade.changed"])
    assert "Somebody has changed this" in refusals(site.change(row, opened, score="99"))["__all__"][0]
    row.refresh_from_db()
    assert (row.score, row.version) == (Decimal("82.00"), 2)
    assert written() == told


def test_whose_score_it_is_cannot_be_changed(site, liza, omar):
    row = recorded(liza)
    site.change(row, enrollment=omar.enrollment.pk, exam="final")
    row.refresh_from_db()
    assert (row.enrollment, row.exam) == (liza.enrollment, "prelim")
    assert written() == NOTHING


def test_scores_of_a_closed_term_are_only_shown(site, liza, term):
    row = recorded(liza)
    opened = site.fields_of(row)
    close(term)
    assert site.client.get(address_of(ExamScore, "change", row.pk)).context["has_change_permission"] is False
    assert "frozen" in refusals(site.change(row, opened, score="99"))["__all__"][0]
    assert "frozen" in refusals(site.add(ExamScore, **given(liza, exam="final")))["__all__"][0]
    assert "frozen" in said(site.confirm("remove", row))
    assert ExamScore.objects.get().score == Decimal("80.00")
    assert written() == NOTHING


def test_a_score_is_removed_after_a_page_that_asks(site, liza):
    row = recorded(liza)
    assert "Macaraeg, Liza" in site.act("remove", row).content.decode()
    assert ExamScore.objects.exists()
    assert "1 exam score removed." in said(site.confirm("remove", row))
    assert not ExamScore.objects.exists()
    assert written() == (["score.record"], ["scores.recorded", "grade.changed"])


def test_who_has_read_that_a_score_is_missing_does_not_replace_one(admin, liza):
    row = recorded(liza)
    with pytest.raises(PreconditionFailed):
        scores.score_put(
            actor=admin.principal,
            enrollment_id=liza.enrollment.pk,
            exam="prelim",
            score=Decimal(99),
            expected=scores.NO_SCORE,
        )
    row.refresh_from_db()
    assert row.score == Decimal("80.00")


def test_scores_are_found_by_number_and_name(site, liza, omar):
    row = recorded(liza)
    recorded(omar)
    for text in (liza.cadet.student_id, "macaraeg", "liza mac"):
        assert site.list_of(ExamScore, q=text) == [row], text
