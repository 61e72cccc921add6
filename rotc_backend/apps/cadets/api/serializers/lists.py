from typing import Any

from rest_framework import serializers

from apps.cadets.api.serializers.fields import LineField
from apps.cadets.models import NAME_LENGTH, Company, ListEntry, Platoon, Semester, Term
from core.serializers import InstantField, QueryParameters, StrictSerializer


class TermOutput(serializers.ModelSerializer[Term]):
    closed_at = InstantField(read_only=True, allow_null=True, help_text="null: open.")

    class Meta:
        model = Term
        fields = ("id", "school_year", "semester", "starts_on", "ends_on", "is_current", "closed_at", "version")
        read_only_fields = fields


class TermInput(StrictSerializer):
    school_year = serializers.RegexField(
        r"^[0-9]{4}-[0-9]{4}\Z",
        error_messages={"invalid": "Write two years, for example 2025-2026."},
        help_text="Two consecutive years.",
    )
    semester = serializers.ChoiceField(choices=Semester.choices)
    starts_on = serializers.DateField()
    ends_on = serializers.DateField(help_text="Not before `starts_on`.")


class ListEntryInput(StrictSerializer):
    name = LineField(max_length=NAME_LENGTH, help_text="One line without a colon; unique in any letter case.")
    position = serializers.IntegerField(
        min_value=0, max_value=32_767, default=100, help_text="Lists are shown in this order, then by name."
    )

    def validate_name(self, value: str) -> str:
        if ":" in value:  # it would split the recipients of events ("company:Alpha")
            raise serializers.ValidationError("Write a name without a colon.", code="colon")
        return value


class _ListEntryOutput(serializers.ModelSerializer[Any]):
    archived_at = InstantField(read_only=True, allow_null=True, help_text="null: in use.")

    class Meta:
        model: type[ListEntry]
        fields = ("id", "name", "position", "archived_at", "version")
        read_only_fields = fields


class CompanyOutput(_ListEntryOutput):
    class Meta(_ListEntryOutput.Meta):
        model = Company


class PlatoonOutput(_ListEntryOutput):
    class Meta(_ListEntryOutput.Meta):
        model = Platoon


class ListQuery(QueryParameters):
    archived = serializers.BooleanField(
        default=False, help_text="true: only the archived ones; false: only the others."
    )
