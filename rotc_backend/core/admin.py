"""Pages of the admin site whose writes go through the services: checked, audited and told like those of the API."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.db import OperationalError, models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from rest_framework.serializers import Serializer

from core.errors import DomainError, FieldError, PreconditionFailed, Unavailable

VERSION_FIELD = "row_version"
MOST_AT_ONCE = 500  # rows of one action: each is a transaction of its own, and the request has to end in time
NOTHING_TO_DO = "Nothing to do: what you chose is so already."
CHANGED_MEANWHILE = (
    "Somebody has changed this since you opened the page. Open it again, look at what changed, and repeat your change."
)
BUSY = "Others are writing what this would write, and it waited too long for them. This was not saved; try again soon."
# Fields that no filter of a list may ask for, over any relation: guess by guess it would tell a secret, or what people
# wrote to each other, and leave no trace.
UNFINDABLE = frozenset({"body", "data", "password", "refresh_id", "previous_refresh_id", "token_digest"})
Act = Callable[[Any], object]


class TolerantList(ChangeList):
    """A list whose address was written by hand: what the database cannot compare with leads back to the whole list."""

    def get_results(self, request: HttpRequest) -> None:
        try:
            super().get_results(request)
        except ValueError as error:  # a year that no date has
            raise IncorrectLookupParameters(error) from error


class ActingAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's class takes none at run time
    """A model with actions that call services."""

    show_full_result_count = False
    change_form_template = "admin/acting_change_form.html"

    class Media:
        css: ClassVar[dict[str, tuple[str, ...]]] = {"all": ("rgms/admin.css",)}

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return UNFINDABLE.isdisjoint(lookup.split("__")) and super().lookup_allowed(lookup, value, request)

    def get_changelist(self, request: HttpRequest, **_kwargs: Any) -> type[ChangeList]:
        return TolerantList

    # --- Actions ------------------------------------------------------------------------------------------------------

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:  # type: ignore[override]  # its stubs are of a later Django
        try:
            for key in request.POST.getlist(ACTION_CHECKBOX_NAME):
                self.opts.pk.to_python(key)
        except ValidationError:  # sent by something else than the list
            self.message_user(request, "Choose rows of the list.", messages.ERROR)
            return None
        return super().response_action(request, queryset)

    def carry_out(self, request: HttpRequest, rows: QuerySet[Any], *, act: Act, done: str) -> None:
        """`act` on each row in a transaction of its own, and say of each that was refused why. `done`: "approved".

        The first that waits too long for somebody else (an import, say) is the last: each of the others might as well.
        """
        if self.too_many(request, rows):
            return
        succeeded = refused = 0
        for row in rows:
            try:
                with transaction.atomic():
                    act(row)
            except DomainError as error:
                refused += 1
                self.message_user(request, f"{self.name_of(row)}: {_words_of(error)}", messages.ERROR)
            except OperationalError:
                refused += 1
                left = len(rows) - succeeded - refused
                others = f" Not tried after it: {left}." if left else ""
                self.message_user(request, f"{self.name_of(row)}: {BUSY}{others}", messages.ERROR)
                break
            else:
                succeeded += 1
        if succeeded:
            noun = self.opts.verbose_name if succeeded == 1 else self.opts.verbose_name_plural
            self.message_user(request, f"{succeeded} {noun} {done}.", messages.SUCCESS)
        elif not refused:
            self.message_user(request, NOTHING_TO_DO, messages.WARNING)

    def row_actions(self, row: Any) -> Mapping[str, str]:
        """Actions that the page of this row offers as the list does: their names, and the words on their buttons."""
        return {}

    def render_change_form(  # noqa: PLR0917 - Django's signature
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        if change:
            context |= {"row_actions": self.row_actions(obj).items(), "subtitle": self.name_of(obj)}
        return super().render_change_form(request, context, add=add, change=change, form_url=form_url, obj=obj)

    def name_of(self, row: Any) -> str:
        """What its page, and those of actions, call a row."""
        return str(row)

    def too_many(self, request: HttpRequest, rows: QuerySet[Any], *, most: int = MOST_AT_ONCE) -> bool:
        """Whether an action would have more than `most` rows; if so, who asked for it is told."""
        if len(rows[: most + 1]) <= most:
            return False
        self.message_user(request, f"Choose at most {most} rows at once; nothing was done.", messages.ERROR)
        return True

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
        """As `carry_out`, after a page that asks for words (a reason), or with Confirmation only whether to go on.

        `action` is the name of the action.
        """
        if not rows.exists():
            self.message_user(request, NOTHING_TO_DO, messages.WARNING)
            return None
        filled = form(request.POST) if "confirmed" in request.POST else form()
        if filled.is_bound and filled.is_valid():
            self.carry_out(request, rows, act=lambda row: act(row, filled.cleaned_data), done=done)
            return None
        return self.ask(request, rows, action=action, title=title, form=filled)

    def ask(
        self, request: HttpRequest, rows: QuerySet[Any], *, action: str, title: str, form: forms.Form
    ) -> HttpResponse:
        """The page that asks for the words of an action."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "form": form,
            "media": self.media + form.media,
            "rows": [self.name_of(row) for row in rows[: MOST_AT_ONCE + 1]],
            "action": action,
            "select_across": request.POST.get("select_across", "0"),
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
        }
        return TemplateResponse(request, "admin/action_form.html", context)


