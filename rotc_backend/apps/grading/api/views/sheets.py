from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.authentication import AdminOnly, SignedIn, StaffOnly, caller_of
from apps.cadets.selectors import term_by_id
from apps.grading.api.serializers.merits import ReasonInput
from apps.grading.api.serializers.people import term_brief
from apps.grading.api.serializers.sheets import (
    ClosingOutput,
    ReopeningOutput,
    SheetLineOutput,
    SheetOutput,
    SheetsQuery,
    SheetVerificationOutput,
    TermVerificationOutput,
    sheet_body,
    sheet_line,
    verification_body,
)
from apps.grading.api.views import examples
from apps.grading.selectors import sheets as selectors
from apps.grading.services import closing as services
from core.clock import iso, now
from core.http import Pages, entity_tag
from core.serializers import query_of

_TAGS = ["grade sheets"]
_LINE: dict[str, Any] = {
    **examples.SHEET_BRIEF,
    "enrollment_id": 12,
    "cadet": examples.CADET,
    **examples.PLACE,
    "status": "ongoing",
    **examples.FINAL_GRADE,
    "superseded_at": None,
}
_SHEET = {
    **_LINE,
    "term": examples.CLOSED_TERM,
    "frozen_by": examples.ADMINISTRATOR,
    "inputs": {"form": 1, "enrollment_id": 12, "held": 15, "exams": {"prelim": "85.00"}},
}
_FINDING = {
    "table": "grading_examscore",
    "id": "final of enrollment 12",
    "detail": "Sheet 930 was frozen with other exams: {'final': '95.00'}; now: {'final': '99.00'}.",
    "remedy": "If the row is right, reopen the term with a reason and close it again; if not, put it back.",
}
_SOUND = {"sound": True, "checked_at": examples.AT, "count": 0, "findings": []}
_UNSOUND = {"sound": False, "checked_at": examples.AT, "count": 1, "findings": [_FINDING]}


class TermCloseView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="terms_close",
        tags=_TAGS,
        summary="Close a term and freeze its grades",
        description=(
            "Administrators only. Every enrollment gets a grade sheet with its inputs, all or none; from then on no "
            "write is taken that could change a grade. All days of the term count, and nothing is in progress: a "
            "missing exam counts 0. Statuses of enrollments stay as they are. Everybody's sockets hear `term.closed`, "
            "each cadet's `grade.released`. Problems: 409 `term_closed`; 503 `policy_missing`."
        ),
        request=None,
        responses={200: ClosingOutput, 409: OpenApiResponse(description="It is closed already (`term_closed`).")},
        examples=[
            OpenApiExample(
                "closed",
                response_only=True,
                status_codes=["200"],
                value={
                    "term": examples.CLOSED_TERM,
                    "closed_at": examples.AT,
                    "sheets": 290,
                    "outcomes": [
                        {"remark": "Passed", "equivalent": "1.50", "count": 280},
                        {"remark": "Failed", "equivalent": "5.00", "count": 10},
                    ],
                    "missing_exams": 2,
                    "without_attendance": 0,
                },
            )
        ],
    )
    def post(self, request: Request, term_id: int) -> Response:
        done = services.term_close(actor=caller_of(request), term_id=term_id)
        body = {
            "term": term_brief(done.term),
            "closed_at": iso(done.closed_at),
            "sheets": done.sheets,
            "outcomes": done.outcomes,
            "missing_exams": done.missing_exams,
            "without_attendance": done.without_attendance,
        }
        return Response(body, headers={"ETag": entity_tag(done.term.version)})


class TermReopenView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="terms_reopen",
        tags=_TAGS,
        summary="Open a closed term again",
        description=(
            "Administrators only. Its grade sheets are superseded, never deleted; closing it again adds the next "
            "revisions. The reason stands in the audit trail. Everybody's sockets hear `term.reopened`. Problems: 409 "
            "`term_open`."
        ),
        request=ReasonInput,
        responses={200: ReopeningOutput, 409: OpenApiResponse(description="It is open (`term_open`).")},
        examples=[
            OpenApiExample("a reason", request_only=True, value={"reason": "The final of Bravo was recorded late."}),
            OpenApiExample("reopened", response_only=True, status_codes=["200"], value={"term": examples.TERM}),
        ],
    )
    def post(self, request: Request, term_id: int) -> Response:
        given = ReasonInput(data=request.data)
        given.is_valid(raise_exception=True)
        term = services.term_reopen(actor=caller_of(request), term_id=term_id, **given.validated_data)
        return Response({"term": term_brief(term)}, headers={"ETag": entity_tag(term.version)})


