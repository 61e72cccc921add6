from django.urls import path

from apps.operations.api import backup_views, dead_letter_views, views

health_urlpatterns = [
    path("", views.HealthView.as_view(), name="health"),
    path("live/", views.LiveView.as_view(), name="health-live"),
]

urlpatterns = [
    path("probe", views.ProbeRequestView.as_view(), name="operations-probe-request"),
    path("probe/<uuid:probe_id>", views.ProbeView.as_view(), name="operations-probe"),
    path("queue", views.QueueView.as_view(), name="operations-queue"),
    path("integrity", views.IntegrityView.as_view(), name="operations-integrity"),
    path("backups", backup_views.BackupsView.as_view(), name="operations-backups"),
    path("backups/<id:journal_id>", backup_views.BackupView.as_view(), name="operations-backup"),
    path("dead-letters", dead_letter_views.DeadLettersView.as_view(), name="operations-dead-letters"),
    path(
        "dead-letters/<id:dead_letter_id>/retry",
        dead_letter_views.DeadLetterRetryView.as_view(),
        name="operations-dead-letter-retry",
    ),
    path(
        "dead-letters/<id:dead_letter_id>/dismiss",
        dead_letter_views.DeadLetterDismissView.as_view(),
        name="operations-dead-letter-dismiss",
    ),
    path("status", views.StatusView.as_view(), name="operations-status"),
]
