from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.accounts import selectors
from apps.accounts.models import AuditEntry, MailPreferences, Role, Status, User
from core.serializers import InstantField, QueryParameters, StrictSerializer

PASSWORD_LENGTH = 256  # characters; beyond it hashing would be somebody else's work


class EmailOutput(serializers.CharField):
    """An e-mail address, or empty text, which the format `email` does not admit."""


class UserOutput(serializers.ModelSerializer):
    email = EmailOutput(read_only=True)

    class Meta:
        model = User
        fields = ("id", "username", "email", "first_name", "last_name", "role", "status")
        read_only_fields = fields


class AccountOutput(serializers.ModelSerializer[User]):
    """An account as administrators see it."""

    email = EmailOutput(read_only=True)
    archived_at = InstantField(read_only=True, allow_null=True, help_text="null: not archived.")
    created_at = InstantField(read_only=True)
    updated_at = InstantField(read_only=True)
    last_login = InstantField(read_only=True, allow_null=True, help_text="null: has never signed in.")

    class Meta:
        model = User
        fields: tuple[str, ...] = (
            "id",
            "username",
            "email",
            "first_name",
            "last_name",
            "role",
            "status",
            "archived_at",
            "created_at",
            "updated_at",
            "last_login",
            "version",
        )
        read_only_fields: tuple[str, ...] = fields


class PasswordField(serializers.CharField):
    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": PASSWORD_LENGTH, "trim_whitespace": False, "write_only": True, **options})


class LoginInput(serializers.Serializer):
    username = serializers.CharField(max_length=150)
    password = PasswordField()


class RefreshInput(serializers.Serializer):
    refresh = serializers.CharField(max_length=4096, write_only=True)


class TokenPairOutput(serializers.Serializer):
    access = serializers.CharField(help_text="Opens requests for 15 minutes: Authorization: Bearer <access>.")
    refresh = serializers.CharField(help_text="Works once, within 7 days, at POST /api/v1/auth/refresh.")


class LoginOutput(TokenPairOutput):
    user = UserOutput()


class RegistrationInput(StrictSerializer):
    username = serializers.CharField(
        max_length=150, help_text="Letters, digits and @ . + - _; taken in any letter case."
    )
    password = PasswordField(help_text="At least 10 characters, not a common one, not like the name.")
    email = serializers.EmailField(max_length=254, required=False, allow_blank=True, default="")
    first_name = serializers.CharField(max_length=150, required=False, allow_blank=True, default="")
    last_name = serializers.CharField(max_length=150, required=False, allow_blank=True, default="")


class NamesInput(StrictSerializer):
    email = serializers.EmailField(max_length=254, required=False, allow_blank=True)
    first_name = serializers.CharField(max_length=150, required=False, allow_blank=True)
    last_name = serializers.CharField(max_length=150, required=False, allow_blank=True)


class OwnAccountInput(NamesInput):
    current_password = PasswordField(required=False, help_text="Needed for another e-mail address.")


class MailPreferencesOutput(serializers.ModelSerializer[MailPreferences]):
    username = serializers.CharField(source="user.username", read_only=True)
    email = EmailOutput(source="user.email", read_only=True, help_text="Where messages go; empty: nowhere.")

    class Meta:
        model = MailPreferences
        fields = ("username", "email", "excuse_letters", "grades", "daily_reports")
        read_only_fields = fields


class MailPreferencesInput(StrictSerializer):
    excuse_letters = serializers.BooleanField(required=False)
    grades = serializers.BooleanField(required=False)
    daily_reports = serializers.BooleanField(required=False)


class PasswordInput(StrictSerializer):
    current_password = PasswordField()
    new_password = PasswordField()


class PasswordResetInput(StrictSerializer):
    username = serializers.CharField(max_length=150, required=False)
    email = serializers.EmailField(max_length=254, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError("Give either username or email.", code="one_of")
        return attrs


class PasswordResetOutput(serializers.Serializer[Any]):
    detail = serializers.CharField()


class AcceptanceInput(StrictSerializer):
    token = serializers.CharField(max_length=200, write_only=True, help_text="What stands after #token= in the link.")
    password = PasswordField()


class UsersQuery(QueryParameters):
    role = serializers.ChoiceField(choices=Role.choices, required=False)
    status = serializers.ChoiceField(choices=Status.choices, required=False)
    archived = serializers.BooleanField(
        required=False, help_text="true: only archived ones; false: only the others; both when left out."
    )
    search = serializers.CharField(max_length=100, required=False, help_text="Words of names or the e-mail address.")
    sort = serializers.ChoiceField(
        choices=[f"{sign}{order}" for order in selectors.USER_ORDERS for sign in ("", "-")],
        required=False,
        help_text="With a minus: the other way round.",
    )


class UserInput(StrictSerializer):
    username = serializers.CharField(max_length=150)
    role = serializers.ChoiceField(choices=Role.choices)
    status = serializers.ChoiceField(choices=Status.choices, required=False, default=Status.APPROVED)
    email = serializers.EmailField(max_length=254, required=False, allow_blank=True, default="")
    first_name = serializers.CharField(max_length=150, required=False, allow_blank=True, default="")
    last_name = serializers.CharField(max_length=150, required=False, allow_blank=True, default="")
    send_email = serializers.BooleanField(required=False, default=True, help_text="Whether the link is e-mailed, too.")


class UserChange(NamesInput):
    role = serializers.ChoiceField(choices=Role.choices, required=False)


class InvitationInput(StrictSerializer):
    send_email = serializers.BooleanField(required=False, default=True, help_text="Whether the link is e-mailed, too.")


class InvitationOutput(serializers.Serializer[Any]):
    link = serializers.CharField(help_text="Works once. It is shown now and never again.")
    expires_at = InstantField()
    emailed = serializers.BooleanField(help_text="Whether a mail server has taken it over.")
    reason = serializers.CharField(allow_null=True, help_text="Why it was not e-mailed; null if it was.")


class InvitedUserOutput(AccountOutput):
    invitation = InvitationOutput()

    class Meta(AccountOutput.Meta):
        fields = (*AccountOutput.Meta.fields, "invitation")
        read_only_fields = fields


class AuditActorOutput(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ("id", "username")
        read_only_fields = fields


@extend_schema_field({"type": ["object", "null"], "additionalProperties": True})
class RecordedField(serializers.JSONField):
    """Field names and their values; null where there is nothing to tell."""


class AuditEntryOutput(serializers.ModelSerializer[AuditEntry]):
    at = InstantField(read_only=True)
    actor = AuditActorOutput(read_only=True, allow_null=True, help_text="null: the system, or somebody not signed in.")
    before = RecordedField(read_only=True)
    after = RecordedField(read_only=True)

    class Meta:
        model = AuditEntry
        fields = ("id", "at", "actor", "action", "target", "before", "after", "request_id")
        read_only_fields = fields


class AuditQuery(QueryParameters):
    actor = serializers.CharField(max_length=150, required=False, help_text="Username, or `system`.")
    action = serializers.CharField(max_length=80, required=False, help_text="For example user.archive.")
    target = serializers.CharField(max_length=120, required=False, help_text="For example user:42.")
    request_id = serializers.CharField(max_length=64, required=False)

    def get_fields(self) -> dict[str, Any]:
        # `from` cannot be the name of an attribute.
        return {
            **super().get_fields(),
            "from": serializers.DateTimeField(required=False, help_text="Entries at or after this instant."),
            "to": serializers.DateTimeField(required=False, help_text="Entries before this instant."),
        }
