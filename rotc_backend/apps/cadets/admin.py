from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Count, Prefetch, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from apps.accounts.rules import Principal
from apps.accounts.selectors import principal_of_user
from apps.cadets import selectors
from apps.cadets.api.serializers.cadets import CadetInput, EnrollmentInput
from apps.cadets.api.serializers.lists import ListEntryInput
from apps.cadets.api.serializers.staff import StaffInput
from apps.cadets.models import (
    Cadet,
    Company,
    Enrollment,
    EnrollmentStatus,
    ListEntry,
    MilitaryScienceLevel,
    Platoon,
    StaffProfile,
)
from apps.cadets.rules import search_words
from apps.cadets.services import cadets, enrollments, links, lists, photos, staff
from core.admin import (
    ArchivedFilter,
    Confirmation,
    InputForm,
    ServiceAdmin,
    archive_or_restore,
    keys_of_related,
    link_to,
    list_link,
    presence_filter,
    side_by_side,
)
from core.errors import DomainError
from core.uploads import file_answer

# Terms are registered by the app that closes them.

ACCOUNT_FILTER = presence_filter("account", there="Has an account", missing="Has none")
_UNCHOSEN = "---------"
_PHOTO_SENT = {
    "processing": "A new photo is being prepared; look again in some seconds.",
    "refused": "The photo sent last could not be used; its sender was notified why.",
}


# --- Lists ------------------------------------------------------------------------------------------------------------


class ListEntryForm(InputForm):
    input_class = ListEntryInput
    refused_fields: ClassVar = {"name_taken": "name"}


