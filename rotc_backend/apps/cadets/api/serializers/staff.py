from rest_framework import serializers

from apps.cadets.api.serializers.fields import ContactNumberField, LineField
from apps.cadets.models import NAME_LENGTH, StaffFunction, StaffProfile, StaffRank
from core.serializers import InstantField, QueryParameters, StrictSerializer


class StaffOutput(serializers.ModelSerializer[StaffProfile]):
    # Declared, since it may be empty, which the field that the model gives does not say.
    rank = serializers.ChoiceField(choices=StaffRank.choices, allow_blank=True, read_only=True)
    user_id = serializers.IntegerField(read_only=True, allow_null=True, help_text="The account; null: none.")
    archived_at = InstantField(read_only=True, allow_null=True)
    created_at = InstantField(read_only=True)
    updated_at = InstantField(read_only=True)

    class Meta:
        model = StaffProfile
        fields = (
            "id",
            "rank",
            "last_name",
            "first_name",
            "middle_name",
            "suffix",
            "email",
            "function",
            "afpsn",
            "contact_number",
            "user_id",
            "archived_at",
            "created_at",
            "updated_at",
            "version",
        )
        read_only_fields = fields


class StaffInput(StrictSerializer):
    rank = serializers.ChoiceField(choices=StaffRank.choices, required=False, allow_blank=True)
    last_name = LineField(max_length=NAME_LENGTH)
    first_name = LineField(max_length=NAME_LENGTH)
    middle_name = LineField(max_length=NAME_LENGTH, required=False, allow_blank=True)
    suffix = LineField(max_length=16, required=False, allow_blank=True)
    email = serializers.EmailField(max_length=254, help_text="Unique in any letter case, also among archived profiles.")
    function = serializers.ChoiceField(
        choices=StaffFunction.choices, required=False, help_text="instructor unless told; others may decide letters."
    )
    afpsn = LineField(
        max_length=32, required=False, allow_blank=True, help_text="Armed Forces of the Philippines serial number."
    )
    contact_number = ContactNumberField(required=False, allow_blank=True)


class StaffQuery(QueryParameters):
    function = serializers.ChoiceField(choices=StaffFunction.choices, required=False)
    archived = serializers.BooleanField(
        default=False, help_text="true: only archived profiles; false: only the others."
    )
    search = serializers.CharField(
        max_length=100,
        required=False,
        allow_blank=True,
        help_text="Words that must all occur in names, e-mail or AFPSN, in any letter case, with or without marks.",
    )
