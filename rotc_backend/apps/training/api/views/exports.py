from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.accounts.authentication import StaffOnly, caller_of
from apps.training import rules
from apps.training.api.serializers.exports import AttendanceExportQuery
from apps.training.selectors.days import training_day_by_id
from apps.training.services.exports import attendance_export
from core.file_views import FileNegotiation
from core.serializers import query_of
from core.spreadsheets.writing import MEDIA_TYPES, XLSX, spreadsheet_answer


class DayAttendanceExportView(APIView):
    permission_classes = (StaffOnly,)
    content_negotiation_class = FileNegotiation

    @extend_schema(
        operation_id="attendance_export",
        tags=["attendance"],
        summary="The roster of a day as a sheet",
        description=(
            "For training staff and administrators. The cadets of the roster by name, in columns that an import of "
            "kind `attendance` takes back: whoever has no record has a blank status; times are Manila's to the second, "
            "with their date only where it is not the day's. Importing it as it is changes nothing. CSV is UTF-8 with "
            "a byte order mark; a text that a spreadsheet program would take for a formula has an apostrophe in front. "
            "Each download is written into the audit trail."
        ),
        parameters=[AttendanceExportQuery],
        responses={(200, "text/csv"): OpenApiTypes.BINARY, (200, MEDIA_TYPES[XLSX]): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, training_day_id: int) -> StreamingHttpResponse:
        query = query_of(request, AttendanceExportQuery)
        file_format = query.pop("file_format")
        day = training_day_by_id(training_day_id=training_day_id)
        rows = attendance_export(actor=caller_of(request), training_day=day, filters=query, file_format=file_format)
        return spreadsheet_answer(
            file_format=file_format,
            file_name=f"attendance-{day.date}-{day.pk}",
            sheet_name=f"Attendance {day.date}",
            columns=rules.ATTENDANCE_COLUMNS,
            rows=rows,
        )