class ListEntryAdmin(ServiceAdmin):
    """An entry of one of the unit's lists. Those that are archived keep who is in them and take nobody new."""

    form = ListEntryForm
    fields = ("name", "position", "archived_at")
    readonly_fields = ("archived_at",)
    list_display = ("name", "position", "enrolled_now", "archived_at")
    list_filter = (ArchivedFilter,)
    list_per_page = 50
    search_fields = ("name",)
    ordering = ("position", "name")
    actions = ("archive", "restore")
    model: type[ListEntry]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        now = Count("enrollments", filter=Q(enrollments__term__is_current=True))
        return super().get_queryset(request).annotate(enrolled=now)

    @admin.display(description="enrolled now", ordering="enrolled")
    def enrolled_now(self, entry: Any) -> SafeString:
        query = {f"{self.opts.model_name}__id__exact": entry.pk, "term__is_current__exact": 1}
        return list_link(Enrollment, str(entry.enrolled), **query)

    def row_actions(self, row: Any) -> Mapping[str, str]:
        return archive_or_restore(row)

    @admin.action(description="Archive: takes nobody new")
    def archive(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self.carry_out(request, queryset.filter(archived_at=None), act=self._call(request, "archive"), done="archived")

    @admin.action(description="Restore")
    def restore(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        chosen = queryset.exclude(archived_at=None)
        self.carry_out(request, chosen, act=self._call(request, "restore"), done="restored")

    def create_row(self, request: HttpRequest, fields: dict[str, Any]) -> Any:
        create = {Company: lists.company_create, Platoon: lists.platoon_create}[self.model]
        return create(actor=_actor(request), **fields)

    def change_row(self, request: HttpRequest, row: Any, changes: dict[str, Any], expected_version: int) -> Any:
        given: dict[str, Any] = {"actor": _actor(request), "expected_version": expected_version, "changes": changes}
        if isinstance(row, Company):
            return lists.company_change(company_id=row.pk, **given)
        return lists.platoon_change(platoon_id=row.pk, **given)

    def _call(self, request: HttpRequest, action: str) -> Any:
        actor, noun = _actor(request), self.opts.model_name
        service = getattr(lists, f"{noun}_{action}")
        return lambda row: service(actor=actor, **{f"{noun}_id": row.pk})


admin.site.register([Company, Platoon], ListEntryAdmin)


# --- Cadets -----------------------------------------------------------------------------------------------------------


class CompanyNowFilter(admin.SimpleListFilter):
    title = "company in the current term"
    parameter_name = "company"
    _NONE = "none"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        names = Company.objects.order_by("position", "name").values_list("pk", "name")
        return [*((str(pk), name) for pk, name in names), (self._NONE, "Not enrolled")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Cadet]) -> QuerySet[Cadet]:
        chosen = self.value()
        if chosen is None:
            return queryset
        places = Enrollment.objects.filter(term__is_current=True)
        if chosen == self._NONE:
            return queryset.exclude(pk__in=places.values("cadet"))
        if chosen not in {key for key, _ in self.lookup_choices}:
            return queryset.none()
        return queryset.filter(pk__in=places.filter(company=int(chosen)).values("cadet"))


class AccountForm(InputForm):
    """Of a record behind which an account may stand; `user` is linked and unlinked by services of their own."""

    refused_fields: ClassVar = {
        "student_id_taken": "student_id",
        "email_taken": "email",
        "file": "picture",
        "content_too_large": "picture",
        "account_linked": "user",
        "account_archived": "user",
        "role_does_not_fit": "user",
    }


class CadetForm(AccountForm):
    input_class = CadetInput

    picture = forms.FileField(
        required=False,
        label="New photo",
        help_text=(
            "JPEG, PNG or WebP, 10 MB at most. It is prepared in the background, without what tells where it was "
            "taken, and stands here some seconds later."
        ),
        widget=forms.FileInput(attrs={"accept": "image/jpeg,image/png,image/webp"}),
    )


class EnrollmentInline(admin.TabularInline):
    """Where the cadet was and is. Each has a page of its own, where it is changed."""

    model = Enrollment
    fields = ("term", "company", "platoon", "level", "rank", "status", "enrolled_on")
    ordering = ("-term__starts_on", "-id")
    show_change_link = True
    extra = 0
    verbose_name_plural = "Enrollments, the latest first"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Enrollment]:
        return super().get_queryset(request).select_related("cadet", "term", "company", "platoon")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class PlaceForm(forms.Form):
    """A place in a term for several cadets at once; what is left open is not touched."""

    company = forms.ModelChoiceField(queryset=Company.objects.none(), required=False)
    platoon = forms.ModelChoiceField(queryset=Platoon.objects.none(), required=False)
    level = forms.ChoiceField(choices=[("", _UNCHOSEN), *MilitaryScienceLevel.choices], required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["company"].queryset = selectors.companies_listed()  # type: ignore[attr-defined]
        self.fields["platoon"].queryset = selectors.platoons_listed()  # type: ignore[attr-defined]


class ChangedPlaceForm(PlaceForm):
    status = forms.ChoiceField(choices=[("", _UNCHOSEN), *EnrollmentStatus.choices], required=False)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if not any(self.cleaned_data.values()):
            raise forms.ValidationError("Choose what to change.", code="nothing_chosen")
        return cleaned


class CadetSearch(ServiceAdmin):
    """Found by number and name in any letter case, with or without marks. `searched` leads to the cadet's text."""

    searched = "search_text"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        for word in search_words(search_term):
            queryset = queryset.filter(**{f"{self.searched}__contains": word})
        return queryset, False


@admin.register(Cadet)
class CadetAdmin(CadetSearch):
    form = CadetForm
    list_display = ("student_id", "full_name", "place_now", "year_level", "course")
    list_display_links = ("student_id", "full_name")
    list_filter = (ArchivedFilter, CompanyNowFilter, "year_level", "gender", ("user", ACCOUNT_FILTER))
    list_per_page = 50
    search_fields = ("search_text",)
    search_help_text = "Student number and names, in any order, with or without accents"
    ordering = ("last_name", "first_name", "id")
    autocomplete_fields = ("user",)
    readonly_fields = ("photo_shown", "archived_at", "records", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": ("student_id", ("last_name", "first_name"), ("middle_name", "suffix"))}),
        ("Photo", {"fields": ("photo_shown", "picture")}),
        ("Person", {"fields": (("gender", "birthdate"), "religion", "email", "contact_number", "address")}),
        ("Studies", {"fields": ("course", "year_level")}),
        ("Account", {"fields": ("user",), "description": "A cadet account; nobody else's record may have it."}),
        ("Elsewhere", {"fields": ("records", "archived_at", "created_at", "updated_at")}),
    )
    inlines = (EnrollmentInline,)
    actions = ("enroll", "archive", "restore", "remove_photo")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Cadet]:
        places = Enrollment.objects.filter(term__is_current=True).select_related("company", "platoon")
        now = Prefetch("enrollments", queryset=places, to_attr="places_now")
        found: QuerySet[Cadet] = super().get_queryset(request).prefetch_related(now)
        return found

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        return fieldsets if obj is not None else [pair for pair in fieldsets if pair[0] != "Elsewhere"]

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return super().get_inlines(request, obj) if obj is not None else ()

    # --- What is shown ------------------------------------------------------------------------------------------------

    @admin.display(description="name", ordering="last_name")
    def full_name(self, cadet: Cadet) -> str:
        return cadet.full_name

    @admin.display(description="place in the current term")
    def place_now(self, cadet: Any) -> str:
        parts = [(place.company, place.platoon, place.level) for place in cadet.places_now]
        return "; ".join(", ".join(str(part) for part in place if part) for place in parts)

    @admin.display(description="photo")
    def photo_shown(self, cadet: Cadet) -> SafeString | str:
        sent = _PHOTO_SENT.get(cadet.photo_sent, "")
        if not cadet.photo:
            return sent or "-"
        address = reverse("admin:cadets_cadet_photo", args=[cadet.pk])
        return format_html('<img class="portrait" src="{}" alt="Photo of {}"> {}', address, cadet.full_name, sent)

    @admin.display(description="records")
    def records(self, cadet: Cadet) -> SafeString:
        """Lists of all that belongs to the cadet, in whatever app they are, found by the student number."""
        relations = (*Cadet._meta.related_objects, *Enrollment._meta.related_objects)
        models: Iterable[Any] = dict.fromkeys(relation.related_model for relation in relations)
        enroll = format_html(
            '<a href="{}?{}">Enroll in a term</a>',
            reverse("admin:cadets_enrollment_add"),
            urlencode({"cadet": cadet.pk}),
        )
        shown = [list_link(model, q=cadet.student_id) for model in models if model in self.admin_site._registry]
        return side_by_side([*shown, enroll])

    def get_urls(self) -> list[URLPattern]:
        photo = path("<id:cadet_id>/photo/", self.admin_site.admin_view(self.photo_view), name="cadets_cadet_photo")
        return [photo, *super().get_urls()]

    def photo_view(self, request: HttpRequest, cadet_id: int) -> HttpResponseBase:
        try:
            name = selectors.cadet_by_id(cadet_id=cadet_id).photo
            if name:
                return file_answer(name=name, content_type="image/jpeg")
        except DomainError as error:
            raise Http404 from error
        raise Http404

    # --- Writes -------------------------------------------------------------------------------------------------------

    def create_row(self, request: HttpRequest, fields: dict[str, Any]) -> Cadet:
        actor = _actor(request)
        user, picture = fields.pop("user"), fields.pop("picture")
        cadet = cadets.cadet_create(actor=actor, fields=fields)
        if picture is not None:
            cadet = photos.cadet_photo_set(actor=actor, cadet_id=cadet.pk, upload=picture)
        if user is not None:
            cadet = links.cadet_account_link(actor=actor, cadet_id=cadet.pk, user_id=user.pk)
        return cadet

    def change_row(self, request: HttpRequest, row: Cadet, changes: dict[str, Any], expected_version: int) -> Any:
        actor = _actor(request)
        picture = changes.pop("picture", None)
        relinked, user = "user" in changes, changes.pop("user", None)
        # Also without changes: it refuses what was made from an older state.
        cadets.cadet_change(actor=actor, cadet_id=row.pk, expected_version=expected_version, changes=changes)
        if picture is not None:
            photos.cadet_photo_set(actor=actor, cadet_id=row.pk, upload=picture)
        if relinked:
            links.cadet_account_unlink(actor=actor, cadet_id=row.pk)
            if user is not None:
                links.cadet_account_link(actor=actor, cadet_id=row.pk, user_id=user.pk)

    def row_actions(self, row: Cadet) -> Mapping[str, str]:
        return {
            **archive_or_restore(row),
            **({"remove_photo": "Remove the photo"} if row.photo or row.photo_sent else {}),
        }

    @admin.action(description="Enroll in the current term")
    def enroll(self, request: HttpRequest, queryset: QuerySet[Cadet]) -> HttpResponse | None:
        actor = _actor(request)
        return self.ask_and_carry_out(
            request,
            queryset,
            action="enroll",
            title="Enroll in the current term",
            form=PlaceForm,
            act=lambda cadet, chosen: enrollments.enrollment_create(
                actor=actor, cadet_id=cadet.pk, term_id=None, fields=_place(chosen)
            ),
            done="enrolled",
        )

    @admin.action(description="Archive: also closes their accounts")
    def archive(self, request: HttpRequest, queryset: QuerySet[Cadet]) -> HttpResponse | None:
        actor = _actor(request)
        return self.ask_and_carry_out(
            request,
            queryset.filter(archived_at=None),
            action="archive",
            title="Archive cadets and close their accounts",
            form=Confirmation,
            act=lambda cadet, _: cadets.cadet_archive(actor=actor, cadet_id=cadet.pk),
            done="archived",
        )

    @admin.action(description="Restore, with the accounts that were archived along")
    def restore(self, request: HttpRequest, queryset: QuerySet[Cadet]) -> None:
        actor = _actor(request)
        self.carry_out(
            request,
            queryset.exclude(archived_at=None),
            act=lambda cadet: cadets.cadet_restore(actor=actor, cadet_id=cadet.pk),
            done="restored",
        )

    @admin.action(description="Remove the photos")
    def remove_photo(self, request: HttpRequest, queryset: QuerySet[Cadet]) -> HttpResponse | None:
        actor = _actor(request)
        return self.ask_and_carry_out(
            request,
            queryset.exclude(photo="", photo_sent=""),
            action="remove_photo",
            title="Remove photos for good",
            form=Confirmation,
            act=lambda cadet, _: photos.cadet_photo_remove(actor=actor, cadet_id=cadet.pk),
            done="left without a photo",
        )


