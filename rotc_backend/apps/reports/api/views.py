from typing import Any

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views import View
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from apps.accounts.authentication import AdminOnly, caller_of
from apps.reports import rules, selectors
from apps.reports.api import serializers
from apps.reports.api.throttles import CertificateThrottle
from apps.reports.models import Report
from apps.reports.services import asking, certificates, links
from apps.reports.services.files import CONTENT_TYPES
from core.errors import NotFound
from core.file_views import FileNegotiation
from core.http import Pages
from core.serializers import query_of
from core.uploads import file_answer

_TAGS, _CERTIFICATES = ["reports"], ["certificates"]
_READY = {
    "id": 12,
    "kind": "grade_sheet",
    "file_format": "pdf",
    "state": "ready",
    "title": "Grade sheet, Alpha, 2026-2027 First semester",
    "term_id": 4,
    "company_id": 1,
    "training_day_id": None,
    "enrollment_id": None,
    "day": None,
    "certificate_code": None,
    "client_id": "page-7f3a",
    "phase": "",
    "rows_done": 96,
    "rows_total": 96,
    "pages": 5,
    "file_name": "grade-sheet-alpha-2026-2027-1st.pdf",
    "file_bytes": 81234,
    "problem": None,
    "requested_by": {"id": 2, "username": "Amina"},
    "created_at": "2026-12-18T01:12:40.118Z",
    "started_at": "2026-12-18T01:12:40.320Z",
    "finished_at": "2026-12-18T01:12:41.007Z",
    "expires_at": "2027-01-17T01:12:41.007Z",
}
_QUEUED = {
    **_READY,
    "state": "queued",
    "rows_done": 0,
    "rows_total": None,
    "pages": None,
    "file_bytes": None,
    "started_at": None,
    "finished_at": None,
    "expires_at": None,
}
_CANCELLED = {
    **_QUEUED,
    "state": "cancelled",
    "problem": {"code": "cancelled", "detail": "Somebody stopped it."},
    "finished_at": "2026-12-18T01:12:44.000Z",
}
_CERTIFICATE = {
    "code": "K3ZQ9-4T7WV-0H2M8-6XB1C",
    "state": "valid",
    "type": "completion",
    "name": "Liza Santos Macaraeg",
    "school_year": "2026-2027",
    "semester": "First semester",
    "level": "MS1",
    "equivalent": "1.50",
    "remark": "Passed",
    "merits": None,
    "decided_on": "2026-12-20",
    "issued_at": "2026-12-21T02:00:00.000Z",
    "revoked_at": None,
}
_REVOKED = {**_CERTIFICATE, "state": "revoked", "revoked_at": "2027-01-05T03:00:00.000Z"}
_WHO = "Administrators see every report, others their own; training staff the daily ones of the schedule as well. "
_DAILY_REFUSED = OpenApiResponse(description="`permission_denied`: a daily report of the schedule, for administrators.")
_CODE = OpenApiParameter("code", str, OpenApiParameter.PATH, description="As it is printed, with or without dashes.")


def _answer(report: Report, *, status: int = 200, created: bool = False) -> Response:
    headers = {"Location": reverse("report", args=[report.pk])} if created else {}
    return Response(serializers.ReportOutput(report).data, status=status, headers=headers)


class ReportsView(APIView):
    pagination_class = Pages

    @extend_schema(
        operation_id="reports_list",
        tags=_TAGS,
        summary="Reports, the newest first",
        description=_WHO,
        parameters=[serializers.ReportsQuery],
        responses={200: serializers.ReportOutput(many=True)},
        examples=[OpenApiExample("a page", response_only=True, status_codes=["200"], value=_READY)],
    )
    def get(self, request: Request) -> Response:
        query = query_of(request, serializers.ReportsQuery)
        pages = Pages()
        rows = selectors.reports_visible_to(principal=caller_of(request), **query)
        found = pages.paginate_queryset(rows, request, self)
        return pages.get_paginated_response(serializers.ReportOutput(found, many=True).data)

    @extend_schema(
        operation_id="reports_create",
        tags=_TAGS,
        summary="Have a report made",
        description=(
            "Administrators: all kinds. Training staff: `grade_slip`, `grade_sheet`, `attendance_day`, "
            "`attendance_term`, `daily`. Cadets: the own `grade_slip`. Others: 403 `permission_denied`. The worker "
            "makes it: the asker's sockets hear `report.progress` at most once a second, then `report.ready` or "
            "`report.failed`. Grades of a closed term are those that were frozen; of an open one the report says that "
            "they are provisional. A certificate is issued at once, with a code. With a `client_id` a request that is "
            "sent again gives the same report. Problems: 400 with `required`, `not_for_this_kind`, `unknown_term`, "
            "`unknown_company`, `unknown_training_day` or `in_the_future` at a field; 404 with `no_current_term`, "
            "`no_cadet_record`, `not_enrolled`, or for an enrollment that is somebody else's."
        ),
        request=serializers.ReportInput,
        responses={
            202: OpenApiResponse(serializers.ReportOutput, description="Taken; Location gives its address."),
            403: OpenApiResponse(description="`permission_denied`: this kind is not for your role."),
            404: OpenApiResponse(description="`no_current_term`, `no_cadet_record`, `not_enrolled`, or no enrollment."),
            409: OpenApiResponse(
                description=f"`too_many_reports`: {rules.MOST_UNDER_WAY} of yours are under way. `client_id_used`: for "
                "another report. Certificates: `term_open`, `not_passed`, `too_few_merits`, `sheet_unsound`."
            ),
            503: OpenApiResponse(description="`sheet_unreadable`: a frozen grade sheet cannot be read."),
        },
        examples=[
            OpenApiExample(
                "a company's grades",
                request_only=True,
                value={"kind": "grade_sheet", "company_id": 1, "client_id": "page-7f3a"},
            ),
            OpenApiExample("taken", response_only=True, status_codes=["202"], value=_QUEUED),
        ],
    )
    def post(self, request: Request) -> Response:
        given = serializers.ReportInput(data=request.data)
        given.is_valid(raise_exception=True)
        site = request.build_absolute_uri("/").rstrip("/")
        report, _ = asking.report_create(actor=caller_of(request), site=site, **given.validated_data)
        seen = selectors.report_visible_to(principal=caller_of(request), report_id=report.pk)
        return _answer(seen, status=202, created=True)


