from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Concat, Lower

from apps.cadets import rules
from apps.pictures.models import SentFile
from core.models import VersionedModel

NAME_LENGTH = 64  # characters


class SearchText(models.Func):
    """Text as it is searched: small letters without marks. PostgreSQL's unaccent cannot stand in a generated column."""

    function = "translate"
    template = f"%(function)s(lower(%(expressions)s), '{rules.MARKED}', '{rules.PLAIN}')"
    output_field = models.TextField()


class Semester(models.TextChoices):
    FIRST = "1st", "First semester"
    SECOND = "2nd", "Second semester"
    SUMMER = "summer", "Summer"


class Term(VersionedModel):
    """A semester of a school year. A closed one takes no more writes; its grade sheets are frozen."""

    school_year = models.CharField(
        max_length=9, validators=[RegexValidator(r"^\d{4}-\d{4}$", "Write two years, for example 2025-2026.")]
    )
    semester = models.CharField(max_length=6, choices=Semester)
    starts_on = models.DateField()
    ends_on = models.DateField()
    is_current = models.BooleanField(default=False)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["school_year", "semester"], name="term_unique"),
            models.UniqueConstraint(
                fields=["is_current"], condition=models.Q(is_current=True), name="term_one_current"
            ),
            models.CheckConstraint(condition=models.Q(semester__in=Semester.values), name="term_semester_known"),
            models.CheckConstraint(condition=models.Q(ends_on__gte=models.F("starts_on")), name="term_ends_late"),
        ]

    def __str__(self) -> str:
        return f"{self.school_year} {self.get_semester_display()}"


class ListEntry(VersionedModel):
    """An entry of one of the unit's lists, which administrators extend."""

    # Part of the recipients of events ("company:Alpha"), so a colon or a line break cannot stand in it.
    name = models.CharField(
        max_length=NAME_LENGTH,
        validators=[RegexValidator(r"^[^\s:](?:[^\r\n:]*[^\s:])?$", "Write a name without colon and line break.")],
    )
    position = models.PositiveSmallIntegerField(default=100, help_text="Lists are shown in this order, then by name.")
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


class Company(ListEntry):
    class Meta:
        verbose_name_plural = "companies"
        constraints = [models.UniqueConstraint(Lower("name"), name="company_name_unique")]


class Platoon(ListEntry):
    """A platoon, or a group that stands for one (Colors, Medics). Every company may have each of them."""

    class Meta:
        constraints = [models.UniqueConstraint(Lower("name"), name="platoon_name_unique")]


class Gender(models.TextChoices):
    FEMALE = "female", "Female"
    MALE = "male", "Male"


class Cadet(VersionedModel):
    """A student in the programme, over all terms. Archived, never deleted; the student number stays taken."""

    student_id = models.CharField(
        max_length=32,
        validators=[RegexValidator(r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", "Write letters, digits, and . _ / - between.")],
    )
    last_name = models.CharField(max_length=NAME_LENGTH)
    first_name = models.CharField(max_length=NAME_LENGTH)
    middle_name = models.CharField(max_length=NAME_LENGTH, blank=True)
    suffix = models.CharField(max_length=16, blank=True)
    email = models.EmailField(blank=True)
    contact_number = models.CharField(max_length=32, blank=True)
    address = models.CharField(max_length=255, blank=True)
    gender = models.CharField(max_length=6, choices=Gender, blank=True)
    birthdate = models.DateField(null=True, blank=True)
    religion = models.CharField(max_length=NAME_LENGTH, blank=True)
    course = models.CharField(max_length=128, blank=True, help_text="Academic programme.")
    year_level = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(5)]
    )
    photo = models.CharField(max_length=200, blank=True, editable=False, help_text="Name in the media storage.")
    photo_sent = models.CharField(
        max_length=10,
        blank=True,
        default="",
        db_default="",  # also for the release before, which writes until the deploy is over
        choices=SentFile,
        editable=False,
        help_text="Of the photo sent last, unless it has become the photo.",
    )
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="cadet"
    )
    search_text = models.GeneratedField(
        expression=SearchText(
            Concat(
                "student_id",
                models.Value(" "),
                "last_name",
                models.Value(", "),
                "first_name",
                models.Value(" "),
                "middle_name",
                models.Value(" "),
                "last_name",
                output_field=models.TextField(),
            )
        ),
        output_field=models.TextField(),
        db_persist=True,
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("student_id"), name="cadet_student_id_unique"),
            models.CheckConstraint(condition=models.Q(gender__in=["", *Gender.values]), name="cadet_gender_known"),
            models.CheckConstraint(
                condition=models.Q(year_level__isnull=True) | models.Q(year_level__range=(1, 5)),
                name="cadet_year_level_in_range",
            ),
            models.CheckConstraint(
                condition=models.Q(photo_sent__in=["", *SentFile.values]), name="cadet_photo_sent_known"
            ),
        ]
        indexes = [models.Index(fields=["last_name", "first_name", "id"], name="cadet_by_name")]

    def __str__(self) -> str:
        return f"{self.student_id} {self.full_name}"

    @property
    def full_name(self) -> str:
        """ "Macaraeg, Liza Santos Jr."."""
        given = " ".join(part for part in (self.first_name, self.middle_name, self.suffix) if part)
        return f"{self.last_name}, {given}"


