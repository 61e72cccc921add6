"""Several scanners at once, each on a connection of its own."""

import datetime as dt
import random
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet
from apps.cadets.tests import factories as cadets
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event
from apps.training.models import AttendanceRecord, Scan, TrainingDay
from apps.training.services.attendance import attendance_mark_many
from apps.training.services.days import training_day_cancel
from apps.training.services.records import Mark
from apps.training.services.scans import Presented, ScanAnswer, scan_take, scans_take
from apps.training.tests import factories
from apps.training.tests.test_concurrency import at_once, refusals
from core.clock import now

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 40


def one(person: Person, day: TrainingDay, code: str, scan_id: uuid.UUID | None = None) -> Callable[[], ScanAnswer]:
    actor, number = person.principal, scan_id or uuid.uuid4()
    return lambda: scan_take(actor=actor, training_day_id=day.pk, scan_id=number, code=code)


def many(person: Person, day: TrainingDay, scans: list[Presented]) -> Callable[[], list[ScanAnswer]]:
    actor = person.principal
    return lambda: scans_take(actor=actor, training_day_id=day.pk, scans=scans)


def offline(day: TrainingDay, who: Cadet, minutes: float = 0) -> Presented:
    moment = factories.morning(day) + dt.timedelta(minutes=minutes)
    return Presented(
        scan_id=uuid.uuid4(),
        code=factories.code(day, who, issued_at=moment),
        scanned_at=moment + dt.timedelta(minutes=1),
    )


def by_status() -> dict[str, int]:
    counted = Counter(AttendanceRecord.objects.values_list("status", flat=True))
    return {status: counted[status] for status in ("present", "late", "excused", "absent")}


def last_told() -> Any:
    last = Event.objects.filter(type="attendance.day_changed").order_by("id").last()
    return last.data["by_status"] if last is not None else None


@pytest.fixture
def unit(db: None) -> list[Cadet]:
    return [cadets.enrolled().cadet for _ in range(ROWS)]


@pytest.mark.parametrize("attempt", range(5))
def test_of_two_scanners_that_show_the_same_code_at_once_one_records_it(
    admin: Person, instructor: StaffPerson, cadet: CadetPerson, attempt: int
) -> None:
    day = factories.day(0)
    code = factories.code(day, cadet.cadet, issued_at=now())
    outcomes = at_once(one(admin, day, code), one(instructor, day, code))
    assert refusals(outcomes) == ["code_used"]
    assert AttendanceRecord.objects.get().version == 1
    assert Scan.objects.count() == 1
    assert Event.objects.filter(type="attendance.marked").count() == 1
    trail = AuditEntry.objects.filter(action__startswith="scan").order_by("action")
    assert list(trail.values_list("action", flat=True)) == ["scan.record", "scan.refuse"]


@pytest.mark.parametrize("attempt", range(3))
def test_a_scan_and_its_retry_at_once_are_one(
    admin: Person, instructor: StaffPerson, cadet: CadetPerson, attempt: int
) -> None:
    day, scan_id = factories.day(0), uuid.uuid4()
    code = factories.code(day, cadet.cadet, issued_at=now())
    outcomes = at_once(*[one(person, day, code, scan_id) for person in (admin, instructor, admin)])
    assert sorted(answer.result for answer in outcomes) == ["already_recorded", "already_recorded", "recorded"]
    assert (AttendanceRecord.objects.get().version, Scan.objects.count()) == (1, 1)


def test_two_codes_of_a_cadet_at_once_are_one_time_in(
    admin: Person, instructor: StaffPerson, cadet: CadetPerson
) -> None:
    day = factories.day(0)
    codes = [factories.code(day, cadet.cadet, issued_at=now()) for _ in range(2)]
    outcomes = at_once(one(admin, day, codes[0]), one(instructor, day, codes[1]))
    assert refusals(outcomes) == ["too_soon"]
    record = AttendanceRecord.objects.get()
    assert (record.version, record.time_out) == (1, None)


