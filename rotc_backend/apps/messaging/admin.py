from django.contrib import admin

from apps.messaging.models import Notification
from core.admin import ReadOnlyAdmin


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    list_display = ("id", "recipient", "title", "created_at", "read_at")
    list_select_related = ("recipient",)
    list_filter = (("read_at", admin.EmptyFieldListFilter), "created_at")
    search_fields = ("title", "correlation_id", "recipient__username")
    date_hierarchy = "created_at"
