"""The admin site: which part of the unit stands where, and what waits for somebody."""

from collections.abc import Mapping, Sequence
from functools import wraps
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import SimpleAdminConfig
from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse

# Apps and their models in the order of their use, not of the alphabet; what is not named here follows after it.
ORDER: Mapping[str, Sequence[str]] = {
    "cadets": ("Cadet", "Enrollment", "StaffProfile", "Company", "Platoon", "Term"),
    "training": ("TrainingDay", "AttendanceRecord", "ExcuseLetter", "StaffAttendanceRecord", "Scan"),
    "grading": ("ExamScore", "MeritDemerit", "Adjustment", "GradingPolicy", "GradeSheet"),
    "imports": ("ImportRun", "ImportRow", "ImportFile"),
    "reports": ("Report", "Certificate"),
    "messaging": ("Announcement", "AnnouncementPhoto", "Notification", "Room", "Message", "ReadMark"),
    "pictures": ("Picture", "PicturePart"),
    "accounts": ("User", "Invitation", "AuditEntry", "Session", "PasswordReset", "Attempts", "Revocation"),
    "django_celery_beat": ("PeriodicTask", "CrontabSchedule", "IntervalSchedule"),
    "operations": ("ScheduledRun", "Probe"),
    "events": ("Event",),
}


class AdministrationConfig(SimpleAdminConfig):
    """config.urls discovers the pages; other processes do without them."""

    default_site = "config.admin_site.AdministrationSite"


class AdministrationSite(AdminSite):
    site_title = site_header = "RGMS administration"
    index_title = "Overview"
    site_url = "/api/docs/"
    index_template = "admin/overview.html"

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        inner = super().admin_view(view, cacheable)

        @wraps(inner)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            # No text in the database holds a NUL, and PostgreSQL refuses to compare with it: as if it were not there.
            query = request.META["QUERY_STRING"]
            if "%00" in query:
                while "%00" in query:  # out of %%0000 the first pass makes another
                    query = query.replace("%00", "")
                request.GET = QueryDict(query)
            answer: HttpResponseBase = inner(request, *args, **kwargs)
            return answer

        return checked

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        apps = super().get_app_list(request, app_label)
        for app in apps:
            models = ORDER.get(app["app_label"], ())
            app["models"].sort(key=lambda model: _place(model["object_name"], models))
        return sorted(apps, key=lambda app: _place(app["app_label"], list(ORDER)))

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        return super().index(request, {"waiting": waiting(), **(extra_context or {})})


def _place(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)


def waiting() -> list[dict[str, Any]]:
    """What somebody has to decide: how many, what it is, and where. Three small counts."""
    # Here and not above: this module is loaded before the models.
    from apps.accounts.models import Status, User
    from apps.imports.models import ImportRun, State
    from apps.training.models import ExcuseLetter, LetterState

    accounts = User.objects.filter(status=Status.PENDING, archived_at=None)
    letters = ExcuseLetter.objects.filter(state=LetterState.PENDING)
    imports = ImportRun.objects.filter(state=State.READY)
    counted = [
        (accounts.count(), "account waits for approval", "accounts wait for approval", User, "status__exact=pending"),
        (letters.count(), "excuse letter to decide", "excuse letters to decide", ExcuseLetter, "state__exact=pending"),
        (imports.count(), "import to apply or cancel", "imports to apply or cancel", ImportRun, "state__exact=ready"),
    ]
    return [
        {
            "count": count,
            "words": one if count == 1 else many,
            "address": f"{reverse(f'admin:{model._meta.app_label}_{model._meta.model_name}_changelist')}?{query}",
        }
        for count, one, many, model, query in counted
    ]
