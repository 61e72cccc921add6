from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.imports.models import Fate, ImportRow, ImportRun, Kind, OnDuplicate, State
from apps.imports.rules import READY_HOURS
from apps.imports.selectors import ready_until
from core.paths import LARGEST_ID
from core.serializers import InstantField, QueryParameters, StrictSerializer
from core.spreadsheets.writing import FILE_FORMATS, XLSX


class ImportsQuery(QueryParameters):
    kind = serializers.ChoiceField(choices=Kind.choices, required=False)
    state = serializers.ChoiceField(choices=State.choices, required=False)


class ImportRowsQuery(QueryParameters):
    fate = serializers.ChoiceField(
        choices=Fate.choices, required=False, help_text="`refuse` gives what has to be corrected."
    )


class TemplateQuery(QueryParameters):
    file_format = serializers.ChoiceField(choices=FILE_FORMATS, default=XLSX)


class ImportInput(StrictSerializer):
    file = serializers.FileField(
        allow_empty_file=True,  # the service says what is wrong with it
        help_text="XLSX, or CSV with commas, semicolons or tabs; at most 10 MB.",
    )
    kind = serializers.ChoiceField(choices=Kind.choices)
    term_id = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=LARGEST_ID,
        help_text="For cadets and scores; the current term unless told.",
    )
    training_day_id = serializers.IntegerField(
        required=False, min_value=1, max_value=LARGEST_ID, help_text="For attendance, where it is needed."
    )
    on_duplicate = serializers.ChoiceField(
        choices=OnDuplicate.choices,
        default=OnDuplicate.UPDATE.value,
        help_text="What exists already is left as it is (`skip`), or brought to what the file says (`update`).",
    )
    dry_run = serializers.BooleanField(
        default=True,
        help_text="Only check it; apply it afterwards. `false` applies it at once, if no row is refused.",
    )


class CountsOutput(serializers.Serializer[Any]):
    """How many rows have each fate."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # Not as attributes: `create` is a method of serializers.
        return {fate.value: serializers.IntegerField(read_only=True) for fate in Fate}


class ImportProblemOutput(serializers.Serializer[Any]):
    code = serializers.CharField(read_only=True)
    detail = serializers.CharField(read_only=True)


class ImportSenderOutput(serializers.Serializer[Any]):
    id = serializers.IntegerField(read_only=True)
    username = serializers.CharField(read_only=True)


class ImportOutput(serializers.ModelSerializer[ImportRun]):
    term_id = serializers.IntegerField(read_only=True, allow_null=True)
    training_day_id = serializers.IntegerField(read_only=True, allow_null=True)
    rows_total = serializers.IntegerField(read_only=True, allow_null=True, help_text="null until all rows are read.")
    counts = serializers.SerializerMethodField(help_text="Rows by fate; null until they are known.")
    notes = serializers.ListField(
        child=serializers.CharField(),
        read_only=True,
        help_text="What you should know of the file: columns that were passed over, a guessed encoding.",
    )
    problem = serializers.SerializerMethodField(help_text="Why it was refused, cancelled or failed; else null.")
    created_by = ImportSenderOutput(read_only=True)
    created_at = InstantField(read_only=True)
    started_at = InstantField(read_only=True, allow_null=True)
    finished_at = InstantField(read_only=True, allow_null=True)
    cancel_requested_at = InstantField(read_only=True, allow_null=True)
    expires_at = serializers.SerializerMethodField(
        help_text=f"While it is `ready`: until when it can be applied, {READY_HOURS} hours after it was checked."
    )

    class Meta:
        model = ImportRun
        fields = (
            "id",
            "kind",
            "state",
            "dry_run",
            "on_duplicate",
            "term_id",
            "training_day_id",
            "file_name",
            "file_bytes",
            "phase",
            "rows_done",
            "rows_total",
            "counts",
            "notes",
            "problem",
            "created_by",
            "created_at",
            "started_at",
            "finished_at",
            "cancel_requested_at",
            "expires_at",
        )
        read_only_fields = fields

    @extend_schema_field(CountsOutput(allow_null=True))
    def get_counts(self, run: ImportRun) -> dict[str, int] | None:
        return run.counts or None

    @extend_schema_field(ImportProblemOutput(allow_null=True))
    def get_problem(self, run: ImportRun) -> dict[str, str] | None:
        return {"code": run.problem_code, "detail": run.problem} if run.problem_code else None

    @extend_schema_field(InstantField(allow_null=True))
    def get_expires_at(self, run: ImportRun) -> str | None:
        until = ready_until(run)
        return None if until is None else InstantField().to_representation(until)


class ChangeOutput(serializers.Serializer[Any]):
    before = serializers.JSONField(read_only=True, help_text="null: there was nothing.")
    after = serializers.JSONField(read_only=True)


class RowProblemOutput(serializers.Serializer[Any]):
    sheet = serializers.CharField(read_only=True, help_text="Empty for CSV.")
    row = serializers.IntegerField(read_only=True, help_text="As spreadsheet programs count, from 1.")
    column = serializers.CharField(read_only=True, help_text="The letter of the column; empty if it is missing.")
    field = serializers.CharField(read_only=True)
    code = serializers.CharField(read_only=True)
    detail = serializers.CharField(read_only=True, help_text="What to write instead.")


class ImportRowOutput(serializers.ModelSerializer[ImportRow]):
    changes = serializers.DictField(child=ChangeOutput(), read_only=True, help_text="By field.")
    problems = RowProblemOutput(many=True, read_only=True)

    class Meta:
        model = ImportRow
        fields = ("number", "sheet", "row", "fate", "label", "changes", "problems")
        read_only_fields = fields
