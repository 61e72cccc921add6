from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from apps.accounts.authentication import AdminOnly, CadetOnly, StaffOnly, caller_of
from apps.cadets.selectors import cadet_of_user
from apps.grading.api.serializers.merits import (
    AdjustmentInput,
    AdjustmentOutput,
    AdjustmentsQuery,
    MeritInput,
    MeritOutput,
    MeritsQuery,
    OwnMeritsQuery,
    ReasonInput,
    adjustment_body,
    merit_body,
)
from apps.grading.api.views import examples
from apps.grading.selectors import merits as selectors
from apps.grading.services import merits as services
from core.http import Pages
from core.serializers import query_of

_MERITS, _ADJUSTMENTS = ["merits"], ["adjustments"]
_ISSUED: dict[str, Any] = {
    "id": 204,
    "enrollment_id": 12,
    "term_id": 3,
    "cadet": examples.CADET,
    "reason": "Helped to put out the fire in the mess hall.",
    "issued_by": examples.INSTRUCTOR,
    "issued_at": examples.AT,
    "revoked_by": None,
    "revoked_at": None,
    "revoke_reason": None,
}
_REVOKED = {
    "revoked_by": examples.INSTRUCTOR,
    "revoked_at": "2026-08-23T02:00:00.000Z",
    "revoke_reason": "Issued to the wrong cadet.",
}
_MERIT = {**_ISSUED, "kind": "merit", "points": 10}
_ADJUSTMENT = {
    **_ISSUED,
    "issued_by": examples.ADMINISTRATOR,
    "reason": "Two days at the regional games.",
    "component": "attendance",
    "points": "4.00",
}
_REASON = OpenApiExample("a reason", request_only=True, value={"reason": _REVOKED["revoke_reason"]})
_CLOSED = OpenApiResponse(description="The term is closed (`term_closed`).")
_NOT_AGAIN = OpenApiResponse(description="It was revoked already (`already_revoked`), or the term is closed.")


def _page(view: APIView, request: Request, rows: QuerySet[Any], body: Any) -> Response:
    pages = Pages()
    return pages.get_paginated_response([body(row) for row in pages.paginate_queryset(rows, request, view)])


class MeritsView(APIView):
    permission_classes = (StaffOnly,)
    pagination_class = Pages

    @extend_schema(
        operation_id="merits_list",
        tags=_MERITS,
        summary="Merits and demerits, newest first",
        description="Those revoked stay in the list, with their reason; `revoked=false` leaves them out.",
        parameters=[MeritsQuery],
        responses={200: MeritOutput(many=True)},
        examples=[OpenApiExample("a merit", response_only=True, status_codes=["200"], value=_MERIT)],
    )
    def get(self, request: Request) -> Response:
        asked = query_of(request, MeritsQuery)
        rows = selectors.merits_list(
            cadet_id=asked.get("cadet"),
            term_id=asked.get("term"),
            kind=asked.get("kind"),
            revoked=asked.get("revoked"),
        )
        return _page(self, request, rows, merit_body)

    @extend_schema(
        operation_id="merits_issue",
        tags=_MERITS,
        summary="Give a cadet merit or demerit points",
        description=(
            "It is never edited, only revoked. Sockets of staff and of the cadet hear `merit.issued`. Problems: 400 "
            "`unknown_enrollment`; 409 `term_closed`."
        ),
        request=MeritInput,
        responses={201: OpenApiResponse(MeritOutput, description="Issued; Location gives its address."), 409: _CLOSED},
        examples=[
            OpenApiExample(
                "ten merits",
                request_only=True,
                value={"enrollment_id": 12, "kind": "merit", "points": 10, "reason": _ISSUED["reason"]},
            ),
            OpenApiExample("issued", response_only=True, status_codes=["201"], value=_MERIT),
        ],
    )
    def post(self, request: Request) -> Response:
        given = MeritInput(data=request.data)
        given.is_valid(raise_exception=True)
        row = services.merit_issue(actor=caller_of(request), **given.validated_data)
        return Response(merit_body(row), status=201, headers={"Location": reverse("merit", args=[row.pk])})


class MeritView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="merits_retrieve",
        tags=_MERITS,
        summary="One merit or demerit",
        responses={200: MeritOutput},
        examples=[OpenApiExample("a merit", response_only=True, value=_MERIT)],
    )
    def get(self, request: Request, merit_id: int) -> Response:
        return Response(merit_body(selectors.merit_by_id(merit_id=merit_id)))


