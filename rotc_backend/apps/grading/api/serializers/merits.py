from typing import Any

from rest_framework import serializers

from apps.grading import rules
from apps.grading.api.serializers.fields import id_field
from apps.grading.api.serializers.people import (
    CadetBrief,
    PersonBrief,
    cadet_brief,
    person_brief,
)
from apps.grading.models import Adjustment, Component, MeritDemerit, MeritKind, Revocable
from core.clock import iso
from core.serializers import InstantField, PointsField, QueryParameters, StrictSerializer


class RevocableOutput(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    enrollment_id = serializers.IntegerField()
    term_id = serializers.IntegerField()
    cadet = CadetBrief()
    reason = serializers.CharField()
    issued_by = PersonBrief()
    issued_at = InstantField()
    revoked_by = PersonBrief(allow_null=True)
    revoked_at = InstantField(allow_null=True, help_text="null: it counts.")
    revoke_reason = serializers.CharField(allow_null=True)


class MeritOutput(RevocableOutput):
    kind = serializers.ChoiceField(choices=MeritKind.choices)
    points = serializers.IntegerField(min_value=1, max_value=100)


class AdjustmentOutput(RevocableOutput):
    component = serializers.ChoiceField(choices=Component.choices)
    points = PointsField()


def _revocable_body(row: Revocable, enrollment: Any) -> dict[str, Any]:
    return {
        "id": row.pk,
        "enrollment_id": enrollment.pk,
        "term_id": enrollment.term_id,
        "cadet": cadet_brief(enrollment.cadet),
        "reason": row.reason,
        "issued_by": person_brief(row.issued_by),
        "issued_at": iso(row.issued_at),
        "revoked_by": person_brief(row.revoked_by),
        "revoked_at": iso(row.revoked_at) if row.revoked_at else None,
        "revoke_reason": row.revoke_reason or None,
    }


def merit_body(row: MeritDemerit) -> dict[str, Any]:
    return {**_revocable_body(row, row.enrollment), "kind": row.kind, "points": row.points}


def adjustment_body(row: Adjustment) -> dict[str, Any]:
    points = rules.points_text(row.points)
    return {**_revocable_body(row, row.enrollment), "component": row.component, "points": points}


class MeritsQuery(QueryParameters):
    cadet = id_field(required=False)
    term = id_field(required=False)
    kind = serializers.ChoiceField(choices=MeritKind.choices, required=False)
    revoked = serializers.BooleanField(required=False, allow_null=True, default=None)


class OwnMeritsQuery(QueryParameters):
    term = id_field(required=False)


class AdjustmentsQuery(QueryParameters):
    enrollment = id_field(required=False)
    term = id_field(required=False)


class MeritInput(StrictSerializer):
    enrollment_id = id_field()
    kind = serializers.ChoiceField(choices=MeritKind.choices)
    points = serializers.IntegerField(min_value=1, max_value=100)
    reason = serializers.CharField(max_length=255)


class AdjustmentInput(StrictSerializer):
    enrollment_id = id_field()
    component = serializers.ChoiceField(choices=Component.choices)
    points = PointsField(min_value=-100, max_value=100, max_digits=5, help_text="Not 0; negative takes off.")
    reason = serializers.CharField(max_length=255)


class ReasonInput(StrictSerializer):
    reason = serializers.CharField(max_length=255)
