"""Several officers at once, each on a connection of their own."""

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from apps.accounts.models import AuditEntry
from apps.accounts.rules import Principal
from apps.accounts.tests.factories import Person
from apps.cadets.models import Term
from apps.cadets.tests import factories as cadets
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event
from apps.messaging.models import Notification
from apps.training.models import AttendanceRecord, ExcuseLetter, TrainingDay
from apps.training.services.attendance import attendance_mark, attendance_mark_many
from apps.training.services.days import training_day_cancel, training_day_create
from apps.training.services.letters import letter_approve, letter_reject, letter_submit, letter_withdraw
from apps.training.services.records import Mark, Marked
from apps.training.tests import factories
from core.clock import now
from core.errors import Conflict, DomainError

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 60


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """What each of `works` returned or was refused with; any other error, a deadlock above all, is raised."""
    barrier = threading.Barrier(len(works))
    results: list[Any] = [None] * len(works)

    def run(place: int, work: Callable[[], Any]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(30)
            results[place] = work()
        except BaseException as error:  # noqa: BLE001 - judged below
            results[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=place) for place in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, DomainError):
            raise result
    return results


def refusals(results: list[Any]) -> list[str]:
    return [result.code for result in results if isinstance(result, DomainError)]


def bulk(actor: Principal, day: TrainingDay, cadet_ids: list[int], status: str) -> Callable[[], Marked[Any]]:
    marks = [Mark(person_id=cadet_id, facts={"status": status}) for cadet_id in cadet_ids]
    return lambda: attendance_mark_many(actor=actor, training_day_id=day.pk, marks=marks)


@pytest.fixture
def unit(db: None) -> list[int]:
    """Ids of enrolled cadets."""
    return [cadets.enrolled().cadet_id for _ in range(ROWS)]


# --- Attendance -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempt", range(3))
def test_of_two_identical_bulk_calls_one_writes_and_the_other_reports_unchanged(
    admin: Person, instructor: StaffPerson, unit: list[int], attempt: int
) -> None:
    day = factories.day()
    results = at_once(
        bulk(admin.principal, day, unit, "present"), bulk(instructor.principal, day, unit[::-1], "present")
    )
    assert sorted((marked.created, marked.changed, marked.unchanged) for marked in results) == [
        (0, 0, ROWS),
        (ROWS, 0, 0),
    ]
    assert set(AttendanceRecord.objects.values_list("status", "version")) == {("present", 1)}
    assert AttendanceRecord.objects.count() == ROWS
    assert AuditEntry.objects.filter(action="attendance.mark").count() == 1
    assert Event.objects.filter(type="attendance.day_changed").count() == 1


@pytest.mark.parametrize("attempt", range(3))
def test_overlapping_bulk_calls_in_opposite_order_come_one_after_the_other(
    admin: Person, instructor: StaffPerson, unit: list[int], attempt: int
) -> None:
    day = factories.day()
    lower, upper = unit[:40], unit[20:]
    first, second = at_once(
        bulk(admin.principal, day, lower, "present"), bulk(instructor.principal, day, upper[::-1], "late")
    )
    assert {first.created, second.created} == {40, 20}
    stored = dict(AttendanceRecord.objects.values_list("cadet_id", "status"))
    both = {stored[cadet_id] for cadet_id in unit[20:40]}
    assert both == ({"late"} if second.changed else {"present"})  # who came second has the last word, on all rows
    assert {stored[cadet_id] for cadet_id in unit[:20]} == {"present"}
    assert {stored[cadet_id] for cadet_id in unit[40:]} == {"late"}
    assert first.changed + second.changed == 20


def test_bulk_calls_on_two_days_do_not_wait_for_each_other_in_a_circle(
    admin: Person, instructor: StaffPerson, unit: list[int]
) -> None:
    days = factories.day(3), factories.day(2)

    def both(actor: Principal, order: tuple[TrainingDay, ...], cadet_ids: list[int]) -> Callable[[], None]:
        def run() -> None:
            for _ in range(5):
                for day in order:
                    bulk(actor, day, cadet_ids, random.choice(["present", "absent"]))()

        return run

    at_once(both(admin.principal, days, unit), both(instructor.principal, days[::-1], unit[::-1]))
    assert AttendanceRecord.objects.count() == 2 * ROWS


