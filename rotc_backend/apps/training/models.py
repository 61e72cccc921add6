from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from apps.cadets.models import Cadet, StaffProfile, Term
from apps.pictures.models import SentFile
from apps.training import rules
from core.models import VersionedModel


class TrainingDay(VersionedModel):
    """One gathering of the unit. Several on a date are possible; a cancelled one counts for nobody."""

    term = models.ForeignKey(Term, on_delete=models.PROTECT, related_name="training_days")
    date = models.DateField(help_text="The day in Manila.")
    title = models.CharField(max_length=120)
    description = models.TextField(max_length=4000, blank=True)
    location = models.CharField(max_length=120, blank=True)
    late_after = models.TimeField(
        null=True,
        blank=True,
        help_text="In Manila. Whoever is scanned later than this comes late; empty: nobody who is scanned does.",
    )
    cancelled_at = models.DateTimeField(null=True, blank=True, editable=False)
    cancel_reason = models.CharField(max_length=255, blank=True, editable=False)

    class Meta:
        indexes = [models.Index(fields=["term", "date", "id"], name="training_day_in_term")]

    def __str__(self) -> str:
        return f"{self.date} {self.title}"


class AttendanceStatus(models.TextChoices):
    PRESENT = "present", "Present"
    LATE = "late", "Late"
    EXCUSED = "excused", "Excused"
    ABSENT = "absent", "Absent"


class AttendanceSource(models.TextChoices):
    """How a record came about."""

    MANUAL = "manual", "By hand"
    SCAN = "scan", "Scanned"
    IMPORT = "import", "Imported"
    SYNC = "sync", "By the system"


class Attendance(VersionedModel):
    """What somebody's attendance at one training day consists of."""

    # No index of its own: the unique constraint of each table begins with it.
    training_day = models.ForeignKey(TrainingDay, on_delete=models.PROTECT, related_name="+", db_index=False)
    status = models.CharField(max_length=7, choices=AttendanceStatus)
    time_in = models.DateTimeField(null=True, blank=True)
    time_out = models.DateTimeField(null=True, blank=True)
    remarks = models.CharField(max_length=255, blank=True)
    source = models.CharField(max_length=6, choices=AttendanceSource, default=AttendanceSource.MANUAL)
    recorded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )

    class Meta:
        abstract = True


class AttendanceRecord(Attendance):
    cadet = models.ForeignKey(Cadet, on_delete=models.PROTECT, related_name="attendance_records")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["training_day", "cadet"], name="attendance_unique"),
            models.CheckConstraint(
                condition=models.Q(status__in=AttendanceStatus.values), name="attendance_status_known"
            ),
            models.CheckConstraint(
                condition=models.Q(source__in=AttendanceSource.values), name="attendance_source_known"
            ),
            models.CheckConstraint(
                condition=models.Q(time_out__isnull=True) | models.Q(time_out__gte=models.F("time_in")),
                name="attendance_out_after_in",
            ),
        ]

    def __str__(self) -> str:
        return f"cadet {self.cadet_id} on day {self.training_day_id}: {self.status}"


class StaffAttendanceRecord(Attendance):
    staff_profile = models.ForeignKey(StaffProfile, on_delete=models.PROTECT, related_name="attendance_records")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["training_day", "staff_profile"], name="staff_attendance_unique"),
            models.CheckConstraint(
                condition=models.Q(status__in=AttendanceStatus.values), name="staff_attendance_status_known"
            ),
            models.CheckConstraint(
                condition=models.Q(source__in=AttendanceSource.values), name="staff_attendance_source_known"
            ),
            models.CheckConstraint(
                condition=models.Q(time_out__isnull=True) | models.Q(time_out__gte=models.F("time_in")),
                name="staff_attendance_out_after_in",
            ),
        ]

    def __str__(self) -> str:
        return f"staff {self.staff_profile_id} on day {self.training_day_id}: {self.status}"


class LetterState(models.TextChoices):
    PENDING = "pending", "Pending"
    APPROVED = "approved", "Approved"
    REJECTED = "rejected", "Rejected"
    WITHDRAWN = "withdrawn", "Withdrawn"


class ExcuseLetter(VersionedModel):
    """A cadet's reason for an absence. Approving it marks the day excused in the same transaction."""

    cadet = models.ForeignKey(Cadet, on_delete=models.PROTECT, related_name="excuse_letters")
    term = models.ForeignKey(Term, on_delete=models.PROTECT, related_name="+")
    date_absent = models.DateField(help_text="The day in Manila.")
    training_day = models.ForeignKey(
        TrainingDay,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Empty: every training day of that date.",
    )
    reason = models.TextField(max_length=2000)
    file = models.CharField(max_length=200, blank=True, editable=False, help_text="Name in the media storage.")
    file_name = models.CharField(max_length=120, blank=True, editable=False, help_text="As the cadet called it.")
    file_type = models.CharField(max_length=100, blank=True, editable=False)
    file_sent = models.CharField(
        max_length=10,
        blank=True,
        default="",
        db_default="",  # also for the release before, which writes until the deploy is over
        choices=SentFile,
        editable=False,
        help_text="Of the picture that was sent as its file, until it has become that.",
    )
    state = models.CharField(max_length=9, choices=LetterState, default=LetterState.PENDING)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    decision_note = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["cadet", "date_absent"], condition=models.Q(state="pending"), name="letter_one_pending_a_date"
            ),
            models.CheckConstraint(condition=models.Q(state__in=LetterState.values), name="letter_state_known"),
            models.CheckConstraint(
                condition=models.Q(file_sent__in=["", *SentFile.values]), name="letter_file_sent_known"
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=["approved", "rejected"])
                | models.Q(decided_by__isnull=False, decided_at__isnull=False),
                name="letter_decision_has_author",
            ),
        ]
        indexes = [
            models.Index(fields=["cadet", "-id"], name="letter_own_newest"),
            models.Index(fields=["state", "-id"], name="letter_by_state"),
            models.Index(fields=["term", "date_absent"], name="letter_by_date"),
        ]

    def __str__(self) -> str:
        return f"cadet {self.cadet_id}, {self.date_absent}: {self.state}"


class ScanEffect(models.TextChoices):
    """What a scan gave. The last two gave nothing; an earlier scan that arrives later can still change that."""

    TIME_IN = rules.TIME_IN, "Time in"
    TIME_OUT = rules.TIME_OUT, "Time out"
    TOO_SOON = rules.TOO_SOON, "Nothing, too soon after the time in"
    ALREADY_OUT = rules.ALREADY_OUT, "Nothing, after the time out"


class Scan(models.Model):
    """A code that was used. Its number is the code's own, so that no code is ever used twice."""

    nonce = models.UUIDField(primary_key=True, editable=False)
    training_day = models.ForeignKey(TrainingDay, on_delete=models.PROTECT, related_name="+", db_index=False)
    cadet = models.ForeignKey(Cadet, on_delete=models.PROTECT, related_name="+")
    # The scanner's own number of this scan: the same one again is a retry, not a second use of the code.
    scan_id = models.UUIDField(editable=False)
    scanned_at = models.DateTimeField(help_text="By the scanner's clock, which may have been offline.")
    received_at = models.DateTimeField(db_default=Now(), editable=False)
    scanned_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    effect = models.CharField(max_length=11, choices=ScanEffect)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(effect__in=ScanEffect.values), name="scan_effect_known"),
        ]
        indexes = [models.Index(fields=["training_day", "cadet", "scanned_at"], name="scan_of_day")]

    def __str__(self) -> str:
        return f"cadet {self.cadet_id} on day {self.training_day_id}: {self.effect}"
