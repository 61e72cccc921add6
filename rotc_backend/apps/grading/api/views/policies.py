from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.authentication import AdminOnly, StaffOnly, caller_of
from apps.cadets.rules import term_version
from apps.cadets.selectors import term_by_id
from apps.grading import rules
from apps.grading.api.serializers.policies import PolicyInput, PolicyOutput, policy_body
from apps.grading.selectors import policies as selectors
from apps.grading.services import policies as services
from core.cache import read_through
from core.http import entity_tag, expected_version
from core.openapi import IF_MATCH

CACHE_SECONDS = 300

_TAGS = ["grading policies"]
_GIVEN: dict[str, Any] = {
    "attendance_weight": "30.00",
    "aptitude_weight": "30.00",
    "subject_weight": "40.00",
    "attended_statuses": ["present", "late", "excused"],
    "bands": [
        {"lower_bound": "95.00", "equivalent": "1.00"},
        {"lower_bound": "90.00", "equivalent": "1.50"},
        {"lower_bound": "85.00", "equivalent": "2.00"},
        {"lower_bound": "80.00", "equivalent": "2.50"},
        {"lower_bound": "75.00", "equivalent": "3.00"},
    ],
    "failing_equivalent": "5.00",
}
_DEFAULT = {"term_id": None, "own": False, **_GIVEN, "version": 1, "updated_at": "2026-06-01T00:00:00.000Z"}
_OWN = {**_DEFAULT, "term_id": 3, "own": True, "version": 2}
_DEFAULT_EXAMPLE = OpenApiExample("the default", response_only=True, status_codes=["200"], value=_DEFAULT)
_OWN_EXAMPLE = OpenApiExample("a term's own", response_only=True, status_codes=["200"], value=_OWN)
_PATCH_EXAMPLE = OpenApiExample(
    "late no longer counts", request_only=True, value={"attended_statuses": ["present", "excused"]}
)
_RULES = (
    "Weights add up to exactly 100 (`weights_sum`), bounds fall strictly from the best band to the last "
    "(`not_descending`), and no equivalent stands twice (`duplicate`)."
)
_MISSING = "503 `policy_missing` when the default row is lost."


def _answer(body: dict[str, Any], status: int = 200) -> Response:
    return Response(body, status=status, headers={"ETag": entity_tag(body["version"])})


class DefaultPolicyView(APIView):
    @property
    def permission_classes(self) -> tuple[type[BasePermission], ...]:  # type: ignore[override]  # two operations, one path
        return (AdminOnly,) if self.request is not None and self.request.method == "PATCH" else (StaffOnly,)

    @extend_schema(
        operation_id="grading_policy_retrieve",
        tags=_TAGS,
        summary="How terms are graded that have no policy of their own",
        description=f"Answered from the cache where possible. Problems: {_MISSING}",
        responses={200: PolicyOutput},
        examples=[_DEFAULT_EXAMPLE],
    )
    def get(self, request: Request) -> Response:
        return _answer(
            read_through(
                key="grading-policy:default",
                versions=[rules.policy_version()],
                ttl=CACHE_SECONDS,
                compute=lambda: policy_body(selectors.policy_default()),
            )
        )

    @extend_schema(
        operation_id="grading_policy_update",
        tags=_TAGS,
        summary="Change the default policy",
        description=(
            "Administrators only. Every open term without a policy of its own follows at once; closed terms keep what "
            f"they were graded by, as a policy of their own. {_RULES} Sockets hear `grading_policy.changed`. {_MISSING}"
        ),
        parameters=[IF_MATCH],
        request=PolicyInput(partial=True),
        responses={200: PolicyOutput},
        examples=[_PATCH_EXAMPLE, _DEFAULT_EXAMPLE],
    )
    def patch(self, request: Request) -> Response:
        version = expected_version(request)
        given = PolicyInput(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        row = services.policy_change_default(actor=caller_of(request), expected_version=version, changes=given.record)
        return _answer(policy_body(row))


class TermPolicyView(APIView):
    @property
    def permission_classes(self) -> tuple[type[BasePermission], ...]:  # type: ignore[override]  # three operations, one path
        return (AdminOnly,) if self.request is not None and self.request.method in {"PUT", "PATCH"} else (StaffOnly,)

    @extend_schema(
        operation_id="term_grading_policy_retrieve",
        tags=_TAGS,
        summary="How a term is graded",
        description=(
            "Its own policy, or the default while it has none (`own` is false). Answered from the cache where "
            f"possible. Problems: {_MISSING}"
        ),
        responses={200: PolicyOutput},
        examples=[_DEFAULT_EXAMPLE, _OWN_EXAMPLE],
    )
    def get(self, request: Request, term_id: int) -> Response:
        def body() -> dict[str, Any]:
            term_by_id(term_id=term_id)
            return policy_body(selectors.policy_in_force(term_id=term_id))

        return _answer(
            read_through(
                key=f"grading-policy:{term_id}",
                versions=[rules.policy_version(), term_version(term_id)],
                ttl=CACHE_SECONDS,
                compute=body,
            )
        )

    @extend_schema(
        operation_id="term_grading_policy_create",
        tags=_TAGS,
        summary="Give a term a policy of its own",
        description=(
            f"Administrators only. {_RULES} The same policy again answers 200 and changes nothing. Sockets hear "
            f"`grading_policy.changed`. Problems: 409 `term_closed`, and `policy_exists` when the term has another one "
            f"of its own, which is changed with PATCH; {_MISSING}"
        ),
        request=PolicyInput,
        responses={
            200: OpenApiResponse(PolicyOutput, description="The term had this very policy already."),
            201: OpenApiResponse(PolicyOutput, description="Created."),
            409: OpenApiResponse(description="The term is closed, or has another policy of its own."),
        },
        examples=[
            OpenApiExample("the usual one", request_only=True, value=_GIVEN),
            OpenApiExample("a term's own", response_only=True, status_codes=["200", "201"], value=_OWN),
        ],
    )
    def put(self, request: Request, term_id: int) -> Response:
        given = PolicyInput(data=request.data)
        given.is_valid(raise_exception=True)
        row, created = services.policy_create_for_term(actor=caller_of(request), term_id=term_id, policy=given.record)
        return _answer(policy_body(row), status=201 if created else 200)

    @extend_schema(
        operation_id="term_grading_policy_update",
        tags=_TAGS,
        summary="Change how a term is graded",
        description=(
            "Administrators only. A term that follows the default gets a changed copy of its own; its If-Match is "
            f"then the ETag of the default, as it was read here. {_RULES} Sockets hear `grading_policy.changed`. "
            f"Problems: 409 `term_closed`; {_MISSING}"
        ),
        parameters=[IF_MATCH],
        request=PolicyInput(partial=True),
        responses={200: PolicyOutput, 409: OpenApiResponse(description="The term is closed.")},
        examples=[_PATCH_EXAMPLE, _OWN_EXAMPLE],
    )
    def patch(self, request: Request, term_id: int) -> Response:
        version = expected_version(request)
        given = PolicyInput(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        row = services.policy_change_for_term(
            actor=caller_of(request), term_id=term_id, expected_version=version, changes=given.record
        )
        return _answer(policy_body(row))
