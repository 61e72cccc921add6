from collections.abc import Sequence

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from apps.accounts.authentication import StaffOnly, caller_of
from apps.imports import rules, selectors
from apps.imports.api import serializers
from apps.imports.models import ImportRun, State
from apps.imports.services import asking
from apps.imports.services.templates import template_columns, template_rows
from core.errors import NotFound
from core.file_views import FileNegotiation, UploadParser
from core.http import Pages
from core.serializers import query_of
from core.spreadsheets.reading import LARGEST_FILE
from core.spreadsheets.writing import MEDIA_TYPES, XLSX, spreadsheet_answer

_TAGS = ["imports"]
_RUN = {
    "id": 31,
    "kind": "cadets",
    "state": "ready",
    "dry_run": True,
    "on_duplicate": "update",
    "term_id": 4,
    "training_day_id": None,
    "file_name": "Alpha company.xlsx",
    "file_bytes": 18432,
    "phase": "",
    "rows_done": 96,
    "rows_total": 96,
    "counts": {"create": 12, "change": 3, "unchanged": 81, "skip": 0, "refuse": 0},
    "notes": ["Columns of sheet “Sheet1” that were passed over, since nothing is known of them: “Shirt size”."],
    "problem": None,
    "created_by": {"id": 2, "username": "Amina"},
    "created_at": "2026-08-24T01:12:40.118Z",
    "started_at": "2026-08-24T01:12:40.320Z",
    "finished_at": "2026-08-24T01:12:41.007Z",
    "cancel_requested_at": None,
    "expires_at": "2026-08-25T01:12:41.007Z",
}
_QUEUED = {
    **_RUN,
    "state": "queued",
    "rows_done": 0,
    "rows_total": None,
    "counts": None,
    "notes": [],
    "started_at": None,
    "finished_at": None,
    "expires_at": None,
}
_APPLYING = {**_QUEUED, "dry_run": False, "notes": _RUN["notes"]}
_STOPPING = {
    **_APPLYING,
    "state": "running",
    "phase": "writing",
    "rows_done": 40,
    "rows_total": 96,
    "started_at": "2026-08-24T01:20:03.401Z",
    "cancel_requested_at": "2026-08-24T01:20:04.512Z",
}
_CANCELLED = {
    **_QUEUED,
    "state": "cancelled",
    "problem": {"code": "cancelled", "detail": "Cancelled before anything was saved."},
    "finished_at": "2026-08-24T01:13:00.000Z",
}
_CHANGED = {
    "number": 7,
    "sheet": "Sheet1",
    "row": 8,
    "fate": "change",
    "label": "2025-0118 Macaraeg, Liza",
    "changes": {"year_level": {"before": 1, "after": 2}},
    "problems": [],
}
_REFUSED = {
    "number": 9,
    "sheet": "Sheet1",
    "row": 10,
    "fate": "refuse",
    "label": "2025-0120",
    "changes": {},
    "problems": [
        {
            "sheet": "Sheet1",
            "row": 10,
            "column": "F",
            "field": "birthdate",
            "code": "invalid_date",
            "detail": "This cannot be read as a date. Write a date as 2004-03-25, or 25 March 2004.",
        }
    ],
}
_WHO = "Administrators see every import, training staff their own ones of scores and attendance. "
_FATES = "`create`, `change`, `unchanged`, `skip` (it exists, and is left as it is) or `refuse`"


def _answer(run: ImportRun, *, status: int = 200, created: bool = False) -> Response:
    headers = {"Location": reverse("import", args=[run.pk])} if created else {}
    return Response(serializers.ImportOutput(run).data, status=status, headers=headers)


class SpreadsheetUploadParser(UploadParser):
    largest_bytes = LARGEST_FILE


