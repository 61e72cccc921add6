from collections import Counter
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.authentication import CadetOnly, StaffOnly, caller_of
from apps.training.api.serializers import scans as serializers
from apps.training.selectors.days import training_day_by_id
from apps.training.selectors.scans import scans_of_day
from apps.training.services.codes import PNG, SVG, attendance_code_image, attendance_code_issue
from apps.training.services.scans import ALREADY_RECORDED, RECORDED, REFUSED, Presented, scan_take, scans_take
from core.clock import iso
from core.file_views import FileNegotiation
from core.http import Pages
from core.serializers import query_of

_TAGS = ["attendance scans"]
_TYPES = {PNG: "image/png", SVG: "image/svg+xml"}
_CODE = "RGMS1.AAAAAAAAAAAB6AAAAAAAAAAAOYAAAANAE2CTAVAAAABFQ3A7R47CW7KKKGNAYX2OBV5ZYIM32WT7USK552GHU3TBY2MH42U6"
_SCAN_ID = "0f8ce1f4-8d1c-4d6c-9a0f-6a1d7e0a52b1"
_CADET = {"cadet_id": 118, "student_id": "2025-0118", "name": "Macaraeg, Liza Santos"}
_RECORD = {
    "status": "present",
    "time_in": "2026-08-21T22:51:04.120Z",
    "time_out": None,
    "remarks": "",
    "source": "scan",
    "updated_at": "2026-08-21T22:51:04.331Z",
    "cadet_id": 118,
    "recorded_by_id": 3,
}
_TAKEN = {"scan_id": _SCAN_ID, "result": "recorded", "effect": "time_in", "cadet": _CADET, "record": _RECORD}
_AGAIN = {**_TAKEN, "result": "already_recorded"}
_REFUSED = {
    "scan_id": "5d1bb0a6-52f5-4e0f-93f7-2f7f3f8f0f57",
    "result": "refused",
    "effect": None,
    "cadet": None,
    "record": None,
    "code": "code_forged",
    "detail": "This system did not make this code, or its keys were changed since. Ask the cadet for a fresh one; if "
    "that is refused too, take the name and tell an administrator.",
}
_ROW = {
    "scan_id": _SCAN_ID,
    "cadet": _CADET,
    "scanned_at": "2026-08-21T22:51:04.120Z",
    "received_at": "2026-08-21T22:51:04.326Z",
    "scanned_by_id": 3,
    "effect": "time_in",
}
_OWN_CODE = (
    "For cadets, on the day itself in Manila, from midnight to midnight. Every call gives another code; it works once "
    "and for some minutes (ten unless configured otherwise), for this cadet and this day. "
)
_NO_CODE_404 = "No such training day; `no_cadet_record`: the account is not linked to a cadet; `not_enrolled`."
_NO_CODE_409 = "`day_not_today`, `day_cancelled` or `term_closed`."
_STAFF_SCANS = "For training staff and administrators. "
_REFUSALS = (
    "`code_malformed`, `code_forged`, `code_expired`, `code_of_another_day`, `code_used`, `not_enrolled`, "
    "`cadet_archived`, `too_soon` (within 5 minutes of the time in), `already_out`, `day_cancelled`, "
    "`scanned_at_impossible`"
)
_DAY_409 = "`term_closed`: its grades are frozen. `day_in_future`: the day can be scanned for from its date on."
_EXPIRES = "X-Code-Expires-At"


class AttendanceCodeView(APIView):
    permission_classes = (CadetOnly,)

    @extend_schema(
        operation_id="attendance_codes_issue",
        tags=_TAGS,
        summary="A fresh attendance code of one's own",
        description=f"{_OWN_CODE}Show it as a QR code. Never cached; asking for one leaves no trace.",
        responses={
            200: serializers.AttendanceCodeOutput,
            404: OpenApiResponse(description=_NO_CODE_404),
            409: OpenApiResponse(description=_NO_CODE_409),
        },
        examples=[
            OpenApiExample(
                "a code",
                response_only=True,
                status_codes=["200"],
                value={"code": _CODE, "expires_at": "2026-08-21T23:00:58.004Z"},
            )
        ],
    )
    def get(self, request: Request, training_day_id: int) -> Response:
        issued = attendance_code_issue(actor=caller_of(request), training_day_id=training_day_id)
        return Response(serializers.AttendanceCodeOutput(issued).data, headers={"Cache-Control": "no-store"})


class AttendanceCodeImageView(APIView):
    permission_classes = (CadetOnly,)
    content_negotiation_class = FileNegotiation

    @extend_schema(
        operation_id="attendance_codes_image",
        tags=_TAGS,
        summary="A fresh attendance code of one's own, as a picture",
        description=f"{_OWN_CODE}As a QR code with its quiet zone; X-Code-Expires-At says until when. Never cached.",
        parameters=[
            serializers.ImageQuery,
            OpenApiParameter(
                _EXPIRES, OpenApiTypes.DATETIME, OpenApiParameter.HEADER, response=[200], description="Until when."
            ),
        ],
        responses={
            (200, "image/png"): OpenApiResponse(OpenApiTypes.BINARY, description="The picture."),
            (200, "image/svg+xml"): OpenApiResponse(OpenApiTypes.BINARY, description="The picture."),
            404: OpenApiResponse(description=_NO_CODE_404),
            409: OpenApiResponse(description=_NO_CODE_409),
        },
    )
    def get(self, request: Request, training_day_id: int) -> HttpResponse:
        file_format = query_of(request, serializers.ImageQuery)["file_format"]
        issued = attendance_code_issue(actor=caller_of(request), training_day_id=training_day_id)
        answer = HttpResponse(
            attendance_code_image(issued.code, file_format=file_format), content_type=_TYPES[file_format]
        )
        answer[_EXPIRES] = iso(issued.expires_at)
        answer["Cache-Control"] = "no-store"
        answer["X-Content-Type-Options"] = "nosniff"
        answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
        return answer