class ReadOnlyAdmin(ActingAdmin):
    """History in the admin site: looked at, never edited."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LinesField(forms.CharField):
    """Text of several lines as the API has it: browsers send every line end as CRLF, and each save would differ."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        return text.replace("\r\n", "\n") if isinstance(text, str) else text


class ServiceForm(forms.ModelForm):  # type: ignore[type-arg]
    """The form of a ServiceAdmin. `refusal` is what the service has said to what was sent, if it has refused it.

    `row_version` goes along hidden: a service refuses what was made from a row that somebody else has changed since.
    """

    refusal: ClassVar[DomainError | None] = None
    # Where a refusal stands that names no field of the form: by its code, or by the field of the service.
    refused_fields: ClassVar[Mapping[str, str]] = {}

    row_version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            self.initial.setdefault(VERSION_FIELD, getattr(self.instance, "version", None))

    def _post_clean(self) -> None:
        # The services look after constraints, and say what to do where Django would name one.
        self.instance.validate_constraints = lambda exclude=None: None
        super()._post_clean()  # type: ignore[misc]  # Django's own, which the stubs leave out

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if isinstance(self.refusal, PreconditionFailed):  # its own words speak to programs
            self.add_error(None, forms.ValidationError(CHANGED_MEANWHILE, code=self.refusal.code))
        elif self.refusal is not None:
            whole = FieldError(field=self.refusal.code, code=self.refusal.code, detail=self.refusal.detail)
            for error in self.refusal.errors or [whole]:
                self.add_error(self._place_of(error.field), forms.ValidationError(error.detail, code=error.code))
        return cleaned

    def _place_of(self, named: str) -> str | None:
        """The form's field for a field of the service, or for the code of a refusal; None: it is about the whole."""
        wanted = (named, named.removesuffix("_id"), self.refused_fields.get(named))
        return next((name for name in wanted if name in self.fields), None)


class InputForm(ServiceForm):
    """A ServiceForm whose fields are checked and cleaned by the serializer with which the API takes the same write."""

    input_class: ClassVar[type[Serializer[Any]]]

    def validate_unique(self) -> None:
        """As with constraints: the service knows the words."""

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        known = self.input_class().fields
        # Of a change only what differs: a value from before a rule of today stays until somebody touches it. And what
        # was left open is not there.
        given = {
            name: value
            for name, value in cleaned.items()
            if name in known
            and (self.instance.pk is None or name in self.changed_data)
            and (value is not None or known[name].allow_null)
        }
        checked = self.input_class(data=given, partial=True)
        if checked.is_valid():
            return {**cleaned, **checked.validated_data}
        for name, errors in checked.errors.items():
            self.add_error(name, [forms.ValidationError(str(error), code=error.code) for error in errors])
        return None


