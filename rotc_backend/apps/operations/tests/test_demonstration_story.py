"""The story that is told: whole, in itself consistent, and believable. These tests read one demonstration."""

import datetime as dt
from collections import Counter
from tempfile import TemporaryDirectory

import pytest
from django.core.files.storage import default_storage
from django.db.models import Exists, OuterRef
from django.test import TestCase, override_settings

from apps.accounts.models import Status, User
from apps.cadets.models import (
    Cadet,
    CadetRank,
    Company,
    Enrollment,
    EnrollmentStatus,
    MilitaryScienceLevel,
    Platoon,
    StaffFunction,
    StaffProfile,
    Term,
)
from apps.cadets.rules import DECIDING_FUNCTIONS
from apps.cadets.selectors import staff_function_of
from apps.grading.models import Adjustment, Exam, ExamScore, GradeSheet, MeritDemerit
from apps.grading.rules import FAILED, PASSED, points_text
from apps.grading.selectors.grades import enrollments_of_term, grade_of_sheet, grades_of
from apps.grading.selectors.sheets import sheet_findings
from apps.messaging.models import Announcement, Message, Notification, Room
from apps.operations.selectors import integrity
from apps.operations.services.demonstration.terms import terms_plan
from apps.operations.tests.stories import TODAY, chapters, fill, plans
from apps.training.models import (
    AttendanceRecord,
    AttendanceSource,
    AttendanceStatus,
    ExcuseLetter,
    LetterState,
    TrainingDay,
)
from core.clock import manila_day

FULL = 90  # cadets: enough for every company, platoon and case


