"""Grade slips and grade sheets: what grading's own selectors say, and nothing computed here.

A closed term's grades are those of its frozen sheets; an open one's say that they are provisional.
"""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from apps.cadets.models import Enrollment, Term
from apps.cadets.selectors import term_by_id
from apps.grading import rules as grading
from apps.grading.models import GradeSheet
from apps.grading.selectors import grades_of, policy_in_force
from apps.grading.selectors.dashboard import outcomes
from apps.grading.selectors.grades import enrollment_by_id, enrollments_graded, sheets_in_force
from apps.reports import rules
from apps.reports.models import Report
from apps.reports.services.contents.parts import (
    WITHOUT_COMPANY,
    ByCompany,
    all_rows,
    batches,
    company_name,
    day_words,
    grid_of,
    origin_of,
    platoon_name,
    signatures,
    standing_words,
    term_words,
)
from apps.reports.services.documents import (
    CENTRE,
    RIGHT,
    Banner,
    Block,
    Document,
    Facts,
    Grid,
    Heading,
    Progress,
    ReportColumn,
    Row,
    Words,
)
from core.clock import manila_date, now

_PROVISIONAL = "PROVISIONAL \u2013 the term is open, and these grades can still change"


def _standing(term: Term) -> Block:
    if term.closed_at is None:
        return Banner(text=_PROVISIONAL)
    return Words(text=f"Final grades, as frozen when the term was closed on {day_words(manila_date(term.closed_at))}.")


def _mark(term: Term) -> str:
    return "PROVISIONAL" if term.closed_at is None else ""


def _points(value: Fraction | Decimal | None) -> Decimal | None:
    """Two decimals, cut as everywhere."""
    return None if value is None else Decimal(grading.points_text(value))


# --- The sheet of a company, or of the unit ---------------------------------------------------------------------------

_SHEET = (
    ReportColumn(title="No.", width=11, align=RIGHT),
    ReportColumn(title="Student ID", width=23),
    ReportColumn(title="Name", width=62),
    ReportColumn(title="Company"),
    ReportColumn(title="Platoon", width=28),
    ReportColumn(title="Attendance", width=18, align=RIGHT),
    ReportColumn(title="Aptitude", width=16, align=RIGHT),
    ReportColumn(title="Prelim", width=14, align=RIGHT),
    ReportColumn(title="Midterm", width=15, align=RIGHT),
    ReportColumn(title="Final", width=14, align=RIGHT),
    ReportColumn(title="Subject", width=15, align=RIGHT),
    ReportColumn(title="Total", width=15, align=RIGHT),
    ReportColumn(title="Final equivalent", width=19, align=CENTRE, strong=True),
    ReportColumn(title="Remark", width=20),
    ReportColumn(title="Standing"),
)


def grade_sheet(report: Report, progress: Progress) -> Document:
    assert report.term_id is not None  # noqa: S101 - asking() has filled it in
    term = term_by_id(term_id=report.term_id)
    today, standing = manila_date(now()), standing_words(term)
    found = enrollments_graded(term_id=term.pk, company_id=report.company_id).iterator(chunk_size=500)
    people, done = ByCompany(), 0
    of_company: dict[str, list[grading.Grade]] = defaultdict(list)
    for batch in batches(found):
        for enrollment, grade in zip(batch, grades_of(enrollments=batch, today=today), strict=True):
            of_company[company_name(enrollment) or WITHOUT_COMPANY].append(grade)
            people.add(enrollment, _sheet_row(enrollment, grade, standing))
        done += len(batch)
        progress(rules.READING, done, None)
    sections = people.sections()
    blocks: list[Block] = [_standing(term)]
    for place, (name, rows) in enumerate(sections):
        blocks += grid_of(name, _SHEET, rows, new_page=place > 0)
        blocks += [Words(text=_outcomes(of_company[name])), signatures(report.kind)]
    return Document(
        title=report.get_kind_display(),
        subtitle=term_words(term),
        origin=origin_of(report),
        blocks=blocks,
        landscape=True,
        sheet_name="Grade sheet",
        columns=_SHEET,
        rows=all_rows(sections),
        mark=_mark(term),
    )


def _sheet_row(enrollment: Enrollment, grade: grading.Grade, standing: str) -> Row:
    return [
        enrollment.cadet.student_id,
        enrollment.cadet.full_name,
        company_name(enrollment),
        platoon_name(enrollment),
        _points(grade.attendance.points),
        _points(grade.aptitude.points),
        *(_points(grade.subject.exams[exam]) for exam in grading.EXAMS),
        _points(grade.subject.points),
        _points(grade.total),
        grade.equivalent,
        grade.remark,
        standing,
    ]


def _outcomes(grades: Sequence[grading.Grade]) -> str:
    """How often each outcome occurs, in one line."""
    counted = outcomes(grades)
    words = []
    for remark in grading.REMARKS:
        of_remark = [one for one in counted if one["remark"] == remark]
        if not of_remark:
            continue
        parts = ", ".join(f"{one['equivalent']} \u00d7 {one['count']}" for one in of_remark if one["equivalent"])
        total = sum(one["count"] for one in of_remark)
        words.append(f"{remark} {total}" + (f": {parts}." if remark == grading.PASSED and parts else "."))
    return " ".join(words)


