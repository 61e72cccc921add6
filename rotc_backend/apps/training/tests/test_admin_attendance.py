"""Attendance in the admin site: of cadets, and of staff where it differs."""

import pytest

from apps.accounts.models import AuditEntry
from apps.cadets.tests import factories as cadets
from apps.events.models import Event
from apps.training.models import AttendanceRecord, StaffAttendanceRecord, TrainingDay
from apps.training.services import attendance
from apps.training.services.records import NO_RECORD, RecordRead
from apps.training.tests import factories
from core.clock import now
from core.errors import PreconditionFailed
from tests.admin_pages import NOTHING, Site, address_of, refusals, said, saved, written

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(admin) -> Site:
    return Site(admin.user)


@pytest.fixture
def day() -> TrainingDay:
    return factories.day()


def times(name, day, clock):
    """Both inputs of a time, as the officers' clock shows it."""
    return {f"{name}_0": str(day.date), f"{name}_1": clock}


def given(day, cadet, **fields):
    return {"training_day": day.pk, "cadet": cadet.pk, "status": "late", "remarks": "Second bus", **fields}


def close(day):
    day.term.closed_at = now()
    day.term.save()


def test_a_cadet_is_marked_as_by_the_service(site, admin, cadet, day):
    assert saved(site.add(AttendanceRecord, **given(day, cadet.cadet), **times("time_in", day, "06:51")))
    record = AttendanceRecord.objects.get()
    by_page = AuditEntry.objects.get(action="attendance.mark")
    event = Event.objects.get(type="attendance.marked")
    assert record.time_in == factories.morning(day, 6, 51), "Manila's time"
    assert (record.status, record.source, record.recorded_by_id) == ("late", "manual", admin.user.pk)
    told = written()
    attendance.attendance_unmark(actor=admin.principal, training_day_id=day.pk, cadet_id=cadet.cadet.pk)
    facts = {"status": "late", "remarks": "Second bus", "time_in": record.time_in, "time_out": None}
    attendance.attendance_mark(actor=admin.principal, training_day_id=day.pk, cadet_id=cadet.cadet.pk, facts=facts)
    by_service = AuditEntry.objects.filter(action="attendance.mark").latest("id")
    assert (by_page.actor_id, by_page.after, by_page.before) == (
        by_service.actor_id,
        by_service.after,
        by_service.before,
    )
    again = Event.objects.filter(type="attendance.marked").latest("id")
    assert (event.recipients, event.data) == (again.recipients, again.data)
    assert told == (["attendance.mark"], ["attendance.marked", "attendance.day_changed"])


def test_the_page_begins_with_the_training_day_of_today(site):
    factories.day(0, cancelled_at=now())
    today = factories.day(0)
    form = site.client.get(address_of(AttendanceRecord, "add")).context["adminform"].form
    assert form["training_day"].value() == today.pk


def test_a_cadet_who_is_marked_already_is_not_marked_over(site, cadet, day):
    factories.record(day, cadet.cadet, "present")
    assert "Somebody has" in refusals(site.add(AttendanceRecord, **given(day, cadet.cadet)))["__all__"][0]
    assert AttendanceRecord.objects.get().status == "present"
    assert written() == NOTHING


def test_a_record_is_corrected_and_what_nobody_touched_stays_to_the_microsecond(site, cadet, day):
    came = factories.morning(day).replace(microsecond=123456)
    record = factories.record(day, cadet.cadet, "absent", time_in=came, source="sync")
    assert saved(site.change(record, status="present"))
    record.refresh_from_db()
    assert (record.status, record.time_in, record.source, record.version) == ("present", came, "manual", 2)
    assert written() == (["attendance.mark"], ["attendance.marked", "attendance.day_changed"])


def test_day_and_cadet_of_a_record_cannot_be_exchanged(site, cadet, stranger, day):
    record = factories.record(day, cadet.cadet)
    site.change(record, cadet=stranger.cadet.pk, training_day=factories.day(days_ago=6).pk)
    record.refresh_from_db()
    assert (record.cadet, record.training_day) == (cadet.cadet, day)
    assert written() == NOTHING


def test_times_that_cannot_be_are_refused_beside_them(site, cadet, day):
    record = factories.record(day, cadet.cadet, time_in=factories.morning(day))
    answer = site.change(record, **times("time_out", day, "05:00"))
    assert refusals(answer) == {"time_out": ["Nobody leaves before having come."]}
    answer = site.change(record, time_out_0="2020-01-01", time_out_1="10:00")
    assert "not a time of" in refusals(answer)["time_out"][0]
    record.refresh_from_db()
    assert (record.time_out, record.version) == (None, 1)
    assert written() == NOTHING


