from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from apps.accounts.authentication import AdminOnly, SignedIn, caller_of
from apps.cadets import selectors
from apps.cadets.api.serializers.lists import TermInput, TermOutput
from apps.cadets.api.views.answers import ETAG, EverybodyReads, conflict, given_in, page_answer, row_answer
from apps.cadets.services import terms
from core.http import Pages, expected_version
from core.openapi import IF_MATCH
from core.serializers import QueryParameters, query_of

_TAGS = ["terms"]
TERM = {
    "id": 4,
    "school_year": "2026-2027",
    "semester": "1st",
    "starts_on": "2026-08-10",
    "ends_on": "2026-12-18",
    "is_current": True,
    "closed_at": None,
    "version": 3,
}
_GIVEN = {name: TERM[name] for name in ("school_year", "semester", "starts_on", "ends_on")}
_NEW = {**TERM, "is_current": False, "version": 1}


class TermsView(EverybodyReads):
    pagination_class = Pages

    @extend_schema(
        operation_id="terms_list",
        tags=_TAGS,
        summary="All terms, the latest first",
        description="For everybody who is signed in.",
        responses={200: TermOutput(many=True)},
        examples=[OpenApiExample("the current term", response_only=True, status_codes=["200"], value=TERM)],
    )
    def get(self, request: Request) -> Response:
        query_of(request, QueryParameters)  # which refuses filters that do not exist
        return page_answer(self, request, selectors.terms_listed(), TermOutput)

    @extend_schema(
        operation_id="terms_create",
        tags=_TAGS,
        summary="Make a term",
        description=(
            "It is not the current one until it is made so. Administrators only. Staff hear `term.created`. Problems: "
            "400 with `not_consecutive` at `school_year`, `before_start` at `ends_on`."
        ),
        request=TermInput,
        responses={
            201: OpenApiResponse(TermOutput, description="Created; Location gives its address."),
            409: conflict("term_exists"),
        },
        examples=[
            OpenApiExample("the first semester", request_only=True, value=_GIVEN),
            OpenApiExample("created", response_only=True, status_codes=["201"], value=_NEW),
        ],
    )
    def post(self, request: Request) -> Response:
        term = terms.term_create(actor=caller_of(request), **given_in(request, TermInput))
        return row_answer(term, TermOutput(term), location=reverse("term", args=[term.pk]))


class TermView(EverybodyReads):
    @extend_schema(
        operation_id="terms_retrieve",
        tags=_TAGS,
        summary="One term",
        description=f"For everybody who is signed in. {ETAG}",
        responses={200: TermOutput},
        examples=[OpenApiExample("the current term", response_only=True, status_codes=["200"], value=TERM)],
    )
    def get(self, request: Request, term_id: int) -> Response:
        term = selectors.term_by_id(term_id=term_id)
        return row_answer(term, TermOutput(term))

    @extend_schema(
        operation_id="terms_change",
        tags=_TAGS,
        summary="Change a term's year, semester or dates",
        description=(
            "Administrators only. Staff hear `term.changed`. Problems: 400 as with a new one; 409 `term_closed`, "
            "`term_exists`, `enrollments_outside` when somebody was enrolled on a day that would be outside, and "
            "`training_days_outside` when a training day that is not cancelled would be."
        ),
        parameters=[IF_MATCH],
        request=TermInput,
        responses={
            200: TermOutput,
            409: conflict("term_closed", "term_exists", "enrollments_outside", "training_days_outside"),
        },
        examples=[
            OpenApiExample("a week longer", request_only=True, value={"ends_on": "2026-12-25"}),
            OpenApiExample(
                "changed",
                response_only=True,
                status_codes=["200"],
                value={**TERM, "ends_on": "2026-12-25", "version": 4},
            ),
        ],
    )
    def patch(self, request: Request, term_id: int) -> Response:
        term = terms.term_change(
            actor=caller_of(request),
            term_id=term_id,
            expected_version=expected_version(request),
            changes=given_in(request, TermInput, partial=True),
        )
        return row_answer(term, TermOutput(term))


class CurrentTermView(APIView):
    permission_classes = (SignedIn,)

    @extend_schema(
        operation_id="terms_current",
        tags=_TAGS,
        summary="The current term",
        description=f"For everybody who is signed in. {ETAG}",
        responses={
            200: TermOutput,
            404: OpenApiResponse(description="`no_current_term`: no administrator has chosen one yet."),
        },
        examples=[OpenApiExample("the current term", response_only=True, status_codes=["200"], value=TERM)],
    )
    def get(self, request: Request) -> Response:
        term = selectors.term_current()
        return row_answer(term, TermOutput(term))


class TermMakeCurrentView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="terms_make_current",
        tags=_TAGS,
        summary="Make a term the current one",
        description=(
            "The one before is no longer current, in the same moment. Nothing happens if it is current already. "
            "Administrators only. Staff hear `term.changed` of both."
        ),
        request=None,
        responses={200: TermOutput, 409: conflict("term_closed")},
        examples=[OpenApiExample("current", response_only=True, status_codes=["200"], value=TERM)],
    )
    def post(self, request: Request, term_id: int) -> Response:
        term = terms.term_make_current(actor=caller_of(request), term_id=term_id)
        return row_answer(term, TermOutput(term))
