"""Training days that have ended: who was not there, and who could not be."""

import datetime as dt
import threading
from typing import Any

import pytest
from django.db import connection, transaction

from apps.accounts.models import AuditEntry
from apps.cadets.models import Cadet
from apps.cadets.tests import factories as cadets
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event
from apps.training.models import AttendanceRecord, TrainingDay
from apps.training.selectors import attendance_counts
from apps.training.selectors.closing import days_to_close
from apps.training.services.attendance import attendance_mark
from apps.training.services.closing import Closed, ended_days_close, training_day_close
from apps.training.services.letters import letter_approve
from apps.training.services.scans import scan_take
from apps.training.tests import factories
from apps.training.tests.test_concurrency import at_once
from core.clock import MANILA, manila_date, now

pytestmark = pytest.mark.django_db(transaction=True)
NOTHING = Closed()


def close(today: dt.date | None = None) -> Closed:
    return ended_days_close(today=today or cadets.today())


def record_of(day: TrainingDay, who: Cadet) -> tuple[str, str] | None:
    return AttendanceRecord.objects.filter(training_day=day, cadet=who).values_list("status", "source").first()


def test_whoever_has_no_record_of_a_day_that_has_ended_becomes_absent_once(
    cadet: CadetPerson, stranger: CadetPerson
) -> None:
    day = factories.day(1)
    factories.record(day, stranger.cadet, "late", remarks="Bus")
    assert close() == Closed(days=1, absent=1)
    assert record_of(day, cadet.cadet) == ("absent", "sync")
    assert record_of(day, stranger.cadet) == ("late", "manual")
    (entry,) = AuditEntry.objects.filter(action="attendance.mark")
    assert (entry.actor, entry.target) == (None, f"training_day:{day.pk}")
    told = {event.type: event for event in Event.objects.all()}
    assert told["attendance.marked"].recipients == [f"user:{cadet.user.pk}"]
    assert told["attendance.marked"].data["status"] == "absent"
    assert told["attendance.day_changed"].data["created"] == 1
    assert len(told) == Event.objects.count() == 2
    assert close() == NOTHING
    assert (Event.objects.count(), AuditEntry.objects.filter(action="attendance.mark").count()) == (2, 1)


def test_a_day_ends_at_midnight_in_manila(cadet: CadetPerson) -> None:
    day = factories.day(3)
    before = dt.datetime.combine(day.date, dt.time(23, 59, 59), tzinfo=MANILA)
    assert close(manila_date(before)) == NOTHING
    assert close(manila_date(before + dt.timedelta(seconds=1))) == Closed(days=1, absent=1)


def test_days_that_are_cancelled_to_come_or_of_a_closed_term_are_left_alone(cadet: CadetPerson) -> None:
    factories.day(1, cancelled_at=now(), cancel_reason="Storm")
    factories.day(0)
    factories.day(-3)
    closed_term = cadets.term(school_year="2024-2025", is_current=False, closed=True)
    cadets.enroll(cadet.cadet, term=closed_term)
    frozen = factories.day(2, term=closed_term)
    assert days_to_close(today=cadets.today()) == []
    assert close() == NOTHING
    # Nor when their number is known already: it was cancelled, or its term closed, just now.
    assert training_day_close(training_day_id=frozen.pk, today=cadets.today()) == NOTHING
    assert not AttendanceRecord.objects.exists()


@pytest.mark.parametrize("status", ["dropped", "deferred"])
def test_who_has_left_the_term_or_is_archived_is_not_absent(status: str) -> None:
    day = factories.day(1)
    cadets.enrolled(status=status)
    cadets.enrolled(archived_at=now())
    assert close() == NOTHING
    assert not AttendanceRecord.objects.filter(training_day=day).exists()


def test_a_cadet_who_is_enrolled_later_is_absent_from_the_days_that_count_for_the_enrollment_only() -> None:
    early, late = factories.day(10), factories.day(3)
    close()
    enrollment = cadets.enrolled(enrolled_on=early.date + dt.timedelta(days=1))
    assert close() == Closed(days=1, absent=1)
    assert record_of(early, enrollment.cadet) is None
    assert record_of(late, enrollment.cadet) == ("absent", "sync")
    (count,) = attendance_counts(term_id=enrollment.term_id, today=cadets.today()).values()
    assert (count.held, count.by_status["absent"], count.unmarked) == (1, 1, 0)
    # An enrollment that is found to have begun earlier brings the earlier day, and nothing twice.
    type(enrollment).objects.filter(pk=enrollment.pk).update(enrolled_on=early.date)
    assert close() == Closed(days=1, absent=1)
    assert record_of(early, enrollment.cadet) == ("absent", "sync")


