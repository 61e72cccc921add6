import datetime as dt
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from apps.cadets.models import StaffFunction
from apps.training import rules
from apps.training.models import Attendance, AttendanceRecord, AttendanceSource, AttendanceStatus, StaffAttendanceRecord
from apps.training.services.records import Mark
from core.paths import LARGEST_ID
from core.serializers import InstantField, QueryParameters, StrictSerializer

_STATUS_FILTER = (*AttendanceStatus.choices, (rules.UNMARKED, "No record"))


class OffsetInstantField(InstantField):
    """An instant of a person's day. Without an offset it could be meant in Manila or in UTC, so it is refused."""

    default_error_messages = {"offset_missing": "Write the offset as well: 2026-08-22T06:25:00+08:00, or Z for UTC."}

    def enforce_timezone(self, value: dt.datetime) -> dt.datetime:
        if timezone.is_naive(value):
            self.fail("offset_missing")
        return super().enforce_timezone(value)


# --- Input ------------------------------------------------------------------------------------------------------------


class RosterQuery(QueryParameters):
    company = serializers.IntegerField(required=False, min_value=1, max_value=LARGEST_ID, help_text="Id of a company.")
    platoon = serializers.IntegerField(required=False, min_value=1, max_value=LARGEST_ID, help_text="Id of a platoon.")
    status = serializers.ChoiceField(required=False, choices=_STATUS_FILTER, help_text="`unmarked`: without a record.")


class StaffRosterQuery(QueryParameters):
    function = serializers.ChoiceField(required=False, choices=StaffFunction.choices)
    status = serializers.ChoiceField(required=False, choices=_STATUS_FILTER, help_text="`unmarked`: without a record.")


class TermQuery(QueryParameters):
    term = serializers.IntegerField(
        required=False, min_value=1, max_value=LARGEST_ID, help_text="Id of a term; the current one unless told."
    )


class AttendanceInput(StrictSerializer):
    """The whole record: what is not sent is emptied."""

    status = serializers.ChoiceField(choices=AttendanceStatus.choices)
    time_in = OffsetInstantField(required=False, allow_null=True)
    time_out = OffsetInstantField(required=False, allow_null=True)
    remarks = serializers.CharField(required=False, allow_blank=True, max_length=255)


class CadetMarkInput(AttendanceInput):
    """One row. What is not sent stays as it is stored; null and "" empty it."""

    cadet_id = serializers.IntegerField(required=False, min_value=1, max_value=LARGEST_ID)
    student_id = serializers.CharField(
        required=False, max_length=32, help_text="Instead of `cadet_id`, in any letter case."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "cadet_id" in attrs and "student_id" in attrs:
            raise serializers.ValidationError(
                {"student_id": ErrorDetail("Name the cadet by one of the two.", code="ambiguous")}
            )
        if "cadet_id" not in attrs and "student_id" not in attrs:
            raise serializers.ValidationError({"cadet_id": ErrorDetail("Send this or student_id.", code="required")})
        return attrs


class StaffMarkInput(AttendanceInput):
    """One row. What is not sent stays as it is stored; null and "" empty it."""

    staff_id = serializers.IntegerField(min_value=1, max_value=LARGEST_ID)


class AttendanceBulkInput(StrictSerializer):
    records = CadetMarkInput(many=True, allow_empty=False, max_length=rules.LARGEST_BULK)  # type: ignore[call-arg]  # the list's own


class StaffAttendanceBulkInput(StrictSerializer):
    records = StaffMarkInput(many=True, allow_empty=False, max_length=rules.LARGEST_BULK)  # type: ignore[call-arg]  # the list's own


def mark_of(row: dict[str, Any]) -> Mark:
    """The mark that a validated row stands for."""
    facts = dict(row)
    cadet_id, staff_id = facts.pop("cadet_id", None), facts.pop("staff_id", None)
    student_id = facts.pop("student_id", "")
    return Mark(person_id=cadet_id if cadet_id is not None else staff_id, student_id=student_id, facts=facts)


# --- Output -----------------------------------------------------------------------------------------------------------


class RecordOutput(serializers.Serializer[Attendance]):
    """A record as the person that it speaks of sees it."""

    status = serializers.ChoiceField(choices=AttendanceStatus.choices)
    time_in = InstantField(allow_null=True)
    time_out = InstantField(allow_null=True)
    remarks = serializers.CharField(allow_blank=True)
    source = serializers.ChoiceField(  # type: ignore[assignment]  # fields are no attributes at run time
        choices=AttendanceSource.choices, help_text="How it was taken."
    )
    updated_at = InstantField()


class CadetRecordOutput(RecordOutput, serializers.Serializer[AttendanceRecord]):
    cadet_id = serializers.IntegerField()
    recorded_by_id = serializers.IntegerField(allow_null=True, help_text="The account that wrote it; null: the system.")


class StaffRecordOutput(RecordOutput, serializers.Serializer[StaffAttendanceRecord]):
    staff_id = serializers.IntegerField(source="staff_profile_id")
    recorded_by_id = serializers.IntegerField(allow_null=True, help_text="The account that wrote it; null: the system.")


class GroupOutput(serializers.Serializer[Any]):
    """A company or a platoon."""

    id = serializers.IntegerField()
    name = serializers.CharField()


class CadetRowOutput(serializers.Serializer[Any]):
    """One line of a day's roster."""

    cadet_id = serializers.IntegerField()
    student_id = serializers.CharField()
    name = serializers.CharField()
    company = GroupOutput(allow_null=True)
    platoon = GroupOutput(allow_null=True)
    record = CadetRecordOutput(allow_null=True, help_text="null: not marked.")


class StaffRowOutput(serializers.Serializer[Any]):
    """One line of a day's roster of staff."""

    staff_id = serializers.IntegerField()
    rank = serializers.CharField(allow_blank=True)
    name = serializers.CharField()
    function = serializers.ChoiceField(choices=StaffFunction.choices)
    record = StaffRecordOutput(allow_null=True, help_text="null: not marked.")


class _BulkOutput(serializers.Serializer[Any]):
    created = serializers.IntegerField(min_value=0)
    changed = serializers.IntegerField(min_value=0)
    unchanged = serializers.IntegerField(min_value=0, help_text="Rows that said what was stored already.")


class AttendanceBulkOutput(_BulkOutput):
    records = CadetRecordOutput(many=True, help_text="In the order in which they were sent.")


class StaffAttendanceBulkOutput(_BulkOutput):
    records = StaffRecordOutput(many=True, help_text="In the order in which they were sent.")


class HistoryTotalsOutput(serializers.Serializer[Any]):
    held = serializers.IntegerField(min_value=0, help_text="Days held so far that count for this person.")
    present = serializers.IntegerField(min_value=0)
    late = serializers.IntegerField(min_value=0)
    excused = serializers.IntegerField(min_value=0)
    absent = serializers.IntegerField(min_value=0)
    unmarked = serializers.IntegerField(min_value=0, help_text="Days that count and have no record.")


class HistoryDayOutput(serializers.Serializer[Any]):
    training_day_id = serializers.IntegerField()
    date = serializers.DateField()
    title = serializers.CharField()
    location = serializers.CharField(allow_blank=True)
    cancelled = serializers.BooleanField()
    counts = serializers.BooleanField(
        help_text="Whether it counts now: held, not cancelled, not before the enrollment while the term is open."
    )
    record = RecordOutput(allow_null=True, help_text="null: not marked.")


class HistoryOutput(serializers.Serializer[Any]):
    term_id = serializers.IntegerField()
    totals = HistoryTotalsOutput()
    days = HistoryDayOutput(many=True, help_text="All days of the term, the first first.")
