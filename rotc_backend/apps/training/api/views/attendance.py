from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.authentication import CadetOnly, StaffOnly, caller_of
from apps.cadets.models import Enrollment, StaffProfile
from apps.cadets.rules import standing_version, term_version
from apps.cadets.selectors import cadet_of_user, staff_of_user, term_by_id, term_current
from apps.training.api.serializers import attendance as serializers
from apps.training.models import AttendanceRecord, StaffAttendanceRecord
from apps.training.selectors import history, roster
from apps.training.selectors.days import training_day_by_id
from apps.training.services import attendance as services
from apps.training.services.records import Marked
from core.cache import read_through
from core.clock import manila_date, now
from core.http import Pages
from core.serializers import query_of

CACHE_SECONDS = 300

_TAGS = ["attendance"]
_FACTS = {
    "status": "late",
    "time_in": "2026-08-21T22:51:00.000Z",
    "time_out": None,
    "remarks": "Came with the second bus",
}
_RECORD = {**_FACTS, "source": "manual", "updated_at": "2026-08-21T22:52:10.331Z"}
_CADET_RECORD = {**_RECORD, "cadet_id": 118, "recorded_by_id": 3}
_STAFF_RECORD = {**_RECORD, "staff_id": 7, "recorded_by_id": 1}
_CADET_ROW = {
    "cadet_id": 118,
    "student_id": "2025-0118",
    "name": "Macaraeg, Liza Santos",
    "company": {"id": 1, "name": "Alpha"},
    "platoon": {"id": 2, "name": "2nd Platoon"},
    "record": _CADET_RECORD,
}
_STAFF_ROW = {
    "staff_id": 7,
    "rank": "SSg",
    "name": "Dela Cruz, Ramon",
    "function": "instructor",
    "record": _STAFF_RECORD,
}
_DONE = {"created": 1, "changed": 0, "unchanged": 0}
_HISTORY = {
    "term_id": 4,
    "totals": {"held": 1, "present": 0, "late": 1, "excused": 0, "absent": 0, "unmarked": 0},
    "days": [
        {
            "training_day_id": 31,
            "date": "2026-08-22",
            "title": "Basic drill",
            "location": "Parade ground",
            "cancelled": False,
            "counts": True,
            "record": _RECORD,
        }
    ],
}
_STAFF_SEES = "For training staff and administrators. "
_NOT_NOW = "`term_closed`, `day_cancelled`, or `day_in_future`: a day can be marked from its date in Manila on."
_TIMES = (
    "Times carry an offset and lie on the day in Manila or the one beside it (`time_outside_day`); nobody leaves "
    "before having come (`time_out_before_in`). "
)
_ALL_OR_NOTHING = (
    "At most 500 rows, all of them or none, errors at `records.<index>.<field>`. A row keeps what it does not name. "
    "The same call again changes nothing and tells nobody: `unchanged` counts such rows. "
)
_NO_TERM = "`no_current_term`, or no such term."


def _term_id(request: Request) -> int:
    query = query_of(request, serializers.TermQuery)
    return int(query["term"]) if "term" in query else term_current().pk


def _facts(request: Request) -> dict[str, Any]:
    given = serializers.AttendanceInput(data=request.data)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


def _bulk(marked: Marked[Any], output: type[Any]) -> Response:
    return Response(
        output(
            {
                "created": marked.created,
                "changed": marked.changed,
                "unchanged": marked.unchanged,
                "records": marked.records,
            }
        ).data
    )


def _history_of_cadet(*, cadet_id: int, term_id: int) -> Response:
    today = manila_date(now())

    def body() -> Any:
        found = history.history_of_cadet(cadet_id=cadet_id, term_id=term_id, today=today)
        return serializers.HistoryOutput(found).data

    return Response(
        read_through(
            key=f"attendance:{cadet_id}:{term_id}:{today}",
            versions=[standing_version(cadet_id), term_version(term_id)],
            ttl=CACHE_SECONDS,
            compute=body,
        )
    )