@pytest.mark.parametrize("attempt", range(3))
def test_the_same_scans_in_two_batches_at_once_are_taken_once(
    admin: Person, instructor: StaffPerson, unit: list[Cadet], attempt: int
) -> None:
    day = factories.day(1)
    scans = [offline(day, who, minutes) for who in unit for minutes in (0, 120)]
    shuffled = random.sample(scans, len(scans))
    first, second = at_once(many(admin, day, scans), many(instructor, day, shuffled))
    assert Counter(answer.result for answer in [*first, *second]) == {
        "recorded": 2 * ROWS,
        "already_recorded": 2 * ROWS,
    }
    assert set(AttendanceRecord.objects.values_list("version", flat=True)) == {1}
    assert (AttendanceRecord.objects.count(), Scan.objects.count()) == (ROWS, 2 * ROWS)
    assert AuditEntry.objects.filter(action="scan.record").count() == 1
    assert last_told() == by_status()


def test_overlapping_batches_in_opposite_order_do_not_wait_in_a_circle(
    admin: Person, instructor: StaffPerson, unit: list[Cadet]
) -> None:
    days = factories.day(1), factories.day(2)
    scans = {day.pk: [offline(day, who) for who in unit] for day in days}

    def both(person: Person, order: tuple[TrainingDay, ...], backwards: bool) -> Callable[[], None]:
        works = [many(person, day, scans[day.pk][::-1] if backwards else scans[day.pk]) for day in order]

        def run() -> None:
            for work in works:
                work()

        return run

    at_once(both(admin, days, False), both(instructor, days[::-1], True), both(admin, days[::-1], True))
    assert AttendanceRecord.objects.count() == 2 * ROWS


def test_the_last_count_that_staff_hear_is_exact_however_many_scan(
    admin: Person, instructor: StaffPerson, unit: list[Cadet]
) -> None:
    day = factories.day(0, late_after=dt.time(0, 0))
    works = [one(random.choice([admin, instructor]), day, factories.code(day, who, issued_at=now())) for who in unit]

    def run(part: list[Callable[[], ScanAnswer]]) -> Callable[[], None]:
        def work() -> None:
            for take in part:
                take()

        return work

    marks = [Mark(person_id=who.pk, facts={"status": "excused"}) for who in unit[:10]]
    mark = admin.principal
    at_once(
        *[run(works[place::3]) for place in range(3)],
        lambda: attendance_mark_many(actor=mark, training_day_id=day.pk, marks=marks),
    )
    assert AttendanceRecord.objects.count() == ROWS
    assert last_told() == by_status()
    told = Event.objects.filter(type="attendance.day_changed").order_by("id")
    sums = [sum(event.data["by_status"].values()) for event in told]
    assert sums == sorted(sums)


@pytest.mark.parametrize("attempt", range(3))
def test_a_scan_and_the_cancelling_of_its_day_have_an_order(admin: Person, cadet: CadetPerson, attempt: int) -> None:
    day = factories.day(0)
    actor = admin.principal
    outcomes = at_once(
        lambda: training_day_cancel(actor=actor, training_day_id=day.pk, reason="Storm"),
        one(admin, day, factories.code(day, cadet.cadet, issued_at=now())),
    )
    assert refusals(outcomes) in ([], ["day_cancelled"])
    assert AttendanceRecord.objects.count() == (0 if refusals(outcomes) else 1)


def test_a_scan_waits_for_no_scan_of_another_cadet(
    admin: Person, instructor: StaffPerson, cadet: CadetPerson, stranger: CadetPerson
) -> None:
    from django.db import connection, transaction

    from apps.training.services.holds import training_day_share

    day = factories.day(0)
    take = one(instructor, day, factories.code(day, stranger.cadet, issued_at=now()))
    with transaction.atomic():
        training_day_share(training_day_id=day.pk)  # as another scanner does that is not done yet
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM cadets_enrollment WHERE cadet_id = %s FOR NO KEY UPDATE", [cadet.cadet.pk])
        (answer,) = at_once(take)
        assert answer.result == "recorded"
