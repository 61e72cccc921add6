"""Attendance sheets: of one training day, and of a term as a matrix."""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Sequence

from apps.cadets.selectors import enrolled, term_by_id
from apps.reports import rules
from apps.reports.models import Report
from apps.reports.services.contents.parts import (
    ByCompany,
    all_rows,
    batches,
    company_name,
    day_words,
    grid_of,
    origin_of,
    platoon_name,
    signatures,
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
from apps.training import rules as training
from apps.training.models import AttendanceRecord, TrainingDay
from apps.training.selectors import attendance_counts, held_days
from apps.training.selectors.roster import cadets_of_day, records_of_cadets
from core.clock import manila_date, now
from core.tables import written_text

# --- A training day ---------------------------------------------------------------------------------------------------

_DAY = (
    ReportColumn(title="No.", width=11, align=RIGHT),
    ReportColumn(title="Student ID", width=24),
    ReportColumn(title="Name", width=58),
    ReportColumn(title="Company"),
    ReportColumn(title="Platoon", width=26),
    ReportColumn(title="Status", width=18, strong=True),
    ReportColumn(title="Time in", width=15, align=RIGHT),
    ReportColumn(title="Time out", width=16, align=RIGHT),
    ReportColumn(title="Remarks", width=38),
)
_STATUS = 5  # the place of the status among them


def attendance_day(report: Report, progress: Progress) -> Document:
    assert report.training_day_id is not None  # noqa: S101 - asking() has filled it in
    day = TrainingDay.objects.select_related("term").get(pk=report.training_day_id)
    people, done = ByCompany(), 0
    found = cadets_of_day(training_day=day, company=report.company_id).iterator(chunk_size=500)
    for batch in batches(found):
        records = records_of_cadets(training_day_id=day.pk, cadet_ids=[one.cadet_id for one in batch])
        for enrollment in batch:
            record = records.get(enrollment.cadet_id)
            people.add(
                enrollment,
                [
                    enrollment.cadet.student_id,
                    enrollment.cadet.full_name,
                    company_name(enrollment),
                    platoon_name(enrollment),
                    record.get_status_display() if record else None,
                    training.written_time(record.time_in, date=day.date) if record else None,
                    training.written_time(record.time_out, date=day.date) if record else None,
                    written_text(record.remarks) if record else None,
                ],
            )
        done += len(batch)
        progress(rules.READING, done, None)
    sections = people.sections()
    blocks: list[Block] = []
    if day.cancelled_at is not None:
        blocks.append(Banner(text=f"CANCELLED \u2013 {day.cancel_reason}" if day.cancel_reason else "CANCELLED"))
    blocks.append(
        Facts(
            pairs=[
                ("Training day", day.title),
                ("Date", f"{day.date:%A}, {day_words(day.date)}"),
                ("Place", day.location or "\u2013"),
                ("P, L, E, A", _counts(all_rows(sections))),
            ]
        )
    )
    for place, (name, rows) in enumerate(sections):
        blocks += grid_of(name, _DAY, rows, new_page=place > 0)
        blocks += [Words(text=f"Present, late, excused, absent: {_counts(rows)}"), signatures(report.kind)]
    return Document(
        title="Attendance sheet",
        subtitle=term_words(day.term),
        origin=origin_of(report),
        blocks=blocks,
        sheet_name=f"Attendance {day.date}",
        columns=_DAY,
        rows=all_rows(sections),
    )


def _counts(rows: Sequence[Row]) -> str:
    """ "90, 3, 2, 5; 1 unmarked"."""
    counted = Counter(row[_STATUS] for row in rows)
    words = ", ".join(str(counted[status.capitalize()]) for status in training.STATUSES)
    return f"{words}; {counted[None]} unmarked" if counted[None] else words


# --- A term -----------------------------------------------------------------------------------------------------------

_PERSON = (
    ReportColumn(title="No.", width=11, align=RIGHT),
    ReportColumn(title="Student ID", width=23),
    ReportColumn(title="Name", width=58),
    ReportColumn(title="Company"),
    ReportColumn(title="Platoon"),
)
_TOTALS = tuple(
    ReportColumn(title=title, width=width, align=RIGHT, strong=title == "Days")
    for title, width in (("P", 8), ("L", 8), ("E", 8), ("A", 8), ("\u2013", 8), ("Days", 11))
)
_SHEET_TOTALS = tuple(
    ReportColumn(title=title)
    for title in (*(status.capitalize() for status in training.STATUSES), "Unmarked", "Days held")
)
_DAYS_ON_A_PAGE = 16


def attendance_term(report: Report, progress: Progress) -> Document:
    assert report.term_id is not None  # noqa: S101 - asking() has filled it in
    term = term_by_id(term_id=report.term_id)
    today, closed = manila_date(now()), term.closed_at is not None
    days = held_days(term_id=term.pk, today=today)
    # As the grade counts: the same days, the same enrollments, also those of archived cadets.
    found = enrolled(term_id=term.pk, company_id=report.company_id, archived=None).iterator(chunk_size=500)
    totals = attendance_counts(term_id=term.pk, today=today)
    people, done = ByCompany(), 0
    for batch in batches(found):
        letters = _letters(days, [one.cadet_id for one in batch])
        for enrollment in batch:
            count, own = totals[enrollment.cadet_id], letters[enrollment.cadet_id]
            marks = [
                own.get(day_id, rules.UNMARKED_LETTER)
                if training.day_counts_for(date=date, enrolled_on=enrollment.enrolled_on, term_closed=closed)
                else rules.NOT_YET_LETTER
                for day_id, date in days
            ]
            person = [
                enrollment.cadet.student_id,
                enrollment.cadet.full_name,
                company_name(enrollment),
                platoon_name(enrollment),
            ]
            sums = [*(count.by_status[status] for status in training.STATUSES), count.unmarked, count.held]
            people.add(enrollment, [*person, *marks, *sums])
        done += len(batch)
        progress(rules.READING, done, None)
    sections = people.sections()
    return Document(
        title="Attendance of the term",
        subtitle=term_words(term),
        origin=origin_of(report),
        blocks=_term_blocks(report, sections, days, closed),
        landscape=True,
        sheet_name="Attendance",
        columns=[*_PERSON, *(ReportColumn(title=title) for title in _dated(days)), *_SHEET_TOTALS],
        rows=all_rows(sections),
    )


def _letters(days: Sequence[tuple[int, dt.date]], cadet_ids: Sequence[int]) -> dict[int, dict[int, str]]:
    """{cadet: {training day: letter}}; every cadet has an entry."""
    found: dict[int, dict[int, str]] = defaultdict(dict)
    rows = AttendanceRecord.objects.filter(training_day_id__in=[day_id for day_id, _ in days], cadet_id__in=cadet_ids)
    for cadet_id, day_id, status in rows.values_list("cadet_id", "training_day_id", "status"):
        found[cadet_id][day_id] = rules.STATUS_LETTERS[status]
    return found


def _dated(days: Sequence[tuple[int, dt.date]]) -> list[str]:
    """A title for each day; of several on a date the later ones have a number."""
    seen: Counter[dt.date] = Counter()
    titles = []
    for _, date in days:
        seen[date] += 1
        titles.append(f"{date}" if seen[date] == 1 else f"{date} ({seen[date]})")
    return titles


def _term_blocks(
    report: Report, sections: Sequence[tuple[str, list[Row]]], days: Sequence[tuple[int, dt.date]], closed: bool
) -> list[Block]:
    state = "The term is closed; this is its final attendance." if closed else "The term is open: days held so far."
    key = "P present, L late, E excused, A absent, \u2013 no record; blank: before the enrollment."
    blocks: list[Block] = [Words(text=f"{state} {key}")]
    if not days:
        blocks.append(Words(text="No training day has been held yet."))
    starts = list(range(0, len(days), _DAYS_ON_A_PAGE)) or [0]
    for place, (name, rows) in enumerate(sections):
        for part, start in enumerate(starts):
            chosen = days[start : start + _DAYS_ON_A_PAGE]
            last = start == starts[-1]
            grid = _part_of_matrix(rows, chosen, start=start, days=len(days), with_totals=last)
            heading, _ = grid_of(name, (), rows, new_page=place > 0 or part > 0)
            assert isinstance(heading, Heading)  # noqa: S101 - what grid_of makes first
            period = f" · {_short(chosen[0][1])} to {_short(chosen[-1][1])}" if chosen else ""
            blocks += [Heading(text=heading.text + period, new_page=heading.new_page), grid]
        blocks.append(signatures(report.kind))
    return blocks


def _part_of_matrix(
    rows: Sequence[Row], chosen: Sequence[tuple[int, dt.date]], *, start: int, days: int, with_totals: bool
) -> Grid:
    """The columns of some days, beside the people and, on the last part, the totals."""
    first, people = len(_PERSON) + start, len(_PERSON)
    columns = [
        *_PERSON,
        *(ReportColumn(title=f"{date:%b} {date.day}", width=8.5, align=CENTRE) for _, date in chosen),
        *(_TOTALS if with_totals else ()),
    ]
    return Grid(
        columns=columns,
        rows=[
            [*row[:people], *row[first : first + len(chosen)], *(row[people + days :] if with_totals else ())]
            for row in rows
        ],
    )


def _short(date: dt.date) -> str:
    return f"{date.day} {date:%b %Y}"