class MeritRevokeView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="merits_revoke",
        tags=_MERITS,
        summary="Take a merit or demerit back",
        description=(
            "Training staff only what they issued themselves (403 `permission_denied`), administrators any. It stays "
            "in the log and no longer counts. Sockets of staff and of the cadet hear `merit.revoked`. Problems: 409 "
            "`already_revoked`, `term_closed`."
        ),
        request=ReasonInput,
        responses={200: MeritOutput, 409: _NOT_AGAIN},
        examples=[
            _REASON,
            OpenApiExample("revoked", response_only=True, status_codes=["200"], value={**_MERIT, **_REVOKED}),
        ],
    )
    def post(self, request: Request, merit_id: int) -> Response:
        given = ReasonInput(data=request.data)
        given.is_valid(raise_exception=True)
        row = services.merit_revoke(actor=caller_of(request), merit_id=merit_id, **given.validated_data)
        return Response(merit_body(row))


class OwnMeritsView(APIView):
    permission_classes = (CadetOnly,)
    pagination_class = Pages

    @extend_schema(
        operation_id="cadet_own_merits",
        tags=_MERITS,
        summary="One's own merits and demerits, newest first",
        description="Of all terms unless told; those revoked too. Problems: 404 `no_cadet_record`.",
        parameters=[OwnMeritsQuery],
        responses={
            200: MeritOutput(many=True),
            404: OpenApiResponse(description="The account is not linked to a cadet's record (`no_cadet_record`)."),
        },
        examples=[OpenApiExample("a merit", response_only=True, status_codes=["200"], value=_MERIT)],
    )
    def get(self, request: Request) -> Response:
        asked = query_of(request, OwnMeritsQuery)
        cadet = cadet_of_user(user_id=caller_of(request).user_id)
        rows = selectors.merits_list(cadet_id=cadet.pk, term_id=asked.get("term"))
        return _page(self, request, rows, merit_body)


class AdjustmentsView(APIView):
    permission_classes: tuple[type[BasePermission], ...] = (AdminOnly,)
    pagination_class = Pages

    @extend_schema(
        operation_id="adjustments_list",
        tags=_ADJUSTMENTS,
        summary="Points added to grades by hand, newest first",
        description="Administrators only. Those revoked stay in the list.",
        parameters=[AdjustmentsQuery],
        responses={200: AdjustmentOutput(many=True)},
        examples=[OpenApiExample("an adjustment", response_only=True, status_codes=["200"], value=_ADJUSTMENT)],
    )
    def get(self, request: Request) -> Response:
        asked = query_of(request, AdjustmentsQuery)
        rows = selectors.adjustments_list(enrollment_id=asked.get("enrollment"), term_id=asked.get("term"))
        return _page(self, request, rows, adjustment_body)

    @extend_schema(
        operation_id="adjustments_issue",
        tags=_ADJUSTMENTS,
        summary="Add points to one part of a grade, or take some off",
        description=(
            "Administrators only. The points are added to the part, which is then kept between 0 and its maximum; the "
            "computed value stays beside it. Never edited, only revoked. Sockets of administrators hear "
            "`adjustment.issued`, the cadet's hear `grade.changed`. Problems: 400 `unknown_enrollment`; 409 "
            "`term_closed`."
        ),
        request=AdjustmentInput,
        responses={
            201: OpenApiResponse(AdjustmentOutput, description="Issued; Location gives the list it stands in."),
            409: _CLOSED,
        },
        examples=[
            OpenApiExample(
                "four points",
                request_only=True,
                value={
                    "enrollment_id": 12,
                    "component": "attendance",
                    "points": "4.00",
                    "reason": _ADJUSTMENT["reason"],
                },
            ),
            OpenApiExample("issued", response_only=True, status_codes=["201"], value=_ADJUSTMENT),
        ],
    )
    def post(self, request: Request) -> Response:
        given = AdjustmentInput(data=request.data)
        given.is_valid(raise_exception=True)
        row = services.adjustment_issue(actor=caller_of(request), **given.validated_data)
        location = f"{reverse('adjustments')}?enrollment={row.enrollment_id}"
        return Response(adjustment_body(row), status=201, headers={"Location": location})


class AdjustmentRevokeView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="adjustments_revoke",
        tags=_ADJUSTMENTS,
        summary="Take an adjustment back",
        description=(
            "Administrators only. It stays in the list and no longer counts. Sockets of administrators hear "
            "`adjustment.revoked`, the cadet's hear `grade.changed`. Problems: 409 `already_revoked`, `term_closed`."
        ),
        request=ReasonInput,
        responses={200: AdjustmentOutput, 409: _NOT_AGAIN},
        examples=[
            _REASON,
            OpenApiExample(
                "revoked",
                response_only=True,
                status_codes=["200"],
                value={**_ADJUSTMENT, **_REVOKED, "revoked_by": examples.ADMINISTRATOR},
            ),
        ],
    )
    def post(self, request: Request, adjustment_id: int) -> Response:
        given = ReasonInput(data=request.data)
        given.is_valid(raise_exception=True)
        row = services.adjustment_revoke(actor=caller_of(request), adjustment_id=adjustment_id, **given.validated_data)
        return Response(adjustment_body(row))