def test_single_marks_during_a_bulk_call_lose_nothing(admin: Person, instructor: StaffPerson, unit: list[int]) -> None:
    day = factories.day()
    chosen = random.sample(unit, 20)

    def singles(part: list[int]) -> Callable[[], None]:
        def run() -> None:
            for cadet_id in part:
                attendance_mark(
                    actor=instructor.principal, training_day_id=day.pk, cadet_id=cadet_id, facts={"status": "late"}
                )

        return run

    at_once(singles(chosen[:10]), bulk(admin.principal, day, unit, "present"), singles(chosen[10:]))
    assert AttendanceRecord.objects.count() == ROWS
    # Replayed in their order, the entries of the trail give what is stored: no write was lost or hidden.
    replayed: dict[int, str] = {}
    for entry in AuditEntry.objects.filter(action="attendance.mark").order_by("id"):
        before, after = (
            {row["cadet_id"]: row["status"] for row in (side or {})["records"]} for side in (entry.before, entry.after)
        )
        assert before == {cadet_id: replayed[cadet_id] for cadet_id in after if cadet_id in replayed}
        replayed |= after
    assert replayed == dict(AttendanceRecord.objects.values_list("cadet_id", "status"))


def test_the_counts_that_events_carry_are_exact_whoever_writes(
    admin: Person, instructor: StaffPerson, unit: list[int]
) -> None:
    day = factories.day()
    at_once(
        bulk(admin.principal, day, unit[:30], "present"),
        bulk(instructor.principal, day, unit[30:], "late"),
        bulk(admin.principal, day, unit[10:50], "absent"),
    )
    last = Event.objects.filter(type="attendance.day_changed").order_by("id").last()
    assert last is not None
    stored = list(AttendanceRecord.objects.values_list("status", flat=True))
    assert last.data["by_status"] == {
        status: stored.count(status) for status in ("present", "late", "excused", "absent")
    }


@pytest.mark.parametrize("attempt", range(4))
def test_nothing_is_written_after_a_term_is_closed(admin: Person, unit: list[int], attempt: int) -> None:
    day = factories.day()
    closed_after: list[int] = []

    def close() -> None:
        with transaction.atomic():
            Term.objects.filter(pk=day.term_id).update(closed_at=now())
            # What stands now is what the grades are frozen from.
            closed_after.append(AttendanceRecord.objects.count())

    *_, refused = at_once(close, bulk(admin.principal, day, unit, "present"))
    expected = 0 if isinstance(refused, Conflict) else ROWS
    assert closed_after == [expected]
    assert AttendanceRecord.objects.count() == expected
    assert refusals([refused]) in ([], ["term_closed"])


def test_a_bulk_call_that_waited_for_the_closing_is_refused(admin: Person, unit: list[int]) -> None:
    day = factories.day()
    closing, marking = threading.Event(), threading.Event()

    def close() -> None:
        with transaction.atomic():
            Term.objects.filter(pk=day.term_id).update(closed_at=now())
            closing.set()
            marking.wait(30)
            _await_waiting_connections(1)

    def mark() -> Any:
        closing.wait(30)
        marking.set()
        return bulk(admin.principal, day, unit, "present")()

    results = at_once(close, mark)
    assert refusals(results) == ["term_closed"]
    assert not AttendanceRecord.objects.exists()


def test_a_bulk_call_and_the_cancelling_of_its_day_have_an_order(admin: Person, unit: list[int]) -> None:
    day = factories.day()
    results = at_once(
        lambda: training_day_cancel(actor=admin.principal, training_day_id=day.pk, reason="Storm"),
        bulk(admin.principal, day, unit, "present"),
    )
    assert refusals(results) in ([], ["day_cancelled"])
    assert AttendanceRecord.objects.count() == (0 if refusals(results) else ROWS)


