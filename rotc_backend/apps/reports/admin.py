from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.accounts.rules import Principal
from apps.accounts.selectors import principal_of_user
from apps.reports import rules
from apps.reports.models import Certificate, Report, State
from apps.reports.selectors import state_of_certificate
from apps.reports.services import asking
from apps.reports.services.certificates import certificate_revoke
from apps.reports.services.files import CONTENT_TYPES
from core.admin import Confirmation, ReadOnlyAdmin, ReasonForm, json_shown, link_to
from core.errors import DomainError
from core.uploads import file_answer


def _actor(request: HttpRequest) -> Principal:
    return principal_of_user(request.user)  # type: ignore[arg-type]  # the site has let in an account of ours


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    """What was asked for, and what became of it. Files are fetched from here; reports are asked for over the API."""

    list_display = ("title", "kind", "file_format", "state", "pages", "asked_by", "created_at", "file_link")
    list_filter = ("state", "kind", "file_format", "created_at")
    list_select_related = ("requested_by",)
    list_per_page = 50
    search_fields = ("title", "requested_by__username")
    search_help_text = "Title, or name of the account that asked for it"
    ordering = ("-id",)
    actions = ("retry", "cancel", "remove")
    fields = (
        ("title", "state"),
        ("kind", "file_format"),
        ("problem", "problem_code"),
        ("rows_done", "rows_total", "pages"),
        ("file_name", "file_bytes", "file_link"),
        ("asked_by", "client_id"),
        ("term", "company", "training_day"),
        ("enrollment", "certificate", "day"),
        ("created_at", "started_at", "finished_at", "expires_at"),
        ("attempt", "phase"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Report]:
        joined = (
            "requested_by",
            "term",
            "company",
            "training_day",
            "certificate",
            "enrollment__cadet",
            "enrollment__term",
        )
        return super().get_queryset(request).select_related(*joined)

    @admin.display(description="asked for by")
    def asked_by(self, report: Report) -> str:
        return "the daily schedule" if report.requested_by is None else report.requested_by.username

    @admin.display(description="file")
    def file_link(self, report: Report) -> SafeString | str:
        if report.state != State.READY:
            return "-"
        return format_html('<a href="{}">Open</a>', reverse("admin:reports_report_file", args=[report.pk]))

    def row_actions(self, row: Report) -> Mapping[str, str]:
        offered = {"remove": "Remove"}
        if row.state in rules.REPEATABLE:
            return {"retry": "Make it again", **offered}
        return {"cancel": "Stop", **offered} if row.is_under_way else offered

    @admin.action(description="Make the chosen reports again")
    def retry(self, request: HttpRequest, queryset: QuerySet[Report]) -> None:
        self._carried(request, queryset, asking.report_retry, "asked for again")

    @admin.action(description="Stop the chosen reports")
    def cancel(self, request: HttpRequest, queryset: QuerySet[Report]) -> None:
        self._carried(request, queryset, asking.report_cancel, "stopped")

    def _carried(self, request: HttpRequest, queryset: QuerySet[Report], act: Callable[..., object], done: str) -> None:
        self.carry_out(request, queryset, act=lambda report: act(actor=_actor(request), report_id=report.pk), done=done)

    @admin.action(description="Remove the chosen reports and their files")
    def remove(self, request: HttpRequest, queryset: QuerySet[Report]) -> HttpResponse | None:
        return self.ask_and_carry_out(
            request,
            queryset,
            action="remove",
            title="Remove reports and their files?",
            form=Confirmation,
            act=lambda report, _: asking.report_delete(actor=_actor(request), report_id=report.pk),
            done="removed",
        )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.file_view)
        return [path("<id:report_id>/file/", view, name="reports_report_file"), *super().get_urls()]

    def file_view(self, request: HttpRequest, report_id: int) -> HttpResponseBase:
        report = self.get_queryset(request).filter(pk=report_id, state=State.READY).first()
        if report is None:
            raise Http404
        try:
            return file_answer(
                name=report.file, content_type=CONTENT_TYPES[report.file_format], download_name=report.file_name
            )
        except DomainError as refusal:
            self.message_user(request, refusal.detail, messages.ERROR)
            return redirect("admin:reports_report_change", report.pk)


@admin.register(Certificate)
class CertificateAdmin(ReadOnlyAdmin):
    """Issued certificates, with what stands on them."""

    list_display = ("shown_code", "type", "name", "in_force", "issued_by", "issued_at")
    list_filter = ("type", "issued_at")
    list_per_page = 50
    search_fields = ("code", "facts__name", "enrollment__cadet__student_id")
    search_help_text = "Code without dashes, name as it is printed, or student number"
    ordering = ("-id",)
    actions = ("revoke",)
    fields = (
        ("shown_code", "type", "in_force"),
        "stands_on_it",
        ("enrollment", "sheet_link"),
        ("issued_by", "issued_at", "superseded_at"),
        ("revoked_by", "revoked_at", "revoke_reason"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Certificate]:
        joined = ("sheet", "issued_by", "revoked_by", "enrollment__cadet", "enrollment__term")
        return super().get_queryset(request).select_related(*joined)

    @admin.display(description="code", ordering="code")
    def shown_code(self, certificate: Certificate) -> str:
        return rules.code_shown(certificate.code)

    @admin.display(description="name", ordering="facts__name")
    def name(self, certificate: Certificate) -> str:
        return str(certificate.facts.get("name", "-"))

    @admin.display(description="state")
    def in_force(self, certificate: Certificate) -> str:
        return state_of_certificate(certificate)

    @admin.display(description="what stands on it")
    def stands_on_it(self, certificate: Certificate) -> SafeString | str:
        return json_shown(certificate.facts)

    @admin.display(description="grade sheet")
    def sheet_link(self, certificate: Certificate) -> SafeString | str:
        return link_to(certificate.sheet, f"{certificate.sheet.pk}, revision {certificate.sheet.revision}")

    def row_actions(self, row: Certificate) -> Mapping[str, str]:
        return {"revoke": "Revoke"} if row.revoked_at is None else {}

    @admin.action(description="Revoke the chosen certificates")
    def revoke(self, request: HttpRequest, queryset: QuerySet[Certificate]) -> HttpResponse | None:
        def act(certificate: Certificate, words: Mapping[str, Any]) -> object:
            return certificate_revoke(actor=_actor(request), code=certificate.code, reason=words["reason"])

        return self.ask_and_carry_out(
            request,
            queryset.filter(revoked_at=None),
            action="revoke",
            title="Revoke certificates?",
            form=ReasonForm,
            act=act,
            done="revoked",
        )
