"""Frozen grade sheets, and whether they still are what was frozen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from apps.cadets.models import Enrollment, Term
from apps.grading import rules
from apps.grading.models import GradeSheet
from apps.grading.selectors.grades import inputs_of
from core.clock import manila_date, now
from core.errors import NotFound

_AT_ONCE = 1000  # sheets compared at once: a whole history never stands in memory

_TABLE = "grading_gradesheet"
_LIVE_REMEDY = (
    "If the row is right, reopen the term with a reason and close it again; if not, put it back from the audit trail."
)
_REMEDIES = {
    "digest": "The sheet was changed in the database. Restore its row from a backup, or reopen and close the term.",
    "owner": "The sheet was moved or copied in the database. Restore its row from a backup.",
    "inputs": "Restore the row of the sheet from a backup.",
    "result": (
        "Unless the digest is broken too, the rules of this version differ from those of the closing: find out why "
        "before reopening the term."
    ),
}


@dataclass(frozen=True, kw_only=True)
class SheetFinding:
    """One thing that is not as it must be. `id` names the row or the object inside `table`."""

    table: str
    id: str
    detail: str
    remedy: str


def sheets_of_term(
    *,
    term_id: int,
    company_id: int | None = None,
    platoon_id: int | None = None,
    superseded: bool = False,
) -> QuerySet[GradeSheet]:
    """The sheets in force of a term by name, or instead those superseded, the newest revision first."""
    rows = GradeSheet.objects.filter(enrollment__term_id=term_id, superseded_at__isnull=not superseded)
    if company_id is not None:
        rows = rows.filter(enrollment__company_id=company_id)
    if platoon_id is not None:
        rows = rows.filter(enrollment__platoon_id=platoon_id)
    return _joined(rows).order_by(
        "enrollment__cadet__last_name", "enrollment__cadet__first_name", "enrollment_id", "-revision"
    )


def sheet_visible_to(*, user_id: int, is_staff_member: bool, sheet_id: int) -> GradeSheet:
    """A sheet, for staff and for the cadet whose it is. Raises NotFound, for another's as well."""
    rows = _joined(GradeSheet.objects.filter(pk=sheet_id))
    if not is_staff_member:
        rows = rows.filter(enrollment__cadet__user_id=user_id, enrollment__cadet__archived_at=None)
    sheet = rows.first()
    if sheet is None:
        raise NotFound("There is no grade sheet with this id, or it is somebody else's.")
    return sheet


def _joined(rows: QuerySet[GradeSheet]) -> QuerySet[GradeSheet]:
    return rows.select_related(
        "enrollment__cadet", "enrollment__term", "enrollment__company", "enrollment__platoon", "frozen_by"
    )


# --- Verification -----------------------------------------------------------------------------------------------------


def sheet_findings(
    *, term_id: int | None = None, sheet_id: int | None = None, live: bool = True
) -> Iterator[SheetFinding]:
    """What is wrong with frozen sheets: all, those of one term, or one.

    1. in itself   the digest is that of the frozen inputs and result, they are its own enrollment's, and the rules
                   still make this result of these inputs
    2. in force    the live rows still are the frozen inputs
    3. complete    every enrollment of a closed term has a sheet in force, and none of an open term has

    Without `live` only 1: it reads nothing but the sheets, which is cheap enough for all that there are. Reads in
    batches of ids; a sheet that is superseded meanwhile is not reported for its inputs. A sheet that cannot be read is
    a finding, never an error.
    """
    rows = GradeSheet.objects.order_by("id")
    if sheet_id is not None:
        rows = rows.filter(pk=sheet_id)
    if term_id is not None:
        rows = rows.filter(enrollment__term_id=term_id)
    last = 0
    while batch := list(rows.filter(pk__gt=last).select_related("enrollment__term")[:_AT_ONCE]):
        last = batch[-1].pk
        for sheet in batch:
            yield from _in_itself(sheet)
        if live:
            yield from _against_live_rows([sheet for sheet in batch if sheet.superseded_at is None])
    if live and sheet_id is None:
        yield from _incomplete(term_id)


def _in_itself(sheet: GradeSheet) -> Iterator[SheetFinding]:
    owner = {
        "enrollment_id": sheet.enrollment_id,
        "cadet_id": sheet.enrollment.cadet_id,
        "term_id": sheet.enrollment.term_id,
    }
    for found in rules.sheet_discrepancies(
        inputs=sheet.inputs, result=sheet.result, digest=sheet.digest, expected_ids=owner
    ):
        yield SheetFinding(table=_TABLE, id=str(sheet.pk), detail=found.detail, remedy=_REMEDIES[found.kind])


