from typing import Any

from rest_framework import serializers

from apps.training.models import TrainingDay
from core.paths import LARGEST_ID
from core.serializers import InstantField, QueryParameters, StrictSerializer

_LATE_AFTER = (
    "In Manila, `07:30` or `07:30:00`. Whoever is scanned later than this comes late; null: nobody does. "
    "Records that exist stay as they are when it is changed."
)


class LateAfterField(serializers.TimeField):
    """A time by the unit's clock. With an offset it would name an instant, and the offset would be lost in silence."""

    def __init__(self, **options: Any) -> None:
        super().__init__(input_formats=["%H:%M", "%H:%M:%S"], help_text=_LATE_AFTER, **options)


class TrainingDaysQuery(QueryParameters):
    term = serializers.IntegerField(
        required=False, min_value=1, max_value=LARGEST_ID, help_text="Id of a term; the current one unless told."
    )
    cancelled = serializers.BooleanField(required=False, help_text="Only cancelled days, or only the others.")

    def get_fields(self) -> dict[str, Any]:
        # `from` is a word of Python and cannot be declared above.
        return {
            **super().get_fields(),
            "from": serializers.DateField(required=False, help_text="The first date in Manila."),
            "to": serializers.DateField(required=False, help_text="The last date in Manila."),
        }


class TrainingDayOutput(serializers.ModelSerializer[TrainingDay]):
    term_id = serializers.IntegerField(read_only=True)
    late_after = serializers.TimeField(read_only=True, allow_null=True, help_text=_LATE_AFTER)
    cancelled_at = InstantField(read_only=True, allow_null=True, help_text="null: takes place.")
    created_at = InstantField(read_only=True)
    updated_at = InstantField(read_only=True)

    class Meta:
        model = TrainingDay
        fields = (
            "id",
            "term_id",
            "date",
            "title",
            "description",
            "location",
            "late_after",
            "cancelled_at",
            "cancel_reason",
            "version",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields


class StatusCountsOutput(serializers.Serializer[Any]):
    present = serializers.IntegerField(min_value=0)
    late = serializers.IntegerField(min_value=0)
    excused = serializers.IntegerField(min_value=0)
    absent = serializers.IntegerField(min_value=0)
    unmarked = serializers.IntegerField(min_value=0, help_text="Enrolled cadets without a record.")


class TrainingDayDetailOutput(TrainingDayOutput):
    attendance = StatusCountsOutput(
        read_only=True, allow_null=True, help_text="How many cadets have which status; null for cadets."
    )

    class Meta:
        model = TrainingDay
        fields = (*TrainingDayOutput.Meta.fields, "attendance")
        read_only_fields = fields


class TrainingDayChange(StrictSerializer):
    date = serializers.DateField(required=False, help_text="The day in Manila, inside the term.")
    title = serializers.CharField(required=False, max_length=120)
    description = serializers.CharField(required=False, allow_blank=True, max_length=4000)
    location = serializers.CharField(required=False, allow_blank=True, max_length=120)
    late_after = LateAfterField(required=False, allow_null=True)


class TrainingDayInput(StrictSerializer):
    term_id = serializers.IntegerField(
        required=False, min_value=1, max_value=LARGEST_ID, help_text="The current term unless told."
    )
    date = serializers.DateField(help_text="The day in Manila, inside the term.")
    title = serializers.CharField(max_length=120)
    description = serializers.CharField(required=False, allow_blank=True, max_length=4000)
    location = serializers.CharField(required=False, allow_blank=True, max_length=120)
    late_after = LateAfterField(required=False, allow_null=True)


class CancelInput(StrictSerializer):
    reason = serializers.CharField(max_length=255)
