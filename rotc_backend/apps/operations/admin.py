from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from apps.operations.models import Probe, ScheduledRun


class ReadOnlyAdmin(admin.ModelAdmin):
    """Evidence: an administrator may look at it and nobody may change it."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Probe)
class ProbeAdmin(ReadOnlyAdmin):
    list_display = ("id", "requested_at", "state", "queue_delay_ms")
    ordering = ("-requested_at",)


@admin.register(ScheduledRun)
class ScheduledRunAdmin(ReadOnlyAdmin):
    list_display = ("job", "slot", "trigger", "attempt", "started_at", "finished_at", "outcome", "detail")
    list_filter = ("job", "outcome", "trigger")
    date_hierarchy = "slot"
