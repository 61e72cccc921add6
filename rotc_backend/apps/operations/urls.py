from django.urls import path

from apps.operations.api import views

health_urlpatterns = [
    path("", views.HealthView.as_view(), name="health"),
    path("live/", views.LiveView.as_view(), name="health-live"),
]

urlpatterns = [
    path("probe", views.ProbeRequestView.as_view(), name="operations-probe-request"),
    path("probe/<uuid:probe_id>", views.ProbeView.as_view(), name="operations-probe"),
    path("queue", views.QueueView.as_view(), name="operations-queue"),
    path("integrity", views.IntegrityView.as_view(), name="operations-integrity"),
    path("status", views.StatusView.as_view(), name="operations-status"),
]
