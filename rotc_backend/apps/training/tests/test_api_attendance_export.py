import datetime as dt
import io
from typing import Any

import openpyxl
import pytest
from django.db import transaction

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet, Term
from apps.cadets.tests import factories as cadets
from apps.cadets.tests import tables
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.training import rules
from apps.training.models import AttendanceRecord, TrainingDay
from apps.training.selectors.exports import attendance_sheet
from apps.training.services.imports import attendance_import
from apps.training.tests import factories
from apps.training.tests.problems import fields_of, problem_of
from core.clock import MANILA, now

pytestmark = pytest.mark.django_db(transaction=True)

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@pytest.fixture
def day(db: None) -> TrainingDay:
    return factories.day()


def path(day: TrainingDay) -> str:
    return f"/api/v1/training-days/{day.pk}/attendance/export"


def lines(answer: Any) -> list[str]:
    assert answer.status_code == 200
    return answer.getvalue().decode("utf-8-sig").splitlines()


def at(day: TrainingDay, *clock: Any) -> dt.datetime:
    return dt.datetime.combine(day.date, dt.time(*clock), tzinfo=MANILA)


def full_roster(day: TrainingDay, *people: Cadet) -> None:
    """Records of every kind that can be stored."""
    given: list[dict[str, Any]] = [
        {"status": "present", "time_in": at(day, 6, 30, 15, 250_000), "time_out": at(day, 11, 0, 0, 999_999)},
        {"status": "late", "time_in": at(day, 23, 50), "time_out": at(day, 0, 10) + dt.timedelta(days=1)},
        {"status": "excused", "remarks": "=SUM(A1)  and\n more"},
        {"status": "absent", "remarks": "'+63917 555 0199"},
        {"status": "present", "time_in": at(day, 0), "remarks": "Ñoño, “drill”; 7:05\u2028end"},
        {"status": "present", "time_out": at(day, 12), "remarks": "-1"},
        {"status": "late", "remarks": "\ufeff007 "},
        {"status": "late", "remarks": "_x0041_ <b>&amp;\x01\ufffe"},
        {"status": "present", "remarks": "'"},
        {"status": "present", "remarks": "\u200b"},
    ]
    for fields in given:
        factories.record(day, cadets.enrolled().cadet, **fields)
    for who in people:
        factories.record(day, who, "present")


