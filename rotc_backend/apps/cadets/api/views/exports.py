from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.accounts.authentication import AdminOnly, caller_of
from apps.cadets import rules
from apps.cadets.api.serializers.exports import CadetsExportQuery
from apps.cadets.services.exports import cadets_export
from core.clock import manila_date, now
from core.file_views import FileNegotiation
from core.serializers import query_of
from core.spreadsheets.writing import MEDIA_TYPES, XLSX, spreadsheet_answer


class CadetsExportView(APIView):
    permission_classes = (AdminOnly,)
    content_negotiation_class = FileNegotiation

    @extend_schema(
        operation_id="cadets_export",
        tags=["cadets"],
        summary="Cadets as a sheet",
        description=(
            "For administrators. Those of the list, by its filters and in its order, with the enrollment in the asked "
            "or the current term, in columns that an import of kind `cadets` takes back: importing it into that term "
            "as it is changes nothing. CSV is UTF-8 with a byte order mark; a text that a spreadsheet program would "
            "take for a formula has an apostrophe in front. Each download is written into the audit trail."
        ),
        parameters=[CadetsExportQuery],
        responses={(200, "text/csv"): OpenApiTypes.BINARY, (200, MEDIA_TYPES[XLSX]): OpenApiTypes.BINARY},
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        query = query_of(request, CadetsExportQuery)
        file_format = query.pop("file_format")
        rows = cadets_export(actor=caller_of(request), filters=query, file_format=file_format)
        return spreadsheet_answer(
            file_format=file_format,
            file_name=f"cadets-{manila_date(now())}",
            sheet_name="Cadets",
            columns=rules.CADET_SHEET_COLUMNS,
            rows=rows,
        )
