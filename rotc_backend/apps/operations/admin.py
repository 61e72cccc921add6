from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib import admin
from django.db import models, transaction
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django_celery_beat.admin import CrontabScheduleAdmin, PeriodicTaskAdmin, ScheduleAdmin
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from apps.accounts.models import Mail, MailPreferences
from apps.accounts.selectors import principal_of_user
from apps.accounts.services import mail_resend
from apps.events.models import OutboxJob
from apps.operations.models import DeadLetter, JournalEntry, Probe, ScheduledRun
from apps.operations.services import dead_letters, schedule
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


@admin.register(JournalEntry)
class JournalEntryAdmin(ReadOnlyAdmin):
    list_display = ("kind", "purpose", "backup_id", "state", "started_at", "finished_at", "bytes", "detail")
    list_filter = ("kind", "outcome", "purpose")
    list_per_page = 50
    search_fields = ("backup_id", "place", "detail")
    search_help_text = "Backup, place, or words of what went wrong"
    date_hierarchy = "asked_at"
    ordering = ("-id",)
    fields = (
        "kind",
        "purpose",
        "backup_id",
        "state",
        "place",
        "asked_by",
        "asked_at",
        "started_at",
        "finished_at",
        "counted",
        "bytes",
        "detail",
        "run",
    )

    @admin.display(description="counts")
    def counted(self, entry: JournalEntry) -> SafeString | str:
        return json_shown(entry.counts)


# Their package has registered them, with writes that leave no trace.
admin.site.unregister([PeriodicTask, CrontabSchedule, IntervalSchedule])


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
        before, after = _differing(names, obj, form)
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


class AuditedScheduleAdmin(ActingAdmin, ScheduleAdmin):
    """When jobs run. Never deleted: their jobs would be deleted along, and leave no trace."""

    list_per_page = 50

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        before, after = _differing(form.changed_data, obj, form)
        if after or not change:
            schedule.schedule_record(
                actor=principal_of_user(request.user),  # type: ignore[arg-type]
                row=obj,
                before=before if change else None,
                after=after,
            )


@admin.register(CrontabSchedule)
class AuditedCrontabAdmin(AuditedScheduleAdmin, CrontabScheduleAdmin):
    pass


admin.site.register(IntervalSchedule, AuditedScheduleAdmin)


def _differing(names: Iterable[str], row: Any, form: ModelForm) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """What these fields were when the form was shown, and what they are now."""
    before = {name: _text(form.initial.get(name)) for name in names}
    return before, {name: _text(getattr(row, name)) for name in before}


def _text(value: Any) -> str | None:
    if isinstance(value, models.Model):
        value = value.pk
    return None if value is None else str(value)


@admin.register(OutboxJob)
class OutboxJobAdmin(ReadOnlyAdmin):
    list_display = ("id", "task", "created_at", "due_at", "sends", "starts")
    list_filter = ("task",)
    list_per_page = 50
    search_fields = ("task", "request_id")
    search_help_text = "Task, or the request that asked for it"
    date_hierarchy = "created_at"
    ordering = ("-id",)
    fields = ("task", "given", "request_id", "created_at", "due_at", "sends", "starts")

    @admin.display(description="arguments")
    def given(self, job: OutboxJob) -> SafeString | str:
        return json_shown(job.arguments)


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    """Tasks that failed for good: retried by asking for the same task again, or dismissed."""

    list_display = ("id", "task", "failed_at", "attempts", "error", "settlement", "settled_at")
    list_filter = (("settled_at", presence_filter("settlement", there="Settled", missing="Open")), "task", "error")
    list_per_page = 50
    search_fields = ("task", "error", "detail", "request_id")
    search_help_text = "Task, error, its words, or the request that asked for it"
    date_hierarchy = "failed_at"
    ordering = ("-id",)
    actions = ("retry", "dismiss")
    fields = (
        "task",
        "given",
        "request_id",
        "attempts",
        "failed_at",
        "error",
        "detail",
        "trace",
        "settlement",
        "settled_at",
        "settled_by_id",
    )

    def row_actions(self, row: DeadLetter) -> Mapping[str, str]:
        return {} if row.settled_at else {"retry": "Retry", "dismiss": "Dismiss"}

    @admin.action(description="Retry the chosen tasks")
    def retry(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> None:
        actor = principal_of_user(request.user)  # type: ignore[arg-type]
        self.carry_out(
            request,
            queryset,
            act=lambda letter: dead_letters.dead_letter_retry(actor=actor, letter_id=letter.pk),
            done="retried",
        )

    @admin.action(description="Dismiss the chosen tasks")
    def dismiss(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> None:
        actor = principal_of_user(request.user)  # type: ignore[arg-type]
        self.carry_out(
            request,
            queryset,
            act=lambda letter: dead_letters.dead_letter_dismiss(actor=actor, letter_id=letter.pk),
            done="dismissed",
        )

    @admin.display(description="arguments")
    def given(self, letter: DeadLetter) -> SafeString | str:
        return json_shown(letter.arguments)

    @admin.display(description="traceback")
    def trace(self, letter: DeadLetter) -> SafeString:
        return format_html('<pre class="json">{}</pre>', letter.traceback or "-")


@admin.register(Mail)
class MailAdmin(ReadOnlyAdmin):
    """E-mail that events caused, and what became of it."""

    list_display = ("event", "kind", "state", "address", "attempts", "created_at", "finished_at", "detail")
    list_filter = ("state", "kind")
    list_per_page = 50
    search_fields = ("event", "address", "detail")
    search_help_text = "What caused it (grade.released:12), where it went, or what was said of it"
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    actions = ("send_again",)
    fields = (
        "event",
        "kind",
        "recipient_id",
        "address",
        "state",
        "detail",
        "attempts",
        "created_at",
        "due_at",
        "claimed_at",
        "finished_at",
        "words",
    )

    def row_actions(self, row: Mail) -> Mapping[str, str]:
        return {"send_again": "Send again"} if row.state in {Mail.State.NOT_SENT, Mail.State.UNKNOWN} else {}

    @admin.action(description="Send the chosen messages again")
    def send_again(self, request: HttpRequest, queryset: QuerySet[Mail]) -> None:
        actor = principal_of_user(request.user)  # type: ignore[arg-type]
        self.carry_out(
            request, queryset, act=lambda mail: mail_resend(actor=actor, mail_id=mail.pk), done="will be sent again"
        )

    @admin.display(description="context")
    def words(self, mail: Mail) -> SafeString | str:
        return json_shown(mail.context)


@admin.register(MailPreferences)
class MailPreferencesAdmin(ReadOnlyAdmin):
    list_display = ("user", "excuse_letters", "grades", "daily_reports")
    list_select_related = ("user",)
    list_filter = ("excuse_letters", "grades", "daily_reports")
    list_per_page = 50
    search_fields = ("user__username",)
    search_help_text = "Account"
    ordering = ("user",)
    fields = ("user", "excuse_letters", "grades", "daily_reports")
