from django.contrib import admin

from apps.messaging.models import Announcement, Notification
from core.admin import ReadOnlyAdmin


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    list_display = ("id", "recipient", "title", "created_at", "read_at")
    list_select_related = ("recipient",)
    list_filter = (("read_at", admin.EmptyFieldListFilter), "created_at")
    search_fields = ("title", "correlation_id", "recipient__username")
    date_hierarchy = "created_at"


# Messages and direct rooms are not here: who reads them through the API leaves a trace in the audit trail.


@admin.register(Announcement)
class AnnouncementAdmin(ReadOnlyAdmin):
    list_display = ("id", "kind", "title", "date", "created_by", "created_at", "archived_at")
    list_select_related = ("created_by",)
    list_filter = ("kind", ("archived_at", admin.EmptyFieldListFilter))
    search_fields = ("title",)
    date_hierarchy = "date"
