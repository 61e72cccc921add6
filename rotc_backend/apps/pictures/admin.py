from typing import Any

from django.contrib import admin
from django.db.models import IntegerField, QuerySet
from django.db.models.functions import Length
from django.http import HttpRequest

from apps.pictures.models import Picture, PicturePart
from core.admin import ReadOnlyAdmin


@admin.register(Picture)
class PictureAdmin(ReadOnlyAdmin):
    """What became of the pictures that people sent; not what is in them."""

    list_display = ("purpose", "record_id", "state", "file_bytes", "sent_by", "sent_at", "finished_at", "problem_code")
    list_filter = ("state", "purpose")
    list_select_related = ("sent_by",)
    list_per_page = 50
    search_fields = ("sent_by__username",)
    search_help_text = "Account that sent it"
    date_hierarchy = "sent_at"
    ordering = ("-id",)
    fields = (
        *("purpose", "record_id", "state", "problem_code", "problem", "file_bytes"),
        *("sent_by", "sent_at", "queued_at", "started_at", "finished_at", "attempt"),
    )


@admin.register(PicturePart)
class PicturePartAdmin(ReadOnlyAdmin):
    """That a part is still kept; not what is in it."""

    list_display = ("picture", "number", "size")
    list_select_related = ("picture",)
    list_per_page = 50
    fields = ("picture", "number", "size")
    ordering = ("-picture_id", "number")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PicturePart]:
        size = Length("content", output_field=IntegerField())
        return super().get_queryset(request).select_related("picture").defer("content").annotate(bytes=size)

    @admin.display(description="bytes")
    def size(self, part: Any) -> int:
        return int(part.bytes)
