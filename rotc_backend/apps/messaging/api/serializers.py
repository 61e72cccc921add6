import datetime as dt
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from apps.accounts.models import User
from apps.accounts.selectors import user_by_username
from apps.messaging.models import BODY_LENGTH, CORRELATION_LENGTH, TITLE_LENGTH, Notification
from core.clock import iso


class InstantField(serializers.DateTimeField):
    """Written as events write it, so that what a client was told equals what it fetches."""

    def to_representation(self, value: dt.datetime) -> str:
        return iso(value)


class NotificationOutput(serializers.ModelSerializer[Notification]):
    created_at = InstantField(read_only=True)
    read_at = InstantField(read_only=True, allow_null=True, help_text="null: not read yet.")

    class Meta:
        model = Notification
        fields = ("id", "title", "body", "correlation_id", "created_at", "read_at")
        read_only_fields = fields


class UnreadCountOutput(serializers.Serializer[Any]):
    unread = serializers.IntegerField(min_value=0)


class NotificationInput(serializers.Serializer[Any]):
    default_error_messages = {"unknown_field": "There is no such field. Known are: {known}."}

    recipient = serializers.CharField(max_length=150, help_text="Username, in any letter case.")
    title = serializers.CharField(max_length=TITLE_LENGTH)
    body = serializers.CharField(max_length=BODY_LENGTH)
    correlation_id = serializers.CharField(
        max_length=CORRELATION_LENGTH,
        required=False,
        allow_null=True,
        help_text="Comes back in the notification and its event; the sender's own mark.",
    )

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        # A misspelt optional field would otherwise be ignored in silence.
        unknown = [name for name in data if name not in self.fields] if isinstance(data, dict) else []
        if unknown:
            known = ", ".join(self.fields)
            raise serializers.ValidationError(
                {
                    str(name): [
                        ErrorDetail(self.error_messages["unknown_field"].format(known=known), code="unknown_field")
                    ]
                    for name in unknown
                }
            )
        fields: dict[str, Any] = super().to_internal_value(data)
        return fields

    def validate_recipient(self, value: str) -> User:
        user = user_by_username(value)
        if user is None or user.archived_at is not None:
            raise serializers.ValidationError(
                f"There is no account named {value}, or it is archived.", code="unknown_recipient"
            )
        return user
