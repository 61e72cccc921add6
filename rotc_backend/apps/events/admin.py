from django.contrib import admin
from django.utils.safestring import SafeString

from apps.events.models import Event
from core.admin import ReadOnlyAdmin, json_shown


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """What clients were told, to find out why one of them did not hear of something."""

    list_display = ("position", "at", "type", "to")
    list_display_links = ("position", "at")
    list_filter = ("type",)
    list_per_page = 50
    search_fields = ("type", "recipients")
    search_help_text = "Type (cadet.changed) or recipient (user:42, role:admin)"
    date_hierarchy = "at"
    ordering = ("-id",)
    fields = ("position", "type", "at", "to", "content")

    @admin.display(description="recipients")
    def to(self, event: Event) -> str:
        return ", ".join(event.recipients)

    @admin.display(description="data")
    def content(self, event: Event) -> SafeString | str:
        return json_shown(event.data)