class ReportView(APIView):
    @extend_schema(
        operation_id="reports_retrieve",
        tags=_TAGS,
        summary="One report: its state and progress",
        description=(
            f"{_WHO}States: `queued`, `running`, `ready` (fetch a link to its file), `failed`, `cancelled`, `expired` "
            f"(the file is kept for {rules.FILE_DAYS} days). Others' reports are not found."
        ),
        responses={200: serializers.ReportOutput},
        examples=[OpenApiExample("ready", response_only=True, status_codes=["200"], value=_READY)],
    )
    def get(self, request: Request, report_id: int) -> Response:
        return _answer(selectors.report_visible_to(principal=caller_of(request), report_id=report_id))

    @extend_schema(
        operation_id="reports_delete",
        tags=_TAGS,
        summary="Remove a report and its file",
        description=(
            f"{_WHO}Whatever state it is in; links to its file open nothing any more. A certificate that it printed "
            "stays valid. Daily reports of the schedule are removed by administrators only (403 `permission_denied`). "
            "The asker's sockets hear `report.deleted`."
        ),
        responses={204: None, 403: _DAILY_REFUSED},
    )
    def delete(self, request: Request, report_id: int) -> Response:
        asking.report_delete(actor=caller_of(request), report_id=report_id)
        return Response(status=204)


class ReportCancelView(APIView):
    @extend_schema(
        operation_id="reports_cancel",
        tags=_TAGS,
        summary="Stop a report",
        description=f"{_WHO}One that waits or is being made; nothing of it is kept. `report.failed` tells.",
        request=None,
        responses={
            200: OpenApiResponse(serializers.ReportOutput, description="Cancelled."),
            403: _DAILY_REFUSED,
            409: OpenApiResponse(description="`report_ended`: there is nothing to stop any more."),
        },
        examples=[OpenApiExample("cancelled", response_only=True, status_codes=["200"], value=_CANCELLED)],
    )
    def post(self, request: Request, report_id: int) -> Response:
        return _answer(asking.report_cancel(actor=caller_of(request), report_id=report_id))


class ReportRetryView(APIView):
    @extend_schema(
        operation_id="reports_retry",
        tags=_TAGS,
        summary="Have a report made again",
        description=f"{_WHO}One that failed, was cancelled, or whose file is gone. It says what is so by then.",
        request=None,
        responses={
            202: OpenApiResponse(serializers.ReportOutput, description="The worker will do it."),
            403: OpenApiResponse(description="`permission_denied`: this kind is no longer for your role."),
            409: OpenApiResponse(description="`report_not_ended`: it is ready, or under way."),
        },
        examples=[OpenApiExample("waiting", response_only=True, status_codes=["202"], value=_QUEUED)],
    )
    def post(self, request: Request, report_id: int) -> Response:
        return _answer(asking.report_retry(actor=caller_of(request), report_id=report_id), status=202)


