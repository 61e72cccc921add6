from rest_framework import serializers

from apps.operations.models import JournalEntry
from core.serializers import InstantField, QueryParameters


class JournalQuery(QueryParameters):
    kind = serializers.ChoiceField(choices=JournalEntry.Kind.choices, required=False)


class JournalEntryOutput(serializers.ModelSerializer):
    kind = serializers.ChoiceField(choices=JournalEntry.Kind.choices)
    purpose = serializers.ChoiceField(
        choices=JournalEntry.Purpose.choices, allow_blank=True, help_text="Of a backup; empty for other steps."
    )
    state = serializers.ChoiceField(
        choices=["waiting", "running", "succeeded", "failed", "interrupted"],
        help_text="interrupted: its process was killed, which the next one has noticed.",
    )
    backup_id = serializers.CharField(help_text="What `rollback_migration.py --backup` takes.")
    place = serializers.CharField(help_text="Where the backup lies; of an exchange, the schema of the former tables.")
    asked_by_id = serializers.IntegerField(source="asked_by", allow_null=True, help_text="An account; null: nobody.")
    asked_at = InstantField()
    started_at = InstantField(allow_null=True)
    finished_at = InstantField(allow_null=True)
    counts = serializers.DictField(child=serializers.IntegerField())
    bytes = serializers.IntegerField(help_text="As stored: packed and encrypted.")
    detail = serializers.CharField(help_text="Why it failed, and what to do.")

    class Meta:
        model = JournalEntry
        fields = (
            "id",
            "kind",
            "purpose",
            "state",
            "backup_id",
            "place",
            "asked_by_id",
            "asked_at",
            "started_at",
            "finished_at",
            "counts",
            "bytes",
            "detail",
        )
        read_only_fields = fields


class LastBackupOutput(serializers.Serializer):
    id = serializers.CharField()
    purpose = serializers.ChoiceField(choices=JournalEntry.Purpose.choices)
    finished_at = serializers.DateTimeField()
    age_hours = serializers.FloatField()
    bytes = serializers.IntegerField()
    place = serializers.CharField()


class BackupStatusOutput(serializers.Serializer):
    last_good = LastBackupOutput(allow_null=True, help_text="Restored on trial; null: there is none.")
    last_outcome = serializers.ChoiceField(
        choices=JournalEntry.Outcomes.choices, allow_null=True, help_text="Of the last backup that was tried."
    )
    last_detail = serializers.CharField(help_text="Why it failed, and what to do.")