class TestStory(TestCase):
    """One demonstration for all of these, which only read."""

    @classmethod
    def setUpTestData(cls) -> None:
        media = cls.enterClassContext(TemporaryDirectory())
        cls.enterClassContext(override_settings(MEDIA_ROOT=media))
        fill(cadets=FULL)

    def test_the_whole_demo_is_sound(self) -> None:
        assert integrity()["findings"] == []
        assert list(sheet_findings()) == []
        for model in (User, StaffProfile, Term, TrainingDay, Cadet, Enrollment, ExcuseLetter, MeritDemerit, Adjustment):
            for row in model._default_manager.all():
                row.full_clean(validate_unique=False, validate_constraints=False)

    def test_everybody_and_everything_occurs(self) -> None:
        now = Enrollment.objects.filter(term__is_current=True)
        assert set(now.values_list("company__name", flat=True)) == set(Company.objects.values_list("name", flat=True))
        assert set(now.values_list("platoon__name", flat=True)) == set(Platoon.objects.values_list("name", flat=True))
        assert set(StaffProfile.objects.values_list("function", flat=True)) == set(StaffFunction.values)
        assert set(AttendanceRecord.objects.values_list("status", flat=True)) == set(AttendanceStatus.values)
        assert set(AttendanceRecord.objects.values_list("source", flat=True)) == set(AttendanceSource.values)
        assert set(ExcuseLetter.objects.values_list("state", flat=True)) == set(LetterState.values)
        assert MeritDemerit.objects.filter(revoked_at__isnull=False).exists()
        assert Adjustment.objects.exists()
        assert set(Announcement.objects.values_list("kind", flat=True)) == {"announcement", "activity"}
        assert set(Room.objects.filter(messages__isnull=False).values_list("kind", flat=True)) == {
            "company",
            "staff",
            "direct",
        }
        assert Cadet.objects.filter(archived_at__isnull=False).count() == 1
        assert User.objects.filter(status=Status.PENDING).count() == 3

    def test_each_cadet_has_an_account_that_nobody_can_sign_in_to(self) -> None:
        assert Cadet.objects.filter(user=None).count() == 0
        for user in User.objects.filter(cadet__isnull=False):
            assert user.has_usable_password() == (user.username == "cadet")
            assert user.notifications.count() == 5
            assert user.notifications.filter(read_at=None).count() == 1
        archived = Cadet.objects.get(archived_at__isnull=False)
        assert archived.user is not None
        assert not archived.user.is_active

    def test_the_demo_accounts_have_the_records_of_their_roles(self) -> None:
        staff, admin = User.objects.get(username="staff"), User.objects.get(username="admin")
        assert staff_function_of(user_id=staff.pk) == StaffFunction.COMMANDANT
        assert StaffFunction.COMMANDANT in DECIDING_FUNCTIONS
        assert staff_function_of(user_id=admin.pk) == StaffFunction.ADMIN
        cadet = Cadet.objects.get(user__username="cadet")
        letters = cadet.excuse_letters.all()
        assert {letter.state for letter in letters} == set(LetterState.values)
        (with_file,) = letters.exclude(file="")
        assert with_file.state == LetterState.APPROVED
        with default_storage.open(with_file.file) as file:
            assert file.read().startswith(b"%PDF-")
        assert cadet.enrollments.count() == 2
        assert MeritDemerit.objects.filter(enrollment__cadet=cadet, revoked_at__isnull=False).exists()
        assert Adjustment.objects.filter(enrollment__cadet=cadet, revoked_at=None).exists()

    def test_the_present_term_is_past_its_middle_and_the_previous_one_is_frozen(self) -> None:
        now, before = Term.objects.get(is_current=True), Term.objects.get(is_current=False)
        assert now.closed_at is None
        assert before.closed_at is not None
        for term, held in ((before, 15), (now, 9)):
            days = TrainingDay.objects.filter(term=term, cancelled_at=None)
            assert days.count() == 15
            assert days.filter(date__lt=TODAY).count() == held
            assert TrainingDay.objects.filter(term=term, cancelled_at__isnull=False).count() == 2
            assert (
                not TrainingDay.objects.filter(term=term).exclude(date__range=(term.starts_on, term.ends_on)).exists()
            )
        assert GradeSheet.objects.count() == Enrollment.objects.filter(term=before).count()
        assert not AttendanceRecord.objects.filter(training_day__date__gte=TODAY).exists()
        assert not AttendanceRecord.objects.filter(training_day__cancelled_at__isnull=False).exists()

    def test_nothing_has_happened_after_today_began(self) -> None:
        midnight, _ = manila_day(TODAY)
        for model, fields in (
            (AttendanceRecord, ("created_at", "updated_at", "time_in", "time_out")),
            (ExcuseLetter, ("created_at", "decided_at", "updated_at")),
            (ExamScore, ("created_at",)),
            (MeritDemerit, ("issued_at", "revoked_at")),
            (Adjustment, ("issued_at", "revoked_at")),
            (Notification, ("created_at", "read_at")),
            (Message, ("created_at",)),
            (Announcement, ("created_at",)),
            (TrainingDay, ("created_at", "cancelled_at")),
            (User, ("archived_at",)),
        ):
            for field in fields:
                assert not model._default_manager.filter(**{f"{field}__gt": midnight}).exists(), (model, field)

    def test_an_excused_day_has_its_approved_letter_and_an_approved_letter_its_excused_day(self) -> None:
        approved = ExcuseLetter.objects.filter(state=LetterState.APPROVED)
        letter = approved.filter(cadet=OuterRef("cadet"), training_day=OuterRef("training_day"))
        excused = AttendanceRecord.objects.filter(status=AttendanceStatus.EXCUSED)
        assert excused.exists()
        assert not excused.filter(~Exists(letter)).exists()
        assert approved.count() == excused.count()
        assert not approved.exclude(decided_by__staff_profile__function__in=DECIDING_FUNCTIONS).exists()

    def test_the_final_examination_is_still_to_come_and_the_midterm_half_corrected(self) -> None:
        enrolled = Enrollment.objects.filter(term__is_current=True, status=EnrollmentStatus.ONGOING)
        scored = Counter(ExamScore.objects.filter(enrollment__in=enrolled).values_list("exam", flat=True))
        assert scored[Exam.FINAL] == 0
        assert 0.3 < scored[Exam.MIDTERM] / enrolled.count() < 0.8
        assert scored[Exam.PRELIM] / enrolled.count() > 0.95
        before = Term.objects.get(is_current=False)
        completed = Enrollment.objects.filter(term=before, status=EnrollmentStatus.COMPLETED)
        assert ExamScore.objects.filter(enrollment__in=completed).count() > 2.9 * completed.count()

    def test_grades_on_and_just_below_a_bound_come_out_as_planned(self) -> None:
        sheets = {
            sheet.enrollment.cadet.student_id[-2:]: grade_of_sheet(sheet)
            for sheet in GradeSheet.objects.select_related("enrollment__cadet")
        }
        outcomes = {
            number: (points_text(sheets[number].total), sheets[number].equivalent)
            for number in ("11", "12", "13", "14", "15", "16", "17")
        }
        assert outcomes == {
            "11": ("90.00", "1.50"),
            "12": ("95.00", "1.00"),
            "13": ("75.00", "3.00"),
            "14": ("85.00", "2.00"),
            "15": ("80.00", "2.50"),
            "16": ("74.00", "5.00"),
            "17": ("88.90", "2.00"),
        }

    def test_statuses_of_the_closed_term_say_what_its_sheets_say(self) -> None:
        remarks = {EnrollmentStatus.COMPLETED: PASSED, EnrollmentStatus.FAILED: FAILED}
        sheets = list(GradeSheet.objects.select_related("enrollment"))
        for sheet in sheets:
            expected = remarks.get(EnrollmentStatus(sheet.enrollment.status), sheet.enrollment.status.capitalize())
            assert sheet.result["remark"] == expected
        assert {sheet.result["remark"] for sheet in sheets} >= {PASSED, FAILED}

    def test_grades_of_the_present_term_are_in_progress_and_promising(self) -> None:
        enrollments = enrollments_of_term(term=Term.objects.get(is_current=True))
        grades = grades_of(enrollments=enrollments, today=TODAY)
        assert {grade.remark for grade in grades} <= {"In progress", "Dropped", "Deferred", "Incomplete"}
        ongoing = [grade for grade in grades if grade.remark == "In progress"]
        assert all(grade.attendance.held in range(5, 10) for grade in ongoing)
        attended = sum(grade.attendance.attended for grade in ongoing) / sum(grade.attendance.held for grade in ongoing)
        assert 0.85 < attended < 0.99


