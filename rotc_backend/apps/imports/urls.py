from django.urls import path

from apps.imports.api import views

_IMPORT = "imports/<id:import_id>"

urlpatterns = [
    path("imports", views.ImportsView.as_view(), name="imports"),
    path(_IMPORT, views.ImportView.as_view(), name="import"),
    path(f"{_IMPORT}/rows", views.ImportRowsView.as_view(), name="import-rows"),
    path(f"{_IMPORT}/apply", views.ImportApplyView.as_view(), name="import-apply"),
    path(f"{_IMPORT}/cancel", views.ImportCancelView.as_view(), name="import-cancel"),
    path("import-templates/<str:kind>", views.ImportTemplateView.as_view(), name="import-template"),
]
