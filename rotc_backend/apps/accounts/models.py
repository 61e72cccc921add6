import uuid
from typing import ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.db import models
from django.db.models.functions import Lower, Now

from apps.accounts import rules


class Role(models.TextChoices):
    ADMIN = rules.ADMIN, "Administrator"
    TRAINING_STAFF = rules.TRAINING_STAFF, "Training staff"
    CADET = rules.CADET, "Cadet"


class Status(models.TextChoices):
    PENDING = "pending", "Pending approval"
    APPROVED = "approved", "Approved"


class UserManager(BaseUserManager["User"]):
    def named(self, username: str) -> models.QuerySet["User"]:
        """The account of this name in any letter case: none or one.

        Compared as the unique constraint compares. PostgreSQL's UPPER, which `iexact` uses, takes names for equal
        that are different accounts there (an i without its dot and one with it).
        """
        name = self.model.normalize_username(username)
        return self.alias(lowered=Lower("username")).filter(lowered=Lower(models.Value(name)))

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.named(username or "").get()


class User(AbstractBaseUser):
    """Everybody who can sign in: one table, one role each. What a role may do stands in the services."""

    username = models.CharField(max_length=150, unique=True, validators=[UnicodeUsernameValidator()])
    email = models.EmailField(blank=True)
    first_name = models.CharField(max_length=150, blank=True)
    last_name = models.CharField(max_length=150, blank=True)
    role = models.CharField(max_length=20, choices=Role, default=Role.CADET)
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    archived_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    # Counts the changes after which older tokens are refused: role, password, archive.
    token_version = models.PositiveIntegerField(default=1, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("username"), name="user_username_unique_in_any_case"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="user_role_known"),
            models.CheckConstraint(condition=models.Q(status__in=Status.values), name="user_status_known"),
        ]
        indexes = [models.Index(fields=["role", "status"])]

    def __str__(self) -> str:
        return self.username

    @property
    def is_active(self) -> bool:  # type: ignore[override]  # Django's is a constant that may be shadowed
        return rules.sign_in_refusal(approved=self.status == Status.APPROVED, archived=bool(self.archived_at)) is None

    # The three that Django's admin site asks. Administrators may do everything there, nobody else anything.
    @property
    def is_staff(self) -> bool:
        return self.is_active and self.role == Role.ADMIN

    def has_perm(self, perm: str, obj: models.Model | None = None) -> bool:
        return self.is_staff

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_staff

    def get_full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip() or self.username


class Session(models.Model):
    """One sign-in, from its password to its logout. It holds which refresh token is the current one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    refresh_id = models.CharField(max_length=32)
    previous_refresh_id = models.CharField(max_length=32, blank=True)
    rotated_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return str(self.id)


class Revocation(models.Model):
    """Says that some unexpired access tokens are refused: those of one session, or of a user below a version."""

    at = models.DateTimeField(db_default=Now(), db_index=True)
    session_id = models.UUIDField(null=True)
    user_id = models.BigIntegerField(null=True)
    least_version = models.PositiveIntegerField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(session_id__isnull=False)
                | models.Q(user_id__isnull=False, least_version__isnull=False),
                name="revocation_concerns_something",
            )
        ]

    def __str__(self) -> str:
        return f"session {self.session_id}" if self.session_id else f"user {self.user_id} below {self.least_version}"


class TokenGeneration(models.Model):
    """One row. A restore of the database raises it, and every token from before is refused."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    generation = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="token_generation_is_one_row")]

    def __str__(self) -> str:
        return str(self.generation)


class AuditEntry(models.Model):
    """One write: who, what, before and after, never a secret. Rows are only ever added."""

    at = models.DateTimeField(db_default=Now(), db_index=True)
    actor = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    action = models.CharField(max_length=80)
    target = models.CharField(max_length=120)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["target", "-at"]), models.Index(fields=["actor", "-at"])]

    def __str__(self) -> str:
        return f"{self.action} {self.target}"