def test_staff_take_the_roster_of_a_day_as_csv(
    instructor: StaffPerson, cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    came, left = at(day, 7, 5, 30, 500_000), at(day, 0, 15) + dt.timedelta(days=1)
    factories.record(day, cadet.cadet, "late", time_in=came, time_out=left, remarks="=bus")
    answer = instructor.client.get(path(day))
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == f'attachment; filename="attendance-{day.date}-{day.pk}.csv"'
    assert answer["Cache-Control"] == "no-store"
    next_day = day.date + dt.timedelta(days=1)
    assert lines(answer) == [
        "Student ID,Name,Company,Platoon,Status,Time in,Time out,Remarks",
        f'{cadet.cadet.student_id},"Macaraeg, Liza",Alpha,1st Platoon,late,07:05:30,{next_day} 00:15:00,\'=bus',
        f'{stranger.cadet.student_id},"Pangandaman, Omar",Bravo,1st Platoon,,,,',
    ]


def test_a_workbook_holds_texts_and_times(instructor: StaffPerson, cadet: CadetPerson, day: TrainingDay) -> None:
    factories.record(day, cadet.cadet, "late", time_in=at(day, 7, 5, 30))
    answer = instructor.client.get(path(day), {"file_format": "xlsx"}, headers={"Accept": XLSX})
    assert answer["Content-Type"] == XLSX
    assert answer["Content-Disposition"].endswith('.xlsx"')
    (sheet,) = openpyxl.load_workbook(io.BytesIO(answer.getvalue())).worksheets
    _, row = sheet.iter_rows(values_only=True)
    assert row[0] == cadet.cadet.student_id
    assert row[4:7] == ("late", dt.time(7, 5, 30), None)


def test_the_roster_can_be_narrowed_as_on_the_screen(
    instructor: StaffPerson, cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    factories.record(day, stranger.cadet, "absent")
    bravo = stranger.enrollment.company_id
    narrowed: list[tuple[dict[str, Any], list[CadetPerson]]] = [
        ({"company": bravo}, [stranger]),
        ({"status": "unmarked"}, [cadet]),
        ({"status": "absent"}, [stranger]),
        ({"platoon": stranger.enrollment.platoon_id}, [cadet, stranger]),
        ({"company": 2**62}, []),
    ]
    for query, people in narrowed:
        found = [line.split(",")[0] for line in lines(instructor.client.get(path(day), query))[1:]]
        assert found == [person.cadet.student_id for person in people]


def test_archived_cadets_stand_in_it_where_they_have_a_record(
    instructor: StaffPerson, cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    factories.record(day, stranger.cadet, "absent")
    Cadet.objects.update(archived_at=now())
    assert [line.split(",")[0] for line in lines(instructor.client.get(path(day)))[1:]] == [stranger.cadet.student_id]


def test_a_download_is_audited_without_its_rows(instructor: StaffPerson, cadet: CadetPerson, day: TrainingDay) -> None:
    instructor.client.get(path(day), {"file_format": "xlsx", "status": "unmarked"})
    entry = AuditEntry.objects.get(action="attendance.export")
    assert (entry.actor_id, entry.target) == (instructor.user.pk, f"training_day:{day.pk}")
    assert (entry.before, entry.after) == (None, {"file_format": "xlsx", "filters": {"status": "unmarked"}})


def test_who_may_not_take_it_leaves_no_trace(cadet: CadetPerson, instructor: StaffPerson, day: TrainingDay) -> None:
    assert problem_of(cadet.client.get(path(day))) == (403, "permission_denied")
    for query, field in (({"file_format": "pdf"}, "file_format"), ({"company": "x"}, "company"), ({"a": 1}, "a")):
        assert list(fields_of(instructor.client.get(path(day), query))) == [field]
    missing = f"/api/v1/training-days/{2**62}/attendance/export"
    assert problem_of(instructor.client.get(missing)) == (404, "not_found")
    assert not AuditEntry.objects.filter(action="attendance.export").exists()


def test_nothing_of_the_database_is_held_between_two_batches(day: TrainingDay) -> None:
    number = 501
    people = Cadet.objects.bulk_create(
        Cadet(student_id=f"A-{place}", last_name="Cruz", first_name=f"{place:04}") for place in range(number)
    )
    for who in people:
        cadets.enroll(who)
    with transaction.atomic():
        rows = attendance_sheet(training_day=day)
    # Rows made only after the first one was taken come as they are now: each batch reads for itself.
    assert next(rows)[4] is None
    factories.record(day, people[-1], "late")
    assert [row[4] for row in rows][-1] == "late"


@pytest.mark.parametrize("on_duplicate", ["update", "skip"])
@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_importing_an_export_changes_nothing(
    admin: Person, instructor: StaffPerson, day: TrainingDay, file_format: str, on_duplicate: str
) -> None:
    full_roster(day)
    cadets.enrolled()
    moved = at(day, 7) - dt.timedelta(days=9)  # the day has been moved since
    factories.record(day, cadets.enrolled().cadet, "late", time_in=moved, time_out=moved)
    factories.record(day, cadets.enrolled(archived_at=now()).cadet, "late", remarks="Left school")
    rows = tables.read(admin.client.get(path(day), {"file_format": file_format}), rules.ATTENDANCE_COLUMNS)
    assert len(rows) == AttendanceRecord.objects.count() + 1  # one is unmarked
    before = tables.footprint(AttendanceRecord)
    with transaction.atomic():
        done = attendance_import(
            actor=instructor.principal,
            rows=rows,
            training_day_id=day.pk,
            on_duplicate=on_duplicate,
            dry_run=False,
            progress=tables.heard,
        )
    assert set(tables.fates(done)) == {"unchanged"}, tables.problems(done)
    assert tables.footprint(AttendanceRecord) == before


@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_an_export_fills_a_day_that_has_lost_its_records(
    admin: Person, cadet: CadetPerson, day: TrainingDay, file_format: str
) -> None:
    full_roster(day, cadet.cadet)
    first = admin.client.get(path(day), {"file_format": file_format})
    rows, taken = tables.read(first, rules.ATTENDANCE_COLUMNS), list(attendance_sheet(training_day=day))
    AttendanceRecord.objects.all().delete()
    with transaction.atomic():
        attendance_import(
            actor=admin.principal,
            rows=rows,
            training_day_id=day.pk,
            on_duplicate="update",
            dry_run=False,
            progress=tables.heard,
        )
    assert list(attendance_sheet(training_day=day)) == taken


def test_a_day_of_a_closed_term_and_a_cancelled_one_can_still_be_taken(
    instructor: StaffPerson, cadet: CadetPerson, day: TrainingDay
) -> None:
    TrainingDay.objects.update(cancelled_at=now(), cancel_reason="Storm")
    Term.objects.update(closed_at=now())
    assert len(lines(instructor.client.get(path(day)))) == 2
