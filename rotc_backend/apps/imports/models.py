from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from apps.cadets.models import Term
from apps.imports import rules
from apps.training.models import TrainingDay
from core import tables


class Kind(models.TextChoices):
    CADETS = rules.CADETS, "Cadets"
    SCORES = rules.SCORES, "Exam scores"
    ATTENDANCE = rules.ATTENDANCE, "Attendance"


class State(models.TextChoices):
    QUEUED = rules.QUEUED, "Waiting for the worker"
    RUNNING = rules.RUNNING, "Running"
    READY = rules.READY, "Checked, can be applied"
    REFUSED = rules.REFUSED, "Refused: rows need correction"
    DONE = rules.DONE, "Done"
    CANCELLED = rules.CANCELLED, "Cancelled"
    FAILED = rules.FAILED, "Failed"


class OnDuplicate(models.TextChoices):
    SKIP = tables.SKIP_EXISTING, "Leave what exists as it is"
    UPDATE = tables.UPDATE_EXISTING, "Bring what exists to what the file says"


class Fate(models.TextChoices):
    CREATE = tables.CREATE, "New"
    CHANGE = tables.CHANGE, "Changed"
    UNCHANGED = tables.UNCHANGED, "Unchanged"
    SKIP = tables.SKIP, "Skipped"
    REFUSE = tables.REFUSE, "Refused"


class ImportRun(models.Model):
    """One file that somebody sent, and what became of it. A dry run stays `ready` until it is applied or expires.

    `owner` and `lease_until` are the claim of the worker that does it: one that died is followed by another.
    `asked_by` is who it is done for: whoever sent the file or, later, whoever said that it be applied.
    """

    kind = models.CharField(max_length=10, choices=Kind)
    term = models.ForeignKey(Term, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    training_day = models.ForeignKey(TrainingDay, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    on_duplicate = models.CharField(max_length=6, choices=OnDuplicate, default=OnDuplicate.UPDATE)
    dry_run = models.BooleanField(default=True)
    state = models.CharField(max_length=9, choices=State, default=State.QUEUED)
    file_name = models.CharField(max_length=120)
    file_bytes = models.PositiveIntegerField()
    phase = models.CharField(max_length=8, blank=True, help_text="reading, checking or writing.")
    rows_done = models.PositiveIntegerField(default=0)
    rows_total = models.PositiveIntegerField(null=True, blank=True)
    counts = models.JSONField(default=dict, blank=True, help_text="Rows by fate.")
    notes = models.JSONField(default=list, blank=True, help_text="What the sender should know of the file.")
    problem = models.TextField(blank=True, help_text="Why the file as a whole was refused, or the run failed.")
    problem_code = models.CharField(max_length=40, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    queued_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True, help_text="When it ended, or was found ready.")
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    owner = models.UUIDField(null=True, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    attempt = models.PositiveSmallIntegerField(default=0, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=Kind.values), name="import_kind_known"),
            models.CheckConstraint(condition=models.Q(state__in=State.values), name="import_state_known"),
            models.CheckConstraint(
                condition=models.Q(on_duplicate__in=OnDuplicate.values), name="import_on_duplicate_known"
            ),
            models.CheckConstraint(
                condition=~models.Q(kind=rules.ATTENDANCE) | models.Q(training_day__isnull=False),
                name="import_attendance_has_day",
            ),
            models.CheckConstraint(
                condition=~models.Q(kind=rules.SCORES) | models.Q(term__isnull=False), name="import_scores_have_term"
            ),
        ]
        verbose_name = "import"
        indexes = [
            models.Index(fields=["created_by", "-id"], name="import_own_newest"),
            models.Index(fields=["state", "lease_until"], name="import_by_state"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} from {self.file_name}"

    @property
    def is_under_way(self) -> bool:
        """Whether a worker has it, or is about to."""
        return self.state in rules.UNDER_WAY


class ImportFile(models.Model):
    """What was sent, for as long as it is needed. In the database: web and worker share no disk."""

    run = models.OneToOneField(ImportRun, primary_key=True, on_delete=models.CASCADE, related_name="file")
    content = models.BinaryField()

    def __str__(self) -> str:
        return f"file of import {self.run_id}"


class ImportRow(models.Model):
    """What becomes, or became, of one row of the file."""

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="rows", db_index=False)
    number = models.PositiveIntegerField(help_text="In the order of the file, from 1.")
    sheet = models.CharField(max_length=64, blank=True)
    row = models.PositiveIntegerField(help_text="As spreadsheets count, from 1.")
    fate = models.CharField(max_length=9, choices=Fate)
    label = models.CharField(max_length=255, blank=True)
    changes = models.JSONField(default=dict, blank=True)
    problems = models.JSONField(default=list, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "number"], name="import_row_unique"),
            models.CheckConstraint(condition=models.Q(fate__in=Fate.values), name="import_row_fate_known"),
        ]
        indexes = [models.Index(fields=["run", "fate", "number"], name="import_row_by_fate")]

    def __str__(self) -> str:
        return f"row {self.row} of import {self.run_id}: {self.fate}"