# --- Enrollments ------------------------------------------------------------------------------------------------------


class EnrollmentForm(InputForm):
    input_class = EnrollmentInput
    refused_fields: ClassVar = {
        "already_enrolled": "cadet",
        "cadet_archived": "cadet",
        "term_closed": "term",
        "unknown_term": "term",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Archived ones take nobody new; who is in one may stay.
        for name, present in (("company", self.instance.company_id), ("platoon", self.instance.platoon_id)):
            choice: Any = self.fields.get(name)
            if choice is not None:
                choice.queryset = choice.queryset.filter(Q(archived_at=None) | Q(pk=present)).order_by(
                    "position", "name"
                )
        if self.instance.pk is None and "enrolled_on" in self.fields:
            self.fields["enrolled_on"].required = False
            self.fields["enrolled_on"].help_text = "Today, unless told. Training days before it do not count."


@admin.register(Enrollment)
class EnrollmentAdmin(CadetSearch):
    form = EnrollmentForm
    searched = "cadet__search_text"
    list_display = ("cadet", "term", "company", "platoon", "level", "rank", "status", "enrolled_on")
    list_filter = ("term__is_current", "term", "company", "platoon", "level", "status")
    list_select_related = ("cadet", "term", "company", "platoon")
    list_per_page = 50
    search_fields = ("cadet__search_text",)
    search_help_text = "Student number and names, in any order, with or without accents"
    ordering = ("-term__starts_on", "cadet__last_name", "cadet__first_name", "id")
    autocomplete_fields = ("cadet",)
    fieldsets = (
        (None, {"fields": ("cadet", "term")}),
        ("Place", {"fields": (("company", "platoon"), "battalion", "position")}),
        ("Standing", {"fields": (("level", "rank"), "status", "enrolled_on")}),
    )
    actions = ("change_place",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Enrollment]:
        # Everywhere, also where one is looked up: its name is made of cadet and term.
        return super().get_queryset(request).select_related(*self.list_select_related)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("cadet", "term") if obj is not None else ()  # which never change

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        current = selectors.terms_listed().filter(is_current=True).first()
        return {"term": current and current.pk, **super().get_changeform_initial_data(request)}

    def create_row(self, request: HttpRequest, fields: dict[str, Any]) -> Enrollment:
        cadet, term = fields.pop("cadet"), fields.pop("term")
        given = {name: value for name, value in fields.items() if value is not None}
        return enrollments.enrollment_create(
            actor=_actor(request), cadet_id=cadet.pk, term_id=term.pk, fields=keys_of_related(Enrollment, given)
        )

    def change_row(self, request: HttpRequest, row: Enrollment, changes: dict[str, Any], expected_version: int) -> Any:
        return enrollments.enrollment_change(
            actor=_actor(request),
            enrollment_id=row.pk,
            expected_version=expected_version,
            changes=keys_of_related(Enrollment, changes),
        )

    @admin.action(description="Change company, platoon, level or status")
    def change_place(self, request: HttpRequest, queryset: QuerySet[Enrollment]) -> HttpResponse | None:
        actor = _actor(request)
        return self.ask_and_carry_out(
            request,
            queryset,
            action="change_place",
            title="Change company, platoon, level or status",
            form=ChangedPlaceForm,
            act=lambda row, chosen: enrollments.enrollment_change(
                actor=actor, enrollment_id=row.pk, expected_version=row.version, changes=_place(chosen)
            ),
            done="changed",
        )


# --- Staff ------------------------------------------------------------------------------------------------------------


class StaffForm(AccountForm):
    input_class = StaffInput


@admin.register(StaffProfile)
class StaffProfileAdmin(ServiceAdmin):
    form = StaffForm
    list_display = ("full_name", "rank", "function", "email", "contact_number", "account", "archived_at")
    list_filter = (ArchivedFilter, "function", ("user", ACCOUNT_FILTER))
    list_select_related = ("user",)
    list_per_page = 50
    search_fields = ("last_name",)
    search_help_text = "Names, e-mail or AFPSN, in any order, with or without accents"
    ordering = ("last_name", "first_name", "id")
    autocomplete_fields = ("user",)
    readonly_fields = ("archived_at", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": ("rank", ("last_name", "first_name"), ("middle_name", "suffix"))}),
        ("Service", {"fields": ("function", "afpsn")}),
        ("Reached by", {"fields": ("email", "contact_number")}),
        ("Account", {"fields": ("user",), "description": "A staff or administrator account."}),
        ("Times", {"fields": ("archived_at", "created_at", "updated_at")}),
    )
    actions = ("archive", "restore")

    @admin.display(description="name", ordering="last_name")
    def full_name(self, profile: StaffProfile) -> str:
        given = " ".join(part for part in (profile.first_name, profile.middle_name, profile.suffix) if part)
        return f"{profile.last_name}, {given}"

    @admin.display(description="account", ordering="user__username")
    def account(self, profile: StaffProfile) -> SafeString | str:
        return link_to(profile.user)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        return fieldsets if obj is not None else [pair for pair in fieldsets if pair[0] != "Times"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_words(search_term):
            return queryset, False
        in_use, archived = (
            selectors.staff_listed(archived=archived, search=search_term).order_by().values("pk")
            for archived in (False, True)
        )
        return queryset.filter(Q(pk__in=in_use) | Q(pk__in=archived)), False

    def create_row(self, request: HttpRequest, fields: dict[str, Any]) -> StaffProfile:
        actor, user = _actor(request), fields.pop("user")
        profile = staff.staff_create(actor=actor, fields=fields)
        if user is not None:
            profile = links.staff_account_link(actor=actor, staff_id=profile.pk, user_id=user.pk)
        return profile

    def change_row(
        self, request: HttpRequest, row: StaffProfile, changes: dict[str, Any], expected_version: int
    ) -> Any:
        actor = _actor(request)
        relinked, user = "user" in changes, changes.pop("user", None)
        # Also without changes: it refuses what was made from an older state.
        staff.staff_change(actor=actor, staff_id=row.pk, expected_version=expected_version, changes=changes)
        if relinked:
            links.staff_account_unlink(actor=actor, staff_id=row.pk)
            if user is not None:
                links.staff_account_link(actor=actor, staff_id=row.pk, user_id=user.pk)

    def row_actions(self, row: StaffProfile) -> Mapping[str, str]:
        return archive_or_restore(row)

    @admin.action(description="Archive: also closes their accounts")
    def archive(self, request: HttpRequest, queryset: QuerySet[StaffProfile]) -> HttpResponse | None:
        actor = _actor(request)
        return self.ask_and_carry_out(
            request,
            queryset.filter(archived_at=None),
            action="archive",
            title="Archive staff and close their accounts",
            form=Confirmation,
            act=lambda profile, _: staff.staff_archive(actor=actor, staff_id=profile.pk),
            done="archived",
        )

    @admin.action(description="Restore, with the accounts that were archived along")
    def restore(self, request: HttpRequest, queryset: QuerySet[StaffProfile]) -> None:
        actor = _actor(request)
        self.carry_out(
            request,
            queryset.exclude(archived_at=None),
            act=lambda profile: staff.staff_restore(actor=actor, staff_id=profile.pk),
            done="restored",
        )


def _actor(request: HttpRequest) -> Principal:
    return principal_of_user(request.user)  # type: ignore[arg-type]  # the site has let in an account of ours


def _place(chosen: Any) -> dict[str, Any]:
    """What a page of an action has asked for, as the services take it; what was left open is not in it."""
    return keys_of_related(Enrollment, {name: value for name, value in chosen.items() if value not in (None, "")})