def test_an_approved_letter_excuses_and_another_does_not(cadet: CadetPerson, stranger: CadetPerson) -> None:
    day = factories.day(1)
    decided: dict[str, Any] = {"decided_by": cadet.user, "decided_at": now()}
    factories.letter(cadet.cadet, day.date, state="approved", **decided)
    factories.letter(stranger.cadet, day.date, state="rejected", **decided)
    assert close() == Closed(days=1, absent=1, excused=1)
    assert record_of(day, cadet.cadet) == ("excused", "sync")
    assert record_of(day, stranger.cadet) == ("absent", "sync")
    assert close() == NOTHING


def test_a_letter_that_is_approved_after_the_day_was_closed_still_excuses(
    cadet: CadetPerson, commandant: StaffPerson
) -> None:
    day = factories.day(1)
    close()
    letter_approve(actor=commandant.principal, letter_id=factories.letter(cadet.cadet, day.date).pk)
    assert record_of(day, cadet.cadet) == ("excused", "sync")
    assert close() == NOTHING


def test_an_excuse_that_got_lost_is_put_back(cadet: CadetPerson) -> None:
    day = factories.day(1)
    factories.record(day, cadet.cadet, "absent", source="sync")
    factories.letter(cadet.cadet, day.date, state="approved", decided_by=cadet.user, decided_at=now())
    assert close() == Closed(days=1, excused=1)
    assert record_of(day, cadet.cadet) == ("excused", "sync")


def test_what_an_officer_wrote_after_the_letter_stays(cadet: CadetPerson) -> None:
    day = factories.day(1)
    earlier = now() - dt.timedelta(hours=1)
    factories.letter(cadet.cadet, day.date, state="approved", decided_by=cadet.user, decided_at=earlier)
    factories.record(day, cadet.cadet, "present")
    assert close() == NOTHING
    assert record_of(day, cadet.cadet) == ("present", "manual")


def test_a_scan_that_was_taken_offline_and_comes_after_the_closing_counts(
    cadet: CadetPerson, instructor: StaffPerson
) -> None:
    import uuid

    day = factories.day(1)
    close()
    at = factories.morning(day)
    code = factories.code(day, cadet.cadet, issued_at=at - dt.timedelta(minutes=1))
    answer = scan_take(
        actor=instructor.principal, training_day_id=day.pk, scan_id=uuid.uuid4(), code=code, scanned_at=at
    )
    assert answer.result == "recorded"
    assert record_of(day, cadet.cadet) == ("present", "scan")
    assert close() == NOTHING


def test_a_record_that_an_officer_takes_away_from_a_day_that_has_ended_comes_back_as_absent(
    cadet: CadetPerson, instructor: StaffPerson
) -> None:
    day = factories.day(1)
    attendance_mark(
        actor=instructor.principal, training_day_id=day.pk, cadet_id=cadet.cadet.pk, facts={"status": "present"}
    )
    AttendanceRecord.objects.all().delete()
    assert close() == Closed(days=1, absent=1)


def test_officers_who_mark_at_the_same_moment_are_never_overwritten(instructor: StaffPerson) -> None:
    day = factories.day(1)
    rows = [cadets.enrolled() for _ in range(24)]
    present = {enrollment.cadet_id for enrollment in rows[::2]}

    def mark() -> int:
        for cadet_id in sorted(present):
            attendance_mark(
                actor=instructor.principal, training_day_id=day.pk, cadet_id=cadet_id, facts={"status": "present"}
            )
        return 0

    at_once(mark, close, close, close)
    close()
    found = dict(AttendanceRecord.objects.values_list("cadet_id", "status"))
    assert {cadet_id for cadet_id, status in found.items() if status == "present"} == present
    assert len(found) == len(rows)


def test_the_closing_waits_for_an_officer_and_sees_what_was_written(
    cadet: CadetPerson, stranger: CadetPerson, instructor: StaffPerson
) -> None:
    day = factories.day(1)
    done: list[Closed] = []

    def work() -> None:
        try:
            done.append(close())
        finally:
            connection.close()

    with transaction.atomic():
        attendance_mark(
            actor=instructor.principal, training_day_id=day.pk, cadet_id=cadet.cadet.pk, facts={"status": "late"}
        )
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
    thread.join(20)
    assert done == [Closed(days=1, absent=1)]
    assert record_of(day, cadet.cadet) == ("late", "manual")


def test_inside_another_transaction_it_refuses() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="transaction of its own"):
        close()


def test_looking_for_what_lacks_something_is_one_query(cadet: CadetPerson, django_assert_num_queries: Any) -> None:
    for days_ago in range(1, 6):
        factories.day(days_ago)
    close()
    with django_assert_num_queries(1):
        assert close() == NOTHING
