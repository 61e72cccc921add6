import datetime as dt
from collections import Counter

import pytest

from apps.cadets.models import Enrollment
from apps.cadets.tests import factories as cadets
from apps.grading.models import MeritDemerit
from apps.grading.selectors.daily import Discipline, day_facts
from apps.training.tests import factories as training
from core.clock import manila_day, now

pytestmark = pytest.mark.django_db


def merit(enrollment: Enrollment, at: dt.datetime, **fields: object) -> MeritDemerit:
    issuer = cadets.staff_person(f"issuer-{MeritDemerit.objects.count()}").user
    given = {"kind": "merit", "points": 3, "reason": "Drill", "issued_by": issuer, "issued_at": at, **fields}
    return MeritDemerit.objects.create(enrollment=enrollment, **given)


def test_attendance_is_counted_by_day_and_company_of_those_who_were_expected() -> None:
    day = training.day(1, title="Formation")
    training.day(1, title="Range", cancelled_at=now(), cancel_reason="Storm")
    training.day(2)
    alpha, bravo = cadets.company("Alpha"), cadets.company("Bravo")
    present, late, nobody = (cadets.enrolled(company=alpha) for _ in range(3))
    absent, none = cadets.enrolled(company=bravo), cadets.enrolled(company=None)
    for enrollment, status in ((present, "present"), (late, "late"), (absent, "absent")):
        training.record(day, enrollment.cadet, status)
    cadets.enrolled(enrolled_on=day.date + dt.timedelta(days=1))
    cadets.enrolled(status="dropped")
    cadets.enrolled(archived_at=now())
    dropped_after = cadets.enrolled(company=bravo, status="dropped")
    training.record(day, dropped_after.cadet, "present")
    facts = day_facts(day=day.date)
    assert [(held.title, held.cancelled) for held in facts.held] == [("Formation", False), ("Range", True)]
    assert facts.held[0].companies == {
        "Alpha": Counter(present=1, late=1, unmarked=1),
        "Bravo": Counter(absent=1, present=1),
        "Without a company": Counter(unmarked=1),
    }
    assert facts.held[0].unit == Counter(present=2, late=1, absent=1, unmarked=2)
    assert facts.held[1].companies == {}
    assert facts.companies == ["Alpha", "Bravo", "Without a company"]
    assert (nobody.pk, none.pk) != (None, None)


def test_discipline_is_that_of_the_day_in_manila() -> None:
    day = dt.date(2026, 3, 1)
    start, end = manila_day(day)
    alpha, bravo = cadets.enrolled(company=cadets.company("Alpha")), cadets.enrolled(company=cadets.company("Bravo"))
    second = dt.timedelta(seconds=1)
    merit(alpha, start)
    merit(alpha, end - second, points=7)
    merit(alpha, start - second)
    merit(alpha, end)
    merit(bravo, start, kind="demerit", points=10)
    admin = cadets.staff_person("revoker").user
    merit(bravo, start - second, revoked_at=start, revoked_by=admin, revoke_reason="A mistake")
    merit(bravo, start, revoked_at=end, revoked_by=admin, revoke_reason="A mistake")  # no longer in force
    facts = day_facts(day=day)
    assert facts.held == []
    assert facts.discipline == {
        "Alpha": Discipline(merits=2, merit_points=10),
        "Bravo": Discipline(demerits=1, demerit_points=10, revoked=1),
    }
    assert facts.unit_discipline == Discipline(merits=2, merit_points=10, demerits=1, demerit_points=10, revoked=1)


def test_a_day_on_which_nothing_happened_has_no_companies() -> None:
    facts = day_facts(day=dt.date(2020, 1, 1))
    assert (facts.held, facts.companies) == ([], [])
