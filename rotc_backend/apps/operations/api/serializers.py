from rest_framework import serializers

from apps.operations.api.backup_serializers import BackupStatusOutput
from apps.operations.models import Probe


class ServicesOutput(serializers.Serializer):
    database = serializers.ChoiceField(choices=["connected", "disconnected"])
    redis = serializers.ChoiceField(choices=["connected", "disconnected"])
    celery = serializers.ChoiceField(
        choices=["running", "stopped"], help_text="The worker: it beats, keeps its limits and makes progress."
    )


class ProcessOutput(serializers.Serializer):
    state = serializers.ChoiceField(choices=["running", "stopped", "unknown"], help_text="unknown: Redis is away.")
    age_seconds = serializers.FloatField(allow_null=True, help_text="Since its last heartbeat; null without any.")
    version = serializers.CharField(allow_null=True)
    commit = serializers.CharField(allow_null=True)
    key_fingerprint = serializers.CharField(
        allow_null=True, help_text="Differs between services that were given different secrets."
    )


class HealthOutput(serializers.Serializer):
    status = serializers.ChoiceField(choices=["healthy", "degraded", "unhealthy"])
    timestamp = serializers.DateTimeField()
    services = ServicesOutput()
    version = serializers.CharField()
    environment = serializers.CharField()
    commit = serializers.CharField(allow_null=True)
    service = serializers.CharField(help_text="Which service answers.")
    key_fingerprint = serializers.CharField()
    beat = serializers.ChoiceField(choices=["running", "stopped", "unknown"])
    processes = serializers.DictField(child=ProcessOutput(), help_text="Every service, by name.")
    details = serializers.DictField(child=serializers.CharField(), help_text="What is wrong, in words.")


class LiveOutput(serializers.Serializer):
    status = serializers.ChoiceField(choices=["alive"])


class ProbeWorkerOutput(serializers.Serializer):
    service = serializers.CharField()
    version = serializers.CharField()
    commit = serializers.CharField(allow_null=True)
    key_fingerprint = serializers.CharField()
    redis_id = serializers.CharField()
    pid = serializers.IntegerField()


class ProbeOutput(serializers.ModelSerializer):
    state = serializers.ChoiceField(
        choices=["pending", "finished", "failed"], help_text="failed: no worker took it within ten minutes."
    )
    queue_delay_ms = serializers.FloatField(allow_null=True, help_text="From the request to its start in the worker.")
    worker = ProbeWorkerOutput(allow_null=True)

    class Meta:
        model = Probe
        fields = ("id", "state", "requested_at", "started_at", "finished_at", "queue_delay_ms", "worker")
        read_only_fields = fields


class QueueOutput(serializers.Serializer):
    pending = serializers.IntegerField(help_text="Waiting for a worker.")
    unacknowledged = serializers.IntegerField(help_text="Taken by a worker and not yet completed.")
    depth = serializers.IntegerField(help_text="Both together.")
    oldest_age_seconds = serializers.FloatField(allow_null=True, help_text="Of those that wait; null without any.")
    at = serializers.DateTimeField()


class IntegrityCheckOutput(serializers.Serializer):
    name = serializers.CharField()
    sound = serializers.BooleanField()
    count = serializers.IntegerField(help_text="Findings, also those beyond the twenty listed; at most 1,000 of a key.")


class FindingOutput(serializers.Serializer):
    check = serializers.CharField()
    table = serializers.CharField()
    id = serializers.CharField()
    detail = serializers.CharField()
    remedy = serializers.CharField()


class IntegrityOutput(serializers.Serializer):
    sound = serializers.BooleanField()
    checked_at = serializers.DateTimeField()
    checks = IntegrityCheckOutput(many=True)
    findings = FindingOutput(many=True)


class FullProcessOutput(ProcessOutput):
    instance = serializers.CharField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    redis_id = serializers.CharField(allow_null=True)
    database_id = serializers.CharField(allow_null=True)


class MigrationsOutput(serializers.Serializer):
    unapplied = serializers.ListField(child=serializers.CharField())
    unknown = serializers.ListField(child=serializers.CharField(), help_text="Applied, but not known to this code.")


class ScheduledJobOutput(serializers.Serializer):
    name = serializers.CharField()
    task = serializers.CharField()
    schedule = serializers.CharField(help_text="The five fields of crontab(5), in UTC.")
    enabled = serializers.BooleanField()
    last_run_at = serializers.DateTimeField(allow_null=True)


class OutboxOutput(serializers.Serializer):
    jobs = serializers.IntegerField(help_text="Asked for and not done.")
    oldest_age_seconds = serializers.FloatField(allow_null=True, help_text="Null without any.")


class EmailStatusOutput(serializers.Serializer):
    """What became of e-mail that events caused, in 90 days."""

    configured = serializers.BooleanField()
    detail = serializers.CharField(help_text="What an administrator should know or do; empty when nothing.")
    waiting = serializers.IntegerField()
    sent = serializers.IntegerField(help_text="Accepted by the mail server.")
    not_sent = serializers.IntegerField()
    unknown = serializers.IntegerField(help_text="Perhaps sent: the worker or the connection ended in between.")


class StatusOutput(serializers.Serializer):
    service = serializers.CharField()
    version = serializers.CharField()
    commit = serializers.CharField(allow_null=True)
    environment = serializers.CharField()
    debug = serializers.BooleanField()
    processes = serializers.DictField(child=FullProcessOutput())
    redis_id = serializers.CharField(allow_null=True, help_text="Of the Redis that the answering process uses.")
    database_id = serializers.CharField(allow_null=True, help_text="Of the database that the answering process uses.")
    migrations = MigrationsOutput()
    schedule = ScheduledJobOutput(many=True)
    queue = QueueOutput(allow_null=True)
    media_storage = serializers.ChoiceField(choices=["local", "cloudinary"])
    backup = BackupStatusOutput()
    outbox = OutboxOutput()
    dead_letters = serializers.IntegerField(help_text="Tasks that failed for good, neither retried nor dismissed.")
    email = EmailStatusOutput()
