from typing import Any

from rest_framework import serializers

from apps.grading import rules
from apps.grading.api.serializers.fields import BoundedListField, id_field
from apps.grading.models import Exam, ExamScore
from apps.grading.services.scores import ScoreEntry
from core.clock import iso
from core.serializers import InstantField, PointsField, StrictSerializer


class ScoreField(PointsField):
    """0 to 100 with at most two decimals."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"min_value": 0, "max_value": 100, "max_digits": 5, **options})


class ScoreOutput(serializers.Serializer[Any]):
    exam = serializers.ChoiceField(choices=Exam.choices)
    score = PointsField(allow_null=True, help_text="null: missing, which is not a zero.")
    version = serializers.IntegerField(allow_null=True, help_text="Its ETag is this number after a v.")
    updated_at = InstantField(allow_null=True)


class ScoresOutput(serializers.Serializer[Any]):
    enrollment_id = serializers.IntegerField()
    scores = ScoreOutput(many=True, help_text="Every exam, in their order.")


def score_body(row: ExamScore) -> dict[str, Any]:
    return {
        "exam": row.exam,
        "score": rules.points_text(row.score),
        "version": row.version,
        "updated_at": iso(row.updated_at),
    }


def missing_body(exam: str) -> dict[str, Any]:
    return {"exam": exam, "score": None, "version": None, "updated_at": None}


class ScoreInput(StrictSerializer):
    score = ScoreField()


class ScoreLineInput(StrictSerializer):
    enrollment_id = id_field(required=False)
    student_id = serializers.CharField(max_length=32, required=False, help_text="In any letter case.")
    exam = serializers.ChoiceField(choices=Exam.choices)
    score = ScoreField(allow_null=True, help_text="null removes it.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("enrollment_id" in attrs) == ("student_id" in attrs):
            raise serializers.ValidationError(
                "Name the cadet by enrollment_id or by student_id, not by both.", code="exactly_one"
            )
        return attrs


class ScoresInput(StrictSerializer):
    records = BoundedListField(child=ScoreLineInput(), allow_empty=False, max_length=rules.LARGEST_BULK)

    @property
    def entries(self) -> list[ScoreEntry]:
        return [ScoreEntry(**line) for line in self.validated_data["records"]]


class ScoresWrittenOutput(serializers.Serializer[Any]):
    created = serializers.IntegerField()
    changed = serializers.IntegerField()
    removed = serializers.IntegerField()
    unchanged = serializers.IntegerField()
