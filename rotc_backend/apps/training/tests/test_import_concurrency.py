"""Files of attendance that are brought in at the same moment, each on a connection of its own."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from apps.accounts.models import AuditEntry
from apps.accounts.rules import Principal
from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet
from apps.cadets.tests import factories as cadets
from apps.cadets.tests import tables
from apps.cadets.tests.factories import StaffPerson
from apps.events.models import Event
from apps.training import rules
from apps.training.models import AttendanceRecord, TrainingDay
from apps.training.services.attendance import attendance_mark
from apps.training.services.days import training_day_cancel
from apps.training.services.imports import attendance_import
from apps.training.tests import factories
from apps.training.tests.test_concurrency import at_once, refusals
from core.tables import RowFate

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 60


@pytest.fixture
def people(db: None) -> list[Cadet]:
    return [cadets.enrolled().cadet for _ in range(ROWS)]


def bringing(actor: Principal, day: TrainingDay, people: list[Cadet], status: str) -> Callable[[], list[RowFate]]:
    lines = [{"student_id": who.student_id, "status": status} for who in people]
    bring = tables.bringing(attendance_import, rules.ATTENDANCE_COLUMNS, actor=actor, training_day_id=day.pk)
    return partial(bring, *lines)


@pytest.mark.parametrize("attempt", range(3))
def test_of_two_imports_of_one_file_one_writes_and_the_other_finds_all_unchanged(
    admin: Person, instructor: StaffPerson, people: list[Cadet], attempt: int
) -> None:
    day = factories.day()
    done = at_once(bringing(admin.principal, day, people, "p"), bringing(instructor.principal, day, people[::-1], "p"))
    assert sorted(fate for fates in done for fate in set(tables.fates(fates))) == ["create", "unchanged"]
    assert set(AttendanceRecord.objects.values_list("status", "version", "source")) == {("present", 1, "import")}
    assert AttendanceRecord.objects.count() == ROWS
    assert AuditEntry.objects.filter(action="attendance.mark").count() == 1
    assert Event.objects.filter(type="attendance.day_changed").count() == 1


@pytest.mark.parametrize("attempt", range(3))
def test_single_marks_during_an_import_come_before_it_or_after_it(
    admin: Person, instructor: StaffPerson, people: list[Cadet], attempt: int
) -> None:
    day = factories.day()

    def single(who: Cadet) -> Callable[[], Any]:
        facts = {"status": "late", "remarks": "By hand"}
        return lambda: attendance_mark(actor=instructor.principal, training_day_id=day.pk, cadet_id=who.pk, facts=facts)

    at_once(bringing(admin.principal, day, people, "p"), single(people[0]), single(people[-1]))
    assert AttendanceRecord.objects.count() == ROWS
    for who in (people[0], people[-1]):
        record = AttendanceRecord.objects.get(cadet=who)
        # A mark before the file is brought to what the file says, and keeps the remarks of which it says nothing.
        assert (record.version, record.remarks) == (2, "By hand")
        assert (record.status, record.source) in {("present", "import"), ("late", "manual")}


@pytest.mark.parametrize("attempt", range(3))
def test_a_file_for_a_day_that_is_cancelled_meanwhile_is_taken_whole_or_not_at_all(
    admin: Person, people: list[Cadet], attempt: int
) -> None:
    day = factories.day()
    results = at_once(
        bringing(admin.principal, day, people, "p"),
        lambda: training_day_cancel(actor=admin.principal, training_day_id=day.pk, reason="Storm"),
    )
    refused = refusals(results)
    assert refused in ([], ["day_cancelled"])
    assert AttendanceRecord.objects.count() == (0 if refused else ROWS)
