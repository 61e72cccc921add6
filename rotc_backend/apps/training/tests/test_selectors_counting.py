import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import User
from apps.accounts.tests import factories as accounts
from apps.accounts.tests.factories import Person
from apps.cadets.models import Enrollment, Term
from apps.cadets.tests import factories as cadets
from apps.training import rules
from apps.training.models import AttendanceRecord, TrainingDay
from apps.training.selectors import attendance_counts, held_days
from apps.training.services import attendance as attendance_services
from apps.training.services import days as day_services
from apps.training.services.records import Mark
from apps.training.tests import factories
from core.clock import now
from core.errors import DomainError

pytestmark = pytest.mark.django_db


def counted(term: Term, cadet_ids: list[int] | None = None) -> dict[int, tuple[int, dict[str, int]]]:
    """cadet -> (held, the statuses that occur)."""
    counts = attendance_counts(term_id=term.pk, cadet_ids=cadet_ids, today=cadets.today())
    return {
        cadet_id: (count.held, {status: rows for status, rows in count.by_status.items() if rows})
        for cadet_id, count in counts.items()
    }


def test_days_held_so_far_are_those_till_today_that_take_place() -> None:
    term = cadets.term()
    first, today = factories.day(3), factories.day(0)
    factories.day(2, cancelled_at=now(), cancel_reason="Storm")
    coming = factories.day(-1)
    factories.day(200, term=cadets.former_term())
    held = [(first.pk, first.date), (today.pk, today.date)]
    assert held_days(term_id=term.pk, today=cadets.today()) == held
    assert held_days(term_id=term.pk, today=cadets.today() - dt.timedelta(days=4)) == []
    Term.objects.filter(pk=term.pk).update(closed_at=now())
    assert held_days(term_id=term.pk, today=cadets.today()) == [*held, (coming.pk, coming.date)]


def test_each_cadet_is_counted_over_the_days_that_count_for_the_cadet() -> None:
    term = cadets.term()
    old, new, coming = factories.day(10), factories.day(1), factories.day(-5)
    cancelled = factories.day(4, cancelled_at=now(), cancel_reason="Storm")
    early, late_comer, never = (cadets.enrolled() for _ in range(3))
    Enrollment.objects.filter(pk=late_comer.pk).update(enrolled_on=new.date)
    for enrollment in (early, late_comer):
        factories.record(old, enrollment.cadet, "late")
        factories.record(new, enrollment.cadet, "present")
        factories.record(cancelled, enrollment.cadet, "absent")
        factories.record(coming, enrollment.cadet, "excused")
    assert counted(term) == {
        early.cadet_id: (2, {"present": 1, "late": 1}),
        late_comer.cadet_id: (1, {"present": 1}),
        never.cadet_id: (2, {}),
    }
    Term.objects.filter(pk=term.pk).update(closed_at=now())
    assert counted(term)[late_comer.cadet_id] == (3, {"present": 1, "late": 1, "excused": 1})


def test_only_those_who_are_asked_for_and_enrolled_have_an_entry() -> None:
    term = cadets.term()
    asked, other = cadets.enrolled(), cadets.enrolled()
    outside = cadets.cadet()
    assert set(counted(term, [asked.cadet_id, outside.pk])) == {asked.cadet_id}
    assert set(counted(term)) == {asked.cadet_id, other.cadet_id}
    assert counted(term, []) == {}
    assert counted(cadets.former_term()) == {}


def test_records_of_another_term_do_not_count() -> None:
    enrollment = cadets.enrolled()
    former = cadets.former_term()
    cadets.enroll(enrollment.cadet, term=former)
    factories.record(factories.day(200, term=former), enrollment.cadet)
    factories.day(1)
    assert counted(cadets.term()) == {enrollment.cadet_id: (1, {})}
    assert counted(former) == {enrollment.cadet_id: (1, {"present": 1})}


def test_the_number_of_queries_does_not_depend_on_the_number_of_cadets(django_assert_num_queries: Any) -> None:
    term = cadets.term()
    day = factories.day(1)
    for people in (1, 4):
        for _ in range(people):
            factories.record(day, cadets.enrolled().cadet)
        with django_assert_num_queries(2):
            attendance_counts(term_id=term.pk, today=cadets.today())
    with django_assert_num_queries(1):
        held_days(term_id=term.pk, today=cadets.today())


# --- Whatever is written ----------------------------------------------------------------------------------------------

