from rest_framework import serializers

from apps.operations.models import DeadLetter
from core.serializers import QueryParameters


class DeadLettersQuery(QueryParameters):
    settled = serializers.BooleanField(
        required=False, help_text="true: only those retried or dismissed; false: only the others; both when left out."
    )


class DeadLetterOutput(serializers.ModelSerializer[DeadLetter]):
    arguments = serializers.DictField(help_text="Of the task; whose names speak of secrets, *** instead.")
    settled_by_id = serializers.IntegerField(allow_null=True, help_text="The administrator's account.")
    settlement = serializers.ChoiceField(choices=DeadLetter.Settlements.choices, allow_null=True)

    class Meta:
        model = DeadLetter
        fields = (
            "id",
            "task",
            "arguments",
            "request_id",
            "attempts",
            "error",
            "detail",
            "traceback",
            "failed_at",
            "settled_at",
            "settled_by_id",
            "settlement",
        )
        read_only_fields = fields