# --- Letters ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempt", range(3))
def test_of_two_approvals_of_a_letter_one_counts(
    admin: Person, commandant: StaffPerson, cadet: CadetPerson, attempt: int
) -> None:
    day = factories.day()
    letter = factories.letter(cadet.cadet, day.date)
    results = at_once(
        lambda: letter_approve(actor=admin.principal, letter_id=letter.pk, note="first"),
        lambda: letter_approve(actor=commandant.principal, letter_id=letter.pk, note="second"),
    )
    assert refusals(results) == ["letter_decided"]
    letter.refresh_from_db()
    winner = results.index(next(result for result in results if not isinstance(result, DomainError)))
    assert (letter.state, letter.version, letter.decision_note) == ("approved", 2, ("first", "second")[winner])
    assert AttendanceRecord.objects.get().version == 1
    assert Notification.objects.count() == 1
    assert Event.objects.filter(type="letter.decided").count() == 1
    assert AuditEntry.objects.filter(action="letter.approve").count() == 1


@pytest.mark.parametrize("attempt", range(3))
def test_of_an_approval_and_a_withdrawal_one_counts(commandant: StaffPerson, cadet: CadetPerson, attempt: int) -> None:
    day = factories.day()
    letter = factories.letter(cadet.cadet, day.date)
    results = at_once(
        lambda: letter_approve(actor=commandant.principal, letter_id=letter.pk),
        lambda: letter_withdraw(actor=cadet.principal, letter_id=letter.pk),
    )
    letter.refresh_from_db()
    assert (letter.state, refusals(results)) in (("approved", ["letter_decided"]), ("withdrawn", ["letter_withdrawn"]))
    assert AttendanceRecord.objects.exists() == (letter.state == "approved") == Notification.objects.exists()


def test_of_an_approval_and_a_rejection_one_counts(admin: Person, commandant: StaffPerson, cadet: CadetPerson) -> None:
    day = factories.day()
    letter = factories.letter(cadet.cadet, day.date)
    results = at_once(
        lambda: letter_approve(actor=admin.principal, letter_id=letter.pk),
        lambda: letter_reject(actor=commandant.principal, letter_id=letter.pk, note="No"),
    )
    letter.refresh_from_db()
    assert refusals(results) == ["letter_decided"]
    assert AttendanceRecord.objects.exists() == (letter.state == "approved")


def test_a_letter_sent_twice_at_once_is_one_letter(cadet: CadetPerson) -> None:
    results = at_once(*[lambda: letter_submit(actor=cadet.principal, date_absent=cadets.today(), reason="Fever.")] * 3)
    assert refusals(results) == ["letter_pending"] * 2
    assert ExcuseLetter.objects.count() == 1
    assert Event.objects.filter(type="letter.submitted").count() == 1


@pytest.mark.parametrize("attempt", range(4))
def test_a_day_added_while_its_letter_is_approved_is_excused(
    admin: Person, commandant: StaffPerson, cadet: CadetPerson, attempt: int
) -> None:
    letter = factories.letter(cadet.cadet, cadets.today())
    at_once(
        lambda: training_day_create(actor=admin.principal, date=letter.date_absent, title="Drill"),
        lambda: letter_approve(actor=commandant.principal, letter_id=letter.pk),
    )
    assert AttendanceRecord.objects.get().status == "excused"


def test_approvals_and_bulk_calls_do_not_deadlock(admin: Person, commandant: StaffPerson, unit: list[int]) -> None:
    days = [factories.day(), factories.day()]
    letters = [factories.letter(cadets.cadet_person(f"c{n}").cadet, days[0].date) for n in range(6)]

    def approve(part: list[ExcuseLetter]) -> Callable[[], None]:
        def run() -> None:
            for letter in part:
                letter_approve(actor=commandant.principal, letter_id=letter.pk)

        return run

    at_once(
        approve(letters[:3]),
        approve(letters[3:]),
        bulk(admin.principal, days[1], unit, "present"),
        bulk(admin.principal, days[0], unit[::-1], "late"),
    )
    assert AttendanceRecord.objects.filter(status="excused").count() == 12
    assert AttendanceRecord.objects.count() == 12 + 2 * ROWS


def _await_waiting_connections(number: int) -> None:
    """Until so many connections to this database wait for a lock."""
    for _ in range(300):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # or every look of a transaction shows the first one
            cursor.execute(
                "SELECT count(*), pg_sleep(0.02) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0] >= number:
                return
    raise AssertionError("nobody waits")
