"""The daily report: a day's attendance and discipline, of the unit or of one company."""

import datetime as dt
from collections import Counter

from django.db.models import F, Q

from apps.cadets.models import Company
from apps.grading.models import MeritDemerit
from apps.grading.selectors.daily import UNIT, DayFacts, DayHeld, Discipline, day_facts
from apps.reports import rules
from apps.reports.models import Report
from apps.reports.services.contents.parts import (
    ByCompany,
    all_rows,
    company_name,
    day_words,
    origin_of,
    platoon_name,
    signatures,
)
from apps.reports.services.documents import (
    CENTRE,
    RIGHT,
    Banner,
    Block,
    Document,
    Grid,
    Heading,
    Progress,
    ReportColumn,
    Row,
    Words,
)
from apps.training import rules as training
from apps.training.models import AttendanceRecord, TrainingDay
from apps.training.selectors.roster import cadets_of_day
from core.clock import manila_day
from core.tables import written_text

_ATTENDANCE = (
    ReportColumn(title="Company", width=50, strong=True),
    ReportColumn(title="Expected", width=22, align=RIGHT),
    *(ReportColumn(title=status.capitalize(), width=20, align=RIGHT) for status in training.STATUSES),
    ReportColumn(title="Unmarked", width=22, align=RIGHT),
    ReportColumn(title="Attended %", width=24, align=RIGHT),
)
_ABSENT = (
    ReportColumn(title="No.", width=11, align=RIGHT),
    ReportColumn(title="Student ID", width=26),
    ReportColumn(title="Name", width=64),
    ReportColumn(title="Company", width=30),
    ReportColumn(title="Platoon", width=30),
    ReportColumn(title="Status", width=20, strong=True),
    ReportColumn(title="Remarks", width=46),
)
_DISCIPLINE = (
    ReportColumn(title="What", width=18, strong=True),
    ReportColumn(title="Points", width=14, align=CENTRE),
    ReportColumn(title="Student ID", width=26),
    ReportColumn(title="Name", width=58),
    ReportColumn(title="Company", width=28),
    ReportColumn(title="Reason", width=56),
)
_ATTENDED = (training.PRESENT, training.LATE, training.EXCUSED)


def daily(report: Report, progress: Progress) -> Document:
    assert report.day is not None  # noqa: S101 - asking() has filled it in
    company, facts = report.company, day_facts(day=report.day)
    days = TrainingDay.objects.filter(date=report.day).order_by("id")
    blocks: list[Block] = []
    for day, held in zip(days, facts.held, strict=True):
        blocks += _attendance_blocks(day, held, company)
        progress(rules.READING, len(blocks), None)
    if not blocks:
        blocks = [Heading(text="Attendance"), Words(text="There was no training day.")]
    blocks += _discipline_blocks(facts, company)
    blocks.append(signatures(report.kind))
    whose = f"{company.name} Company" if company else UNIT
    return Document(
        title=report.get_kind_display(),
        subtitle=f"{facts.day:%A}, {day_words(facts.day)} \u00b7 {whose}",
        origin=origin_of(report),
        blocks=blocks,
    )


def _attendance_blocks(day: TrainingDay, held: DayHeld, company: Company | None) -> list[Block]:
    place = f", {day.location}" if day.location else ""
    blocks: list[Block] = [Heading(text=f"Attendance \u00b7 {day.title}{place}")]
    if held.cancelled:
        reason = f" \u2013 {day.cancel_reason}" if day.cancel_reason else ""
        return [*blocks, Banner(text=f"CANCELLED{reason}")]
    counted = {name: held.companies[name] for name in held.companies if company is None or name == company.name}
    if not counted:
        return [*blocks, Words(text="Nobody was expected.")]
    rows = [_attendance_row(name, counts) for name, counts in counted.items()]
    totals = _attendance_row(UNIT, held.unit) if len(counted) > 1 else None
    blocks.append(Grid(columns=_ATTENDANCE, rows=rows, totals=totals))
    if missing := _missing(day, company):
        heading = Heading(text=f"Late, excused, absent or unmarked \u00b7 {len(missing)}")
        return [*blocks, heading, Grid(columns=_ABSENT, rows=missing)]
    return [*blocks, Words(text="Everybody was present.")]


def _missing(day: TrainingDay, company: Company | None) -> list[Row]:
    """Everybody whom `day_facts` counts and who was not simply present, by company and name."""
    records = AttendanceRecord.objects.filter(training_day=day).values_list("cadet_id", "status", "remarks")
    found = {cadet_id: (status, remarks) for cadet_id, status, remarks in records}
    people = ByCompany()
    for enrollment in cadets_of_day(training_day=day, company=company.pk if company else None).iterator(chunk_size=500):
        status, remarks = found.get(enrollment.cadet_id, (training.UNMARKED, ""))
        expected = enrollment.enrolled_on <= day.date and enrollment.status not in training.STATUSES_OUTSIDE
        if status == training.PRESENT or (status == training.UNMARKED and not expected):
            continue
        people.add(
            enrollment,
            [
                enrollment.cadet.student_id,
                enrollment.cadet.full_name,
                company_name(enrollment),
                platoon_name(enrollment),
                status.capitalize(),
                written_text(remarks),
            ],
        )
    return all_rows(people.sections())


def _attendance_row(name: str, counts: Counter[str]) -> Row:
    expected = sum(counts.values())
    attended = sum(counts[status] for status in _ATTENDED)
    return [
        name,
        expected,
        *(counts[status] for status in training.STATUSES),
        counts[training.UNMARKED],
        rules.percentage(attended, expected),
    ]


def _discipline_blocks(facts: DayFacts, company: Company | None) -> list[Block]:
    blocks: list[Block] = [Heading(text="Discipline")]
    one = facts.discipline.get(company.name, Discipline()) if company else facts.unit_discipline
    if one == Discipline():
        return [*blocks, Words(text="No merit or demerit was issued or revoked.")]
    words = (
        f"Issued: {one.merits} merits of {one.merit_points} points, {one.demerits} demerits of {one.demerit_points} "
        f"points. Revoked: {one.revoked}."
    )
    return [*blocks, Words(text=words), Grid(columns=_DISCIPLINE, rows=_award_rows(facts.day, company))]


def _award_rows(day: dt.date, company: Company | None) -> list[Row]:
    start, end = manila_day(day)
    issued = Q(issued_at__gte=start, issued_at__lt=end, revoked_at=None)
    awards = MeritDemerit.objects.filter(issued | Q(revoked_at__gte=start, revoked_at__lt=end))
    if company is not None:
        awards = awards.filter(enrollment__company=company)
    joined = awards.select_related("enrollment__cadet", "enrollment__company")
    return [_award_row(one) for one in joined.order_by(F("revoked_at").asc(nulls_first=True), "kind", "id")]


def _award_row(award: MeritDemerit) -> Row:
    cadet, revoked = award.enrollment.cadet, award.revoked_at is not None
    return [
        f"{award.get_kind_display()} revoked" if revoked else award.get_kind_display(),
        award.points,
        cadet.student_id,
        cadet.full_name,
        company_name(award.enrollment),
        written_text(award.revoke_reason if revoked else award.reason),
    ]
