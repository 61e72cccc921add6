"""The routes of the service, and the page for people, wherever that is mounted."""

from django.urls import include, path

from apps.accounts.urls import page_urlpatterns

urlpatterns = [path("", include(page_urlpatterns)), path("api/v1/", include("apps.accounts.urls"))]
