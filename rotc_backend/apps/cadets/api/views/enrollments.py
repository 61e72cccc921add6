from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from apps.accounts.authentication import StaffOnly, caller_of
from apps.cadets import selectors
from apps.cadets.api.serializers.cadets import (
    EnrollmentCreateInput,
    EnrollmentInput,
    EnrollmentOutput,
    EnrollmentsQuery,
)
from apps.cadets.api.views.answers import ETAG, SEEN_BY_STAFF, StaffRead, conflict, given_in, page_answer, row_answer
from apps.cadets.api.views.cadets import NAME, PLACE
from apps.cadets.api.views.terms import TERM
from apps.cadets.services import enrollments
from core.http import Pages, expected_version
from core.openapi import IF_MATCH
from core.serializers import QueryParameters, query_of

_TAGS = ["enrollments"]
_ENROLLMENT = {"cadet": NAME, "term": TERM, **{name: value for name, value in PLACE.items() if name != "term_id"}}
_MOVED = {**_ENROLLMENT, "company": {"id": 2, "name": "Bravo"}, "version": 2}
_PROBLEMS = (
    "Problems: 400 with `unknown_company`, `archived_company`, `unknown_platoon`, `archived_platoon`, and "
    "`outside_term` at `enrolled_on`."
)


class CadetEnrollmentsView(StaffRead):
    pagination_class = Pages

    @extend_schema(
        operation_id="cadets_enrollments_list",
        tags=_TAGS,
        summary="A cadet's enrollments, the latest term first",
        description=SEEN_BY_STAFF,
        responses={200: EnrollmentOutput(many=True)},
        examples=[OpenApiExample("enrolled", response_only=True, status_codes=["200"], value=_ENROLLMENT)],
    )
    def get(self, request: Request, cadet_id: int) -> Response:
        query_of(request, QueryParameters)  # which refuses filters that do not exist
        cadet = selectors.cadet_by_id(cadet_id=cadet_id)
        return page_answer(self, request, selectors.enrollments_of_cadet(cadet_id=cadet.pk), EnrollmentOutput)

    @extend_schema(
        operation_id="cadets_enrollments_create",
        tags=_TAGS,
        summary="Enroll a cadet in a term",
        description=(
            "Administrators only. Staff and the cadet hear `enrollment.created`. "
            f"{_PROBLEMS} 400 with `unknown_term` at `term_id`; 404 `no_current_term` when none is named."
        ),
        request=EnrollmentCreateInput,
        responses={
            201: OpenApiResponse(EnrollmentOutput, description="Created; Location gives its address."),
            409: conflict("already_enrolled", "cadet_archived", "term_closed"),
        },
        examples=[
            OpenApiExample("in the current term", request_only=True, value={"company_id": 1, "platoon_id": 2}),
            OpenApiExample("enrolled", response_only=True, status_codes=["201"], value=_ENROLLMENT),
        ],
    )
    def post(self, request: Request, cadet_id: int) -> Response:
        fields = given_in(request, EnrollmentCreateInput)
        enrollment = enrollments.enrollment_create(
            actor=caller_of(request), cadet_id=cadet_id, term_id=fields.pop("term_id", None), fields=fields
        )
        return row_answer(
            enrollment, EnrollmentOutput(enrollment), location=reverse("enrollment", args=[enrollment.pk])
        )


class EnrollmentsView(APIView):
    permission_classes = (StaffOnly,)
    pagination_class = Pages

    @extend_schema(
        operation_id="enrollments_list",
        tags=_TAGS,
        summary="Enrollments, by term and name",
        description=f"Of all terms unless one is asked for, the latest first. {SEEN_BY_STAFF}",
        parameters=[EnrollmentsQuery],
        responses={200: EnrollmentOutput(many=True)},
        examples=[OpenApiExample("enrolled", response_only=True, status_codes=["200"], value=_ENROLLMENT)],
    )
    def get(self, request: Request) -> Response:
        query = query_of(request, EnrollmentsQuery)
        rows = selectors.enrollments_listed(
            **{f"{name}_id": query.pop(name, None) for name in ("term", "company", "platoon")}, **query
        )
        return page_answer(self, request, rows, EnrollmentOutput)


class EnrollmentView(StaffRead):
    @extend_schema(
        operation_id="enrollments_retrieve",
        tags=_TAGS,
        summary="One enrollment",
        description=f"{SEEN_BY_STAFF} {ETAG}",
        responses={200: EnrollmentOutput},
        examples=[OpenApiExample("enrolled", response_only=True, status_codes=["200"], value=_ENROLLMENT)],
    )
    def get(self, request: Request, enrollment_id: int) -> Response:
        enrollment = selectors.enrollment_by_id(enrollment_id=enrollment_id)
        return row_answer(enrollment, EnrollmentOutput(enrollment))

    @extend_schema(
        operation_id="enrollments_change",
        tags=_TAGS,
        summary="Change a cadet's place in a term",
        description=(
            "Company, platoon, rank, level, status and so on; not cadet and term. Administrators only. Staff and the "
            f"cadet hear `enrollment.changed`. {_PROBLEMS}"
        ),
        parameters=[IF_MATCH],
        request=EnrollmentInput,
        responses={200: EnrollmentOutput, 409: conflict("term_closed")},
        examples=[
            OpenApiExample("to another company", request_only=True, value={"company_id": 2}),
            OpenApiExample("moved", response_only=True, status_codes=["200"], value=_MOVED),
        ],
    )
    def patch(self, request: Request, enrollment_id: int) -> Response:
        enrollment = enrollments.enrollment_change(
            actor=caller_of(request),
            enrollment_id=enrollment_id,
            expected_version=expected_version(request),
            changes=given_in(request, EnrollmentInput, partial=True),
        )
        return row_answer(enrollment, EnrollmentOutput(enrollment))