def _cadet_row(enrollment: Enrollment, record: AttendanceRecord | None) -> dict[str, Any]:
    return {
        "cadet_id": enrollment.cadet_id,
        "student_id": enrollment.cadet.student_id,
        "name": enrollment.cadet.full_name,
        "company": enrollment.company,
        "platoon": enrollment.platoon,
        "record": record,
    }


def _staff_row(profile: StaffProfile, record: StaffAttendanceRecord | None) -> dict[str, Any]:
    given = " ".join(part for part in (profile.first_name, profile.middle_name, profile.suffix) if part)
    return {
        "staff_id": profile.pk,
        "rank": profile.rank,
        "name": f"{profile.last_name}, {given}",
        "function": profile.function,
        "record": record,
    }


class DayAttendanceView(APIView):
    permission_classes = (StaffOnly,)
    pagination_class = Pages

    @extend_schema(
        operation_id="attendance_roster",
        tags=_TAGS,
        summary="The roster of a day: every cadet enrolled in the term, with the record or null",
        description=f"{_STAFF_SEES}By name. Archived cadets stand in it only where they have a record.",
        parameters=[serializers.RosterQuery],
        responses={200: serializers.CadetRowOutput(many=True)},
        examples=[OpenApiExample("a page", response_only=True, status_codes=["200"], value=_CADET_ROW)],
    )
    def get(self, request: Request, training_day_id: int) -> Response:
        query = query_of(request, serializers.RosterQuery)
        day = training_day_by_id(training_day_id=training_day_id)
        pages = Pages()
        rows = pages.paginate_queryset(roster.cadets_of_day(training_day=day, **query), request, self)
        records = roster.records_of_cadets(training_day_id=day.pk, cadet_ids=[row.cadet_id for row in rows])
        lines = [_cadet_row(row, records.get(row.cadet_id)) for row in rows]
        return pages.get_paginated_response(serializers.CadetRowOutput(lines, many=True).data)

    @extend_schema(
        operation_id="attendance_mark_many",
        tags=_TAGS,
        summary="Mark many cadets of a day in one call",
        description=(
            f"{_STAFF_SEES}{_ALL_OR_NOTHING}{_TIMES}Further codes of rows: `unknown_cadet`, `not_enrolled`, "
            "`cadet_archived`, `duplicate_row`, `ambiguous`. Each cadet's sockets hear `attendance.marked`, those of "
            "the staff one `attendance.day_changed`."
        ),
        request=serializers.AttendanceBulkInput,
        responses={200: serializers.AttendanceBulkOutput, 409: OpenApiResponse(description=_NOT_NOW)},
        examples=[
            OpenApiExample("one row", request_only=True, value={"records": [{"student_id": "2025-0118", **_FACTS}]}),
            OpenApiExample(
                "written", response_only=True, status_codes=["200"], value={**_DONE, "records": [_CADET_RECORD]}
            ),
        ],
    )
    def post(self, request: Request, training_day_id: int) -> Response:
        given = serializers.AttendanceBulkInput(data=request.data)
        given.is_valid(raise_exception=True)
        marked = services.attendance_mark_many(
            actor=caller_of(request),
            training_day_id=training_day_id,
            marks=[serializers.mark_of(row) for row in given.validated_data["records"]],
        )
        return _bulk(marked, serializers.AttendanceBulkOutput)


