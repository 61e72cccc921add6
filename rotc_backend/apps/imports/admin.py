from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import Case, QuerySet, Value, When
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from apps.accounts.rules import Principal
from apps.accounts.selectors import principal_of_user
from apps.cadets.models import Term
from apps.imports import rules, selectors
from apps.imports.models import Fate, ImportFile, ImportRow, ImportRun, Kind, OnDuplicate, State
from apps.imports.services import asking
from apps.imports.services.kinds import KINDS
from apps.imports.services.templates import template_columns, template_rows
from apps.training.models import TrainingDay
from core.admin import ReadOnlyAdmin
from core.errors import DomainError, NotFound
from core.spreadsheets.reading import LARGEST_FILE
from core.spreadsheets.writing import FILE_FORMATS, spreadsheet_answer

_ROWS_ON_A_PAGE = 50
_REFRESH_SECONDS = 2  # while the worker has a run, its page looks again by itself
_FIELDS = {"term_id": "term", "training_day_id": "training_day"}


class TrainingDayField(forms.ModelChoiceField):
    def label_from_instance(self, obj: TrainingDay) -> str:
        cancelled = " (cancelled)" if obj.cancelled_at else ""
        return f"{obj.date:%Y-%m-%d} {obj.title}{cancelled}"


class ImportForm(forms.Form):
    """What an import needs. What the services refuse stands beside its field."""

    kind = forms.ChoiceField(choices=Kind.choices, label="What the file holds")
    file = forms.FileField(
        allow_empty_file=True,  # the service says what is wrong with it
        help_text="Excel workbook (.xlsx) or CSV, at most 10 MB.",
        widget=forms.FileInput(attrs={"accept": ".xlsx,.csv,.txt"}),
    )
    term = forms.ModelChoiceField(
        queryset=Term.objects.order_by("-starts_on", "-id"),
        required=False,
        empty_label="The current term",
        help_text="For cadets and exam scores.",
    )
    training_day = TrainingDayField(
        queryset=TrainingDay.objects.order_by("-date", "-id"),
        required=False,
        empty_label="Choose the training day",
        help_text="For attendance.",
    )
    on_duplicate = forms.ChoiceField(
        choices=OnDuplicate.choices,
        initial=OnDuplicate.UPDATE,
        widget=forms.RadioSelect,
        label="What exists already",
    )

    class Media:
        js = ("imports/import_form.js",)

    def clean_file(self) -> Any:
        upload = self.cleaned_data["file"]
        if upload.size > LARGEST_FILE:
            raise forms.ValidationError(f"Send at most {LARGEST_FILE // 1024 // 1024} MB. Send several files instead.")
        return upload

    def add_refusal(self, refusal: DomainError) -> None:
        for error in refusal.errors:
            name = _FIELDS.get(error.field, error.field)
            self.add_error(name if name in self.fields else None, forms.ValidationError(error.detail, code=error.code))
        if not refusal.errors:
            self.add_error(None, forms.ValidationError(refusal.detail, code=refusal.code))


