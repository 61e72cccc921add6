from typing import Any

from rest_framework import serializers

from apps.accounts.models import User
from apps.accounts.selectors import user_by_username
from apps.messaging.models import BODY_LENGTH, CORRELATION_LENGTH, TITLE_LENGTH, Notification
from core.serializers import InstantField, StrictSerializer


class NotificationOutput(serializers.ModelSerializer[Notification]):
    created_at = InstantField(read_only=True)
    read_at = InstantField(read_only=True, allow_null=True, help_text="null: not read yet.")

    class Meta:
        model = Notification
        fields = ("id", "title", "body", "correlation_id", "created_at", "read_at")
        read_only_fields = fields


class UnreadCountOutput(serializers.Serializer[Any]):
    unread = serializers.IntegerField(min_value=0)


class NotificationInput(StrictSerializer):
    recipient = serializers.CharField(max_length=150, help_text="Username, in any letter case.")
    title = serializers.CharField(max_length=TITLE_LENGTH)
    body = serializers.CharField(max_length=BODY_LENGTH)
    correlation_id = serializers.CharField(
        max_length=CORRELATION_LENGTH,
        required=False,
        allow_null=True,
        help_text="Comes back in the notification and its event; the sender's own mark.",
    )

    def validate_recipient(self, value: str) -> User:
        user = user_by_username(value)
        if user is None or user.archived_at is not None:
            raise serializers.ValidationError(
                f"There is no account named {value}, or it is archived.", code="unknown_recipient"
            )
        return user
