"""Rows of scores, and what belongs to a write of them. Every function belongs into the transaction of its caller, which
holds the term open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection

from apps.accounts.rules import ADMIN, TRAINING_STAFF, Principal
from apps.accounts.services import audit_record
from apps.cadets.models import Enrollment
from apps.cadets.rules import grades_version, standing_version
from apps.events.services import publish_many
from apps.grading import rules
from apps.grading.events import GradeChanged, ScoresRecorded
from apps.grading.models import ExamScore
from core import cache
from core.messages import Event
from core.tables import PROGRESS_ROWS, Progress

_STAFF = [f"role:{role}" for role in (ADMIN, TRAINING_STAFF)]
Key = tuple[int, str]  # enrollment, exam
Scores = Mapping[Key, Decimal | None]

_UPSERT = """
INSERT INTO grading_examscore AS row (enrollment_id, exam, score, recorded_by_id, version)
SELECT given.enrollment, given.exam, given.score, %(actor)s, 1
FROM unnest(%(enrollments)s::bigint[], %(exams)s::text[], %(scores)s::numeric[]) AS given (enrollment, exam, score)
ORDER BY given.enrollment, given.exam
ON CONFLICT (enrollment_id, exam) DO UPDATE SET
    score = excluded.score, recorded_by_id = excluded.recorded_by_id, version = row.version + 1,
    updated_at = clock_timestamp()
"""
_REMOVE = """
DELETE FROM grading_examscore AS row
USING unnest(%(enrollments)s::bigint[], %(exams)s::text[]) AS given (enrollment, exam)
WHERE row.enrollment_id = given.enrollment AND row.exam = given.exam
"""


@dataclass(frozen=True, kw_only=True)
class ScoresWritten:
    """How many scores were new, changed, removed, and found as they were."""

    created: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0


def enrollments_lock(enrollment_ids: Sequence[int]) -> None:
    """Hold the enrollments, so that two uploads of the same cadets write one after another and never deadlock."""
    rows = Enrollment.objects.filter(pk__in=enrollment_ids).order_by("pk")
    list(rows.select_for_update(of=("self",), no_key=True).values_list("pk"))


def stored_scores(enrollment_ids: Sequence[int]) -> dict[Key, Decimal]:
    """What is recorded for enrollments that are locked."""
    rows = ExamScore.objects.filter(enrollment_id__in=enrollment_ids).order_by("pk")
    return {(key, exam): score for key, exam, score in rows.values_list("enrollment_id", "exam", "score")}


def scores_write(
    *, actor: Principal, term_id: int, wanted: Scores, stored: Scores, progress: Progress | None = None
) -> ScoresWritten:
    """Bring the rows from what is stored to what is wanted; None is a missing score. The enrollments must be locked.

    In steps of LARGEST_BULK enrollments, each with an audit entry of its own, but told as one write. `progress` hears
    from 0 on how many enrollments are written; what it raises passes through.
    """
    if progress is not None:
        progress(0)
    differing = {key: score for key, score in sorted(wanted.items()) if stored.get(key) != score}
    if not differing:
        return ScoresWritten(unchanged=len(wanted))
    touched = list(dict.fromkeys(enrollment_id for enrollment_id, _ in differing))
    of_enrollment: dict[int, list[Key]] = {enrollment_id: [] for enrollment_id in touched}
    for key in differing:
        of_enrollment[key[0]].append(key)
    for start in range(0, len(touched), rules.LARGEST_BULK):
        step = touched[start : start + rules.LARGEST_BULK]
        scores = {key: differing[key] for enrollment_id in step for key in of_enrollment[enrollment_id]}
        _write_step(actor=actor, term_id=term_id, scores=scores, stored=stored, alone=len(touched) == 1)
        if progress is not None:
            for done in range(start, start + len(step), PROGRESS_ROWS):
                progress(min(done + PROGRESS_ROWS, len(touched)))
    _tell(term_id=term_id, touched=touched)
    created = sum(score is not None and stored.get(key) is None for key, score in differing.items())
    removed = sum(score is None for score in differing.values())
    return ScoresWritten(
        created=created,
        changed=len(differing) - created - removed,
        removed=removed,
        unchanged=len(wanted) - len(differing),
    )


def _write_step(*, actor: Principal, term_id: int, scores: Scores, stored: Scores, alone: bool) -> None:
    recorded = [(*key, score) for key, score in scores.items() if score is not None]
    removed = [key for key, score in scores.items() if score is None]
    with connection.cursor() as cursor:
        if recorded:
            enrollments, exams, points = (list(column) for column in zip(*recorded, strict=True))
            cursor.execute(
                _UPSERT, {"actor": actor.user_id, "enrollments": enrollments, "exams": exams, "scores": points}
            )
        if removed:
            enrollments, exams = (list(column) for column in zip(*removed, strict=True))
            cursor.execute(_REMOVE, {"enrollments": enrollments, "exams": exams})
    enrollment_id = next(iter(scores))[0]
    audit_record(
        actor_id=actor.user_id,
        action="score.record" if alone else "score.record_many",
        target=f"enrollment:{enrollment_id}" if alone else f"term:{term_id}",
        before=_by_enrollment({key: stored.get(key) for key in scores}),
        after=_by_enrollment(scores),
    )


def _tell(*, term_id: int, touched: Sequence[int]) -> None:
    rows = Enrollment.objects.filter(pk__in=touched).order_by("pk")
    people = list(rows.values_list("pk", "cadet_id", "cadet__user_id"))
    # The cache first: who is woken by the event fetches at once, and must not find what was cached before it.
    cache.touch(grades_version(term_id), *(standing_version(cadet_id) for _, cadet_id, _ in people))
    told: list[tuple[Event, Sequence[str]]] = [
        (ScoresRecorded(term_id=term_id, enrollment_ids=list(touched[start : start + rules.LARGEST_TOLD])), _STAFF)
        for start in range(0, len(touched), rules.LARGEST_TOLD)
    ]
    told += [
        (GradeChanged(term_id=term_id, enrollment_id=enrollment_id, cause="score"), [f"user:{user_id}"])
        for enrollment_id, _, user_id in people
        if user_id is not None
    ]
    publish_many(told)


def _by_enrollment(scores: Scores) -> dict[str, dict[str, str | None]]:
    found: dict[str, dict[str, str | None]] = {}
    for (enrollment_id, exam), score in scores.items():
        found.setdefault(str(enrollment_id), {})[exam] = None if score is None else str(score)
    return found