def _against_live_rows(sheets: Sequence[GradeSheet]) -> Iterator[SheetFinding]:
    # Inputs that cannot be read have been reported, and there is nothing in them to compare.
    closed = [
        sheet for sheet in sheets if sheet.enrollment.term.closed_at is not None and rules.inputs_readable(sheet.inputs)
    ]
    enrollments = [sheet.enrollment for sheet in closed]
    suspects: list[tuple[GradeSheet, Mapping[str, Any]]] = []
    for sheet, inputs in zip(closed, inputs_of(enrollments=enrollments, today=manila_date(now())), strict=True):
        live = rules.inputs_record(
            inputs,
            enrollment_id=sheet.enrollment_id,
            cadet_id=sheet.enrollment.cadet_id,
            term_id=sheet.enrollment.term_id,
        )
        if live != sheet.inputs:
            suspects.append((sheet, live))
    # Several statements read all this: a term that was reopened and written to in between is no finding.
    in_force = set(
        GradeSheet.objects.filter(
            pk__in=[sheet.pk for sheet, _ in suspects],
            superseded_at=None,
            enrollment__term__closed_at__isnull=False,
        ).values_list("pk", flat=True)
    )
    for sheet, record in suspects:
        if sheet.pk in in_force:
            yield from _differences(sheet, record)


def _differences(sheet: GradeSheet, live: Mapping[str, Any]) -> Iterator[SheetFinding]:
    frozen, enrollment_id, cadet_id = sheet.inputs, sheet.enrollment_id, sheet.enrollment.cadet_id
    for name in rules.inputs_discrepancies(frozen=frozen, live=live):
        was, present = frozen.get(name), live.get(name)
        match name:
            case "awards":
                entries = rules.differing_rows(was or [], present or [])
                rows = [("grading_meritdemerit", str(row[0])) for row in entries]
            case "adjustments":
                entries = rules.differing_rows(was or [], present or [])
                rows = [("grading_adjustment", str(row["id"])) for row in entries]
            case "exams":
                names = rules.differing_keys(was or {}, present or {})
                rows = [("grading_examscore", f"{exam} of enrollment {enrollment_id}") for exam in names]
            case "held" | "by_status":
                rows = [("training_attendancerecord", f"of cadet {cadet_id}, enrollment {enrollment_id}")]
            case "policy":
                rows = [("grading_gradingpolicy", f"of term {sheet.enrollment.term_id}")]
            case _:
                rows = [("cadets_enrollment", str(enrollment_id))]
        for table, key in dict.fromkeys(rows):
            yield SheetFinding(
                table=table,
                id=key,
                detail=f"Sheet {sheet.pk} was frozen with other {name}: {_short(was)}; now: {_short(present)}.",
                remedy=_LIVE_REMEDY,
            )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _incomplete(term_id: int | None) -> Iterator[SheetFinding]:
    in_force = GradeSheet.objects.filter(enrollment=OuterRef("pk"), superseded_at=None)
    enrollments = Enrollment.objects.alias(frozen=Exists(in_force)).order_by("id")
    if term_id is not None:
        enrollments = enrollments.filter(term_id=term_id)
    for key in enrollments.filter(term__closed_at__isnull=False, frozen=False).values_list("pk", flat=True):
        yield SheetFinding(
            table="cadets_enrollment",
            id=str(key),
            detail="The term is closed and this enrollment has no grade sheet in force.",
            remedy="Reopen the term with a reason and close it again, which freezes every enrollment.",
        )
    for key in enrollments.filter(term__closed_at=None, frozen=True).values_list("pk", flat=True):
        yield SheetFinding(
            table="cadets_enrollment",
            id=str(key),
            detail="The term is open and this enrollment still has a grade sheet in force.",
            remedy="Close the term, or close and reopen it, which supersedes the sheet.",
        )


def verification(*, term: Term) -> dict[str, Any]:
    """How many sheets of a term are in force and superseded, and the findings about them."""
    rows = GradeSheet.objects.filter(enrollment__term_id=term.pk)
    in_force = rows.filter(superseded_at=None).count()
    superseded = rows.filter(superseded_at__isnull=False).count()
    return {"in_force": in_force, "superseded": superseded, "findings": list(sheet_findings(term_id=term.pk))}
