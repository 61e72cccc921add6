"""What stands in reports: the same as grading and training say, and of closed terms what was frozen."""

import csv
import io
from decimal import Decimal
from typing import Any

import pytest

from apps.cadets.models import Company, Enrollment
from apps.cadets.tests import factories as cadets
from apps.grading import rules as grading_rules
from apps.grading.models import ExamScore, GradeSheet
from apps.grading.selectors import grades_of
from apps.grading.services.closing import term_close, term_reopen
from apps.grading.tests import factories as grading
from apps.reports.tests import factories
from apps.training.models import AttendanceRecord, TrainingDay
from apps.training.tests import factories as training
from core.clock import manila_date, now

pytestmark = pytest.mark.django_db
TODAY = manila_date(now())


def table_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def csv_of(person: Any, kind: str, **fields: Any) -> list[dict[str, str]]:
    return table_of(factories.made(person.principal, kind, file_format="csv", **fields)[1])


def expected_grades() -> dict[str, tuple[str, str, str]]:
    """(total, equivalent, remark) by student number, as grading's own selector gives them."""
    enrollments = list(Enrollment.objects.select_related("cadet", "term"))
    return {
        one.cadet.student_id: (grading_rules.points_text(grade.total), grade.equivalent or "", grade.remark)
        for one, grade in zip(enrollments, grades_of(enrollments=enrollments, today=TODAY), strict=True)
    }


def grades_in(rows: list[dict[str, str]]) -> dict[str, tuple[str, str, str]]:
    return {row["Student ID"]: (row["Total"], row["Final equivalent"], row["Remark"]) for row in rows}


# --- Grades -----------------------------------------------------------------------------------------------------------


def test_a_grade_sheet_has_the_grades_of_grading_and_says_that_they_are_provisional(instructor, term):
    factories.unit(cadets_of_each=30)
    rows = csv_of(instructor, "grade_sheet")
    assert grades_in(rows) == expected_grades()
    assert {row["Standing"] for row in rows} == {"Provisional"}
    assert {"In progress", "Passed"} <= {row["Remark"] for row in rows}
    assert [row["No."] for row in rows[:31]] == [*map(str, range(1, 31)), "1"]
    assert [row["Company"] for row in rows] == ["Alpha"] * 30 + ["Bravo"] * 30


def test_one_company_only_if_it_is_asked_for(instructor, term):
    factories.unit(cadets_of_each=3)
    bravo = Company.objects.get(name="Bravo")
    assert {row["Company"] for row in csv_of(instructor, "grade_sheet", company_id=bravo.pk)} == {"Bravo"}


def test_a_closed_terms_sheet_is_the_frozen_one_whatever_is_written_into_the_tables_afterwards(admin, term):
    factories.unit(cadets_of_each=10)
    term_close(actor=admin.principal, term_id=term.pk)
    frozen = expected_grades()
    ExamScore.objects.update(score=Decimal("1.00"))  # as nobody can through a service
    rows = csv_of(admin, "grade_sheet", term_id=term.pk)
    assert grades_in(rows) == frozen
    assert {row["Standing"] for row in rows} == {"Final"}


def test_a_slip_shows_how_the_grade_comes_about(liza, term):
    held = grading.days(4)
    grading.attend(liza.enrollment, held, ["present", "late", "absent", None])
    grading.scores(liza.enrollment, "85", "90.50", "95")
    grading.awards(liza.enrollment, merits=10, demerits=2)
    grading.adjustment(liza.enrollment, "aptitude", "-1.25")
    _, content = factories.made(liza.principal, "grade_slip")
    (page,) = factories.pages_of(content)
    (grade,) = grades_of(enrollments=[liza.enrollment], today=TODAY)
    for words in (
        "GRADE SLIP",
        "PROVISIONAL",
        "Macaraeg, Liza Santos",
        "2 of 4 days: 1 present, 1 late, 1 absent",
        "100 + 10 merits \u2212 2 demerits = 100 (8 merits beyond 100)",
        "Prelim 85.00, midterm 90.50, final 95.00",
        "-1.25",
        "Decided by the board",
        grading_rules.points_text(grade.total),
        f"Final equivalent: {grade.equivalent}",
        "Remark: Passed",
        "ROTC Coordinator",
        "Commandant",
        "for the cadet",
    ):
        assert words in page, words


