from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm, UserChangeForm
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection, transaction
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views import View

from apps.accounts import authentication, services
from apps.accounts.api.views.invitations import invitation_page
from apps.accounts.models import Attempts, AuditEntry, Invitation, PasswordReset, Revocation, Session, Status, User
from apps.accounts.rules import Principal
from apps.accounts.selectors import principal_of_user
from core.admin import (
    CHANGED_MEANWHILE,
    VERSION_FIELD,
    ActingAdmin,
    ArchivedFilter,
    Confirmation,
    ReadOnlyAdmin,
    archive_or_restore,
    changes_shown,
    link_to,
    list_link,
    presence_filter,
    side_by_side,
)
from core.clock import now
from core.errors import DomainError, NotAuthenticated, NotFound, PermissionRefused

SIGNED_IN_FILTER = presence_filter("signing in", there="Has signed in", missing="Never")
_MOST_LINKS = 20  # in one action: each may wait for the mail server
# Nouns of the trail's targets that are not a model's name.
_NOUNS = {"staff": "staffprofile", "letter": "excuseletter", "merit": "meritdemerit", "import": "importrun"}


class AdminSiteBackend(ModelBackend):
    """Who signs in to the admin site: by the same passwords, counts and locks as at the API's sign-in.

    Raises TooManyRequests, which LockoutMiddleware answers.
    """

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        if not username or password is None:
            return None
        address = authentication.client_address(request) if request is not None else None
        try:
            user = services.credentials_verify(username=username, password=password, address=address)
        except NotAuthenticated:
            return None
        return user if self.user_can_authenticate(user) else None


class NewUserForm(AdminUserCreationForm):
    class Meta(AdminUserCreationForm.Meta):
        model = User


class ChangedUserForm(UserChangeForm):
    actor_id: int | None = None  # who is signed in; set for each form that is shown

    row_version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta(UserChangeForm.Meta):
        model = User

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault(VERSION_FIELD, self.instance.version)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        if cleaned.get(VERSION_FIELD) != self.instance.version:
            raise ValidationError(CHANGED_MEANWHILE, code="version_changed")
        wanted: dict[str, str] = {name: cleaned.get(name, "") for name in ("role", "status")}
        if self.instance.pk is not None and all(wanted.values()) and wanted.keys() & set(self.changed_data):
            try:
                services.account_may_become(actor_id=self.actor_id, user_id=self.instance.pk, **wanted)
            except DomainError as error:
                raise ValidationError(error.detail, code=error.code) from error
        return cleaned


class NewPasswordForm(AdminPasswordChangeForm):
    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        # Switched off for all administrators, nobody could let anybody in again.
        if not self.cleaned_data["set_usable_password"] and self.user.is_staff:
            refusal = "An active administrator needs a password. Give a new one, or take the role away first."
            self.add_error("usable_password", ValidationError(refusal, code="password_needed"))
        return cleaned


