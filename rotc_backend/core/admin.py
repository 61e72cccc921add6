"""Pages of the admin site whose writes go through the services: checked, audited and told like those of the API."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from core.errors import DomainError

VERSION_FIELD = "row_version"
Act = Callable[[Any], object]


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's class takes none at run time
    """History in the admin site: looked at, never edited."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ServiceForm(forms.ModelForm):  # type: ignore[type-arg]
    """The form of a ServiceAdmin. `refusal` is what the service has said to what was sent, if it has refused it.

    `row_version` goes along hidden: a service refuses what was made from a row that somebody else has changed since.
    """

    refusal: ClassVar[DomainError | None] = None

    row_version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            self.initial.setdefault(VERSION_FIELD, getattr(self.instance, "version", None))

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.refusal is not None:
            unplaced = [self.refusal.detail] if not self.refusal.errors else []
            for error in self.refusal.errors:
                name = error.field if error.field in self.fields else error.field.removesuffix("_id")
                if name in self.fields:
                    self.add_error(name, forms.ValidationError(error.detail, code=error.code))
                else:
                    unplaced.append(error.detail)
            for detail in unplaced:
                self.add_error(None, forms.ValidationError(detail, code=self.refusal.code))
        return cleaned


class ServiceAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A model whose rows are written by services: `create_row` and `change_row` call them, nothing is saved here.

    What a service refuses stands beside the field that it is about, and nothing is written. Rows are archived, never
    deleted.
    """

    form = ServiceForm
    show_full_result_count = False

    def create_row(self, request: HttpRequest, fields: dict[str, Any]) -> Any:
        """Call the service that makes a row; return the row. `fields` are those of the form."""
        raise NotImplementedError

    def change_row(self, request: HttpRequest, row: Any, changes: dict[str, Any], expected_version: int) -> Any:
        """Call the service that changes `row`. `changes` are the form's fields that differ from what it showed."""
        raise NotImplementedError

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    # --- The form -----------------------------------------------------------------------------------------------------

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or any(VERSION_FIELD in options["fields"] for _, options in fieldsets):
            return fieldsets
        (title, first), *others = fieldsets
        return [(title, {**first, "fields": [*first["fields"], VERSION_FIELD]}), *others]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # A declared field would else stand in every form, also where no row is that could have a version.
        return [name for name in super().get_fields(request, obj) if name != VERSION_FIELD]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.refusal = getattr(request, "service_refusal", None)  # the class is made anew for each request
        return form

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except DomainError as error:
            # Its transaction has been rolled back. Once more, with the refusal: the form cannot be valid now, and is
            # shown again as it was filled in.
            request.service_refusal = error  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        model_fields = {name: form.cleaned_data[name] for name in form.cleaned_data if name != VERSION_FIELD}
        if not change:
            row = self.create_row(request, model_fields)
            obj.__dict__.update(row.__dict__)
            return
        changes = {name: value for name, value in model_fields.items() if name in form.changed_data}
        if changes:
            version = form.cleaned_data.get(VERSION_FIELD)
            self.change_row(request, obj, changes, version if version is not None else 0)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        raise NotImplementedError("rows are archived, never deleted")

    # --- Actions ------------------------------------------------------------------------------------------------------

    def carry_out(self, request: HttpRequest, rows: QuerySet[Any], *, act: Act, done: str) -> None:
        """`act` on each row in a transaction of its own, and say of each that was refused why. `done`: "approved"."""
        succeeded = 0
        for row in rows:
            try:
                with transaction.atomic():
                    act(row)
            except DomainError as error:
                self.message_user(request, f"{row}: {error.detail}", messages.ERROR)
            else:
                succeeded += 1
        if succeeded:
            noun = self.opts.verbose_name if succeeded == 1 else self.opts.verbose_name_plural
            self.message_user(request, f"{succeeded} {noun} {done}.", messages.SUCCESS)

    def ask_and_carry_out(
        self,
        request: HttpRequest,
        rows: QuerySet[Any],
        *,
        action: str,
        title: str,
        form: type[forms.Form],
        act: Callable[[Any, Mapping[str, Any]], object],
        done: str,
    ) -> HttpResponse | None:
        """As `carry_out`, for actions that need words first (a reason): a page asks for them. `action` is its name."""
        filled = form(request.POST) if "confirmed" in request.POST else form()
        if filled.is_bound and filled.is_valid():
            self.carry_out(request, rows, act=lambda row: act(row, filled.cleaned_data), done=done)
            return None
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "form": filled,
            "media": self.media + filled.media,
            "rows": rows,
            "action": action,
            "select_across": request.POST.get("select_across", "0"),
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
        }
        return TemplateResponse(request, "admin/action_form.html", context)


def keys_of_related(model: type[models.Model], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Form values as services take them: `company` (a row or None) becomes `company_id`."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(model._meta.get_field(name), models.ForeignKey):
            found[f"{name}_id"] = value.pk if value is not None else None
        else:
            found[name] = value
    return found
