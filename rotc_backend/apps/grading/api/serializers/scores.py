import re
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from apps.grading import rules
from apps.grading.api.serializers.fields import BoundedListField, id_field
from apps.grading.models import Exam, ExamScore
from apps.grading.services.scores import ScoreEntry, ScoreRead
from core.clock import iso
from core.errors import FieldError, ValidationFailed
from core.serializers import InstantField, PointsField, StrictSerializer


class ScoreField(PointsField):
    """0 to 100 with at most two decimals."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"min_value": 0, "max_value": 100, "max_digits": 5, **options})


class ScoreOutput(serializers.Serializer[Any]):
    exam = serializers.ChoiceField(choices=Exam.choices)
    score = PointsField(allow_null=True, help_text="null: missing, which is not a zero.")
    version = serializers.IntegerField(allow_null=True, help_text="Counts its corrections.")
    etag = serializers.CharField(allow_null=True, help_text="Goes back in If-Match with a correction.")
    updated_at = InstantField(allow_null=True)


class ScoresOutput(serializers.Serializer[Any]):
    enrollment_id = serializers.IntegerField()
    scores = ScoreOutput(many=True, help_text="Every exam, in their order.")


def score_tag(row: ExamScore) -> str:
    """The ETag of one score: no score ever has that of another, also not one that was removed and recorded anew."""
    return f'"v{row.version}-{row.pk}"'


_TAG = re.compile(r'"v([1-9][0-9]{0,8})(?:-([1-9][0-9]{0,18}))?"')


def score_read(request: Request) -> ScoreRead | None:
    """The score that If-Match names, None without that header. Raises ValidationFailed for one that is no tag of ours.

    A tag without a row is one that no score has, so that its caller is told to read the scores again.
    """
    given = request.headers.get("If-Match", "").strip()
    if not given:
        return None
    match = _TAG.fullmatch(given)
    if match is None:
        detail = 'Send the etag of the score as it came, for example "v3-812".'
        raise ValidationFailed(
            "If-Match is not an entity tag of this system.",
            errors=[FieldError(field="If-Match", code="invalid", detail=detail)],
        )
    return ScoreRead(version=int(match[1]), row_id=int(match[2] or 0))


def score_body(row: ExamScore) -> dict[str, Any]:
    return {
        "exam": row.exam,
        "score": rules.points_text(row.score),
        "version": row.version,
        "etag": score_tag(row),
        "updated_at": iso(row.updated_at),
    }


def missing_body(exam: str) -> dict[str, Any]:
    return {"exam": exam, "score": None, "version": None, "etag": None, "updated_at": None}


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
