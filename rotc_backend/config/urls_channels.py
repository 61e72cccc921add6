"""What the channels service answers over HTTP: health, so that somebody does when the web service is away."""

from django.urls import include, path

from apps.operations.urls import health_urlpatterns

urlpatterns = [path("api/health/", include(health_urlpatterns))]

handler400 = "core.http.bad_request"
handler403 = "core.http.permission_denied"
handler404 = "core.http.page_not_found"
handler500 = "core.http.server_error"