def test_a_slip_of_a_term_under_way_shows_no_equivalent_and_no_failure(liza, term):
    (page,) = factories.pages_of(factories.made(liza.principal, "grade_slip")[1])
    assert "Remark: In progress" in page
    assert "Final equivalent: none yet" in page
    assert "no training day was held yet" in page
    assert page.count("Failed") == 1  # in the table of equivalents


def test_a_slip_of_a_closed_term_names_the_sheet_it_was_frozen_in(admin, liza, term):
    grading.attend(liza.enrollment, grading.days(2), ["present", "present"])
    grading.scores(liza.enrollment, "85", "90", "95")
    grading.default_policy()
    term_close(actor=admin.principal, term_id=term.pk)
    sheet = GradeSheet.objects.get()
    (page,) = factories.pages_of(factories.made(liza.principal, "grade_slip", term_id=term.pk)[1])
    assert "PROVISIONAL" not in page
    assert "Final grades, as frozen" in page
    assert f"Grade sheet {sheet.pk}, revision 1" in page
    assert sheet.digest[:16] in page
    term_reopen(actor=admin.principal, term_id=term.pk, reason="A score was missing.")
    (again,) = factories.pages_of(factories.made(liza.principal, "grade_slip", term_id=term.pk)[1])
    assert "PROVISIONAL" in again
    assert "revision" not in again


# --- Attendance -------------------------------------------------------------------------------------------------------


def test_an_attendance_sheet_has_everybody_with_manilas_times(instructor, liza, omar, term):
    day = training.day(title="Drill", location="Parade ground")
    training.record(
        day, liza.cadet, "late", time_in=training.morning(day, 6, 42), remarks="Bus\nbroke down", recorded_by=None
    )
    rows = csv_of(instructor, "attendance_day", training_day_id=day.pk)
    assert [(row["Name"], row["Status"], row["Time in"], row["Remarks"]) for row in rows] == [
        ("Macaraeg, Liza Santos", "Late", "06:42:00", "Bus broke down"),
        ("Pangandaman, Omar", "", "", ""),
    ]
    text = " ".join(
        factories.pages_of(factories.made(instructor.principal, "attendance_day", training_day_id=day.pk)[1])
    )
    assert "06:42" in text
    assert "0, 1, 0, 0; 1 unmarked" in text
    assert "CANCELLED" not in text


def test_a_cancelled_day_says_so(instructor, liza, term):
    day = training.day(cancelled_at=now(), cancel_reason="Typhoon")
    text = factories.pages_of(factories.made(instructor.principal, "attendance_day", training_day_id=day.pk)[1])[0]
    assert "CANCELLED \u2013 Typhoon" in text


def test_the_attendance_of_a_term_counts_as_grades_do(instructor, term):
    factories.unit(cadets_of_each=12, days=20)
    late = cadets.enrolled(last_name="Zamora", enrolled_on=TODAY)
    training.day(days_ago=-3)  # to come
    TrainingDay.objects.filter(pk=TrainingDay.objects.earliest("date").pk).update(cancelled_at=now())
    rows = csv_of(instructor, "attendance_term")
    graded = {
        one.cadet.student_id: grade.attendance
        for one in Enrollment.objects.select_related("cadet", "term")
        for grade in grades_of(enrollments=[one], today=TODAY)
    }
    assert len(rows) == 25
    for row in rows:
        attendance = graded[row["Student ID"]]
        assert row["Days held"] == str(attendance.held)
        assert {name.lower(): int(row[name]) for name in ("Present", "Late", "Excused", "Absent")} == dict(
            attendance.by_status
        )
        marks = [row[title] for title in row if title.startswith(("2026-", "2027-"))]
        assert marks.count("P") == attendance.by_status["present"]
        assert len(marks) == 19
    own = next(row for row in rows if row["Student ID"] == late.cadet.student_id)
    assert {own[title] for title in own if title[:2] == "20"} == {""}


