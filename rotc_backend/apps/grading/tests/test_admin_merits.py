"""Merits, demerits and adjustments in the admin site: issued, never edited, revoked with a reason."""

from typing import NamedTuple

import pytest

from apps.accounts.models import AuditEntry
from apps.cadets.models import Term
from apps.grading.models import Adjustment, MeritDemerit
from apps.grading.tests import factories
from core.clock import now
from tests.admin_pages import NOTHING, Site, address_of, refusals, said, saved, written

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(admin) -> Site:
    return Site(admin.user)


def given(model, person, **fields):
    own = {"component": "aptitude", "points": "-2.50"} if model is Adjustment else {"kind": "demerit", "points": "5"}
    return {"enrollment": person.enrollment.pk, "reason": "Late for colors", **own, **fields}


def issued(model, person, **fields):
    if model is Adjustment:
        return factories.adjustment(person.enrollment, "aptitude", "2.00", **fields)
    return factories.award(person.enrollment, 5, **fields)


class Sort(NamedTuple):
    model: type
    noun: str
    events: tuple[str, ...]  # what a write tells besides its own event


BOTH = pytest.mark.parametrize(
    "sort",
    [Sort(MeritDemerit, "merit", ()), Sort(Adjustment, "adjustment", ("grade.changed",))],
    ids=["merit", "adjustment"],
)


@BOTH
def test_it_is_issued_through_the_service(site, admin, liza, sort):
    assert saved(site.add(sort.model, **given(sort.model, liza)))
    row = sort.model.objects.get()
    assert (row.enrollment, row.reason, row.issued_by_id) == (liza.enrollment, "Late for colors", admin.user.pk)
    audited = AuditEntry.objects.filter(action=f"{sort.noun}.issue", actor=admin.user)
    assert audited.filter(after__enrollment_id=liza.enrollment.pk).count() == 1
    assert written() == ([f"{sort.noun}.issue"], [f"{sort.noun}.issued", *sort.events])


@BOTH
@pytest.mark.parametrize("points", ["0", "101", "x"])
def test_impossible_points_are_refused_beside_them(site, liza, sort, points):
    assert "points" in refusals(site.add(sort.model, **given(sort.model, liza, points=points)))
    assert not sort.model.objects.exists()
    assert written() == NOTHING


@BOTH
def test_a_reason_and_an_enrollment_are_needed(site, liza, sort):
    answer = site.add(sort.model, **given(sort.model, liza, reason=" ", enrollment=""))
    assert {"reason", "enrollment"} <= refusals(answer).keys()
    assert not sort.model.objects.exists()


@BOTH
def test_it_is_never_edited(site, liza, sort):
    row = issued(sort.model, liza)
    address = address_of(sort.model, "change", row.pk)
    assert site.client.get(address).context["has_change_permission"] is False
    assert site.client.post(address, given(sort.model, liza, points="9")).status_code == 403
    row.refresh_from_db()
    assert row.reason != "Late for colors"
    assert written() == NOTHING


@BOTH
def test_it_is_revoked_once_with_a_reason(site, admin, liza, sort):
    row = issued(sort.model, liza)
    assert row.reason in site.act("revoke", row).content.decode()
    assert "reason" in site.confirm("revoke", row, reason="").context["form"].errors
    assert written() == NOTHING
    site.confirm("revoke", row, reason="Wrong cadet")
    row.refresh_from_db()
    assert (row.revoked_by_id, row.revoke_reason) == (admin.user.pk, "Wrong cadet")
    told = written()
    assert told == ([f"{sort.noun}.revoke"], [f"{sort.noun}.revoked", *sort.events])
    assert "revoked already" in said(site.confirm("revoke", row, reason="Again"))
    row.refresh_from_db()
    assert row.revoke_reason == "Wrong cadet"
    assert written() == told


@BOTH
def test_nothing_is_issued_or_revoked_in_a_closed_term(site, liza, term, sort):
    row = issued(sort.model, liza)
    Term.objects.filter(pk=term.pk).update(closed_at=now())
    assert "frozen" in refusals(site.add(sort.model, **given(sort.model, liza)))["__all__"][0]
    assert "frozen" in said(site.confirm("revoke", row, reason="Wrong cadet"))
    assert (sort.model.objects.get(), sort.model.objects.get().revoked_at) == (row, None)
    assert written() == NOTHING


@BOTH
def test_they_are_found_by_cadet_by_reason_and_by_whether_they_stand(site, liza, omar, sort):
    author = factories.issuer()
    stands = issued(sort.model, liza, reason="Color guard")
    revoked = issued(sort.model, omar, revoked_at=now(), revoked_by=author, revoke_reason="Wrong cadet")
    for query in ({"q": "color"}, {"q": "macaraeg"}, {"q": liza.cadet.student_id}, {"revoked": "no"}):
        assert site.list_of(sort.model, **query) == [stands], query
    assert site.list_of(sort.model, revoked="yes") == [revoked]