# --- The slip of one cadet --------------------------------------------------------------------------------------------

_PARTS = (
    ReportColumn(title="Component", width=32, strong=True),
    ReportColumn(title="How it comes about", width=88),
    ReportColumn(title="Computed", width=20, align=RIGHT),
    ReportColumn(title="Adjusted by", width=22, align=RIGHT),
    ReportColumn(title="Points", width=18, align=RIGHT, strong=True),
    ReportColumn(title="Maximum", width=20, align=RIGHT),
)
_BANDS = (
    ReportColumn(title="Total of at least", width=34, align=CENTRE),
    ReportColumn(title="Equivalent", width=28, align=CENTRE, strong=True),
    ReportColumn(title="Remark", width=28),
)


def grade_slip(report: Report, progress: Progress) -> Document:
    assert report.enrollment_id is not None  # noqa: S101 - asking() has filled it in
    enrollment = enrollment_by_id(enrollment_id=report.enrollment_id)
    term = enrollment.term
    (grade,) = grades_of(enrollments=[enrollment], today=manila_date(now()))
    sheet = sheets_in_force(enrollments=[enrollment]).get(enrollment.pk) if term.closed_at is not None else None
    progress(rules.READING, 1, 1)
    blocks: list[Block] = [
        _standing(term),
        Facts(
            pairs=[
                ("Name", enrollment.cadet.full_name),
                ("Student ID", enrollment.cadet.student_id),
                ("Company", company_name(enrollment) or "\u2013"),
                ("Platoon", platoon_name(enrollment) or "\u2013"),
                ("Military science level", enrollment.level),
                ("Course", enrollment.cadet.course or "\u2013"),
            ]
        ),
        Heading(text="Grade"),
        Grid(columns=_PARTS, rows=_slip_rows(grade), totals=["Total", "", None, None, _points(grade.total), None]),
        Facts(
            pairs=[("Final equivalent", grade.equivalent or "none yet"), ("Remark", grade.remark)],
            large=True,
        ),
    ]
    blocks += _adjustments(grade)
    blocks += [Heading(text="Equivalents"), Grid(columns=_BANDS, rows=_band_rows(term, sheet))]
    if sheet is not None:
        frozen = day_words(manila_date(sheet.frozen_at))
        origin = f"Grade sheet {sheet.pk}, revision {sheet.revision}, frozen {frozen}, digest {sheet.digest[:16]}…"
        blocks.append(Words(text=origin, small=True))
    blocks.append(signatures(report.kind))
    return Document(
        title=report.get_kind_display(),
        subtitle=term_words(term),
        origin=origin_of(report),
        blocks=blocks,
        mark=_mark(term),
    )


def _slip_rows(grade: grading.Grade) -> list[Row]:
    attendance, aptitude, subject = grade.attendance, grade.aptitude, grade.subject
    by_status = ", ".join(f"{count} {status}" for status, count in attendance.by_status.items() if count)
    exams = ", ".join(
        f"{exam} {'missing' if score is None else grading.points_text(score)}" for exam, score in subject.exams.items()
    )
    attended = f"{attendance.attended} of {attendance.held} days" + (f": {by_status}" if by_status else "")
    conduct = f"100 + {aptitude.merits} merits \u2212 {aptitude.demerits} demerits = {aptitude.base}"
    if aptitude.merits_unused:
        conduct += f" ({aptitude.merits_unused} merits beyond 100)"
    return [
        _slip_row("Attendance", attended if attendance.held else "no training day was held yet", attendance),
        _slip_row("Aptitude", conduct, aptitude),
        _slip_row("Subject", exams.capitalize(), subject),
    ]


def _slip_row(name: str, words: str, part: grading.Part) -> Row:
    adjusted = _points(part.adjustment) if part.adjustments else None
    return [name, words, _points(part.computed), adjusted, _points(part.points), _points(part.maximum)]


def _adjustments(grade: grading.Grade) -> list[Block]:
    made = [one for part in (grade.attendance, grade.aptitude, grade.subject) for one in part.adjustments]
    return [
        Words(text=f"Adjusted: {one.component} {grading.points_text(one.points)}, {one.reason}", small=True)
        for one in made
    ]


def _band_rows(term: Term, sheet: GradeSheet | None) -> list[Row]:
    """The bands that decided the grade: of a closed term those that were frozen with it."""
    if sheet is not None:
        policy = grading.policy_of_record(sheet.inputs["policy"])
        bands, failing = [(band.lower_bound, band.equivalent) for band in policy.bands], policy.failing_equivalent
    else:
        row = policy_in_force(term_id=term.pk)
        bands, failing = [(Decimal(bound), equivalent) for bound, equivalent in row.bands], row.failing_equivalent
    return [
        *([_points(bound), equivalent, grading.PASSED] for bound, equivalent in bands),
        ["below", failing, grading.FAILED],
    ]