class ServiceAdmin(ActingAdmin):
    """A model whose rows are written by services: `create_row` and `change_row` call them, nothing is saved here.

    What a service refuses stands beside the field that it is about, and nothing is written. Rows are archived, never
    deleted.
    """

    form = ServiceForm
    formfield_overrides: ClassVar[dict[Any, Any]] = {models.TextField: {"form_class": LinesField}}

    def create_row(self, request: HttpRequest, fields: dict[str, Any]) -> Any:
        """Call the service that makes a row; return the row. `fields` are those of the form."""
        raise NotImplementedError

    def change_row(self, request: HttpRequest, row: Any, changes: dict[str, Any], expected_version: int) -> Any:
        """Call the service that changes `row`. `changes` are the form's fields that differ from what it showed."""
        raise NotImplementedError

    def is_frozen(self, row: Any) -> bool:
        """Whether nothing about this row can be changed any more, so that it is only shown."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Whoever opened the page before the row was frozen is refused by the service, in its words.
        frozen = obj is not None and request.method != "POST" and self.is_frozen(obj)
        return not frozen and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    # --- The form -----------------------------------------------------------------------------------------------------

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if not self.has_change_permission(request, obj):
            return fieldsets  # a page that only shows the row
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
        except (DomainError, OperationalError) as error:
            # Its transaction has been rolled back. Once more, with the refusal: the form cannot be valid now, and is
            # shown again as it was filled in.
            refusal = error if isinstance(error, DomainError) else Unavailable(BUSY)
            request.service_refusal = refusal  # type: ignore[attr-defined]
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


def keys_of_related(model: type[models.Model], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Form values as services take them: `company` (a row or None) becomes `company_id`."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(model._meta.get_field(name), models.ForeignKey):
            found[f"{name}_id"] = value.pk if value is not None else None
        else:
            found[name] = value
    return found


class Confirmation(forms.Form):
    """Asks for nothing but to go on."""


class ReasonForm(forms.Form):
    """For what has to be accounted for."""

    reason = forms.CharField(max_length=255, widget=forms.TextInput(attrs={"size": 60}))


class ArchivedFilter(admin.SimpleListFilter):
    """Those in use, unless asked for: people and lists only grow, and most of them are of former years."""

    title = "archived"
    parameter_name = "archived"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Archived"), ("all", "All")]

    def choices(self, changelist: Any) -> Iterator[Any]:
        for value, title in [(None, "In use"), *self.lookup_choices]:
            query = changelist.get_query_string(
                *([{self.parameter_name: value}] if value else [{}, [self.parameter_name]])
            )
            yield {"selected": self.value() == value, "query_string": query, "display": title}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        # An action names its rows, and may come from the page of one that is archived.
        named = request.method == "POST" and request.POST.get("select_across", "0") == "0"
        if self.value() == "all" or (self.value() is None and named):
            return queryset
        return queryset.filter(archived_at__isnull=self.value() != "yes")


def presence_filter(title: str, *, there: str, missing: str) -> type[admin.EmptyFieldListFilter]:
    """A filter by whether a field has a value, in words: for `list_filter`, as `("read_at", presence_filter(…))`."""

    class PresenceFilter(admin.EmptyFieldListFilter):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.title = title

        def choices(self, changelist: Any) -> Iterator[Any]:
            words = {str(_("Empty")): missing, str(_("Not empty")): there}
            for choice in super().choices(changelist):
                shown = str(choice["display"])
                bare, _space, count = shown.partition(" (")  # the count stands there when it was asked for
                yield {**choice, "display": words.get(bare, bare) + (f" ({count}" if count else "")}

    return PresenceFilter


def archive_or_restore(row: Any) -> Mapping[str, str]:
    """The row action that fits, of a page that has both."""
    return {"archive": "Archive"} if row.archived_at is None else {"restore": "Restore"}


class TimeSetFilter(admin.SimpleListFilter):
    """Rows by whether a time of theirs is set: until when they were in force, since when they are revoked."""

    column: ClassVar[str]
    words: ClassVar[tuple[str, str]]  # unset, set

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        unset, is_set = self.words
        return [("no", unset), ("yes", is_set)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in {"no", "yes"}:
            return queryset
        return queryset.filter(**{f"{self.column}__isnull": self.value() == "no"})


# --- What pages show --------------------------------------------------------------------------------------------------


def link_to(row: models.Model | None, text: str = "") -> SafeString | str:
    """A link to the page of a row, or a dash for none."""
    if row is None:
        return "-"
    address = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    return format_html('<a href="{}">{}</a>', address, text or str(row))


def list_link(model: type[models.Model], text: str = "", **query: Any) -> SafeString:
    """A link to a list, filtered by `query`."""
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    shown = text or capfirst(str(model._meta.verbose_name_plural))
    return format_html('<a href="{}?{}">{}</a>', address, urlencode(query), shown)


def side_by_side(links: Iterable[SafeString | str]) -> SafeString:
    return format_html_join(" · ", "{}", ((link,) for link in links))


def json_shown(value: Any) -> SafeString | str:
    """JSON as people read it; a dash for nothing."""
    if value in (None, {}, []):
        return "-"
    return format_html('<pre class="json">{}</pre>', _json(value, indent=2))


def changes_shown(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> SafeString | str:
    """What a write has changed, field by field; a dash for nothing."""
    old, new = before or {}, after or {}
    names = [*old, *(name for name in new if name not in old)]
    if not names:
        return "-"
    rows = format_html_join(
        "",
        "<tr><th scope=row>{}</th><td>{}</td><td>{}</td></tr>",
        ((name, _plain(old, name), _plain(new, name)) for name in names),
    )
    head = "<thead><tr><th scope=col>Field</th><th scope=col>Before</th><th scope=col>After</th></tr></thead>"
    return format_html('<table class="changes">' + head + "<tbody>{}</tbody></table>", rows)


def _plain(values: Mapping[str, Any], name: str) -> str:
    if name not in values:
        return ""
    value = values[name]
    return value if isinstance(value, str) and value else _json(value)


def _json(value: Any, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str, **options)


def _words_of(refusal: DomainError) -> str:
    """A refusal in one line; what it says of its fields says more than its title."""
    return " ".join(error.detail for error in refusal.errors) or refusal.detail
