"""Grades, computed when they are asked for; those of a closed term stand in its frozen sheets.

grades_of ──> term closed? ── yes ──> the sheet in force, as it was frozen
                    └── no ──> inputs_of ──> rules.grade_of
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.db.models import CharField, DateTimeField, DecimalField, F, IntegerField, QuerySet, Value
from django.db.models.functions import Cast

from apps.cadets.models import Enrollment, Term
from apps.cadets.selectors import cadet_of_user, enrollment_of, term_by_id, term_current
from apps.grading import rules
from apps.grading.models import Adjustment, ExamScore, GradeSheet, MeritDemerit
from apps.grading.selectors.policies import policies_of
from apps.training.rules import AttendanceCount
from apps.training.selectors import attendance_counts
from core.clock import iso
from core.errors import NotFound, Unavailable

# Above so many enrollments the rows of whole terms are read: a shorter statement than one that names every id.
_NAMED_AT_MOST = 500

_JOINED = ("cadet", "term", "company", "platoon")


# --- Computation ------------------------------------------------------------------------------------------------------


def grades_of(*, enrollments: Sequence[Enrollment], today: dt.date) -> list[rules.Grade]:
    """The grade of each enrollment, in their order; `today` is the day in Manila.

    At most four queries for all enrollments of one open term, and one for those of closed terms, however many they
    are; each enrollment must come with its term. Raises Unavailable (`policy_missing`); an error of the database
    passes through, since a failed read is never a grade.
    """
    sheets = sheets_in_force(enrollments=[one for one in enrollments if one.term.closed_at is not None])
    # Without a sheet, which the integrity check reports, the rows still say what the grade of a closed term is.
    live = [one for one in enrollments if one.pk not in sheets]
    computed = {
        one.pk: rules.grade_of(inputs)
        for one, inputs in zip(live, inputs_of(enrollments=live, today=today), strict=True)
    }
    return [grade_of_sheet(sheets[one.pk]) if one.pk in sheets else computed[one.pk] for one in enrollments]


def grade_of_sheet(sheet: GradeSheet) -> rules.Grade:
    """The grade as it was frozen. Raises Unavailable (`sheet_unreadable`) for a sheet that holds none."""
    try:
        return rules.grade_of_record(sheet.result)
    except rules.UNREADABLE as error:
        raise _unreadable(sheet) from error


def status_of_sheet(sheet: GradeSheet) -> str:
    """The enrollment's status as it was frozen. Raises as `grade_of_sheet` for a sheet whose inputs cannot be read."""
    if not rules.inputs_readable(sheet.inputs):
        raise _unreadable(sheet)
    return str(sheet.inputs["status"])


def _unreadable(sheet: GradeSheet) -> Unavailable:
    return Unavailable(
        f"Grade sheet {sheet.pk} cannot be read, so this is not shown. An administrator has to verify the sheets of "
        "the term.",
        code="sheet_unreadable",
    )


def sheets_in_force(*, enrollments: Sequence[Enrollment]) -> dict[int, GradeSheet]:
    """The sheets that are not superseded, by enrollment. One query, or none without enrollments."""
    if not enrollments:
        return {}
    return {sheet.enrollment_id: sheet for sheet in _of(GradeSheet.objects.filter(superseded_at=None), enrollments)}


def inputs_of(*, enrollments: Sequence[Enrollment], today: dt.date) -> list[rules.Inputs]:
    """What each enrollment's grade depends on, from the rows as they are now, frozen or not. Raises as `grades_of`."""
    if not enrollments:
        return []
    of_term: dict[int, list[Enrollment]] = defaultdict(list)
    for enrollment in enrollments:
        of_term[enrollment.term_id].append(enrollment)
    policies = policies_of(term_ids=of_term)
    counts = {term_id: _counts(term_id, rows, today) for term_id, rows in of_term.items()}
    rows = _recorded(enrollments)
    return [
        rules.Inputs(
            policy=policies[one.term_id],
            status=one.status,
            closed=one.term.closed_at is not None,
            held=counts[one.term_id][one.cadet_id].held,
            by_status=counts[one.term_id][one.cadet_id].by_status,
            **_sorted_out(rows[one.pk]),
        )
        for one in enrollments
    ]


def _counts(term_id: int, enrollments: Sequence[Enrollment], today: dt.date) -> dict[int, AttendanceCount]:
    named = [one.cadet_id for one in enrollments] if len(enrollments) <= _NAMED_AT_MOST else None
    return attendance_counts(term_id=term_id, cadet_ids=named, today=today)