PEOPLE, DAYS = 3, 4
_person, _day = st.integers(0, PEOPLE - 1), st.integers(0, DAYS - 1)
_status = st.sampled_from(rules.STATUSES)
_WRITES = st.lists(
    st.one_of(
        st.tuples(st.just("mark"), _day, _person, _status),
        st.tuples(st.just("bulk"), _day, st.dictionaries(_person, _status, min_size=1)),
        st.tuples(st.just("unmark"), _day, _person),
        st.tuples(st.just("cancel"), _day),
        st.tuples(st.just("reinstate"), _day),
        st.tuples(st.just("move"), _day, st.integers(-3, 3)),
        st.tuples(st.just("enroll"), _person, st.integers(-3, 3)),
        st.tuples(st.just("close")),
        st.tuples(st.just("reopen")),
    ),
    max_size=25,
)


@dataclass(frozen=True, kw_only=True)
class Unit:
    actor: Person
    term: Term
    days: list[TrainingDay]
    people: list[Enrollment]

    def write(self, what: str, *facts: Any) -> None:
        """Carry out one write as the API would; what the rules refuse changes nothing."""
        actor = self.actor.principal
        match what, *facts:
            case "mark", day, who, status:
                attendance_services.attendance_mark(
                    actor=actor,
                    training_day_id=self.days[day].pk,
                    cadet_id=self.people[who].cadet_id,
                    facts={"status": status},
                )
            case "bulk", day, statuses:
                marks = [
                    Mark(person_id=self.people[who].cadet_id, facts={"status": status})
                    for who, status in statuses.items()
                ]
                attendance_services.attendance_mark_many(actor=actor, training_day_id=self.days[day].pk, marks=marks)
            case "unmark", day, who:
                attendance_services.attendance_unmark(
                    actor=actor, training_day_id=self.days[day].pk, cadet_id=self.people[who].cadet_id
                )
            case "cancel", day:
                day_services.training_day_cancel(actor=actor, training_day_id=self.days[day].pk, reason="Storm")
            case "reinstate", day:
                day_services.training_day_reinstate(actor=actor, training_day_id=self.days[day].pk)
            case "move", day, days_ago:
                row = TrainingDay.objects.get(pk=self.days[day].pk)
                day_services.training_day_change(
                    actor=actor,
                    training_day_id=row.pk,
                    expected_version=row.version,
                    changes={"date": cadets.today() - dt.timedelta(days=days_ago)},
                )
            case "enroll", who, days_ago:
                date = cadets.today() - dt.timedelta(days=days_ago)
                Enrollment.objects.filter(pk=self.people[who].pk).update(enrolled_on=date)
            case "close", *_:
                Term.objects.filter(pk=self.term.pk).update(closed_at=now())
            case "reopen", *_:
                Term.objects.filter(pk=self.term.pk).update(closed_at=None)

    def recounted(self) -> dict[int, tuple[int, dict[str, int]]]:
        """The specification, word by word: days held so far, not cancelled, on or after the enrollment."""
        closed = Term.objects.get(pk=self.term.pk).closed_at is not None
        found = {}
        for enrollment in Enrollment.objects.all():
            held, statuses = 0, dict.fromkeys(rules.STATUSES, 0)
            for day in TrainingDay.objects.all():
                if day.cancelled_at is not None:
                    continue
                if not closed and (day.date > cadets.today() or day.date < enrollment.enrolled_on):
                    continue
                held += 1
                record = AttendanceRecord.objects.filter(training_day=day, cadet_id=enrollment.cadet_id).first()
                if record is not None:
                    statuses[record.status] += 1
            found[enrollment.cadet_id] = held, {status: rows for status, rows in statuses.items() if rows}
        return found


@pytest.fixture
def unit(db: None) -> Callable[[], Unit]:
    actor = accounts.admin()

    def unit() -> Unit:
        return Unit(
            actor=actor,
            term=cadets.term(),
            days=[factories.day(days_ago) for days_ago in range(DAYS)],
            people=[cadets.enrolled() for _ in range(PEOPLE)],
        )

    return unit


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes=_WRITES)
def test_whatever_is_written_the_count_is_what_somebody_would_count_by_hand(
    unit: Callable[[], Unit], writes: list[tuple[Any, ...]]
) -> None:
    with transaction.atomic():
        world = unit()
        for write in writes:
            with suppress(DomainError):
                world.write(*write)
        assert counted(world.term) == world.recounted()
        transaction.set_rollback(True)
    assert User.objects.count() == 1