class TermSheetsView(APIView):
    permission_classes = (StaffOnly,)
    pagination_class = Pages

    @extend_schema(
        operation_id="term_grade_sheets_list",
        tags=_TAGS,
        summary="The frozen grade sheets of a term, by name",
        description="Those in force, or with `superseded=true` those of earlier closings.",
        parameters=[SheetsQuery],
        responses={200: SheetLineOutput(many=True)},
        examples=[OpenApiExample("a sheet", response_only=True, status_codes=["200"], value=_LINE)],
    )
    def get(self, request: Request, term_id: int) -> Response:
        asked = query_of(request, SheetsQuery)
        rows = selectors.sheets_of_term(
            term_id=term_id,
            company_id=asked.get("company"),
            platoon_id=asked.get("platoon"),
            superseded=asked["superseded"],
        )
        pages = Pages()
        lines = [sheet_line(sheet) for sheet in pages.paginate_queryset(rows, request, self)]
        if not pages.count:
            term_by_id(term_id=term_id)
        return pages.get_paginated_response(lines)


class SheetView(APIView):
    permission_classes = (SignedIn,)

    @extend_schema(
        operation_id="grade_sheets_retrieve",
        tags=_TAGS,
        summary="One frozen grade sheet with its inputs",
        description="Staff see all; a cadet the own ones, and 404 for another's.",
        responses={200: SheetOutput},
        examples=[OpenApiExample("a sheet", response_only=True, value=_SHEET)],
    )
    def get(self, request: Request, sheet_id: int) -> Response:
        caller = caller_of(request)
        sheet = selectors.sheet_visible_to(
            user_id=caller.user_id, is_staff_member=caller.is_staff_member, sheet_id=sheet_id
        )
        return Response(sheet_body(sheet))


class SheetVerifyView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="grade_sheets_verify",
        tags=_TAGS,
        summary="Verify one frozen grade sheet",
        description=(
            "Administrators only. Whether its digest is intact, the rules still make this result of these inputs, and, "
            "for a sheet in force, the live rows still are the frozen inputs. Changes nothing."
        ),
        request=None,
        responses={200: SheetVerificationOutput},
        examples=[
            OpenApiExample("sound", response_only=True, status_codes=["200"], value=_SOUND),
            OpenApiExample("a score was changed", response_only=True, status_codes=["200"], value=_UNSOUND),
        ],
    )
    def post(self, request: Request, sheet_id: int) -> Response:
        caller = caller_of(request)
        sheet = selectors.sheet_visible_to(
            user_id=caller.user_id, is_staff_member=caller.is_staff_member, sheet_id=sheet_id
        )
        findings = list(selectors.sheet_findings(sheet_id=sheet.pk))
        return Response(verification_body(findings, checked_at=iso(now())))


class TermVerificationView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="term_verification",
        tags=_TAGS,
        summary="Verify all frozen grade sheets of a term",
        description=(
            "Administrators only. Each sheet as by its own verification, and that a closed term has one in force for "
            "every enrollment. Reads every row that a grade of the term depends on: not for polling."
        ),
        responses={200: TermVerificationOutput},
        examples=[
            OpenApiExample(
                "sound",
                response_only=True,
                value={**_SOUND, "term": examples.CLOSED_TERM, "in_force": 290, "superseded": 0},
            )
        ],
    )
    def get(self, request: Request, term_id: int) -> Response:
        term = term_by_id(term_id=term_id)
        found = selectors.verification(term=term)
        return Response(
            {
                "term": term_brief(term),
                "in_force": found["in_force"],
                "superseded": found["superseded"],
                **verification_body(found["findings"], checked_at=iso(now())),
            }
        )
