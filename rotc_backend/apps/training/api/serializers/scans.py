from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.training import rules
from apps.training.api.serializers.attendance import CadetRecordOutput, OffsetInstantField
from apps.training.models import Scan, ScanEffect
from apps.training.services.scans import ALREADY_RECORDED, RECORDED, REFUSED, WORDS
from core.paths import LARGEST_ID
from core.serializers import InstantField, QueryParameters, StrictSerializer

_RESULTS = (
    (RECORDED, "Recorded"),
    (ALREADY_RECORDED, "Recorded before"),
    (REFUSED, "Refused"),
)
_OFFSET = "With an offset (+08:00, or Z), at most 7 days ago."


@extend_schema_field(OpenApiTypes.STR)
class ScannedTextField(serializers.Field[str, str, str, Any]):
    """What a camera read, whatever it was: one foreign code must not hold up a batch. Judged by the service."""

    default_error_messages = {"invalid": "Write what the scanner read, as a string."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(data)


class ImageQuery(QueryParameters):
    file_format = serializers.ChoiceField(choices=("png", "svg"), default="png")


class ScansQuery(QueryParameters):
    cadet = serializers.IntegerField(required=False, min_value=1, max_value=LARGEST_ID, help_text="Id of a cadet.")


class ScanInput(StrictSerializer):
    scan_id = serializers.UUIDField(help_text="The scanner's own number of this scan; a retry sends the same.")
    code = ScannedTextField(help_text="What the scanner read, unchanged.")
    scanned_at = OffsetInstantField(required=False, help_text=f"Just now unless told. {_OFFSET}")


class OfflineScanInput(ScanInput):
    scanned_at = OffsetInstantField(help_text=_OFFSET)


class ScanBatchInput(StrictSerializer):
    scans = OfflineScanInput(many=True, allow_empty=False, max_length=rules.LARGEST_BULK)  # type: ignore[call-arg]  # the list's own


class AttendanceCodeOutput(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="What the QR code has to hold, unchanged: capital letters and digits.")
    expires_at = InstantField()


class ScannedCadetOutput(serializers.Serializer[Any]):
    cadet_id = serializers.IntegerField(source="pk")
    student_id = serializers.CharField()
    name = serializers.CharField(source="full_name")


class ScanOutput(serializers.Serializer[Any]):
    scan_id = serializers.UUIDField()
    result = serializers.ChoiceField(choices=_RESULTS[:2], help_text="`already_recorded`: the same scan came before.")
    effect = serializers.ChoiceField(choices=ScanEffect.choices, help_text="`time_in` or `time_out`.")
    cadet = ScannedCadetOutput(allow_null=True, help_text="null: enrolled no longer.")
    record = CadetRecordOutput(allow_null=True, help_text="As it is now; null: removed since.")


class ScanBatchAnswerOutput(ScanOutput):
    result = serializers.ChoiceField(choices=_RESULTS)
    effect = serializers.ChoiceField(choices=ScanEffect.choices, allow_null=True, help_text="null: refused.")
    code = serializers.ChoiceField(choices=tuple(WORDS), allow_null=True, help_text="Why it is refused, for programs.")
    detail = serializers.CharField(allow_null=True, help_text="Why, and what to do, in words.")


class ScanCountsOutput(serializers.Serializer[Any]):
    recorded = serializers.IntegerField(min_value=0)
    already_recorded = serializers.IntegerField(min_value=0)
    refused = serializers.IntegerField(min_value=0)


class ScanBatchOutput(serializers.Serializer[Any]):
    counts = ScanCountsOutput()
    scans = ScanBatchAnswerOutput(many=True, help_text="In the order in which they were sent.")


class ScanRowOutput(serializers.ModelSerializer[Scan]):
    cadet = ScannedCadetOutput()
    scanned_at = InstantField(help_text="By the scanner's clock.")
    received_at = InstantField()
    scanned_by_id = serializers.IntegerField(help_text="The account of the scanner.")
    effect = serializers.ChoiceField(
        choices=ScanEffect.choices,
        help_text="`too_soon` and `already_out` gave nothing; an earlier scan that arrives later can change it.",
    )

    class Meta:
        model = Scan
        fields = ("scan_id", "cadet", "scanned_at", "received_at", "scanned_by_id", "effect")
        read_only_fields = fields
