import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from apps.events.models import ClockTimestamp
from apps.operations.rules import ASKED, PRE_DEPLOY, PROBE_LOST_SECONDS, SAFETY, WEEKLY
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


class DeadLetter(models.Model):
    """A task that failed for good: what was to be done, and why it was not. An administrator retries or dismisses it.

    In the schema `ops`, like the runs, without foreign keys: what it names may be replaced by a restore.
    """

    class Settlements(models.TextChoices):
        RETRIED = "retried", "Retried"
        DISMISSED = "dismissed", "Dismissed"

    task = models.TextField()
    arguments = models.JSONField()
    request_id = models.TextField(db_default="")
    attempts = models.PositiveSmallIntegerField()
    error = models.TextField(help_text="The kind of exception.")
    detail = models.TextField(db_default="", help_text="Its own words, without secrets.")
    traceback = models.TextField(db_default="")
    failed_at = models.DateTimeField(db_default=ClockTimestamp())
    settled_at = models.DateTimeField(null=True)
    settled_by_id = models.BigIntegerField(null=True)
    settlement = models.TextField(choices=Settlements, null=True)

    class Meta:
        db_table = '"ops"."dead_letter"'
        ordering = ["-failed_at"]
        indexes = [models.Index(fields=["-failed_at"], name="dead_letter_newest")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(settled_at__isnull=True, settlement__isnull=True)
                | models.Q(settled_at__isnull=False, settlement__isnull=False),
                name="dead_letter_settled_somehow",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task} of {self.failed_at:%Y-%m-%d %H:%M}"


class JournalEntry(models.Model):
    """A step of making or restoring a backup, from its beginning to its end.

    In the schema `ops`, as ScheduledRun is and for the same reason: a restored copy would not know that it is one.
    """

    class Kind(models.TextChoices):
        BACKUP = "backup", "Backup"
        VERIFY = "verify", "Verification"
        PRUNE = "prune", "Removal of old backups"
        LOAD = "load", "Restore beside the live tables"
        SWAP = "swap", "Exchange of the tables"
        UNDO = "undo", "Exchange back"
        SETTLE = "settle", "Work after an exchange"
        REVERSE = "reverse", "Reversal of migrations"

    class Purpose(models.TextChoices):
        WEEKLY = WEEKLY, "Weekly"
        PRE_DEPLOY = PRE_DEPLOY, "Before a deploy"
        ASKED = ASKED, "Asked for"
        SAFETY = SAFETY, "Before a restore"

    class Outcomes(models.TextChoices):
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        INTERRUPTED = "interrupted", "Interrupted"

    run = models.UUIDField(null=True)
    kind = models.TextField(choices=Kind)
    purpose = models.TextField(choices=Purpose, db_default="")
    backup_id = models.TextField(db_default="")
    place = models.TextField(db_default="")
    # No foreign key: after a restore the account may be gone, and the row stays.
    asked_by = models.BigIntegerField(null=True)
    asked_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    outcome = models.TextField(choices=Outcomes, null=True)
    counts = models.JSONField(db_default=models.Value({}, models.JSONField()))
    bytes = models.BigIntegerField(db_default=0)
    detail = models.TextField(db_default="")

    class Meta:
        db_table = '"ops"."journal"'
        ordering = ["-id"]
        verbose_name_plural = "journal of backups"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(finished_at__isnull=True, outcome__isnull=True)
                | models.Q(finished_at__isnull=False, outcome__isnull=False),
                name="journal_ends_with_an_outcome",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.backup_id}".strip()

    @property
    def state(self) -> str:
        return self.outcome or ("running" if self.started_at else "waiting")