class CadetDayAttendanceView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="attendance_mark",
        tags=_TAGS,
        summary="Mark one cadet",
        description=(
            f"{_STAFF_SEES}Replaces the whole record: what is not sent is emptied. {_TIMES}Problems: 404 with "
            "`unknown_cadet` or `not_enrolled`. The cadet's sockets hear `attendance.marked`, those of the staff "
            "`attendance.day_changed`; neither, if nothing differs."
        ),
        request=serializers.AttendanceInput,
        responses={
            200: serializers.CadetRecordOutput,
            201: OpenApiResponse(serializers.CadetRecordOutput, description="The cadet had no record on this day."),
            409: OpenApiResponse(description=f"`cadet_archived`, {_NOT_NOW}"),
        },
        examples=[
            OpenApiExample("late", request_only=True, value=_FACTS),
            OpenApiExample("marked", response_only=True, status_codes=["200", "201"], value=_CADET_RECORD),
        ],
    )
    def put(self, request: Request, training_day_id: int, cadet_id: int) -> Response:
        record, created = services.attendance_mark(
            actor=caller_of(request), training_day_id=training_day_id, cadet_id=cadet_id, facts=_facts(request)
        )
        return Response(serializers.CadetRecordOutput(record).data, status=201 if created else 200)

    @extend_schema(
        operation_id="attendance_unmark",
        tags=_TAGS,
        summary="Remove a cadet's record of a day",
        description=(
            f"{_STAFF_SEES}As if nobody had marked the cadet. The cadet's sockets hear `attendance.marked` with "
            "`status` null."
        ),
        responses={204: None, 409: OpenApiResponse(description="`term_closed` or `day_cancelled`.")},
    )
    def delete(self, request: Request, training_day_id: int, cadet_id: int) -> Response:
        services.attendance_unmark(actor=caller_of(request), training_day_id=training_day_id, cadet_id=cadet_id)
        return Response(status=204)


class OwnAttendanceView(APIView):
    permission_classes = (CadetOnly,)

    @extend_schema(
        operation_id="attendance_own",
        tags=_TAGS,
        summary="One's own attendance in a term",
        description=(
            "For cadets. Every day of the term with one's own record, and the totals that the grade counts with. "
            "Answered from the cache where possible. Problems: 404 with `no_cadet_record`, `no_current_term` or "
            "`not_enrolled`."
        ),
        parameters=[serializers.TermQuery],
        responses={
            200: serializers.HistoryOutput,
            404: OpenApiResponse(description="`no_cadet_record`, `no_current_term` or `not_enrolled`."),
        },
        examples=[OpenApiExample("one day", response_only=True, status_codes=["200"], value=_HISTORY)],
    )
    def get(self, request: Request) -> Response:
        cadet = cadet_of_user(user_id=caller_of(request).user_id)
        return _history_of_cadet(cadet_id=cadet.pk, term_id=_term_id(request))


class CadetAttendanceView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="attendance_of_cadet",
        tags=_TAGS,
        summary="One cadet's attendance in a term",
        description=f"{_STAFF_SEES}Problems: 404 with `not_enrolled` or `no_current_term`.",
        parameters=[serializers.TermQuery],
        responses={200: serializers.HistoryOutput},
        examples=[OpenApiExample("one day", response_only=True, status_codes=["200"], value=_HISTORY)],
    )
    def get(self, request: Request, cadet_id: int) -> Response:
        return _history_of_cadet(cadet_id=cadet_id, term_id=_term_id(request))


