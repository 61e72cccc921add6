from typing import Any

from rest_framework import serializers

from apps.accounts.models import Role, User
from apps.messaging import rules
from apps.messaging.models import Message, ReadMark, RoomKind
from core.paths import LARGEST_ID
from core.serializers import InstantField, QueryParameters, StrictSerializer


class PersonOutput(serializers.ModelSerializer[User]):
    name = serializers.CharField(source="get_full_name", read_only=True)
    role = serializers.ChoiceField(choices=Role.choices, read_only=True)

    class Meta:
        model = User
        fields = ("id", "username", "name", "role")
        read_only_fields = fields


class MessageOutput(serializers.ModelSerializer[Message]):
    room_id = serializers.IntegerField(read_only=True)
    author = PersonOutput(read_only=True)
    body = serializers.CharField(read_only=True, help_text="Empty when the message was removed.")
    created_at = InstantField(read_only=True)
    edited_at = InstantField(read_only=True, allow_null=True)
    deleted_at = InstantField(read_only=True, allow_null=True, help_text="Not null: removed, only its place is left.")

    class Meta:
        model = Message
        fields = ("id", "room_id", "author", "body", "client_id", "created_at", "edited_at", "deleted_at")
        read_only_fields = fields


class RoomOutput(serializers.Serializer[Any]):
    """A room as the person who asked sees it."""

    id = serializers.IntegerField(source="room.pk")
    kind = serializers.ChoiceField(source="room.kind", choices=RoomKind.choices)
    name = serializers.CharField(help_text="The company, Staff, or who else is in a direct room.")
    company_id = serializers.IntegerField(source="room.company_id", allow_null=True)
    people = PersonOutput(many=True, help_text="The two of a direct room; empty for another kind.")
    member_count = serializers.IntegerField(min_value=0, help_text="How many people can write here.")
    unread = serializers.IntegerField(
        min_value=0,
        max_value=rules.UNREAD_COUNTED,
        help_text=f"Messages of others after one's own read mark; {rules.UNREAD_COUNTED} means as many or more.",
    )
    last_read_id = serializers.IntegerField(allow_null=True, help_text="One's own read mark.")
    last_message = MessageOutput(allow_null=True)


class ReadMarkOutput(serializers.ModelSerializer[ReadMark]):
    user_id = serializers.IntegerField(read_only=True)
    last_message_id = serializers.IntegerField(read_only=True)
    read_at = InstantField(read_only=True)

    class Meta:
        model = ReadMark
        fields = ("user_id", "last_message_id", "read_at")
        read_only_fields = fields


class RoomDetailOutput(RoomOutput):
    read_marks = ReadMarkOutput(many=True, help_text="How far each person has read.")


class RoomsQuery(QueryParameters):
    kind = serializers.ChoiceField(choices=RoomKind.choices, required=False)
    others = serializers.BooleanField(
        default=False, help_text="The direct rooms of other people instead, whatever the kind; for administrators."
    )


class MessagesQuery(QueryParameters):
    before = serializers.IntegerField(
        min_value=1, max_value=LARGEST_ID, required=False, help_text="Messages older than the one with this id."
    )
    limit = serializers.IntegerField(min_value=1, max_value=rules.LARGEST_HISTORY, default=rules.USUAL_HISTORY)


class MessagesOutput(serializers.Serializer[Any]):
    results = MessageOutput(many=True)
    next_before = serializers.IntegerField(
        allow_null=True, help_text="Ask for the older ones with this as `before`; null: there are none."
    )


class DirectRoomInput(StrictSerializer):
    username = serializers.CharField(max_length=150, help_text="In any letter case.")


class MessageChangeInput(StrictSerializer):
    body = serializers.CharField(
        max_length=rules.LONGEST_MESSAGE, help_text="White space around it is cut off; nothing else may be left blank."
    )


class MessageInput(MessageChangeInput):
    client_id = serializers.RegexField(
        rules.CLIENT_ID,
        help_text="Chosen by the client, a UUID for example. Sent again, it is the same message, not a second one.",
    )


class ReadInput(StrictSerializer):
    message_id = serializers.IntegerField(min_value=1, max_value=LARGEST_ID)