class ScansView(APIView):
    permission_classes: tuple[type[BasePermission], ...] = (StaffOnly,)
    pagination_class = Pages

    @extend_schema(
        operation_id="scans_list",
        tags=_TAGS,
        summary="The scans of a training day, the latest first",
        description=(
            f"{_STAFF_SCANS}Those that counted, and those of genuine codes that gave nothing (`too_soon`, "
            "`already_out`). Other refusals are in the audit trail."
        ),
        parameters=[serializers.ScansQuery],
        responses={200: serializers.ScanRowOutput(many=True)},
        examples=[OpenApiExample("a page", response_only=True, status_codes=["200"], value=_ROW)],
    )
    def get(self, request: Request, training_day_id: int) -> Response:
        query = query_of(request, serializers.ScansQuery)
        day = training_day_by_id(training_day_id=training_day_id)
        pages = Pages()
        scans = scans_of_day(training_day_id=day.pk, cadet_id=query.get("cadet"))
        rows = pages.paginate_queryset(scans, request, self)
        return pages.get_paginated_response(serializers.ScanRowOutput(rows, many=True).data)

    @extend_schema(
        operation_id="scans_take",
        tags=_TAGS,
        summary="Take the code that a cadet shows",
        description=(
            f"{_STAFF_SCANS}The first code of a day gives the time in, and `present`, or `late` after the day's "
            "`late_after`; a second code at least 5 minutes later the time out. `absent` gives way; another status "
            "that somebody wrote stays and gets its times. The same `scan_id` with the same code is a retry: answered "
            "alike (`already_recorded`), nothing written. A refusal is 409 and stands in the audit trail. The cadet's "
            "sockets hear `attendance.marked`, those of the staff `attendance.day_changed`."
        ),
        request=serializers.ScanInput,
        responses={
            200: serializers.ScanOutput,
            409: OpenApiResponse(description=f"Refused: {_REFUSALS}. Or nothing can be taken: {_DAY_409}"),
        },
        examples=[
            OpenApiExample("a scan", request_only=True, value={"scan_id": _SCAN_ID, "code": _CODE}),
            OpenApiExample("time in", response_only=True, status_codes=["200"], value=_TAKEN),
            OpenApiExample("a retry", response_only=True, status_codes=["200"], value=_AGAIN),
        ],
    )
    def post(self, request: Request, training_day_id: int) -> Response:
        given = serializers.ScanInput(data=request.data)
        given.is_valid(raise_exception=True)
        answer = scan_take(actor=caller_of(request), training_day_id=training_day_id, **given.validated_data)
        return Response(serializers.ScanOutput(answer).data)


class ScanBatchView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="scans_take_many",
        tags=_TAGS,
        summary="Hand in scans that were recorded offline",
        description=(
            f"{_STAFF_SCANS}At most 500, each with its time and answered on its own, in their order: `recorded`, "
            "`already_recorded` (the same batch again changes nothing) or `refused`, with a code as for one scan and "
            "words that say what to do. Whatever order scans arrive in, and in whatever batches, the records are the "
            "same in the end. A cadet whom the system has marked absent meanwhile becomes present or late."
        ),
        request=serializers.ScanBatchInput,
        responses={
            200: serializers.ScanBatchOutput,
            409: OpenApiResponse(description=f"Nothing was taken. {_DAY_409}"),
        },
        examples=[
            OpenApiExample(
                "two scans",
                request_only=True,
                value={
                    "scans": [
                        {"scan_id": _SCAN_ID, "code": _CODE, "scanned_at": "2026-08-22T06:51:04.120+08:00"},
                        {
                            "scan_id": _REFUSED["scan_id"],
                            "code": f"{_CODE[:-1]}A",
                            "scanned_at": "2026-08-22T06:52:10+08:00",
                        },
                    ]
                },
            ),
            OpenApiExample(
                "taken",
                response_only=True,
                status_codes=["200"],
                value={
                    "counts": {"recorded": 1, "already_recorded": 0, "refused": 1},
                    "scans": [{**_TAKEN, "code": None, "detail": None}, _REFUSED],
                },
            ),
        ],
    )
    def post(self, request: Request, training_day_id: int) -> Response:
        given = serializers.ScanBatchInput(data=request.data)
        given.is_valid(raise_exception=True)
        answers = scans_take(
            actor=caller_of(request),
            training_day_id=training_day_id,
            scans=[Presented(**scan) for scan in given.validated_data["scans"]],
        )
        results = Counter(answer.result for answer in answers)
        counts: dict[str, Any] = {result: results[result] for result in (RECORDED, ALREADY_RECORDED, REFUSED)}
        return Response(serializers.ScanBatchOutput({"counts": counts, "scans": answers}).data)