class OwnPasswordView(View):
    """Where the site's *Change password* leads: to the account's own page, which ends sessions and is audited.

    Django's page would save the new password and leave every token of the old one alive.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not admin.site.has_permission(request):
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:auth_user_password_change", request.user.pk)


class LinkForm(forms.Form):
    send = forms.BooleanField(
        required=False,
        initial=True,
        label="Also e-mail each link to its account",
        help_text="Where that is not possible, the next page says why. It shows every link, once.",
    )


@admin.register(User)
class RgmsUserAdmin(ActingAdmin, UserAdmin):
    form = ChangedUserForm
    add_form = NewUserForm
    change_password_form = NewPasswordForm
    list_display = ("username", "name", "role", "status", "email", "last_login")
    list_filter = ("status", "role", ArchivedFilter, ("last_login", SIGNED_IN_FILTER))
    list_per_page = 50
    search_fields = ("username", "first_name", "last_name", "email")
    search_help_text = "Username, name or e-mail address"
    ordering = ("username",)
    actions = ("approve", "archive", "restore", "unlock", "make_links")
    filter_horizontal = ()
    readonly_fields = ("last_login", "created_at", "archived_at", "record", "traces")
    fieldsets = (
        (None, {"fields": ("username", "password", VERSION_FIELD)}),
        ("Person", {"fields": ("first_name", "last_name", "email", "record")}),
        ("Access", {"fields": ("role", "status", "archived_at")}),
        ("Times", {"fields": ("created_at", "last_login", "traces")}),
    )
    add_fieldsets = ((None, {"fields": ("username", "usable_password", "password1", "password2", "role", "status")}),)

    @admin.display(description="name", ordering="last_name")
    def name(self, user: User) -> str:
        return f"{user.first_name} {user.last_name}".strip()

    @admin.display(description="record")
    def record(self, user: User) -> SafeString | str:
        """The cadet or the staff profile behind the account, of whatever app has a page for it."""
        relations = [one for one in User._meta.related_objects if one.one_to_one]
        rows = [getattr(user, str(one.get_accessor_name()), None) for one in relations]
        links = [link_to(row) for row in rows if row is not None and type(row) in self.admin_site._registry]
        return side_by_side(links) if links else "-"

    @admin.display(description="traces")
    def traces(self, user: User) -> SafeString:
        return side_by_side(
            [
                list_link(AuditEntry, "What this account did", actor__id__exact=user.pk),
                list_link(AuditEntry, "What was done to it", target__exact=f"user:{user.pk}"),
                list_link(Session, "Sessions", user__id__exact=user.pk),
                list_link(Invitation, "Links for a password", user__id__exact=user.pk),
            ]
        )

    # --- Actions ------------------------------------------------------------------------------------------------------

    def row_actions(self, row: User) -> Mapping[str, str]:
        if row.archived_at is not None:
            return archive_or_restore(row)
        approve = {"approve": "Approve"} if row.status == Status.PENDING else {}
        return {**approve, "unlock": "Unlock", "make_links": "Link for a password", **archive_or_restore(row)}

    @admin.action(description="Approve the chosen accounts")
    def approve(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        actor = _actor(request)
        self.carry_out(
            request,
            queryset.filter(status=Status.PENDING),
            act=lambda user: services.user_approve(actor=actor, user_id=user.pk),
            done="approved",
        )

    @admin.action(description="Archive the chosen accounts")
    def archive(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse | None:
        actor = _actor(request)
        return self.ask_and_carry_out(
            request,
            queryset.filter(archived_at=None),
            action="archive",
            title="Archive accounts: their sessions end at once",
            form=Confirmation,
            act=lambda user, _: services.user_archive(actor=actor, user_id=user.pk),
            done="archived",
        )

    @admin.action(description="Restore the chosen accounts")
    def restore(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        actor = _actor(request)
        self.carry_out(
            request,
            queryset.exclude(archived_at=None),
            act=lambda user: services.user_restore(actor=actor, user_id=user.pk),
            done="restored",
        )

    @admin.action(description="Unlock after wrong passwords")
    def unlock(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        actor = _actor(request)
        self.carry_out(
            request, queryset, act=lambda user: services.user_unlock(actor=actor, user_id=user.pk), done="unlocked"
        )

    @admin.action(description="Make links to set a password")
    def make_links(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse | None:
        if self.too_many(request, queryset, most=_MOST_LINKS):
            return None
        filled = LinkForm(request.POST) if "confirmed" in request.POST else LinkForm()
        if not filled.is_bound or not filled.is_valid():
            return self.ask(request, queryset, action="make_links", title="Make links to set a password", form=filled)
        made = [self._link(request, user, send=filled.cleaned_data["send"]) for user in queryset]
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": "Links", "links": made}
        page = TemplateResponse(request, "admin/accounts/user/links.html", context)
        page["Cache-Control"] = "no-store"
        return page

    def _link(self, request: HttpRequest, user: User, *, send: bool) -> dict[str, Any]:
        try:
            page = invitation_page(request)  # type: ignore[arg-type]  # of the API's request it asks for the host only
            issued = services.invitation_create(actor=_actor(request), user_id=user.pk, page=page, send=send)
        except DomainError as error:
            return {"user": user, "refusal": error.detail}
        return {"user": user, "issued": issued, "asked": send}

    # --- The form -----------------------------------------------------------------------------------------------------

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> User | None:
        if request.method == "POST" and connection.in_atomic_block and object_id.isdecimal() and len(object_id) < 19:
            # The form writes every column: without the lock, what the API changes meanwhile would be undone. With the
            # administrators, in the API's order, before the row is read: who held it and then asked for them would
            # wait for another administrator's form, which waits for this one.
            try:
                services.account_hold(actor_id=request.user.pk, user_id=int(object_id))
            except PermissionRefused as error:
                raise PermissionDenied(error.detail) from error
            except NotFound:
                return None
        found: User | None = super().get_object(request, object_id, from_field)
        return found

    def get_form(self, request: HttpRequest, obj: User | None = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.actor_id = request.user.pk  # the class is made anew for each request
        return form

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm, change: bool) -> None:
        if change and not form.changed_data:
            return
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            services.user_changed_by_admin(
                actor_id=request.user.pk,
                user=obj,
                created=not change,
                fields=form.changed_data,
                before=form.initial,
            )

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002 - Django's name
        with transaction.atomic():
            response = super().user_change_password(request, id, form_url)
            if request.method == "POST" and response.status_code == 302:
                user = User.objects.get(pk=id)
                services.user_changed_by_admin(actor_id=request.user.pk, user=user, created=False, fields=["password"])
                if user.pk == request.user.pk:
                    # Once more after Django's own call: only now has the version moved that the cookie is bound to.
                    update_session_auth_hash(request, user)
        return response

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False  # people are archived; their history stays


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    list_display = ("id", "user", "created_at", "rotated_at", "expires_at", "ended_at")
    list_select_related = ("user",)
    list_filter = (("ended_at", presence_filter("end", there="Ended", missing="Open")), "user__role")
    list_per_page = 50
    search_fields = ("user__username",)
    search_help_text = "Username"
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    actions = ("end",)
    exclude = ("refresh_id", "previous_refresh_id")

    def row_actions(self, row: Session) -> Mapping[str, str]:
        return {"end": "End this session"} if row.ended_at is None else {}

    @admin.action(description="End the chosen sessions")
    def end(self, request: HttpRequest, queryset: QuerySet[Session]) -> HttpResponse | None:
        actor = _actor(request)
        return self.ask_and_carry_out(
            request,
            queryset.filter(ended_at=None),
            action="end",
            title="End sessions: their people have to sign in again",
            form=Confirmation,
            act=lambda session, _: services.session_end_of_other(actor=actor, session_id=session.pk),
            done="ended",
        )

    def name_of(self, row: Session) -> str:
        return f"{row.user}, since {timezone.localtime(row.created_at):%Y-%m-%d %H:%M}"


@admin.register(Revocation)
class RevocationAdmin(ReadOnlyAdmin):
    """Which access tokens are refused before they expire."""

    list_display = ("at", "session_id", "user_id", "least_version")
    list_per_page = 50
    date_hierarchy = "at"
    ordering = ("-at",)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor", "action", "target", "request_id")
    list_select_related = ("actor",)
    list_filter = ("action",)
    list_per_page = 50
    search_fields = ("target", "request_id", "actor__username")
    search_help_text = "Target (cadet:12), request id, or account that acted"
    date_hierarchy = "at"
    ordering = ("-at", "-id")
    fields = ("at", "actor", "action", "row", "changes", "request_id")

    @admin.display(description="target")
    def row(self, entry: AuditEntry) -> SafeString | str:
        """The target with a link to its page, where there is one."""
        noun, _, key = entry.target.partition(":")
        name = _NOUNS.get(noun, noun.replace("_", ""))
        model = next((one for one in self.admin_site._registry if one._meta.model_name == name), None)
        try:
            row = model._default_manager.filter(pk=key).first() if model is not None else None
        except (ValueError, ValidationError):  # what stands there is no key
            row = None
        return link_to(row, entry.target) if row is not None else entry.target

    @admin.display(description="changes")
    def changes(self, entry: AuditEntry) -> SafeString | str:
        return changes_shown(entry.before, entry.after)


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    list_display = ("id", "user", "purpose", "created_at", "created_by", "expires_at", "used_at", "replaced_at")
    list_select_related = ("user", "created_by")
    list_filter = (
        "purpose",
        ("used_at", presence_filter("use", there="Used", missing="Not used")),
        ("replaced_at", presence_filter("replacement", there="Replaced by a newer one", missing="Not replaced")),
    )
    list_per_page = 50
    search_fields = ("user__username",)
    search_help_text = "Username"
    date_hierarchy = "created_at"
    ordering = ("-id",)
    exclude = ("token_digest",)


@admin.register(PasswordReset)
class PasswordResetAdmin(ReadOnlyAdmin):
    list_display = ("id", "user", "requested_at", "state", "detail", "attempts")
    list_select_related = ("user",)
    list_filter = ("state",)
    list_per_page = 50
    search_fields = ("user__username",)
    search_help_text = "Username"
    date_hierarchy = "requested_at"
    ordering = ("-requested_at",)


@admin.register(Attempts)
class AttemptsAdmin(ReadOnlyAdmin):
    list_display = ("kind", "key", "last_at", "locked_until")
    list_filter = (
        "kind",
        ("locked_until", presence_filter("lock", there="Locked, now or before", missing="Counted only")),
    )
    list_per_page = 50
    search_fields = ("key",)
    search_help_text = "Network address; accounts are unlocked in the list of users"
    ordering = ("-last_at",)
    actions = ("unlock",)

    @admin.action(description="Lift the chosen locks")
    def unlock(self, request: HttpRequest, queryset: QuerySet[Attempts]) -> None:
        actor = _actor(request)
        self.carry_out(
            request,
            queryset.filter(locked_until__gt=now()),
            act=lambda row: services.attempts_unlock(actor=actor, attempts_id=row.pk),
            done="unlocked",
        )


def _actor(request: HttpRequest) -> Principal:
    return principal_of_user(request.user)  # type: ignore[arg-type]  # the site has let in an account of ours
