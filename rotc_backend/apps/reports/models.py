from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from apps.cadets.models import Company, Enrollment, Term
from apps.grading.models import GradeSheet
from apps.reports import rules
from apps.training.models import TrainingDay


class Kind(models.TextChoices):
    GRADE_SLIP = rules.GRADE_SLIP, "Grade slip"
    GRADE_SHEET = rules.GRADE_SHEET, "Grade sheet"
    ATTENDANCE_DAY = rules.ATTENDANCE_DAY, "Attendance sheet of a day"
    ATTENDANCE_TERM = rules.ATTENDANCE_TERM, "Attendance of a term"
    MASTER_LIST = rules.MASTER_LIST, "Master list"
    CERTIFICATE = rules.CERTIFICATE, "Certificate"
    DAILY = rules.DAILY, "Daily report"


class FileFormat(models.TextChoices):
    PDF = rules.PDF, "PDF"
    XLSX = rules.XLSX, "Excel"
    CSV = rules.CSV, "CSV"


class State(models.TextChoices):
    QUEUED = rules.QUEUED, "Waiting for the worker"
    RUNNING = rules.RUNNING, "Running"
    READY = rules.READY, "Ready"
    FAILED = rules.FAILED, "Failed"
    CANCELLED = rules.CANCELLED, "Cancelled"
    EXPIRED = rules.EXPIRED, "Its file is no longer kept"


class CertificateType(models.TextChoices):
    COMPLETION = rules.COMPLETION, "Completion"
    MERIT = rules.MERIT, "Merit"


class Certificate(models.Model):
    """What a printed certificate says, frozen, under a code by which anybody who holds it can have it checked.

    Only ever added, superseded and revoked. It also stops to be valid when its grade sheet is superseded.
    """

    code = models.CharField(max_length=rules.CODE_LENGTH, unique=True, editable=False)
    type = models.CharField(max_length=10, choices=CertificateType)
    enrollment = models.ForeignKey(Enrollment, on_delete=models.PROTECT, related_name="+")
    sheet = models.ForeignKey(GradeSheet, on_delete=models.PROTECT, related_name="+")
    facts = models.JSONField(help_text="What stands on it.")
    issued_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    issued_at = models.DateTimeField(db_default=Now(), editable=False)
    superseded_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoke_reason = models.CharField(max_length=255, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["enrollment", "type"],
                condition=models.Q(superseded_at__isnull=True, revoked_at__isnull=True),
                name="certificate_one_in_force",
            ),
            models.CheckConstraint(condition=models.Q(type__in=CertificateType.values), name="certificate_type_known"),
            models.CheckConstraint(
                condition=models.Q(revoked_at__isnull=True)
                | (models.Q(revoked_by__isnull=False) & ~models.Q(revoke_reason="")),
                name="certificate_revoked_with_reason",
            ),
        ]

    def __str__(self) -> str:
        return rules.code_shown(self.code)


class Report(models.Model):
    """A document that somebody asked for, and what became of it. The schedule asks for the daily ones: nobody's name.

    `owner` and `lease_until` are the claim of the worker that writes it: one that died is followed by another. While it
    is running, `file` is the name under which its worker is about to store the file.
    """

    kind = models.CharField(max_length=15, choices=Kind)
    file_format = models.CharField(max_length=4, choices=FileFormat, default=FileFormat.PDF)
    term = models.ForeignKey(Term, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    company = models.ForeignKey(Company, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    training_day = models.ForeignKey(TrainingDay, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    enrollment = models.ForeignKey(Enrollment, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    certificate = models.ForeignKey(
        Certificate, null=True, blank=True, on_delete=models.PROTECT, related_name="reports"
    )
    day = models.DateField(null=True, blank=True, help_text="Of a daily report: the day in Manila.")
    title = models.CharField(max_length=255)
    site = models.CharField(max_length=200, blank=True, editable=False, help_text="Where certificates are checked.")
    client_id = models.CharField(max_length=64, blank=True, help_text="The asker's own number of this request.")
    state = models.CharField(max_length=9, choices=State, default=State.QUEUED)
    phase = models.CharField(max_length=7, blank=True, help_text="reading, writing or storing.")
    rows_done = models.PositiveIntegerField(default=0)
    rows_total = models.PositiveIntegerField(null=True, blank=True)
    pages = models.PositiveIntegerField(null=True, blank=True)
    file = models.CharField(max_length=200, blank=True, editable=False, help_text="Name in the media storage.")
    file_name = models.CharField(max_length=120, help_text="What it is called when it is saved.")
    file_bytes = models.PositiveIntegerField(null=True, blank=True)
    problem = models.TextField(blank=True, help_text="Why it has failed.")
    problem_code = models.CharField(max_length=40, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    queued_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Until when the file is kept.")
    owner = models.UUIDField(null=True, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    attempt = models.PositiveSmallIntegerField(default=0, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=Kind.values), name="report_kind_known"),
            models.CheckConstraint(condition=models.Q(file_format__in=FileFormat.values), name="report_format_known"),
            models.CheckConstraint(condition=models.Q(state__in=State.values), name="report_state_known"),
            models.CheckConstraint(
                condition=~models.Q(state=rules.READY) | (~models.Q(file="") & models.Q(expires_at__isnull=False)),
                name="report_ready_has_file",
            ),
            models.UniqueConstraint(
                fields=["requested_by", "client_id"],
                condition=~models.Q(client_id=""),
                nulls_distinct=False,
                name="report_client_id_unique",
            ),
        ]
        indexes = [
            models.Index(fields=["requested_by", "-id"], name="report_own_newest"),
            models.Index(fields=["state", "lease_until"], name="report_by_state"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_under_way(self) -> bool:
        """Whether a worker has it, or is about to."""
        return self.state in rules.UNDER_WAY
