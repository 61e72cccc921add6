from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.db import transaction
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse

from apps.accounts import services
from apps.accounts.models import AuditEntry, Session, User
from core.admin import ReadOnlyAdmin


class NewUserForm(AdminUserCreationForm):
    class Meta(AdminUserCreationForm.Meta):
        model = User


class ChangedUserForm(UserChangeForm):
    class Meta(UserChangeForm.Meta):
        model = User


@admin.register(User)
class RgmsUserAdmin(UserAdmin):
    form = ChangedUserForm
    add_form = NewUserForm
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

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm, change: bool) -> None:
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            services.user_changed_by_admin(
                actor_id=request.user.pk, user=obj, created=not change, fields=form.changed_data
            )

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002 - Django's name
        with transaction.atomic():
            response = super().user_change_password(request, id, form_url)
            if request.method == "POST" and response.status_code == 302:
                user = User.objects.get(pk=id)
                services.user_changed_by_admin(actor_id=request.user.pk, user=user, created=False, fields=["password"])
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
