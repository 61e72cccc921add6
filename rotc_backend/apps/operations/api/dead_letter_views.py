from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.authentication import AdminOnly, caller_of
from apps.operations import selectors
from apps.operations.api import dead_letter_serializers as serializers
from apps.operations.services import dead_letters
from core.http import Pages
from core.serializers import query_of

_LETTER = {
    "id": 4,
    "task": "operations.probe_record",
    "arguments": {"probe_id": "7f0c2c7e-9f0e-4a52-8ad5-3d1b8f7a1c11"},
    "request_id": "5a5d0c6f0b",
    "attempts": 8,
    "error": "BrokerAway",
    "detail": "ConnectionError",
    "traceback": "Traceback (most recent call last): …",
    "failed_at": "2026-01-15T10:30:00.000Z",
    "settled_at": None,
    "settled_by_id": None,
    "settlement": None,
}
_SETTLED = {**_LETTER, "settled_at": "2026-01-15T11:00:00.000Z", "settled_by_id": 1, "settlement": "retried"}
_TAGS = ["operations"]


class DeadLettersView(APIView):
    permission_classes = (AdminOnly,)
    pagination_class = Pages

    @extend_schema(
        operation_id="operations_dead_letters",
        tags=_TAGS,
        summary="Tasks that failed for good, the newest first",
        description="Kept for 90 days. A run of the schedule stands here as well, once all its attempts failed.",
        parameters=[serializers.DeadLettersQuery],
        responses={200: serializers.DeadLetterOutput(many=True)},
        examples=[OpenApiExample("a page", response_only=True, status_codes=["200"], value=_LETTER)],
    )
    def get(self, request: Request) -> Response:
        pages = Pages()
        letters = selectors.dead_letters(**query_of(request, serializers.DeadLettersQuery))
        found = pages.paginate_queryset(letters, request, self)
        return pages.get_paginated_response(serializers.DeadLetterOutput(found, many=True).data)


class DeadLetterRetryView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="operations_dead_letter_retry",
        tags=_TAGS,
        summary="Ask for a failed task again",
        description="Once. The task itself decides whether there is still anything to do; nothing is done twice.",
        request=None,
        responses={
            200: serializers.DeadLetterOutput,
            409: OpenApiResponse(description="`dead_letter_settled`, or `dead_letter_unfit`: it cannot be retried."),
        },
        examples=[OpenApiExample("retried", response_only=True, status_codes=["200"], value=_SETTLED)],
    )
    def post(self, request: Request, dead_letter_id: int) -> Response:
        letter = dead_letters.dead_letter_retry(actor=caller_of(request), letter_id=dead_letter_id)
        return Response(serializers.DeadLetterOutput(letter).data)


class DeadLetterDismissView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="operations_dead_letter_dismiss",
        tags=_TAGS,
        summary="Say that a failed task needs nothing any more",
        request=None,
        responses={
            200: serializers.DeadLetterOutput,
            409: OpenApiResponse(description="It has been retried or dismissed already (`dead_letter_settled`)."),
        },
        examples=[
            OpenApiExample(
                "dismissed", response_only=True, status_codes=["200"], value={**_SETTLED, "settlement": "dismissed"}
            )
        ],
    )
    def post(self, request: Request, dead_letter_id: int) -> Response:
        letter = dead_letters.dead_letter_dismiss(actor=caller_of(request), letter_id=dead_letter_id)
        return Response(serializers.DeadLetterOutput(letter).data)