@pytest.mark.django_db
@pytest.mark.parametrize("seed", [2026, 7])
def test_attendance_and_outcomes_are_those_of_a_real_unit(seed: int) -> None:
    cadets = plans(cadets=800, seed=seed)

    now, before = list(chapters(cadets, "now")), list(chapters(cadets, "before"))
    marks = [mark for chapter in now for mark in chapter.record.marks]
    shares = {status: count / len(marks) for status, count in Counter(mark.status for mark in marks).items()}
    assert 0.80 < shares[AttendanceStatus.PRESENT] < 0.90
    assert 0.03 < shares[AttendanceStatus.LATE] < 0.10
    assert 0.01 < shares[AttendanceStatus.EXCUSED] < 0.05
    assert 0.03 < shares[AttendanceStatus.ABSENT] < 0.10
    scanned = sum(mark.source == AttendanceSource.SCAN for mark in marks) / len(marks)
    assert 0.5 < scanned < 0.8
    statuses = Counter(chapter.post.status for chapter in now)
    assert statuses[EnrollmentStatus.ONGOING] / len(now) > 0.9
    assert statuses.keys() >= {EnrollmentStatus.INCOMPLETE, EnrollmentStatus.DROPPED, EnrollmentStatus.DEFERRED}
    outcomes = Counter(chapter.post.status for chapter in before)
    assert 0.85 < outcomes[EnrollmentStatus.COMPLETED] / len(before) < 0.96
    assert 0.02 < outcomes[EnrollmentStatus.FAILED] / len(before) < 0.09
    assert {chapter.post.level for chapter in (*before, *now)} == set(MilitaryScienceLevel)
    assert {chapter.post.rank for chapter in (*before, *now)} == set(CadetRank)


@pytest.mark.django_db
def test_people_are_as_old_as_students_and_have_names_of_the_country() -> None:
    cadets = plans(cadets=800)

    people = [plan.person for plan in cadets]
    ages = [(TODAY - person.birthdate).days / 365.25 - person.year_level for person in people]
    assert min(ages) > 16
    assert sum(age < 20 for age in ages) / len(ages) > 0.85
    assert len({person.student_id for person in people}) == len(people)
    assert all(person.email.isascii() and person.email.endswith("@cadets.example") for person in people)
    assert any("ñ" in person.last_name for person in people)
    assert {person.suffix for person in people} >= {"", "Jr.", "III"}
    assert 0.3 < sum(person.religion == "Islam" for person in people) / len(people) < 0.55
    full_names = Counter((person.last_name, person.first_name, person.middle_name) for person in people)
    assert len(full_names) > 0.99 * len(people)
    for plan in cadets:
        if len(plan.chapters) == 2:
            first, second = (chapter.post.level for chapter in plan.chapters)
            assert list(MilitaryScienceLevel).index(second) - list(MilitaryScienceLevel).index(first) in {0, 1}
            assert int(plan.person.student_id[:4]) <= 2025  # a student already in the school year before


@pytest.mark.parametrize("month", range(1, 13))
def test_any_day_of_the_year_stands_nine_training_days_into_a_term(month: int) -> None:
    for today in (dt.date(2027, month, 1) + dt.timedelta(days=offset) for offset in range(7)):
        before, now = terms_plan(today=today)
        held = [day for day in now.days if not day.cancel_reason and day.date < today]
        assert len(held) == 9
        assert sum(not day.cancel_reason for day in now.days) == 15
        assert sum(not day.cancel_reason for day in before.days) == 15
        assert before.ends_on < now.starts_on < today < now.ends_on
        assert (before.school_year, before.semester) < (now.school_year, now.semester)
        assert {day.date.weekday() for day in (*before.days, *now.days)} == {5}