def _recorded(enrollments: Sequence[Enrollment]) -> dict[int, list[tuple[Any, ...]]]:
    """Scores, unrevoked merits, demerits and adjustments of each enrollment, by one query, each kind by its ids.

    A row is (enrollment, kind, id, name, points, reason, issued by, issued at).
    """

    def columns(rows: QuerySet[Any], kind: str, **further: Any) -> QuerySet[Any, tuple[Any, ...]]:
        given = {
            "reason_text": Value("", output_field=CharField()),
            "author": Cast(Value(None), IntegerField()),
            "at": Cast(Value(None), DateTimeField()),
            **further,
        }
        return (
            _of(rows, enrollments)
            .annotate(row_kind=Value(kind, output_field=CharField()), **given)
            .values_list("enrollment_id", "row_kind", "pk", "name_text", "amount", "reason_text", "author", "at")
            .order_by()
        )

    numeric = DecimalField(max_digits=8, decimal_places=2)
    found = columns(ExamScore.objects.all(), "score", name_text=F("exam"), amount=Cast("score", numeric)).union(
        columns(
            MeritDemerit.objects.filter(revoked_at=None), "award", name_text=F("kind"), amount=Cast("points", numeric)
        ),
        columns(
            Adjustment.objects.filter(revoked_at=None),
            "adjustment",
            name_text=F("component"),
            amount=Cast("points", numeric),
            reason_text=F("reason"),
            author=F("issued_by_id"),
            at=F("issued_at"),
        ),
        all=True,
    )
    rows: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for enrollment_id, *row in found:
        rows[enrollment_id].append(tuple(row))
    return rows


def _of(rows: QuerySet[Any], enrollments: Sequence[Enrollment]) -> QuerySet[Any]:
    """Those of `rows` that belong to the enrollments; with many of them, to any of their terms."""
    if len(enrollments) <= _NAMED_AT_MOST:
        return rows.filter(enrollment_id__in=[one.pk for one in enrollments])
    return rows.filter(enrollment__term_id__in={one.term_id for one in enrollments})


def _sorted_out(rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    awards, exams, adjustments = [], {}, []
    for kind, key, name, points, reason, author, issued_at in sorted(rows, key=lambda row: row[1]):
        if kind == "score":
            exams[name] = Decimal(points)
        elif kind == "award":
            awards.append(rules.Award(id=key, kind=name, points=int(points)))
        else:
            adjustments.append(
                rules.Adjustment(
                    id=key,
                    component=name,
                    points=Decimal(points),
                    reason=reason,
                    issued_by=author,
                    issued_at=iso(issued_at),
                )
            )
    return {"awards": tuple(awards), "exams": exams, "adjustments": tuple(adjustments)}


# --- Whose grades -----------------------------------------------------------------------------------------------------


def enrollments_graded(
    *, term_id: int, company_id: int | None = None, platoon_id: int | None = None
) -> QuerySet[Enrollment]:
    """The enrollments on a grade sheet, by name, with all that their grades and lines need."""
    rows = Enrollment.objects.filter(term_id=term_id)
    if company_id is not None:
        rows = rows.filter(company_id=company_id)
    if platoon_id is not None:
        rows = rows.filter(platoon_id=platoon_id)
    return rows.select_related(*_JOINED).order_by("cadet__last_name", "cadet__first_name", "cadet__middle_name", "id")


def enrollments_of_term(*, term: Term) -> list[Enrollment]:
    """All enrollments of a term by id, sharing the one `term`; for what looks at a whole term."""
    rows = list(Enrollment.objects.filter(term_id=term.pk).order_by("id"))
    for row in rows:
        row.term = term
    return rows


def enrollment_by_id(*, enrollment_id: int) -> Enrollment:
    """Raises NotFound."""
    row = Enrollment.objects.filter(pk=enrollment_id).select_related(*_JOINED).first()
    if row is None:
        raise NotFound("There is no enrollment with this id.")
    return row


def enrollment_of_user(*, user_id: int, term_id: int | None) -> Enrollment:
    """One's own enrollment in a term, or in the current one.

    One query when there is one. Raises NotFound: `no_cadet_record`, `no_current_term`, `not_enrolled`, or for a term
    that does not exist.
    """
    own = Enrollment.objects.filter(cadet__user_id=user_id, cadet__archived_at=None).select_related(*_JOINED)
    row = (own.filter(term__is_current=True) if term_id is None else own.filter(term_id=term_id)).first()
    if row is not None:
        return row
    cadet = cadet_of_user(user_id=user_id)
    term = term_current() if term_id is None else term_by_id(term_id=term_id)
    return enrollment_of(cadet_id=cadet.pk, term_id=term.pk)