def test_a_correction_of_what_somebody_has_corrected_meanwhile_is_refused(site, cadet, day):
    record = factories.record(day, cadet.cadet)
    opened = site.fields_of(record)
    assert saved(site.change(record, status="late"))
    told = written()
    assert "Somebody has changed this" in refusals(site.change(record, opened, status="absent"))["__all__"][0]
    record.refresh_from_db()
    assert record.status == "late"
    assert written() == told


def test_a_record_that_was_removed_and_marked_anew_is_another_one(admin, cadet, day):
    """It counts its versions from 1 again, as the one that somebody has read."""
    whose = {"actor": admin.principal, "training_day_id": day.pk, "cadet_id": cadet.cadet.pk}
    read = factories.record(day, cadet.cadet)
    expected = RecordRead(row_id=read.pk, version=read.version)
    attendance.attendance_unmark(**whose)
    with pytest.raises(PreconditionFailed):
        attendance.attendance_mark(**whose, facts={"status": "late"}, expected=expected)
    anew, _ = attendance.attendance_mark(**whose, facts={"status": "present"}, expected=NO_RECORD)
    told = written()
    assert anew.version == expected.version
    with pytest.raises(PreconditionFailed):
        attendance.attendance_mark(**whose, facts={"status": "late"}, expected=expected)
    assert written() == told


@pytest.mark.parametrize(
    ("hinder", "words"),
    [
        (lambda day, cadet: cadet.enrollments.all().delete(), "not enrolled"),
        (lambda day, cadet: close(day), "closed and its grades are frozen"),
        (lambda day, cadet: type(day).objects.filter(pk=day.pk).update(cancelled_at=now()), "cancelled"),
        (lambda day, cadet: type(cadet).objects.filter(pk=cadet.pk).update(archived_at=now()), "archived"),
    ],
    ids=["not enrolled", "closed term", "cancelled day", "archived"],
)
def test_what_the_service_refuses_is_said_and_not_written(site, cadet, day, hinder, words):
    hinder(day, cadet.cadet)
    answer = site.add(AttendanceRecord, **given(day, cadet.cadet))
    assert words in " ".join(refusals(answer)["__all__"])
    assert not AttendanceRecord.objects.exists()
    assert written() == NOTHING


def test_a_record_of_a_closed_term_is_only_shown(site, cadet, day):
    record = factories.record(day, cadet.cadet)
    opened = site.fields_of(record)
    close(day)
    assert not site.client.get(address_of(AttendanceRecord, "change", record.pk)).context["has_change_permission"]
    assert "frozen" in refusals(site.change(record, opened, status="absent"))["__all__"][0]
    assert "frozen" in said(site.confirm("unmark", record))
    assert AttendanceRecord.objects.get().status == "present"
    assert written() == NOTHING


def test_records_are_removed_after_a_page_that_asks(site, cadet, day):
    record = factories.record(day, cadet.cadet)
    asked = site.act("unmark", record)
    assert "Macaraeg, Liza" in asked.content.decode()
    assert AttendanceRecord.objects.exists()
    assert "1 attendance record removed." in said(site.confirm("unmark", record))
    assert not AttendanceRecord.objects.exists()
    assert written() == (["attendance.unmark"], ["attendance.marked", "attendance.day_changed"])


def test_records_are_found_by_number_by_name_without_marks_and_by_day(site, day):
    jose = cadets.enrolled("2026-77001", last_name="Peña", first_name="José").cadet
    record = factories.record(day, jose)
    factories.record(day, cadets.enrolled().cadet)
    for text in ("2026-770", "pena", "Peña", "jose pena"):
        assert site.list_of(AttendanceRecord, q=text) == [record], text
    assert site.list_of(AttendanceRecord, day=day.pk + 1) == []
    for odd in ("x", "²", "9" * 30):
        assert site.client.get(address_of(AttendanceRecord, "changelist"), {"day": odd}).status_code == 302, odd


def test_staff_are_marked_and_corrected_as_by_the_service(site, admin, instructor, day):
    fields = {"training_day": day.pk, "staff_profile": instructor.profile.pk, "status": "present", "remarks": ""}
    assert saved(site.add(StaffAttendanceRecord, **fields))
    record = StaffAttendanceRecord.objects.get()
    assert (record.status, record.recorded_by_id) == ("present", admin.user.pk)
    assert "Somebody has" in refusals(site.add(StaffAttendanceRecord, **fields))["__all__"][0]
    opened = site.fields_of(record)
    assert saved(site.change(record, status="excused"))
    assert "Somebody has changed" in refusals(site.change(record, opened, status="late"))["__all__"][0]
    record.refresh_from_db()
    assert record.status == "excused"
    assert "1 staff attendance record removed." in said(site.confirm("unmark", record))
    assert not StaffAttendanceRecord.objects.exists()
    marks = ["staff_attendance.mark", "staff_attendance.mark", "staff_attendance.unmark"]
    assert written() == (marks, ["staff_attendance.marked", "staff_attendance.day_changed"] * 3)
