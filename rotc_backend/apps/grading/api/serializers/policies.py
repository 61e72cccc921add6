from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from apps.grading import rules
from apps.grading.api.serializers.fields import BoundedListField
from apps.grading.models import GradingPolicy
from apps.training.models import AttendanceStatus
from core.clock import iso
from core.serializers import InstantField, PointsField, StrictSerializer


class BandOutput(serializers.Serializer[Any]):
    lower_bound = PointsField(help_text="The least exact total that earns it.")
    equivalent = serializers.CharField()


class PolicyOutput(serializers.Serializer[Any]):
    term_id = serializers.IntegerField(allow_null=True, help_text="null: the unit's default.")
    own = serializers.BooleanField(help_text="Whether the term asked for has this policy of its own.")
    attendance_weight = PointsField()
    aptitude_weight = PointsField()
    subject_weight = PointsField()
    attended_statuses = serializers.ListField(child=serializers.ChoiceField(choices=AttendanceStatus.choices))
    bands = BandOutput(many=True, help_text="The best first.")
    failing_equivalent = serializers.CharField()
    version = serializers.IntegerField(help_text="Also the ETag.")
    updated_at = InstantField()


def policy_body(row: GradingPolicy) -> dict[str, Any]:
    return {
        "term_id": row.term_id,
        "own": row.term_id is not None,
        "attendance_weight": rules.points_text(row.attendance_weight),
        "aptitude_weight": rules.points_text(row.aptitude_weight),
        "subject_weight": rules.points_text(row.subject_weight),
        "attended_statuses": row.attended_statuses,
        "bands": [{"lower_bound": bound, "equivalent": equivalent} for bound, equivalent in row.bands],
        "failing_equivalent": row.failing_equivalent,
        "version": row.version,
        "updated_at": iso(row.updated_at),
    }


class _Equivalent(serializers.RegexField):
    def __init__(self, **options: Any) -> None:
        super().__init__(regex=r"^[0-9]\.[0-9]{2}\Z", **options)


class BandInput(StrictSerializer):
    lower_bound = PointsField(min_value=0, max_value=100)
    equivalent = _Equivalent(help_text='Two decimals, for example "1.50".')

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        # A change of a policy may leave out fields of the policy, and REST framework takes that for its bands as well.
        missing = {
            name: [ErrorDetail(str(field.error_messages["required"]), code="required")]
            for name, field in self.fields.items()
            if name not in attrs
        }
        if missing:
            raise serializers.ValidationError(missing)
        return attrs


class PolicyInput(StrictSerializer):
    attendance_weight = PointsField(min_value=0, max_value=100)
    aptitude_weight = PointsField(min_value=0, max_value=100)
    subject_weight = PointsField(min_value=0, max_value=100)
    attended_statuses = BoundedListField(
        child=serializers.ChoiceField(choices=AttendanceStatus.choices),
        allow_empty=False,
        max_length=len(AttendanceStatus),
    )
    bands = BoundedListField(child=BandInput(), allow_empty=False, max_length=rules.MOST_BANDS)
    failing_equivalent = _Equivalent()

    @property
    def record(self) -> dict[str, Any]:
        """What was given, in the form of rules.policy_record."""
        given = dict(self.validated_data)
        if "bands" in given:
            given["bands"] = [[str(band["lower_bound"]), band["equivalent"]] for band in given["bands"]]
        return given