class ImportsView(APIView):
    permission_classes = (StaffOnly,)
    pagination_class = Pages
    parser_classes: Sequence[type[BaseParser]] = (SpreadsheetUploadParser,)

    @extend_schema(
        operation_id="imports_list",
        tags=_TAGS,
        summary="Imports, the newest first",
        description=_WHO,
        parameters=[serializers.ImportsQuery],
        responses={200: serializers.ImportOutput(many=True)},
        examples=[OpenApiExample("a page", response_only=True, status_codes=["200"], value=_RUN)],
    )
    def get(self, request: Request) -> Response:
        query = query_of(request, serializers.ImportsQuery)
        pages = Pages()
        runs = selectors.imports_visible_to(principal=caller_of(request), **query)
        found = pages.paginate_queryset(runs, request, self)
        return pages.get_paginated_response(serializers.ImportOutput(found, many=True).data)

    @extend_schema(
        operation_id="imports_create",
        tags=_TAGS,
        summary="Send a file to import",
        description=(
            "Cadets: administrators only (others: 403 `permission_denied`); scores and attendance: training staff as "
            "well. The worker checks the file and says what would become of each row: "
            f"{_FATES}. Look at the rows, then apply it. All or nothing: while one row is refused, nothing is saved. "
            "Blank cells keep what is stored. Columns and value forms stand in docs/IMPORT_EXPORT.md; GET "
            "/api/v1/import-templates/{kind} gives an empty file. Its sender's sockets hear `import.progress` at most "
            "once a second, and `import.finished`. Problems: 400 with `empty`, `file_type`, `file_malformed`, "
            "`encrypted` or `macros` at `file`, `required`, `unknown_training_day` or `not_for_this_kind` at "
            "`training_day_id`, `unknown_term` or `not_for_this_kind` at `term_id`, `form_malformed`; 404 with "
            "`no_current_term`; 413. What else is wrong with the file is told by the import itself: `refused` with "
            "a problem, or with rows that have problems."
        ),
        request={"multipart/form-data": serializers.ImportInput},
        responses={
            202: OpenApiResponse(serializers.ImportOutput, description="Taken; Location gives its address."),
            404: OpenApiResponse(description="`no_current_term`: name the term."),
            409: OpenApiResponse(
                description=f"`too_many_imports`: {rules.MOST_UNFINISHED} of yours are open. Apply or cancel some."
            ),
        },
        examples=[OpenApiExample("taken", response_only=True, status_codes=["202"], value=_QUEUED)],
    )
    def post(self, request: Request) -> Response:
        given = serializers.ImportInput(data=request.data)
        given.is_valid(raise_exception=True)
        fields = dict(given.validated_data)
        upload = fields.pop("file")
        run = asking.import_create(
            actor=caller_of(request), file_name=upload.name or "", content=upload.read(), **fields
        )
        return _answer(run, status=202, created=True)


class ImportView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="imports_retrieve",
        tags=_TAGS,
        summary="One import: its state, progress and counts",
        description=(
            f"{_WHO}States: `queued`, `running`, `ready` (checked; apply or cancel it), `done`, `refused` (nothing was "
            "saved; see its problem and its refused rows), `cancelled`, `failed`. Others' imports are not found."
        ),
        responses={200: serializers.ImportOutput},
        examples=[OpenApiExample("checked", response_only=True, status_codes=["200"], value=_RUN)],
    )
    def get(self, request: Request, import_id: int) -> Response:
        return _answer(selectors.import_visible_to(principal=caller_of(request), run_id=import_id))


