"""Exam scores as a sheet: whoever takes it may be slow, so nothing holds the database between two batches."""

from collections.abc import Iterator

from apps.cadets.models import Enrollment
from apps.grading import rules
from apps.grading.models import ExamScore
from apps.grading.selectors.grades import enrollments_graded
from core.spreadsheets.writing import Written

_AT_ONCE = 500


def scores_sheet(
    *, term_id: int, company_id: int | None = None, platoon_id: int | None = None
) -> Iterator[list[Written]]:
    """The enrollments of a term by name, archived cadets' too, as the values of SCORE_COLUMNS: who is on it is read at
    once, the rows as they are asked for. A missing score is blank.
    """
    enrolled = enrollments_graded(term_id=term_id, company_id=company_id, platoon_id=platoon_id)
    return _rows(list(enrolled.values_list("pk", flat=True)))


def _rows(enrollment_ids: list[int]) -> Iterator[list[Written]]:
    for start in range(0, len(enrollment_ids), _AT_ONCE):
        ids = enrollment_ids[start : start + _AT_ONCE]
        found = Enrollment.objects.select_related("cadet", "company", "platoon").in_bulk(ids)
        rows = ExamScore.objects.filter(enrollment_id__in=ids).values_list("enrollment_id", "exam", "score")
        scores = {(enrollment_id, exam): score for enrollment_id, exam, score in rows}
        for enrollment in (found[key] for key in ids if key in found):
            yield [
                enrollment.cadet.student_id,
                enrollment.cadet.full_name,
                enrollment.company.name if enrollment.company else None,
                enrollment.platoon.name if enrollment.platoon else None,
                *(scores.get((enrollment.pk, exam)) for exam in rules.EXAMS),
            ]
