from typing import Any

from django.contrib import admin
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm, UserChangeForm
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection, transaction
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views import View

from apps.accounts import authentication, services
from apps.accounts.models import Attempts, AuditEntry, Invitation, PasswordReset, Session, User
from core.admin import ReadOnlyAdmin
from core.errors import DomainError, NotAuthenticated, NotFound, PermissionRefused


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

    class Meta(UserChangeForm.Meta):
        model = User

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
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

    def get(self, request: HttpRequest) -> HttpResponse:
        if not admin.site.has_permission(request):
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        return redirect("admin:auth_user_password_change", request.user.pk)


@admin.register(User)
class RgmsUserAdmin(UserAdmin):
    form = ChangedUserForm
    add_form = NewUserForm
    change_password_form = NewPasswordForm
    list_display = ("username", "first_name", "last_name", "email", "role", "status", "archived_at", "last_login")
    list_filter = ("role", "status", ("archived_at", admin.EmptyFieldListFilter))
    search_fields = ("username", "first_name", "last_name", "email")
    ordering = ("username",)
    filter_horizontal = ()
    readonly_fields = ("last_login", "created_at", "archived_at")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Access", {"fields": ("role", "status", "archived_at")}),
        ("Times", {"fields": ("created_at", "last_login")}),
    )
    add_fieldsets = ((None, {"fields": ("username", "usable_password", "password1", "password2", "role", "status")}),)

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
    list_filter = (("ended_at", admin.EmptyFieldListFilter),)
    search_fields = ("user__username",)
    exclude = ("refresh_id", "previous_refresh_id")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor", "action", "target", "request_id")
    list_select_related = ("actor",)
    list_filter = ("action",)
    search_fields = ("target", "request_id", "actor__username")
    date_hierarchy = "at"


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    list_display = ("id", "user", "purpose", "created_at", "created_by", "expires_at", "used_at", "replaced_at")
    list_select_related = ("user", "created_by")
    list_filter = ("purpose", ("used_at", admin.EmptyFieldListFilter))
    search_fields = ("user__username",)
    exclude = ("token_digest",)


@admin.register(PasswordReset)
class PasswordResetAdmin(ReadOnlyAdmin):
    list_display = ("id", "user", "requested_at", "state", "detail", "attempts")
    list_select_related = ("user",)
    list_filter = ("state",)
    search_fields = ("user__username",)


@admin.register(Attempts)
class AttemptsAdmin(ReadOnlyAdmin):
    list_display = ("kind", "key", "last_at", "locked_until")
    list_filter = ("kind", ("locked_until", admin.EmptyFieldListFilter))
    search_fields = ("key",)
