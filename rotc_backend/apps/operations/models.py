import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from apps.events.models import ClockTimestamp
from apps.operations.rules import PROBE_LOST_SECONDS
from core.clock import now


class Probe(models.Model):
    """One round trip through the queue: written by the web service, found and finished by the worker."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    # Both instants are told by the database, so the delay between them needs no agreement of two machines' clocks.
    requested_at = models.DateTimeField(db_default=ClockTimestamp(), db_index=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    worker = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(finished_at__isnull=True)
                | models.Q(started_at__isnull=False, finished_at__gte=models.F("started_at")),
                name="probe_starts_before_it_finishes",
            )
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def state(self) -> str:
        if self.finished_at is not None:
            return "finished"
        return "failed" if (now() - self.requested_at).total_seconds() > PROBE_LOST_SECONDS else "pending"

    @property
    def queue_delay_ms(self) -> float | None:
        """Milliseconds from the request to its start in the worker."""
        if self.started_at is None:
            return None
        return round((self.started_at - self.requested_at).total_seconds() * 1000, 1)


class ScheduledRun(models.Model):
    """One slot of a periodic job: (job, scheduled time) is claimed by a lease, so no slot runs twice.

    The table stands in the schema `ops`, which a restore of the database never replaces: otherwise a restored
    copy would have forgotten the slots that ran since. So its DDL must be repeatable (IF NOT EXISTS), and
    Django's `flush` does not see it.
    """

    class Trigger(models.TextChoices):
        SCHEDULE = "schedule", "Schedule"
        PERSON = "person", "Person"

    class Outcomes(models.TextChoices):
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"

    job = models.TextField()
    slot = models.DateTimeField()
    trigger = models.TextField(choices=Trigger)
    crontab = models.TextField(db_default="", help_text="The schedule that gave the slot, in five fields.")
    owner = models.UUIDField()
    lease_until = models.DateTimeField()
    attempt = models.PositiveSmallIntegerField(db_default=1)
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    outcome = models.TextField(choices=Outcomes, null=True)
    counts = models.JSONField(db_default=models.Value({}, models.JSONField()))
    detail = models.TextField(db_default="")

    class Meta:
        db_table = '"ops"."scheduled_run"'
        ordering = ["-slot", "job"]
        constraints = [
            models.UniqueConstraint(fields=["job", "slot"], name="scheduled_run_job_slot"),
            models.CheckConstraint(
                condition=models.Q(finished_at__isnull=True, outcome__isnull=True)
                | models.Q(finished_at__isnull=False, outcome__isnull=False),
                name="scheduled_run_ends_with_an_outcome",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.job} {self.slot:%Y-%m-%d %H:%M}"