class ImportRowsView(APIView):
    permission_classes = (StaffOnly,)
    pagination_class = Pages

    @extend_schema(
        operation_id="imports_rows",
        tags=_TAGS,
        summary="What becomes of each row of an import",
        description=(
            f"{_WHO}In the order of the file. Fates: {_FATES}; of a refused row each problem names sheet, row and "
            f"column, and says what to write. Empty until the file was checked, and {rules.ROW_DAYS} days after the "
            "import has ended."
        ),
        parameters=[serializers.ImportRowsQuery],
        responses={200: serializers.ImportRowOutput(many=True)},
        examples=[
            OpenApiExample("a changed row", response_only=True, status_codes=["200"], value=_CHANGED),
            OpenApiExample("a refused row", response_only=True, status_codes=["200"], value=_REFUSED),
        ],
    )
    def get(self, request: Request, import_id: int) -> Response:
        query = query_of(request, serializers.ImportRowsQuery)
        run = selectors.import_visible_to(principal=caller_of(request), run_id=import_id)
        pages = Pages()
        found = pages.paginate_queryset(selectors.rows_of(run=run, **query), request, self)
        return pages.get_paginated_response(serializers.ImportRowOutput(found, many=True).data)


class ImportApplyView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="imports_apply",
        tags=_TAGS,
        summary="Apply an import that was checked",
        description=(
            f"{_WHO}The worker plans it anew, since the world may have changed: it ends as `done`, or as `refused` "
            "with nothing saved."
        ),
        request=None,
        responses={
            202: OpenApiResponse(serializers.ImportOutput, description="The worker will do it."),
            409: OpenApiResponse(
                description="`import_not_ready`: it waits or runs already. `import_ended`: send the file again. "
                f"`import_expired`: it was checked more than {rules.READY_HOURS} hours ago."
            ),
        },
        examples=[OpenApiExample("waiting", response_only=True, status_codes=["202"], value=_APPLYING)],
    )
    def post(self, request: Request, import_id: int) -> Response:
        return _answer(asking.import_apply(actor=caller_of(request), run_id=import_id), status=202)


class ImportCancelView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="imports_cancel",
        tags=_TAGS,
        summary="Stop an import",
        description=(
            f"{_WHO}One that waits or is ready is cancelled at once (200). One that runs is asked to stop (202), and "
            "takes everything back; only if it had just finished, it is `done`. `import.finished` tells."
        ),
        request=None,
        responses={
            200: OpenApiResponse(serializers.ImportOutput, description="Cancelled."),
            202: OpenApiResponse(serializers.ImportOutput, description="The worker was asked to stop."),
            409: OpenApiResponse(description="`import_ended`: there is nothing to stop any more."),
        },
        examples=[
            OpenApiExample("cancelled", response_only=True, status_codes=["200"], value=_CANCELLED),
            OpenApiExample("asked to stop", response_only=True, status_codes=["202"], value=_STOPPING),
        ],
    )
    def post(self, request: Request, import_id: int) -> Response:
        run = asking.import_cancel(actor=caller_of(request), run_id=import_id)
        return _answer(run, status=200 if run.state == State.CANCELLED else 202)


class ImportTemplateView(APIView):
    permission_classes = (StaffOnly,)
    content_negotiation_class = FileNegotiation

    @extend_schema(
        operation_id="imports_template",
        tags=_TAGS,
        summary="An empty file with the titles of an import",
        description=(
            "Training staff and administrators. The titles, and in the last column notes on how to fill it in; that "
            "column is passed over when the file is imported. `kind` is `cadets`, `scores` or `attendance`; others are "
            "not found."
        ),
        parameters=[
            serializers.TemplateQuery,
            OpenApiParameter("kind", str, OpenApiParameter.PATH, enum=rules.KINDS),
        ],
        responses={
            (200, MEDIA_TYPES[XLSX]): OpenApiTypes.BINARY,
            (200, "text/csv"): OpenApiTypes.BINARY,
        },
    )
    def get(self, request: Request, kind: str) -> HttpResponseBase:
        query = query_of(request, serializers.TemplateQuery)
        if kind not in rules.KINDS:
            raise NotFound(f"There are templates for {', '.join(rules.KINDS)}.")
        return spreadsheet_answer(
            file_format=query["file_format"],
            file_name=f"{kind}-template",
            sheet_name=kind.capitalize(),
            columns=template_columns(kind),
            rows=template_rows(kind),
        )
