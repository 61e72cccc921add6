from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.pictures.rules import FILE_STATES, file_state
from apps.training.api.serializers.attendance import GroupOutput
from apps.training.models import ExcuseLetter, LetterState
from core.paths import LARGEST_ID
from core.serializers import InstantField, QueryParameters, StrictSerializer


class LettersQuery(QueryParameters):
    state = serializers.ChoiceField(required=False, choices=LetterState.choices)
    term = serializers.IntegerField(required=False, min_value=1, max_value=LARGEST_ID, help_text="Id of a term.")
    company = serializers.IntegerField(
        required=False, min_value=1, max_value=LARGEST_ID, help_text="Id of the company that the cadet is in that term."
    )
    cadet = serializers.IntegerField(required=False, min_value=1, max_value=LARGEST_ID, help_text="Id of a cadet.")


class LetterInput(StrictSerializer):
    date_absent = serializers.DateField(help_text="The day in Manila, inside the current term.")
    training_day_id = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=LARGEST_ID,
        help_text="A training day on that date; every one of them unless told.",
    )
    reason = serializers.CharField(max_length=2000)


class LetterUpload(LetterInput):
    file = serializers.FileField(required=False, help_text="PDF, JPEG, PNG, WebP or DOCX of at most 20 MB.")


class ApproveInput(StrictSerializer):
    note = serializers.CharField(required=False, allow_blank=True, max_length=500)


class RejectInput(StrictSerializer):
    note = serializers.CharField(max_length=500, help_text="Why; the cadet reads it.")


class LetterOutput(serializers.ModelSerializer[ExcuseLetter]):
    cadet_id = serializers.IntegerField(read_only=True)
    student_id = serializers.CharField(source="cadet.student_id", read_only=True)
    cadet_name = serializers.CharField(source="cadet.full_name", read_only=True)
    company = GroupOutput(read_only=True, allow_null=True, help_text="The cadet's in that term.")
    term_id = serializers.IntegerField(read_only=True)
    training_day_id = serializers.IntegerField(
        read_only=True, allow_null=True, help_text="null: every training day of that date."
    )
    has_file = serializers.SerializerMethodField(help_text="Whether it can be opened.")
    file_state = serializers.SerializerMethodField(
        help_text=(
            "processing: the picture that was sent is being prepared; `letter.file_changed` tells when that is over. "
            "ready: the file can be opened. refused: the picture could not be used, and the cadet was notified why. "
            "null: none was sent."
        )
    )
    decided_by_name = serializers.SerializerMethodField()
    decided_at = InstantField(read_only=True, allow_null=True)
    created_at = InstantField(read_only=True)
    updated_at = InstantField(read_only=True)

    class Meta:
        model = ExcuseLetter
        fields = (
            "id",
            "cadet_id",
            "student_id",
            "cadet_name",
            "company",
            "term_id",
            "date_absent",
            "training_day_id",
            "reason",
            "has_file",
            "file_state",
            "file_name",
            "file_type",
            "state",
            "decided_by_name",
            "decided_at",
            "decision_note",
            "version",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields

    def get_has_file(self, letter: ExcuseLetter) -> bool:
        return bool(letter.file)

    @extend_schema_field(serializers.ChoiceField(choices=FILE_STATES, allow_null=True))
    def get_file_state(self, letter: ExcuseLetter) -> str | None:
        return file_state(name=letter.file, sent=letter.file_sent)

    def get_decided_by_name(self, letter: ExcuseLetter) -> str | None:
        return letter.decided_by.get_full_name() if letter.decided_by is not None else None
