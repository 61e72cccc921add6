from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Now

from apps.cadets.models import Enrollment, Term
from core.models import VersionedModel


class GradingPolicy(VersionedModel):
    """How a term is graded. The row without a term is the unit's default, for every term that has none of its own."""

    term = models.OneToOneField(Term, null=True, blank=True, on_delete=models.PROTECT, related_name="grading_policy")
    attendance_weight = models.DecimalField(max_digits=5, decimal_places=2)
    aptitude_weight = models.DecimalField(max_digits=5, decimal_places=2)
    subject_weight = models.DecimalField(max_digits=5, decimal_places=2)
    attended_statuses = models.JSONField(help_text="Attendance statuses that count as attended.")
    # [["95.00", "1.00"], …], descending: inclusive lower bound of the exact total, equivalent.
    bands = models.JSONField(help_text="Lower bounds and their equivalents, the best first.")
    failing_equivalent = models.CharField(max_length=4)

    class Meta:
        verbose_name_plural = "grading policies"
        constraints = [
            models.UniqueConstraint(fields=["term"], nulls_distinct=False, name="grading_policy_one_default"),
        ]

    def __str__(self) -> str:
        return f"policy of term {self.term_id}" if self.term_id else "default policy"


class Exam(models.TextChoices):
    PRELIM = "prelim", "Prelim"
    MIDTERM = "midterm", "Midterm"
    FINAL = "final", "Final"


class ExamScore(VersionedModel):
    """One exam of one cadet in one term. A missing exam has no row: it is not a zero."""

    enrollment = models.ForeignKey(Enrollment, on_delete=models.PROTECT, related_name="exam_scores")
    exam = models.CharField(max_length=7, choices=Exam)
    score = models.DecimalField(
        max_digits=5, decimal_places=2, validators=[MinValueValidator(0), MaxValueValidator(100)]
    )
    recorded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["enrollment", "exam"], name="exam_score_unique"),
            models.CheckConstraint(condition=models.Q(exam__in=Exam.values), name="exam_known"),
            models.CheckConstraint(condition=models.Q(score__range=(0, 100)), name="exam_score_in_range"),
        ]

    def __str__(self) -> str:
        return f"{self.exam} of enrollment {self.enrollment_id}"


class Revocable(models.Model):
    """A row that is never edited, only revoked with a reason."""

    reason = models.CharField(max_length=255)
    issued_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    issued_at = models.DateTimeField(db_default=Now(), editable=False)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoke_reason = models.CharField(max_length=255, blank=True)

    class Meta:
        abstract = True


class MeritKind(models.TextChoices):
    MERIT = "merit", "Merit"
    DEMERIT = "demerit", "Demerit"


class MeritDemerit(Revocable):
    enrollment = models.ForeignKey(Enrollment, on_delete=models.PROTECT, related_name="merits")
    kind = models.CharField(max_length=7, choices=MeritKind)
    points = models.PositiveSmallIntegerField(validators=[MinValueValidator(1), MaxValueValidator(100)])

    class Meta:
        verbose_name = "merit or demerit"
        verbose_name_plural = "merits and demerits"
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=MeritKind.values), name="merit_kind_known"),
            models.CheckConstraint(condition=models.Q(points__range=(1, 100)), name="merit_points_in_range"),
            models.CheckConstraint(
                condition=models.Q(revoked_at__isnull=True)
                | (models.Q(revoked_by__isnull=False) & ~models.Q(revoke_reason="")),
                name="merit_revoked_with_reason",
            ),
        ]
        indexes = [
            models.Index(fields=["enrollment", "-id"], name="merit_of_enrollment"),
            models.Index(fields=["-id"], name="merit_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.points} {self.kind} points for enrollment {self.enrollment_id}"


class Component(models.TextChoices):
    ATTENDANCE = "attendance", "Attendance"
    APTITUDE = "aptitude", "Aptitude"
    SUBJECT = "subject", "Subject"


class Adjustment(Revocable):
    """Points added by hand to one component, shown beside the computed value; it never replaces an input."""

    enrollment = models.ForeignKey(Enrollment, on_delete=models.PROTECT, related_name="adjustments")
    component = models.CharField(max_length=10, choices=Component)
    points = models.DecimalField(
        max_digits=5, decimal_places=2, validators=[MinValueValidator(-100), MaxValueValidator(100)]
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(component__in=Component.values), name="adjustment_component"),
            models.CheckConstraint(
                condition=models.Q(points__range=(-100, 100)) & ~models.Q(points=0), name="adjustment_points"
            ),
            models.CheckConstraint(
                condition=models.Q(revoked_at__isnull=True)
                | (models.Q(revoked_by__isnull=False) & ~models.Q(revoke_reason="")),
                name="adjustment_revoked_with_reason",
            ),
        ]
        indexes = [models.Index(fields=["enrollment", "-id"], name="adjustment_of_enrollment")]

    def __str__(self) -> str:
        return f"{self.points} points of {self.component} for enrollment {self.enrollment_id}"


class GradeSheet(models.Model):
    """The frozen result of one cadet in a closed term, with the inputs that gave it. Only ever added.

    Reopening the term supersedes the sheet; closing again adds the next revision.
    """

    enrollment = models.ForeignKey(Enrollment, on_delete=models.PROTECT, related_name="grade_sheets")
    revision = models.PositiveSmallIntegerField()
    inputs = models.JSONField()
    result = models.JSONField()
    digest = models.CharField(max_length=64, help_text="SHA-256 of inputs and result in canonical JSON.")
    frozen_at = models.DateTimeField(db_default=Now(), editable=False)
    frozen_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    superseded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["enrollment", "revision"], name="grade_sheet_revision_unique"),
            models.UniqueConstraint(
                fields=["enrollment"], condition=models.Q(superseded_at__isnull=True), name="grade_sheet_one_in_force"
            ),
        ]

    def __str__(self) -> str:
        return f"enrollment {self.enrollment_id}, revision {self.revision}"
