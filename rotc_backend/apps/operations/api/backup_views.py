from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.authentication import AdminOnly
from apps.operations import selectors
from apps.operations.api import backup_serializers as serializers
from apps.operations.services.backups import asking
from core.http import Pages
from core.serializers import query_of

_ENTRY = {
    "id": 12,
    "kind": "backup",
    "purpose": "weekly",
    "state": "succeeded",
    "backup_id": "20260301T040000Z-weekly-3fa9c1",
    "place": "s3://s3.us-west-2.amazonaws.com/rotc-backups",
    "asked_by_id": None,
    "asked_at": "2026-03-01T04:00:00.412Z",
    "started_at": "2026-03-01T04:00:00.412Z",
    "finished_at": "2026-03-01T04:00:21.080Z",
    "counts": {"tables": 52, "rows": 212_843, "parts": 1},
    "bytes": 6_204_117,
    "detail": "",
}
_ASKED = {
    **_ENTRY,
    "id": 13,
    "purpose": "asked",
    "state": "waiting",
    "backup_id": "",
    "place": "",
    "asked_by_id": 1,
    "started_at": None,
    "finished_at": None,
    "counts": {},
    "bytes": 0,
}
_TAGS = ["operations"]


class BackupsView(APIView):
    permission_classes = (AdminOnly,)
    pagination_class = Pages

    @extend_schema(
        operation_id="operations_backups",
        tags=_TAGS,
        summary="The journal of backups and restores, the newest first",
        description=(
            "A row for each step: what was made, restored on trial, removed, loaded, exchanged. No restore replaces "
            "it. Which backups can be restored is what lies in their place; `rollback_migration.py` lists them."
        ),
        parameters=[serializers.JournalQuery],
        responses={200: serializers.JournalEntryOutput(many=True)},
        examples=[OpenApiExample("a page", response_only=True, status_codes=["200"], value=_ENTRY)],
    )
    def get(self, request: Request) -> Response:
        pages = Pages()
        entries = selectors.journal(**query_of(request, serializers.JournalQuery))
        found = pages.paginate_queryset(entries, request, self)
        return pages.get_paginated_response(serializers.JournalEntryOutput(found, many=True).data)

    @extend_schema(
        operation_id="operations_backup_request",
        tags=_TAGS,
        summary="Ask for a backup now",
        description="The worker makes it and restores it on trial; ask at Location how it ended. Nobody has to stop.",
        request=None,
        responses={
            202: serializers.JournalEntryOutput,
            409: OpenApiResponse(description="Another one that was asked for has not ended (`backup_in_progress`)."),
        },
        examples=[OpenApiExample("asked", response_only=True, status_codes=["202"], value=_ASKED)],
    )
    def post(self, request: Request) -> Response:
        entry = asking.backup_request(actor_id=request.user.pk)
        location = reverse("operations-backup", kwargs={"journal_id": entry.pk})
        return Response(serializers.JournalEntryOutput(entry).data, status=202, headers={"Location": location})


class BackupView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="operations_backup",
        tags=_TAGS,
        summary="One entry of the journal of backups",
        responses={200: serializers.JournalEntryOutput},
        examples=[OpenApiExample("it is good", response_only=True, value=_ENTRY)],
    )
    def get(self, request: Request, journal_id: int) -> Response:
        entry = selectors.journal_entry_get(entry_id=journal_id)
        return Response(serializers.JournalEntryOutput(entry).data)
