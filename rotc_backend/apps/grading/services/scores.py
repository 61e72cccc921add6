"""Exam scores. Rows are locked in one order: the term, then the enrollments by ascending id."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.models.functions import Lower

from apps.accounts.rules import Principal
from apps.cadets.models import Enrollment
from apps.cadets.services.terms import term_hold_open
from apps.grading import rules
from apps.grading.models import ExamScore
from apps.grading.selectors.grades import enrollment_by_id
from apps.grading.services.score_rows import Scores, ScoresWritten, enrollments_lock, scores_write, stored_scores
from core.errors import FieldError, NotFound, PreconditionFailed, ValidationFailed


@dataclass(frozen=True, kw_only=True)
class ScoreEntry:
    """One line of a bulk upload: whose exam, by enrollment or by student number. Without a score it is removed."""

    exam: str
    score: Decimal | None
    enrollment_id: int | None = None
    student_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class ScoreRead:
    """Which score somebody has read: the row as well as its version, since a score that was removed and recorded anew
    counts its versions from 1 again.
    """

    row_id: int | None
    version: int


NO_SCORE = ScoreRead(row_id=None, version=0)  # somebody has read that the exam is missing


def score_put(
    *, actor: Principal, enrollment_id: int, exam: str, score: Decimal, expected: ScoreRead | None = None
) -> tuple[ExamScore, bool]:
    """Record or correct one score: (row, whether it is new). The same score again changes nothing.

    Raises NotFound, Conflict (`term_closed`), PreconditionFailed when the score is not the one that was read, and
    ValidationFailed.
    """
    _refuse_impossible(exam, score)
    enrollment = enrollment_by_id(enrollment_id=enrollment_id)
    with transaction.atomic():
        term_hold_open(term_id=enrollment.term_id)
        enrollments_lock([enrollment_id])
        _refuse_changed(enrollment_id, exam, expected)
        done = _bring(actor=actor, term_id=enrollment.term_id, wanted={(enrollment_id, exam): score})
        row = ExamScore.objects.get(enrollment_id=enrollment_id, exam=exam)
    return row, bool(done.created)


def score_delete(*, actor: Principal, enrollment_id: int, exam: str) -> None:
    """Remove one score: the exam is missing again. Raises NotFound and Conflict (`term_closed`)."""
    enrollment = enrollment_by_id(enrollment_id=enrollment_id)
    with transaction.atomic():
        term_hold_open(term_id=enrollment.term_id)
        enrollments_lock([enrollment_id])
        if not _bring(actor=actor, term_id=enrollment.term_id, wanted={(enrollment_id, exam): None}).removed:
            raise NotFound("This exam has no score.")


def scores_record(*, actor: Principal, term_id: int, entries: Sequence[ScoreEntry]) -> ScoresWritten:
    """Record many scores of one term: all or none. Sending them again changes nothing.

    Raises NotFound, Conflict (`term_closed`), and ValidationFailed with every line that cannot be taken
    (`unknown_enrollment`, `unknown_cadet`, `duplicate`, `out_of_range`) at `records.<number>.<field>`.
    """
    with transaction.atomic():
        term_hold_open(term_id=term_id)
        wanted = _wanted(term_id, entries)
        enrollments_lock(sorted({enrollment_id for enrollment_id, _ in wanted}))
        return _bring(actor=actor, term_id=term_id, wanted=wanted)


def _wanted(term_id: int, entries: Sequence[ScoreEntry]) -> dict[tuple[int, str], Decimal | None]:
    enrollments = Enrollment.objects.filter(term_id=term_id)
    ids = {entry.enrollment_id for entry in entries if entry.enrollment_id is not None}
    numbers = {entry.student_id.lower() for entry in entries if entry.student_id is not None}
    known = set(enrollments.filter(pk__in=ids).values_list("pk", flat=True))
    named = dict(
        enrollments.alias(number=Lower("cadet__student_id"))
        .filter(number__in=numbers)
        .values_list(Lower("cadet__student_id"), "pk")
    )
    errors: list[FieldError] = []
    wanted: dict[tuple[int, str], Decimal | None] = {}

    def refuse(index: int, field: str, code: str, detail: str) -> None:
        errors.append(FieldError(field=f"records.{index}.{field}", code=code, detail=detail))

    if len(entries) > rules.LARGEST_BULK:
        raise ValidationFailed(
            "These are too many scores for one call.",
            errors=[FieldError(field="records", code="max_length", detail=f"Send at most {rules.LARGEST_BULK}.")],
        )
    for index, entry in enumerate(entries):
        if entry.enrollment_id is not None:
            enrollment_id = entry.enrollment_id if entry.enrollment_id in known else None
            field, code = "enrollment_id", "unknown_enrollment"
        else:
            enrollment_id = named.get((entry.student_id or "").lower())
            field, code = "student_id", "unknown_cadet"
        if enrollment_id is None:
            refuse(index, field, code, "Nobody with this number is enrolled in this term.")
        elif (enrollment_id, entry.exam) in wanted:
            refuse(index, field, "duplicate", "An earlier line gives a score for the same cadet and exam.")
        else:
            for problem in _impossible(entry.exam, entry.score):
                refuse(index, problem.field, problem.code, problem.detail)
            wanted[enrollment_id, entry.exam] = entry.score
    if errors:
        raise ValidationFailed("Nothing was saved. Correct these lines and send all of them again.", errors=errors)
    return wanted


def _bring(*, actor: Principal, term_id: int, wanted: Scores) -> ScoresWritten:
    """Bring the rows of locked enrollments to what is wanted."""
    stored = stored_scores(sorted({enrollment_id for enrollment_id, _ in wanted}))
    return scores_write(actor=actor, term_id=term_id, wanted=wanted, stored=stored)


def _refuse_changed(enrollment_id: int, exam: str, expected: ScoreRead | None) -> None:
    """The enrollment must be locked: with it every score of it is."""
    if expected is None:
        return
    row = ExamScore.objects.filter(enrollment_id=enrollment_id, exam=exam).first()
    if expected == NO_SCORE:
        if row is not None:
            raise PreconditionFailed("Somebody has recorded this score already. Read the scores again.")
        return
    if row is None:
        raise PreconditionFailed("This score was removed since you read it. Read the scores again.")
    if (row.pk, row.version) != (expected.row_id, expected.version):
        raise PreconditionFailed(
            "Somebody has changed this score since you read it. Read the scores again, look at what changed, and "
            "repeat your correction with the new ETag."
        )


def _refuse_impossible(exam: str, score: Decimal) -> None:
    problems = _impossible(exam, score)
    if problems:
        raise ValidationFailed("This score cannot be recorded.", errors=problems)


def _impossible(exam: str, score: Decimal | None) -> list[FieldError]:
    problems = []
    if exam not in rules.EXAMS:
        problems.append(
            FieldError(field="exam", code="invalid_choice", detail=f"Name one of {', '.join(rules.EXAMS)}.")
        )
    if score is not None and not rules.is_score(score):
        problems.append(
            FieldError(
                field="score", code="out_of_range", detail="Write a score from 0 to 100 with at most two decimals."
            )
        )
    return problems
