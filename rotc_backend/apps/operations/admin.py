from typing import Any

from django.contrib import admin
from django.db import models, transaction
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django_celery_beat.admin import PeriodicTaskAdmin
from django_celery_beat.models import PeriodicTask

from apps.accounts.selectors import principal_of_user
from apps.operations.models import Probe, ScheduledRun
from apps.operations.services import schedule
from core.admin import ActingAdmin, ReadOnlyAdmin, json_shown, list_link, presence_filter


@admin.register(Probe)
class ProbeAdmin(ReadOnlyAdmin):
    list_display = ("id", "requested_at", "requested_by", "state", "queue_delay_ms")
    list_select_related = ("requested_by",)
    list_filter = (("finished_at", presence_filter("end", there="Arrived", missing="Not yet, or lost")),)
    list_per_page = 50
    search_fields = ("requested_by__username",)
    search_help_text = "Account that asked for it"
    date_hierarchy = "requested_at"
    ordering = ("-requested_at",)
    fields = ("id", "requested_by", "state", "requested_at", "started_at", "finished_at", "queue_delay_ms", "by_worker")

    @admin.display(description="worker")
    def by_worker(self, probe: Probe) -> SafeString | str:
        return json_shown(probe.worker)


@admin.register(ScheduledRun)
class ScheduledRunAdmin(ReadOnlyAdmin):
    list_display = ("job", "slot", "trigger", "attempt", "started_at", "finished_at", "outcome", "detail")
    list_filter = ("job", "outcome", "trigger")
    list_per_page = 50
    search_fields = ("job", "detail")
    search_help_text = "Job, or words of what it reported"
    date_hierarchy = "slot"
    ordering = ("-slot", "job")
    fields = (
        "job",
        "slot",
        "trigger",
        "crontab",
        "attempt",
        "started_at",
        "finished_at",
        "lease_until",
        "outcome",
        "counted",
        "detail",
    )

    @admin.display(description="counts")
    def counted(self, run: ScheduledRun) -> SafeString | str:
        return json_shown(run.counts)


admin.site.unregister(PeriodicTask)  # its package has registered it, with actions that leave no trace


@admin.register(PeriodicTask)
class AuditedPeriodicTaskAdmin(ActingAdmin, PeriodicTaskAdmin):
    """The package's pages, with what was done in them in the audit trail."""

    list_display = ("name", "enabled", "scheduler", "last_run_at", "runs")
    list_filter = ("enabled", "task")
    date_hierarchy = None
    ordering = ("name",)
    actions = ("enable_tasks", "disable_tasks", "run_tasks")
    change_form_template = PeriodicTaskAdmin.change_form_template

    @admin.display(description="runs")
    def runs(self, task: PeriodicTask) -> SafeString:
        return list_link(ScheduledRun, "Runs", job__exact=task.name)

    @admin.action(description="Resume the chosen jobs")
    def enable_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        actor = principal_of_user(request.user)  # type: ignore[arg-type]
        self.carry_out(
            request,
            queryset.filter(enabled=False),
            act=lambda task: schedule.periodic_task_resume(actor=actor, task_id=task.pk),
            done="resumed",
        )

    @admin.action(description="Pause the chosen jobs")
    def disable_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        actor = principal_of_user(request.user)  # type: ignore[arg-type]
        self.carry_out(
            request,
            queryset.filter(enabled=True),
            act=lambda task: schedule.periodic_task_pause(actor=actor, task_id=task.pk),
            done="paused",
        )

    @admin.action(description="Run the chosen jobs now")
    def run_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        with transaction.atomic():
            for task in queryset:
                self._record(request, task, "run", after={"name": task.name})
        super().run_tasks(request, queryset)

    def save_model(self, request: HttpRequest, obj: PeriodicTask, form: ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        names = [name for name in form.changed_data if name != "regtask"]  # the same as `task`, chosen from a list
        before = {name: _text(form.initial.get(name)) for name in names}
        after = {name: _text(getattr(obj, name)) for name in names}
        if not change:
            self._record(request, obj, "create", after=after)
        elif before != after:
            self._record(request, obj, "change", before=before, after=after)

    def delete_model(self, request: HttpRequest, obj: PeriodicTask) -> None:
        self._record(request, obj, "delete", before={"name": obj.name})
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        with transaction.atomic():
            for task in queryset:
                self.delete_model(request, task)

    def _record(self, request: HttpRequest, task: PeriodicTask, action: str, **values: Any) -> None:
        actor = principal_of_user(request.user)  # type: ignore[arg-type]
        schedule.periodic_task_record(actor=actor, task=task, action=action, **values)


def _text(value: Any) -> str | None:
    if isinstance(value, models.Model):
        value = value.pk
    return None if value is None else str(value)
