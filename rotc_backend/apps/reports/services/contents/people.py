"""The master list: who is enrolled in a term."""

from apps.cadets.selectors import enrolled, term_by_id
from apps.reports import rules
from apps.reports.models import Report
from apps.reports.services.contents.parts import (
    ByCompany,
    all_rows,
    batches,
    company_name,
    grid_of,
    origin_of,
    platoon_name,
    signatures,
    term_words,
)
from apps.reports.services.documents import CENTRE, RIGHT, Block, Document, Progress, ReportColumn
from core.tables import written_text

_COLUMNS = (
    ReportColumn(title="No.", width=11, align=RIGHT),
    ReportColumn(title="Student ID", width=23),
    ReportColumn(title="Name", width=60),
    ReportColumn(title="Company"),
    ReportColumn(title="Platoon", width=28),
    ReportColumn(title="Rank", width=18),
    ReportColumn(title="Level", width=12),
    ReportColumn(title="Position", width=28),
    ReportColumn(title="Course", width=42),
    ReportColumn(title="Year", width=10, align=CENTRE),
    ReportColumn(title="Sex", width=14),
    ReportColumn(title="Contact number", width=28),
    ReportColumn(title="E-mail"),
    ReportColumn(title="Status", width=19),
)


def master_list(report: Report, progress: Progress) -> Document:
    assert report.term_id is not None  # noqa: S101 - asking() has filled it in
    term = term_by_id(term_id=report.term_id)
    people, done = ByCompany(), 0
    for batch in batches(enrolled(term_id=term.pk, company_id=report.company_id).iterator(chunk_size=500)):
        for enrollment in batch:
            cadet = enrollment.cadet
            people.add(
                enrollment,
                [
                    cadet.student_id,
                    cadet.full_name,
                    company_name(enrollment),
                    platoon_name(enrollment),
                    enrollment.rank,
                    enrollment.level,
                    written_text(enrollment.position),
                    written_text(cadet.course),
                    cadet.year_level,
                    cadet.get_gender_display(),
                    cadet.contact_number,
                    cadet.email,
                    enrollment.get_status_display(),
                ],
            )
        done += len(batch)
        progress(rules.READING, done, None)
    sections = people.sections()
    blocks: list[Block] = []
    for place, (name, rows) in enumerate(sections):
        blocks += [*grid_of(name, _COLUMNS, rows, new_page=place > 0), signatures(report.kind)]
    return Document(
        title="Master list",
        subtitle=term_words(term),
        origin=origin_of(report),
        blocks=blocks,
        landscape=True,
        sheet_name="Master list",
        columns=_COLUMNS,
        rows=all_rows(sections),
    )
