from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts import selectors
from apps.accounts.api import serializers
from apps.accounts.api.views import examples
from apps.accounts.authentication import AdminOnly
from core.errors import FieldError, ValidationFailed
from core.http import Pages, page_body, page_of
from core.serializers import query_of


class AuditEntriesView(APIView):
    permission_classes = (AdminOnly,)
    pagination_class = Pages

    @extend_schema(
        operation_id="audit_entries_list",
        tags=["audit"],
        summary="The audit trail, newest first",
        description=(
            "Every write: who, what, before and after without secrets, and the request that caused it. `count` goes to "
            "10,000 and no further, and so do the pages: go back with `to`."
        ),
        parameters=[serializers.AuditQuery],
        responses={200: serializers.AuditEntryOutput(many=True)},
        examples=[OpenApiExample("an approval", response_only=True, status_codes=["200"], value=examples.AUDIT_ENTRY)],
    )
    def get(self, request: Request) -> Response:
        filters = query_of(request, serializers.AuditQuery)
        number, size = page_of(request)
        first = (number - 1) * size
        if first >= selectors.COUNTED_ENTRIES:
            # Each further page would cost the reading of all before it.
            raise ValidationFailed(
                "The page lies too far back.",
                errors=[
                    FieldError(field="page", code="out_of_range", detail="Set `to` to the time of the last entry.")
                ],
            )
        rows = selectors.audit_entries(since=filters.pop("from", None), until=filters.pop("to", None), **filters)
        entries = serializers.AuditEntryOutput(rows[first : first + size], many=True)
        return Response(page_body(count=selectors.audit_count(rows), page=number, page_size=size, results=entries.data))