class ReportLinkView(APIView):
    @extend_schema(
        operation_id="reports_link",
        tags=_TAGS,
        summary="A link to a report's file",
        description=(
            f"{_WHO}Signed, and good for {rules.LINK_SECONDS // 60} minutes, as often as it is opened; a browser can "
            "follow it without a token. Fetch one when somebody presses the button, not before."
        ),
        responses={
            200: serializers.ReportLinkOutput,
            409: OpenApiResponse(description="`report_not_ready`, or `report_expired`: the file is no longer kept."),
        },
        examples=[
            OpenApiExample(
                "a link",
                response_only=True,
                status_codes=["200"],
                value={"url": "/api/v1/report-files/WzEyLDJd:1v…", "expires_at": "2026-12-18T01:20:00.000Z"},
            )
        ],
    )
    def get(self, request: Request, report_id: int) -> Response:
        link = links.report_link(actor=caller_of(request), report_id=report_id)
        url = reverse("report-file", args=[link.token])
        answer = Response(serializers.ReportLinkOutput({"url": url, "expires_at": link.expires_at}).data)
        answer["Cache-Control"] = "no-store"
        return answer


class ReportFileView(APIView):
    """Public: the link itself says who may, and for how long."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    content_negotiation_class = FileNegotiation

    @extend_schema(
        operation_id="report_files_retrieve",
        tags=_TAGS,
        summary="The file of a report, by a link",
        description=(
            "Without a token: the link is signed and expires. The file itself, or a redirect to a link of the storage. "
            "Problems: 404 with `link_malformed`, `link_expired`, or `file_missing` when the report has gone since."
        ),
        parameters=[OpenApiParameter("token", str, OpenApiParameter.PATH)],
        responses={
            **{(200, content_type): OpenApiTypes.BINARY for content_type in CONTENT_TYPES.values()},
            302: OpenApiResponse(description="Location is a link to the file, signed, for five minutes."),
            404: OpenApiResponse(description="`link_malformed`, `link_expired` or `file_missing`."),
        },
    )
    def get(self, request: Request, token: str) -> FileResponse | HttpResponseRedirect:
        report = links.report_of_token(token)
        return file_answer(
            name=report.file, content_type=CONTENT_TYPES[report.file_format], download_name=report.file_name
        )


class CertificateView(APIView):
    """Public: for employers and other schools, who have no account."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (CertificateThrottle,)

    @extend_schema(
        operation_id="certificates_retrieve",
        tags=_CERTIFICATES,
        summary="Check a certificate",
        description=(
            "Without a token. Compare what it says with the paper: it is what was decided, whatever has changed since. "
            f"At most {rules.CERTIFICATE_ASKS} questions of one address in a minute."
        ),
        parameters=[_CODE],
        responses={
            200: serializers.CertificateOutput,
            404: OpenApiResponse(description="`certificate_unknown`: misread, or not issued by this unit."),
            429: OpenApiResponse(description="Wait as long as Retry-After says."),
        },
        examples=[
            OpenApiExample("valid", response_only=True, status_codes=["200"], value=_CERTIFICATE),
            OpenApiExample("revoked", response_only=True, status_codes=["200"], value=_REVOKED),
        ],
    )
    def get(self, request: Request, code: str) -> Response:
        answer = Response(serializers.CertificateOutput(selectors.certificate_by_code(code=code)).data)
        answer["Cache-Control"] = "no-store"
        return answer


class CertificateRevokeView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="certificates_revoke",
        tags=_CERTIFICATES,
        summary="Revoke a certificate",
        description="Administrators only. Whoever checks its code from now on is told that it is revoked.",
        parameters=[_CODE],
        request=serializers.RevokeInput,
        responses={
            200: serializers.CertificateOutput,
            404: OpenApiResponse(description="`certificate_unknown`."),
            409: OpenApiResponse(description="`certificate_revoked`: it is revoked already."),
        },
        examples=[OpenApiExample("revoked", response_only=True, status_codes=["200"], value=_REVOKED)],
    )
    def post(self, request: Request, code: str) -> Response:
        given = serializers.RevokeInput(data=request.data)
        given.is_valid(raise_exception=True)
        revoked = certificates.certificate_revoke(
            actor=caller_of(request), code=code, reason=given.validated_data["reason"]
        )
        return Response(serializers.CertificateOutput(revoked).data)


class CertificatePage(View):
    """What the printed code leads to, for who has a telephone and no program."""

    def get(self, request: HttpRequest, code: str) -> HttpResponse:
        status, context = self._found(request, code)
        page = render(request, "reports/certificate.html", context, status=status)
        page["Cache-Control"] = "no-store"
        page["Referrer-Policy"] = "no-referrer"
        page["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        return page

    def _found(self, request: HttpRequest, code: str) -> tuple[int, dict[str, Any]]:
        throttle = CertificateThrottle()
        if not throttle.allow_request(Request(request), CertificateView()):
            return 429, {"problem": "Too many questions from this network address. Try again in a minute."}
        try:
            certificate = selectors.certificate_by_code(code=code)
        except NotFound as error:
            return 404, {"problem": error.detail}
        return 200, {"certificate": serializers.CertificateOutput(certificate).data}
