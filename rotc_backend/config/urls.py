from django.contrib import admin
from django.contrib.auth.models import Group
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView
from django_celery_beat.models import ClockedSchedule, SolarSchedule

from apps.accounts.admin import OwnPasswordView
from apps.accounts.urls import page_urlpatterns
from apps.operations.urls import health_urlpatterns
from apps.reports.urls import page_urlpatterns as report_page_urlpatterns
from config.documents import OpenApiDocument, OpenApiPage

admin.autodiscover()
# Roles decide what an account may do, not groups; and the scheduler knows crontabs and intervals only.
for unused in (Group, ClockedSchedule, SolarSchedule):
    admin.site.unregister(unused)


class Favicon(RedirectView):
    def get_redirect_url(self, *args: object, **kwargs: object) -> str:
        return static("rgms/favicon.svg")


urlpatterns = [
    path("api/health/", include(health_urlpatterns)),
    path("api/schema/", OpenApiDocument.as_view(), name="schema"),
    path("api/docs/", OpenApiPage.as_view(), name="docs"),
    path("api/v1/", include("apps.accounts.urls")),
    path("api/v1/", include("apps.cadets.urls")),
    path("api/v1/", include("apps.messaging.urls")),
    path("api/v1/", include("apps.training.urls")),
    path("api/v1/", include("apps.grading.urls")),
    path("api/v1/", include("apps.imports.urls")),
    path("api/v1/", include("apps.reports.urls")),
    path("api/v1/operations/", include("apps.operations.urls")),
    path("admin/password_change/", OwnPasswordView.as_view()),
    path("admin/", admin.site.urls),
    # For people: the bare address shows what there is, and browsers ask for the icon by themselves.
    path("", include(page_urlpatterns)),
    path("", include(report_page_urlpatterns)),
    path("", RedirectView.as_view(pattern_name="docs")),
    path("favicon.ico", Favicon.as_view()),
]

handler400 = "core.http.bad_request"
handler403 = "core.http.permission_denied"
handler404 = "core.http.page_not_found"
handler500 = "core.http.server_error"
