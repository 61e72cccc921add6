"""Exam scores. Rows are locked in one order: the term, then the enrollments by ascending id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.models.functions import Lower

from apps.accounts.rules import ADMIN, TRAINING_STAFF, Principal
from apps.accounts.services import audit_record
from apps.cadets.models import Enrollment
from apps.cadets.rules import grades_version, standing_version
from apps.cadets.services.terms import term_hold_open
from apps.events.services import publish, publish_many
from apps.grading import rules
from apps.grading.events import GradeChanged, ScoresRecorded
from apps.grading.models import ExamScore
from apps.grading.selectors.grades import enrollment_by_id
from core import cache
from core.clock import now
from core.errors import FieldError, NotFound, PreconditionFailed, ValidationFailed

_STAFF = [f"role:{role}" for role in (ADMIN, TRAINING_STAFF)]


@dataclass(frozen=True, kw_only=True)
class ScoreEntry:
    """One line of a bulk upload: whose exam, by enrollment or by student number. Without a score it is removed."""

    exam: str
    score: Decimal | None
    enrollment_id: int | None = None
    student_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class ScoresWritten:
    """How many scores were new, changed, removed, and found as they were."""

    created: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0


@dataclass(frozen=True, kw_only=True)
class ScoreRead:
    """Which score somebody has read: the row as well as its version, since a score that was removed and recorded anew
    counts its versions from 1 again.
    """

    row_id: int
    version: int


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
        _lock([enrollment_id])
        _refuse_changed(enrollment_id, exam, expected)
        done = _write(actor=actor, term_id=enrollment.term_id, wanted={(enrollment_id, exam): score})
        row = ExamScore.objects.get(enrollment_id=enrollment_id, exam=exam)
    return row, bool(done.created)


def score_delete(*, actor: Principal, enrollment_id: int, exam: str) -> None:
    """Remove one score: the exam is missing again. Raises NotFound and Conflict (`term_closed`)."""
    enrollment = enrollment_by_id(enrollment_id=enrollment_id)
    with transaction.atomic():
        term_hold_open(term_id=enrollment.term_id)
        _lock([enrollment_id])
        if not _write(actor=actor, term_id=enrollment.term_id, wanted={(enrollment_id, exam): None}).removed:
            raise NotFound("This exam has no score.")


def scores_record(*, actor: Principal, term_id: int, entries: Sequence[ScoreEntry]) -> ScoresWritten:
    """Record many scores of one term: all or none. Sending them again changes nothing.

    Raises NotFound, Conflict (`term_closed`), and ValidationFailed with every line that cannot be taken
    (`unknown_enrollment`, `unknown_cadet`, `duplicate`, `out_of_range`) at `records.<number>.<field>`.
    """
    with transaction.atomic():
        term_hold_open(term_id=term_id)
        wanted = _wanted(term_id, entries)
        _lock(sorted({enrollment_id for enrollment_id, _ in wanted}))
        return _write(actor=actor, term_id=term_id, wanted=wanted)


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


def _lock(enrollment_ids: Sequence[int]) -> None:
    """Hold the enrollments, so that two uploads of the same cadets write one after another and never deadlock."""
    rows = Enrollment.objects.filter(pk__in=enrollment_ids).order_by("pk")
    list(rows.select_for_update(of=("self",), no_key=True).values_list("pk"))


def _write(*, actor: Principal, term_id: int, wanted: Mapping[tuple[int, str], Decimal | None]) -> ScoresWritten:
    """Bring the rows to what is wanted. The term must be held open and the enrollments locked."""
    enrollment_ids = {enrollment_id for enrollment_id, _ in wanted}
    present = {(row.enrollment_id, row.exam): row for row in ExamScore.objects.filter(enrollment_id__in=enrollment_ids)}
    stored = {key: present[key].score if key in present else None for key in wanted}
    differing = {key: score for key, score in wanted.items() if stored[key] != score}
    if not differing:
        return ScoresWritten(unchanged=len(wanted))

    new = [
        ExamScore(enrollment_id=enrollment_id, exam=exam, score=score, recorded_by_id=actor.user_id)
        for (enrollment_id, exam), score in differing.items()
        if score is not None and (enrollment_id, exam) not in present
    ]
    changed = [present[key] for key, score in differing.items() if score is not None and key in present]
    removed = [present[key].pk for key, score in differing.items() if score is None]
    at = now()
    for row in changed:
        score = differing[row.enrollment_id, row.exam]
        assert score is not None  # noqa: S101 - by the line that chose them
        row.score, row.recorded_by_id, row.updated_at = score, actor.user_id, at
        row.version += 1
    ExamScore.objects.bulk_create(new)
    ExamScore.objects.bulk_update(changed, ["score", "recorded_by", "version", "updated_at"])
    ExamScore.objects.filter(pk__in=removed).delete()
    _tell(actor=actor, term_id=term_id, differing=differing, stored=stored)
    return ScoresWritten(
        created=len(new), changed=len(changed), removed=len(removed), unchanged=len(wanted) - len(differing)
    )


def _tell(
    *,
    actor: Principal,
    term_id: int,
    differing: Mapping[tuple[int, str], Decimal | None],
    stored: Mapping[tuple[int, str], Decimal | None],
) -> None:
    touched = sorted({enrollment_id for enrollment_id, _ in differing})
    single = len(touched) == 1
    audit_record(
        actor_id=actor.user_id,
        action="score.record" if single else "score.record_many",
        target=f"enrollment:{touched[0]}" if single else f"term:{term_id}",
        before=_by_enrollment({key: stored[key] for key in differing}),
        after=_by_enrollment(differing),
    )
    rows = Enrollment.objects.filter(pk__in=touched).order_by("pk")
    people = list(rows.values_list("pk", "cadet_id", "cadet__user_id"))
    cache.touch(grades_version(term_id), *(standing_version(cadet_id) for _, cadet_id, _ in people))
    publish(event=ScoresRecorded(term_id=term_id, enrollment_ids=touched), recipients=_STAFF)
    publish_many(
        [
            (GradeChanged(term_id=term_id, enrollment_id=enrollment_id, cause="score"), [f"user:{user_id}"])
            for enrollment_id, _, user_id in people
            if user_id is not None
        ]
    )


def _by_enrollment(scores: Mapping[tuple[int, str], Decimal | None]) -> dict[str, dict[str, str | None]]:
    found: dict[str, dict[str, str | None]] = {}
    for (enrollment_id, exam), score in scores.items():
        found.setdefault(str(enrollment_id), {})[exam] = None if score is None else str(score)
    return found


def _refuse_changed(enrollment_id: int, exam: str, expected: ScoreRead | None) -> None:
    """The enrollment must be locked: with it every score of it is."""
    if expected is None:
        return
    row = ExamScore.objects.filter(enrollment_id=enrollment_id, exam=exam).first()
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