def test_a_wide_matrix_goes_on_in_further_parts_with_the_totals_on_the_last(instructor, term):
    factories.unit(cadets_of_each=4, days=20, companies=("Alpha",))
    pages = factories.pages_of(factories.made(instructor.principal, "attendance_term")[1])
    assert len(pages) == 2
    assert "Days" not in pages[0].split("No.")[1]
    assert "Days" in pages[1]


# --- People -----------------------------------------------------------------------------------------------------------


def test_the_master_list_is_by_name_as_people_read_it_and_without_who_is_archived(admin, term):
    for last_name in ("Villanueva", "Ñuñez", "Nakpil", "de la Cruz", "Ocampo"):
        cadets.enrolled(last_name=last_name, first_name="Ana")
    cadets.enrolled(last_name="Former", archived_at=now())
    cadets.enrolled(last_name="Alone", company=None, platoon=None)
    rows = csv_of(admin, "master_list")
    assert [row["Name"].split(",")[0] for row in rows] == [
        "de la Cruz",
        "Nakpil",
        "Ñuñez",
        "Ocampo",
        "Villanueva",
        "Alone",
    ]
    assert rows[-1]["Company"] == ""
    text = " ".join(factories.pages_of(factories.made(admin.principal, "master_list")[1]))
    assert "Without a company · 1 cadet" in text


def test_no_cell_of_a_csv_becomes_a_formula(admin, term):
    cadets.enrolled(last_name="Cruz", course="=1+1", position="@SUM(A1)")
    (row,) = csv_of(admin, "master_list")
    assert row["Course"].startswith("'=")
    assert row["Position"].startswith("'@")


def test_a_workbook_opens_with_texts_as_texts_and_points_as_numbers(instructor, term):
    import openpyxl

    factories.unit(cadets_of_each=5, companies=("Alpha",))
    _, content = factories.made(instructor.principal, "grade_sheet", file_format="xlsx")
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True)
    try:
        titles, *rows = list(book.worksheets[0].iter_rows(values_only=True))
    finally:
        book.close()
    assert titles[:4] == ("No.", "Student ID", "Name", "Company")
    assert len(rows) == 5
    assert isinstance(rows[0][1], str)
    assert isinstance(rows[0][titles.index("Total")], float | int)


def test_a_unit_without_anybody_gives_a_document_that_says_so_by_being_empty(admin, term):
    report, content = factories.made(admin.principal, "master_list")
    assert (report.pages, report.rows_total) == (1, 0)
    assert "MASTER LIST" in factories.pages_of(content)[0]


def test_whoever_asked_stands_on_it_by_function_and_nobody_by_name(colleague, admin, instructor, liza, term):
    for person, words in ((colleague, "for the Commandant"), (admin, "for an administrator")):
        text = " ".join(factories.pages_of(factories.made(person.principal, "grade_sheet")[1]))
        assert words in text
        assert "Villanueva" not in text
        assert person.user.username not in text


def test_records_of_others_days_are_not_counted(instructor, term):
    """Two training days on one date are two columns."""
    one = cadets.enrolled(last_name="Cruz")
    first, second = training.day(title="Morning"), training.day(title="Afternoon")
    training.record(first, one.cadet, "present")
    training.record(second, one.cadet, "absent")
    (row,) = csv_of(instructor, "attendance_term")
    assert (row[str(first.date)], row[f"{first.date} (2)"]) == ("P", "A")
    assert AttendanceRecord.objects.count() == 2
