from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from apps.messaging.models import TEXT_LENGTH, TITLE_LENGTH, Announcement, AnnouncementKind, AnnouncementPhoto
from apps.pictures.rules import FILE_PROCESSING, FILE_READY
from core.serializers import InstantField, QueryParameters, StrictSerializer


class AnnouncementPhotoOutput(serializers.ModelSerializer[AnnouncementPhoto]):
    url = serializers.SerializerMethodField(help_text="Where the picture is; asked for with the access token.")
    state = serializers.SerializerMethodField(
        help_text="processing: it is being prepared, and url answers 409 `file_processing`. ready: it can be seen."
    )
    created_at = InstantField(read_only=True)

    class Meta:
        model = AnnouncementPhoto
        fields = ("id", "url", "state", "created_at")
        read_only_fields = fields

    @extend_schema_field(serializers.ChoiceField(choices=(FILE_PROCESSING, FILE_READY)))
    def get_state(self, photo: AnnouncementPhoto) -> str:
        return FILE_READY if photo.file else FILE_PROCESSING

    def get_url(self, photo: AnnouncementPhoto) -> str:
        return reverse("announcement-photo", args=[photo.announcement_id, photo.pk])


class AnnouncementOutput(serializers.ModelSerializer[Announcement]):
    photos = AnnouncementPhotoOutput(
        source="photos_ready", many=True, read_only=True, help_text="Those that can be seen."
    )
    photos_processing = serializers.IntegerField(
        read_only=True, help_text="How many more are being prepared; each that is ready is told as a change."
    )
    created_by = serializers.IntegerField(source="created_by_id", read_only=True, help_text="Id of the account.")
    archived_at = InstantField(read_only=True, allow_null=True)
    created_at = InstantField(read_only=True)
    updated_at = InstantField(read_only=True)

    class Meta:
        model = Announcement
        fields = (
            "id",
            "kind",
            "title",
            "text",
            "date",
            "photos",
            "photos_processing",
            "created_by",
            "archived_at",
            "created_at",
            "updated_at",
            "version",
        )
        read_only_fields = fields


class AnnouncementsQuery(QueryParameters):
    kind = serializers.ChoiceField(choices=AnnouncementKind.choices, required=False)
    archived = serializers.BooleanField(default=False, help_text="The archived ones instead; for staff.")


class AnnouncementInput(StrictSerializer):
    kind = serializers.ChoiceField(choices=AnnouncementKind.choices)
    title = serializers.CharField(max_length=TITLE_LENGTH)
    text = serializers.CharField(max_length=TEXT_LENGTH)
    date = serializers.DateField(help_text="The day in Manila that it speaks of.")


class AnnouncementChangeInput(StrictSerializer):
    kind = serializers.ChoiceField(choices=AnnouncementKind.choices, required=False)
    title = serializers.CharField(max_length=TITLE_LENGTH, required=False)
    text = serializers.CharField(max_length=TEXT_LENGTH, required=False)
    date = serializers.DateField(required=False, help_text="The day in Manila that it speaks of.")


class AnnouncementPhotoInput(StrictSerializer):
    file = serializers.FileField(help_text="JPEG, PNG or WebP, 10 MB at most. It is stored anew, without metadata.")