class DayStaffAttendanceView(APIView):
    permission_classes = (StaffOnly,)
    pagination_class = Pages

    @extend_schema(
        operation_id="staff_attendance_roster",
        tags=_TAGS,
        summary="The roster of a day for staff: every profile, with the record or null",
        description=f"{_STAFF_SEES}By name. Archived profiles stand in it only where they have a record.",
        parameters=[serializers.StaffRosterQuery],
        responses={200: serializers.StaffRowOutput(many=True)},
        examples=[OpenApiExample("a page", response_only=True, status_codes=["200"], value=_STAFF_ROW)],
    )
    def get(self, request: Request, training_day_id: int) -> Response:
        query = query_of(request, serializers.StaffRosterQuery)
        day = training_day_by_id(training_day_id=training_day_id)
        pages = Pages()
        rows = pages.paginate_queryset(roster.staff_of_day(training_day=day, **query), request, self)
        records = roster.records_of_staff(training_day_id=day.pk, staff_ids=[row.pk for row in rows])
        lines = [_staff_row(row, records.get(row.pk)) for row in rows]
        return pages.get_paginated_response(serializers.StaffRowOutput(lines, many=True).data)

    @extend_schema(
        operation_id="staff_attendance_mark_many",
        tags=_TAGS,
        summary="Mark many of the staff in one call",
        description=(
            f"{_STAFF_SEES}{_ALL_OR_NOTHING}{_TIMES}Further codes of rows: `unknown_staff`, `staff_archived`, "
            "`duplicate_row`. Sockets hear `staff_attendance.marked` and `staff_attendance.day_changed`."
        ),
        request=serializers.StaffAttendanceBulkInput,
        responses={200: serializers.StaffAttendanceBulkOutput, 409: OpenApiResponse(description=_NOT_NOW)},
        examples=[
            OpenApiExample("one row", request_only=True, value={"records": [{"staff_id": 7, **_FACTS}]}),
            OpenApiExample(
                "written", response_only=True, status_codes=["200"], value={**_DONE, "records": [_STAFF_RECORD]}
            ),
        ],
    )
    def post(self, request: Request, training_day_id: int) -> Response:
        given = serializers.StaffAttendanceBulkInput(data=request.data)
        given.is_valid(raise_exception=True)
        marked = services.staff_attendance_mark_many(
            actor=caller_of(request),
            training_day_id=training_day_id,
            marks=[serializers.mark_of(row) for row in given.validated_data["records"]],
        )
        return _bulk(marked, serializers.StaffAttendanceBulkOutput)


class StaffDayAttendanceView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="staff_attendance_mark",
        tags=_TAGS,
        summary="Mark one of the staff",
        description=(
            f"{_STAFF_SEES}Replaces the whole record: what is not sent is emptied. {_TIMES}Problems: 404 with "
            "`unknown_staff`."
        ),
        request=serializers.AttendanceInput,
        responses={
            200: serializers.StaffRecordOutput,
            201: OpenApiResponse(serializers.StaffRecordOutput, description="There was no record on this day."),
            409: OpenApiResponse(description=f"`staff_archived`, {_NOT_NOW}"),
        },
        examples=[
            OpenApiExample("late", request_only=True, value=_FACTS),
            OpenApiExample("marked", response_only=True, status_codes=["200", "201"], value=_STAFF_RECORD),
        ],
    )
    def put(self, request: Request, training_day_id: int, staff_id: int) -> Response:
        record, created = services.staff_attendance_mark(
            actor=caller_of(request), training_day_id=training_day_id, staff_id=staff_id, facts=_facts(request)
        )
        return Response(serializers.StaffRecordOutput(record).data, status=201 if created else 200)

    @extend_schema(
        operation_id="staff_attendance_unmark",
        tags=_TAGS,
        summary="Remove somebody's record of a day",
        description=f"{_STAFF_SEES}As if nobody had marked this person.",
        responses={204: None, 409: OpenApiResponse(description="`term_closed` or `day_cancelled`.")},
    )
    def delete(self, request: Request, training_day_id: int, staff_id: int) -> Response:
        services.staff_attendance_unmark(actor=caller_of(request), training_day_id=training_day_id, staff_id=staff_id)
        return Response(status=204)


class OwnStaffAttendanceView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="staff_attendance_own",
        tags=_TAGS,
        summary="One's own attendance as staff in a term",
        description=f"{_STAFF_SEES}Problems: 404 with `no_staff_profile` or `no_current_term`.",
        parameters=[serializers.TermQuery],
        responses={
            200: serializers.HistoryOutput,
            404: OpenApiResponse(description=f"`no_staff_profile`, {_NO_TERM}"),
        },
        examples=[OpenApiExample("one day", response_only=True, status_codes=["200"], value=_HISTORY)],
    )
    def get(self, request: Request) -> Response:
        profile = staff_of_user(user_id=caller_of(request).user_id)
        term = term_by_id(term_id=_term_id(request))
        found = history.history_of_staff(staff_id=profile.pk, term=term, today=manila_date(now()))
        return Response(serializers.HistoryOutput(found).data)
