from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from apps.accounts.rules import Principal
from apps.accounts.selectors import principal_of_user
from apps.cadets.models import Term
from apps.training.models import AttendanceRecord, ExcuseLetter, LetterState, Scan, StaffAttendanceRecord, TrainingDay
from apps.training.selectors.letters import letter_visible_to
from apps.training.services import attendance, days, letters
from apps.training.services.records import NO_RECORD, RecordRead, facts_of
from core.admin import (
    Confirmation,
    ReadOnlyAdmin,
    ReasonForm,
    ServiceAdmin,
    TimeSetFilter,
    keys_of_related,
    list_link,
    side_by_side,
)
from core.clock import manila_date, now
from core.errors import NotFound
from core.paths import LARGEST_ID
from core.uploads import file_answer

_CADET_SEARCH = ("cadet__search_text", "cadet__last_name", "cadet__first_name")
_FILE_SENT = {
    "processing": "Being prepared; look again in some seconds.",
    "refused": "None: the picture that was sent could not be used. The cadet was notified why.",
}
_CADET_SEARCH_HELP = "Student number or name"
_FACTS = ("status", "time_in", "time_out", "remarks")
_COLUMNS = ("training_day", *_FACTS, "source", "recorded_by")


class TrainingDayFilter(admin.SimpleListFilter):
    """Offers the days of the current term; a link may name any other."""

    title = "training day"
    parameter_name = "day"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        of_term = TrainingDay.objects.filter(term__is_current=True).order_by("-date", "-id")
        return [(str(day.pk), str(day)) for day in of_term.only("date", "title")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if chosen is None:
            return queryset
        if not (chosen.isascii() and chosen.isdigit() and int(chosen[:20]) <= LARGEST_ID):
            raise IncorrectLookupParameters
        return queryset.filter(training_day_id=int(chosen))


class CancelledFilter(TimeSetFilter):
    title = "taking place"
    parameter_name = "cancelled"
    column = "cancelled_at"
    words = ("Takes place", "Cancelled")


@admin.register(TrainingDay)
class TrainingDayAdmin(ServiceAdmin):
    list_display = ("date", "title", "term", "location", "late_after", "takes_place", "records")
    list_filter = ("term", CancelledFilter)
    list_select_related = ("term",)
    list_per_page = 50
    date_hierarchy = "date"
    ordering = ("-date", "-id")
    search_fields = ("title", "location", "date")
    search_help_text = "Title, place, or date (2026-08-22)"
    fields = ("term", "date", "title", "description", "location", "late_after")
    actions = ("cancel", "reinstate")

    def get_queryset(self, request: HttpRequest) -> QuerySet[TrainingDay]:
        return super().get_queryset(request).select_related("term")

    def get_fields(self, request: HttpRequest, obj: TrainingDay | None = None) -> Any:
        shown = list(super().get_fields(request, obj))
        return shown if obj is None else [*shown, "cancelled_at", "cancel_reason", "records"]

    def get_readonly_fields(self, request: HttpRequest, obj: TrainingDay | None = None) -> Any:
        return () if obj is None else ("term", "cancelled_at", "cancel_reason", "records")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        given: dict[str, Any] = super().get_changeform_initial_data(request)
        return {"term": Term.objects.filter(is_current=True).values_list("pk", flat=True).first(), **given}

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "term":
            kwargs["queryset"] = Term.objects.filter(closed_at=None).order_by("-starts_on", "-id")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def is_frozen(self, row: TrainingDay) -> bool:
        return row.term.closed_at is not None

    @admin.display(description="takes place", boolean=True)
    def takes_place(self, day: TrainingDay) -> bool:
        return day.cancelled_at is None

    @admin.display(description="attendance")
    def records(self, day: TrainingDay) -> str:
        return side_by_side(
            [
                list_link(AttendanceRecord, "Cadets", day=day.pk),
                list_link(StaffAttendanceRecord, "Staff", day=day.pk),
                list_link(Scan, "Scans", day=day.pk),
            ]
        )

    def row_actions(self, row: TrainingDay) -> Mapping[str, str]:
        if self.is_frozen(row):
            return {}
        return {"cancel": "Cancel"} if row.cancelled_at is None else {"reinstate": "Reinstate"}

    # --- Writes -------------------------------------------------------------------------------------------------------

    def create_row(self, request: HttpRequest, fields: dict[str, Any]) -> TrainingDay:
        return days.training_day_create(actor=_actor(request), **keys_of_related(TrainingDay, fields))

    def change_row(
        self, request: HttpRequest, row: TrainingDay, changes: dict[str, Any], expected_version: int
    ) -> TrainingDay:
        return days.training_day_change(
            actor=_actor(request), training_day_id=row.pk, expected_version=expected_version, changes=changes
        )

    @admin.action(description="Cancel the chosen days")
    def cancel(self, request: HttpRequest, queryset: QuerySet[TrainingDay]) -> HttpResponse | None:
        def act(day: TrainingDay, given: Mapping[str, Any]) -> object:
            return days.training_day_cancel(actor=_actor(request), training_day_id=day.pk, reason=given["reason"])

        return self.ask_and_carry_out(
            request,
            queryset,
            action="cancel",
            title="Cancel: they count for nobody",
            form=ReasonForm,
            act=act,
            done="cancelled",
        )

    @admin.action(description="Reinstate the chosen days")
    def reinstate(self, request: HttpRequest, queryset: QuerySet[TrainingDay]) -> None:
        def act(day: TrainingDay) -> object:
            return days.training_day_reinstate(actor=_actor(request), training_day_id=day.pk)

        self.carry_out(request, queryset, act=act, done="reinstated")


class AttendanceAdmin(ServiceAdmin):
    """Records of cadets or of staff: marked for a person and a day, corrected, or removed as if nobody had marked."""

    person: ClassVar[str]

    list_filter = ("status", "source", TrainingDayFilter, "training_day__term")
    list_per_page = 50
    ordering = ("-id",)
    actions = ("unmark",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("training_day__term", self.person, "recorded_by")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        shown = list(super().get_fields(request, obj))
        return shown if obj is None else [*shown, "source", "recorded_by", "updated_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else ("training_day", self.person, "source", "recorded_by", "updated_at")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        today = TrainingDay.objects.filter(date=manila_date(now()), cancelled_at=None).values_list("pk", flat=True)
        given: dict[str, Any] = super().get_changeform_initial_data(request)
        return {"training_day": today.first(), **given}

    def is_frozen(self, row: Any) -> bool:
        return row.training_day.term.closed_at is not None

    def row_actions(self, row: Any) -> Mapping[str, str]:
        return {} if self.is_frozen(row) else {"unmark": "Remove"}

    def name_of(self, row: Any) -> str:
        return f"{getattr(row, self.person)}, {row.training_day}"

    # --- Writes -------------------------------------------------------------------------------------------------------

    def mark(self, request: HttpRequest, *, day_id: int, person_id: int, facts: Any, expected: RecordRead) -> Any:
        raise NotImplementedError

    def remove(self, request: HttpRequest, *, day_id: int, person_id: int) -> None:
        raise NotImplementedError

    def create_row(self, request: HttpRequest, fields: dict[str, Any]) -> Any:
        facts = {name: value for name, value in fields.items() if name not in {"training_day", self.person}}
        return self.mark(
            request,
            day_id=fields["training_day"].pk,
            person_id=fields[self.person].pk,
            facts=facts,
            expected=NO_RECORD,
        )

    def change_row(self, request: HttpRequest, row: Any, changes: dict[str, Any], expected_version: int) -> Any:
        # As it is stored: the form's own row has its values, whose times have lost their fractions of a second.
        stored = self.model._default_manager.filter(pk=row.pk).first()
        return self.mark(
            request,
            day_id=row.training_day_id,
            person_id=getattr(row, f"{self.person}_id"),
            facts={**facts_of(stored), **changes},
            expected=RecordRead(row_id=row.pk, version=expected_version),
        )

    @admin.action(description="Remove the chosen records")
    def unmark(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        def act(row: Any, _given: Mapping[str, Any]) -> None:
            self.remove(request, day_id=row.training_day_id, person_id=getattr(row, f"{self.person}_id"))

        return self.ask_and_carry_out(
            request,
            queryset,
            action="unmark",
            title="Remove, as if nobody had marked them",
            form=Confirmation,
            act=act,
            done="removed",
        )


@admin.register(AttendanceRecord)
class AttendanceRecordAdmin(AttendanceAdmin):
    person = "cadet"
    list_display = ("cadet", *_COLUMNS)
    fields = ("training_day", "cadet", *_FACTS)
    autocomplete_fields = ("training_day", "cadet")
    search_fields = _CADET_SEARCH
    search_help_text = _CADET_SEARCH_HELP

    def mark(self, request: HttpRequest, *, day_id: int, person_id: int, facts: Any, expected: RecordRead) -> Any:
        record, _ = attendance.attendance_mark(
            actor=_actor(request), training_day_id=day_id, cadet_id=person_id, facts=facts, expected=expected
        )
        return record

    def remove(self, request: HttpRequest, *, day_id: int, person_id: int) -> None:
        attendance.attendance_unmark(actor=_actor(request), training_day_id=day_id, cadet_id=person_id)


@admin.register(StaffAttendanceRecord)
class StaffAttendanceRecordAdmin(AttendanceAdmin):
    person = "staff_profile"
    list_display = ("staff_profile", *_COLUMNS)
    fields = ("training_day", "staff_profile", *_FACTS)
    autocomplete_fields = ("training_day", "staff_profile")
    search_fields = ("staff_profile__last_name", "staff_profile__first_name", "staff_profile__afpsn")
    search_help_text = "Name or AFP serial number"

    def mark(self, request: HttpRequest, *, day_id: int, person_id: int, facts: Any, expected: RecordRead) -> Any:
        record, _ = attendance.staff_attendance_mark(
            actor=_actor(request), training_day_id=day_id, staff_id=person_id, facts=facts, expected=expected
        )
        return record

    def remove(self, request: HttpRequest, *, day_id: int, person_id: int) -> None:
        attendance.staff_attendance_unmark(actor=_actor(request), training_day_id=day_id, staff_id=person_id)


# --- Excuse letters ---------------------------------------------------------------------------------------------------


class ApproveForm(forms.Form):
    note = forms.CharField(
        max_length=500,
        required=False,
        widget=forms.TextInput(attrs={"size": 80}),
        help_text="The cadet reads it. May stay empty.",
    )


class RejectForm(forms.Form):
    note = forms.CharField(
        max_length=500, label="Reason", widget=forms.TextInput(attrs={"size": 80}), help_text="The cadet reads it."
    )


@admin.register(ExcuseLetter)
class ExcuseLetterAdmin(ReadOnlyAdmin):
    """Cadets write letters; here they are read and decided."""

    list_display = ("cadet", "date_absent", "training_day", "state", "has_file", "created_at", "decided_by")
    list_filter = ("state", "term")
    list_select_related = ("cadet", "training_day", "decided_by")
    list_per_page = 50
    date_hierarchy = "date_absent"
    ordering = ("-id",)
    search_fields = (*_CADET_SEARCH, "reason")
    search_help_text = f"{_CADET_SEARCH_HELP}, or words of the reason"
    actions = ("approve", "reject")
    fields = (
        "cadet",
        "term",
        "date_absent",
        "training_day",
        "reason",
        "attachment",
        "created_at",
        "state",
        "decided_by",
        "decided_at",
        "decision_note",
    )
    readonly_fields = ("attachment",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExcuseLetter]:
        return super().get_queryset(request).select_related("cadet", "term", "training_day", "decided_by")

    def get_urls(self) -> list[URLPattern]:
        file = path(
            "<id:letter_id>/file/", self.admin_site.admin_view(self.file_view), name="training_excuseletter_file"
        )
        return [file, *super().get_urls()]

    def row_actions(self, row: ExcuseLetter) -> Mapping[str, str]:
        return {"approve": "Approve", "reject": "Reject"} if row.state == LetterState.PENDING else {}

    def name_of(self, row: ExcuseLetter) -> str:
        return f"{row.cadet}, {row.date_absent}: {row.reason[:120]}"

    @admin.display(description="file", boolean=True)
    def has_file(self, letter: ExcuseLetter) -> bool:
        return bool(letter.file)

    @admin.display(description="file")
    def attachment(self, letter: ExcuseLetter) -> str:
        if not letter.file:
            return _FILE_SENT.get(letter.file_sent, "None")
        address = reverse("admin:training_excuseletter_file", args=[letter.pk])
        return format_html('<a href="{}">{}</a>', address, letter.file_name or "Open")

    def file_view(self, request: HttpRequest, letter_id: int) -> HttpResponseBase:
        try:
            letter = letter_visible_to(principal=_actor(request), letter_id=letter_id)
        except NotFound as error:
            raise Http404 from error
        if not letter.file:
            raise Http404
        try:
            return file_answer(name=letter.file, content_type=letter.file_type, download_name=letter.file_name)
        except NotFound:
            self.message_user(request, "The file is no longer in the storage.", messages.ERROR)
            return redirect("admin:training_excuseletter_change", letter.pk)

    @admin.action(description="Approve the chosen letters")
    def approve(self, request: HttpRequest, queryset: QuerySet[ExcuseLetter]) -> HttpResponse | None:
        def act(letter: ExcuseLetter, given: Mapping[str, Any]) -> object:
            return letters.letter_approve(actor=_actor(request), letter_id=letter.pk, note=given["note"])

        return self.ask_and_carry_out(
            request,
            queryset,
            action="approve",
            title="Approve and excuse",
            form=ApproveForm,
            act=act,
            done="approved",
        )

    @admin.action(description="Reject the chosen letters")
    def reject(self, request: HttpRequest, queryset: QuerySet[ExcuseLetter]) -> HttpResponse | None:
        def act(letter: ExcuseLetter, given: Mapping[str, Any]) -> object:
            return letters.letter_reject(actor=_actor(request), letter_id=letter.pk, note=given["note"])

        return self.ask_and_carry_out(
            request, queryset, action="reject", title="Reject", form=RejectForm, act=act, done="rejected"
        )


# --- Scans ------------------------------------------------------------------------------------------------------------


@admin.register(Scan)
class ScanAdmin(ReadOnlyAdmin):
    """Codes that were taken. Why others were refused stands in the audit trail (`scan.refuse`)."""

    list_display = ("cadet", "training_day", "effect", "scanned_at", "received_at", "scanned_by")
    list_filter = ("effect", TrainingDayFilter, "training_day__term")
    list_select_related = ("cadet", "training_day", "scanned_by")
    list_per_page = 50
    ordering = ("-received_at",)
    search_fields = _CADET_SEARCH
    search_help_text = _CADET_SEARCH_HELP
    fields = ("cadet", "training_day", "effect", "scanned_at", "received_at", "scanned_by", "scan_id", "nonce")

    def name_of(self, row: Scan) -> str:
        return f"{row.cadet}, {row.training_day}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Scan]:
        return super().get_queryset(request).select_related("cadet", "training_day", "scanned_by")


def _actor(request: HttpRequest) -> Principal:
    return principal_of_user(request.user)  # type: ignore[arg-type]  # the site has let in an account of ours