class CadetRank(models.TextChoices):
    CDT = "CDT"
    CDT_PVT = "CDT PVT"
    CDT_PFC = "CDT PFC"
    CDT_CPL = "CDT CPL"
    CDT_SGT = "CDT SGT"
    CDT_SSGT = "CDT SSGT"
    CDT_TSGT = "CDT TSGT"
    CDT_MSGT = "CDT MSGT"
    CDT_2LT = "CDT 2LT"
    CDT_1LT = "CDT 1LT"
    CDT_CPT = "CDT CPT"
    CDT_MAJ = "CDT MAJ"
    CDT_LTCOL = "CDT LTCOL"
    CDT_COL = "CDT COL"


class MilitaryScienceLevel(models.TextChoices):
    MS1 = "MS1"
    MS2 = "MS2"
    COQC = "COQC"
    MS31 = "MS31"
    MS32 = "MS32"
    MS41 = "MS41"
    MS42 = "MS42"


class EnrollmentStatus(models.TextChoices):
    ONGOING = "ongoing", "Ongoing"
    COMPLETED = "completed", "Completed"
    INCOMPLETE = "incomplete", "Incomplete"
    FAILED = "failed", "Failed"
    DROPPED = "dropped", "Dropped"
    DEFERRED = "deferred", "Deferred"


class Enrollment(VersionedModel):
    """A cadet's place in one term."""

    cadet = models.ForeignKey(Cadet, on_delete=models.PROTECT, related_name="enrollments")
    term = models.ForeignKey(Term, on_delete=models.PROTECT, related_name="enrollments")
    company = models.ForeignKey(Company, null=True, blank=True, on_delete=models.PROTECT, related_name="enrollments")
    platoon = models.ForeignKey(Platoon, null=True, blank=True, on_delete=models.PROTECT, related_name="enrollments")
    battalion = models.CharField(max_length=NAME_LENGTH, blank=True)
    position = models.CharField(max_length=NAME_LENGTH, blank=True)
    rank = models.CharField(max_length=16, choices=CadetRank, default=CadetRank.CDT)
    level = models.CharField(
        max_length=4,
        choices=MilitaryScienceLevel,
        default=MilitaryScienceLevel.MS1,
        help_text="Military science level.",
    )
    status = models.CharField(max_length=10, choices=EnrollmentStatus, default=EnrollmentStatus.ONGOING)
    # Training days before it do not count for this cadet while the term is open.
    enrolled_on = models.DateField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["cadet", "term"], name="enrollment_unique"),
            models.CheckConstraint(condition=models.Q(rank__in=CadetRank.values), name="enrollment_rank_known"),
            models.CheckConstraint(
                condition=models.Q(level__in=MilitaryScienceLevel.values), name="enrollment_level_known"
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=EnrollmentStatus.values), name="enrollment_status_known"
            ),
        ]
        indexes = [models.Index(fields=["term", "company", "platoon"], name="enrollment_by_company")]

    def __str__(self) -> str:
        return f"{self.cadet}, {self.term}"


class StaffRank(models.TextChoices):
    PVT = "Pvt"
    PFC = "PFC"
    CPL = "Cpl"
    SGT = "Sgt"
    SSG = "SSg"
    TSG = "TSg"
    MSG = "MSg"
    SMS = "SMS"
    CMS = "CMS"
    SECOND_LIEUTENANT = "2LT"
    FIRST_LIEUTENANT = "1LT"
    CPT = "CPT"
    MAJ = "MAJ"
    LTC = "LTC"
    COL = "COL"
    BGEN = "BGEN"
    MGEN = "MGEN"
    LTGEN = "LTGEN"
    GEN = "GEN"


class StaffFunction(models.TextChoices):
    """What somebody does in the unit; documents are signed by function, never by a person's name."""

    INSTRUCTOR = rules.INSTRUCTOR, "Instructor"
    COMMANDANT = rules.COMMANDANT, "Commandant"
    ASSISTANT_COMMANDANT = rules.ASSISTANT_COMMANDANT, "Assistant Commandant"
    NSTP_DIRECTOR = rules.NSTP_DIRECTOR, "NSTP Director"
    ROTC_COORDINATOR = rules.ROTC_COORDINATOR, "ROTC Coordinator"
    ADMIN_NCO = rules.ADMIN_NCO, "Admin NCO"
    ADMIN = rules.ADMIN, "Admin"


class StaffProfile(VersionedModel):
    rank = models.CharField(max_length=16, choices=StaffRank, blank=True)
    last_name = models.CharField(max_length=NAME_LENGTH)
    first_name = models.CharField(max_length=NAME_LENGTH)
    middle_name = models.CharField(max_length=NAME_LENGTH, blank=True)
    suffix = models.CharField(max_length=16, blank=True)
    email = models.EmailField()
    function = models.CharField(max_length=24, choices=StaffFunction, default=StaffFunction.INSTRUCTOR)
    afpsn = models.CharField(max_length=32, blank=True, help_text="Armed Forces of the Philippines serial number.")
    contact_number = models.CharField(max_length=32, blank=True)
    photo = models.CharField(max_length=200, blank=True, editable=False, help_text="Name in the media storage.")
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="staff_profile"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("email"), name="staff_email_unique"),
            models.CheckConstraint(condition=models.Q(rank__in=["", *StaffRank.values]), name="staff_rank_known"),
            models.CheckConstraint(condition=models.Q(function__in=StaffFunction.values), name="staff_function_known"),
        ]
        indexes = [models.Index(fields=["last_name", "first_name", "id"], name="staff_by_name")]

    def __str__(self) -> str:
        return f"{self.rank} {self.last_name}, {self.first_name}".strip()
