from django.urls import path

from apps.reports.api import views

_REPORT = "reports/<id:report_id>"

urlpatterns = [
    path("reports", views.ReportsView.as_view(), name="reports"),
    path(_REPORT, views.ReportView.as_view(), name="report"),
    path(f"{_REPORT}/cancel", views.ReportCancelView.as_view(), name="report-cancel"),
    path(f"{_REPORT}/retry", views.ReportRetryView.as_view(), name="report-retry"),
    path(f"{_REPORT}/link", views.ReportLinkView.as_view(), name="report-link"),
    path("report-files/<str:token>", views.ReportFileView.as_view(), name="report-file"),
    path("certificates/<str:code>", views.CertificateView.as_view(), name="certificate"),
    path("certificates/<str:code>/revoke", views.CertificateRevokeView.as_view(), name="certificate-revoke"),
]
# Outside /api/: for people.
page_urlpatterns = [path("certificates/<str:code>", views.CertificatePage.as_view(), name="certificate-page")]
