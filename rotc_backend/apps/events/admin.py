from django.contrib import admin
from django.utils.safestring import SafeString

from apps.events.models import Event
from core.admin import ReadOnlyAdmin, json_shown


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """What clients were told, to find out why one of them did not hear of something.

    Not the words that somebody wrote: those of a message stand on its own page, which leaves its trace.
    """

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
        body = event.data.get("body")
        words = {"body": f"({len(body)} characters)"} if isinstance(body, str) else {}
        return json_shown({**event.data, **words})
