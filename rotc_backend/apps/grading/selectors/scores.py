"""Exam scores."""

from django.db.models import Case, IntegerField, QuerySet, Value, When

from apps.grading import rules
from apps.grading.models import ExamScore


def scores_of(*, enrollment_id: int) -> QuerySet[ExamScore]:
    """The scores of one enrollment, in the order of the exams."""
    places = [When(exam=exam, then=Value(place)) for place, exam in enumerate(rules.EXAMS)]
    return ExamScore.objects.filter(enrollment_id=enrollment_id).order_by(Case(*places, output_field=IntegerField()))
