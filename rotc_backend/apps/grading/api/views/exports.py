from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.accounts.authentication import StaffOnly, caller_of
from apps.cadets.selectors import term_by_id
from apps.grading import rules
from apps.grading.api.serializers.exports import ScoresExportQuery
from apps.grading.services.exports import scores_export
from core.file_views import FileNegotiation
from core.serializers import query_of
from core.spreadsheets.writing import MEDIA_TYPES, XLSX, spreadsheet_answer


class TermScoresExportView(APIView):
    permission_classes = (StaffOnly,)
    content_negotiation_class = FileNegotiation

    @extend_schema(
        operation_id="term_scores_export",
        tags=["exam scores"],
        summary="The exam scores of a term as a sheet",
        description=(
            "For training staff and administrators. Everybody enrolled in the term by name, archived cadets too, in "
            "columns that an import of kind `scores` takes back: a missing score is blank. Importing it as it is "
            "changes nothing. CSV is UTF-8 with a byte order mark; a text that a spreadsheet program would take for a "
            "formula has an apostrophe in front. Each download is written into the audit trail."
        ),
        parameters=[ScoresExportQuery],
        responses={(200, "text/csv"): OpenApiTypes.BINARY, (200, MEDIA_TYPES[XLSX]): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, term_id: int) -> StreamingHttpResponse:
        query = query_of(request, ScoresExportQuery)
        file_format = query.pop("file_format")
        term = term_by_id(term_id=term_id)
        rows = scores_export(actor=caller_of(request), term_id=term.pk, filters=query, file_format=file_format)
        return spreadsheet_answer(
            file_format=file_format,
            file_name=f"scores-{term.school_year}-{term.semester}",
            sheet_name=f"Scores {term.school_year} {term.semester}",
            columns=rules.SCORE_COLUMNS,
            rows=rows,
        )