@admin.register(ImportRun)
class ImportRunAdmin(ReadOnlyAdmin):
    """Files are sent here, looked at, and then applied or cancelled."""

    list_display = ("file_name", "kind", "into", "state", "rows", "created_by", "created_at")
    list_filter = ("kind", "state", "created_at")
    list_select_related = ("created_by", "term", "training_day")
    list_per_page = 50
    search_fields = ("file_name", "created_by__username")
    search_help_text = "Name of the file, or of the account that sent it"
    ordering = ("-id",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    @admin.display(description="into")
    def into(self, run: ImportRun) -> str:
        return str(run.training_day or run.term or "")

    @admin.display(description="rows")
    def rows(self, run: ImportRun) -> str:
        return ", ".join(f"{count} {label.lower()}" for _, label, count in _counts(run) if count)

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                "template/<str:kind>.<str:file_format>",
                self._page(self.template_view),
                name="imports_importrun_template",
            ),
            path("<id:run_id>/apply/", self._page(self.apply_view), name="imports_importrun_apply"),
            path("<id:run_id>/cancel/", self._page(self.cancel_view), name="imports_importrun_cancel"),
        ]
        return [*own, *super().get_urls()]

    def _page(self, view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        return self.admin_site.admin_view(view)

    # --- Sending a file -----------------------------------------------------------------------------------------------

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        form = (
            ImportForm(request.POST, request.FILES)
            if request.method == "POST"
            else ImportForm(initial={name: request.GET[name] for name in request.GET if name in ImportForm.base_fields})
        )
        if form.is_bound and form.is_valid():
            fields = form.cleaned_data
            try:
                run = asking.import_create(
                    actor=_actor(request),
                    kind=fields["kind"],
                    file_name=fields["file"].name or "",
                    content=fields["file"].read(),
                    term_id=fields["term"].pk if fields["term"] and fields["kind"] != Kind.ATTENDANCE else None,
                    training_day_id=fields["training_day"].pk
                    if fields["training_day"] and fields["kind"] == Kind.ATTENDANCE
                    else None,
                    on_duplicate=fields["on_duplicate"],
                )
            except DomainError as refusal:
                form.add_refusal(refusal)
            else:
                return redirect("admin:imports_importrun_change", run.pk)
        templates = [(label, kind, file_format) for kind, label in Kind.choices for file_format in FILE_FORMATS]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Import a file",
            "form": form,
            "media": self.media + form.media,
            "templates": templates,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/imports/importrun/upload.html", context)

    def template_view(self, request: HttpRequest, kind: str, file_format: str) -> HttpResponseBase:
        if kind not in rules.KINDS or file_format not in FILE_FORMATS:
            raise Http404
        return spreadsheet_answer(
            file_format=file_format,
            file_name=f"{kind}-template",
            sheet_name=kind.capitalize(),
            columns=template_columns(kind),
            rows=template_rows(kind),
        )

    # --- Looking at what becomes of it, applying and cancelling -------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        run = self._run(request, object_id)
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        fate = request.GET.get("fate", "")
        rows = selectors.rows_of(run=run, fate=fate if fate in Fate.values else None)
        page = Paginator(_problems_first(rows), _ROWS_ON_A_PAGE).get_page(request.GET.get("p"))
        titles = {column.field: column.title for column in KINDS[run.kind].columns}
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": str(run),
            "media": self.media,
            "run": run,
            "counts": _counts(run),
            "fate": fate,
            "page": page,
            "rows": [_shown(row, titles) for row in page],
            "writes": rules.writes(run.counts),
            "expires_at": selectors.ready_until(run),
            "refresh_seconds": _REFRESH_SECONDS if run.is_under_way else None,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/imports/importrun/run.html", context)

    def apply_view(self, request: HttpRequest, run_id: int) -> HttpResponseBase:
        return self._asked(request, run_id, asking.import_apply)

    def cancel_view(self, request: HttpRequest, run_id: int) -> HttpResponseBase:
        return self._asked(request, run_id, asking.import_cancel)

    def _asked(self, request: HttpRequest, run_id: int, ask: Callable[..., ImportRun]) -> HttpResponseBase:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            run = ask(actor=_actor(request), run_id=run_id)
        except NotFound as error:
            raise Http404 from error
        except DomainError as refusal:
            self.message_user(request, refusal.detail, messages.ERROR)
        else:
            self.message_user(request, _words_of(run), messages.SUCCESS)
        return redirect(reverse("admin:imports_importrun_change", args=[run_id]))

    def _run(self, request: HttpRequest, object_id: str) -> ImportRun:
        if not (object_id.isascii() and object_id.isdigit() and len(object_id) < 19):
            raise Http404
        try:
            return selectors.import_visible_to(principal=_actor(request), run_id=int(object_id))
        except NotFound as error:
            raise Http404 from error


@admin.register(ImportRow)
class ImportRowAdmin(ReadOnlyAdmin):
    """Over all imports, to find what an import did to somebody; a run's own page shows its rows with their problems."""

    list_display = ("label", "fate", "sheet", "row", "run", "changes")
    list_filter = ("fate", "run__kind")
    list_select_related = ("run",)
    list_per_page = 50
    search_fields = ("label",)
    search_help_text = "Student number or name, as the file has it"
    ordering = ("-run_id", "number")


@admin.register(ImportFile)
class ImportFileAdmin(ReadOnlyAdmin):
    """That a file is still kept; not what is in it."""

    list_display = ("run", "size")
    list_select_related = ("run",)
    fields = ("run", "size")
    ordering = ("-run_id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ImportFile]:
        return super().get_queryset(request).select_related("run").defer("content")

    @admin.display(description="bytes")
    def size(self, file: ImportFile) -> int:
        return file.run.file_bytes


def _actor(request: HttpRequest) -> Principal:
    return principal_of_user(request.user)  # type: ignore[arg-type]  # the site has let in an account of ours


def _words_of(run: ImportRun) -> str:
    """What becomes of a run that somebody has just asked to apply or to cancel."""
    if run.state == State.CANCELLED:
        return "It is stopped; nothing of it is saved."
    if run.cancel_requested_at is not None:
        return "The worker was asked to stop and takes everything back, unless it has just come to its end."
    return "The worker applies it now."


def _problems_first(rows: QuerySet[ImportRow]) -> QuerySet[ImportRow]:
    return rows.order_by(Case(When(fate=Fate.REFUSE, then=Value(0)), default=Value(1)), "number")


def _shown(row: ImportRow, titles: Mapping[str, str]) -> dict[str, Any]:
    """A row in the words of the file: fields by the titles of their columns, in their order."""
    order = list(titles)

    def place(field: str) -> int:
        return order.index(field) if field in titles else len(order)

    return {
        "row": row,
        "problems": [{**problem, "title": titles.get(problem["field"], problem["field"])} for problem in row.problems],
        "changes": [(titles.get(field, field), row.changes[field]) for field in sorted(row.changes, key=place)],
    }


def _counts(run: ImportRun) -> list[tuple[str, str, int]]:
    """(fate, its name, rows) in the order in which people ask for them."""
    order = (Fate.REFUSE, Fate.CREATE, Fate.CHANGE, Fate.SKIP, Fate.UNCHANGED)
    return [(fate.value, fate.label, run.counts[fate.value]) for fate in order if fate.value in run.counts]
