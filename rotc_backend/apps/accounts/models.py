import uuid
from collections.abc import Iterator
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower, Now
from django.utils.crypto import salted_hmac

from apps.accounts import rules
from apps.events.models import ClockTimestamp
from core.models import VersionedModel

# On the columns, so that the admin site's forms have it too.
_one_line = RegexValidator(
    r"\A[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\Z",
    message="A name is one line, without control characters.",
    code="control_characters",
)


PAGE_LENGTH = 500  # characters of the address that a link opens


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


class User(VersionedModel, AbstractBaseUser):
    """Everybody who can sign in: one table, one role each. What a role may do stands in the services."""

    username = models.CharField(max_length=150, unique=True, validators=[UnicodeUsernameValidator()])
    email = models.EmailField(blank=True)
    first_name = models.CharField(max_length=150, blank=True, validators=[_one_line])
    last_name = models.CharField(max_length=150, blank=True, validators=[_one_line])
    role = models.CharField(max_length=20, choices=Role, default=Role.CADET)
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    archived_at = models.DateTimeField(null=True, blank=True)
    # With a default in the database: the previous release goes on writing for a while after the migration.
    version = models.PositiveIntegerField(default=1, db_default=1, editable=False)
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
        indexes = [
            models.Index(fields=["role", "status"]),
            models.Index(Lower("email"), name="user_email_in_any_case"),
        ]

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

    # What binds a cookie of the admin site to the account: it ends for good with what ends the tokens, too.
    def get_session_auth_hash(self) -> str:
        return self._site_session_hash(None)

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        for former_key in settings.SECRET_KEY_FALLBACKS:
            yield self._site_session_hash(former_key)

    def _site_session_hash(self, key: str | bytes | None) -> str:
        bound = f"{self.token_version}:{self.password}"
        return salted_hmac("rgms.site_session", bound, secret=key, algorithm="sha256").hexdigest()

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
        # Each filter of the trail has its index, in the order of the list: a page reads what it shows.
        indexes = [
            models.Index(fields=["target", "-at"]),
            models.Index(fields=["actor", "-at"]),
            models.Index(fields=["action", "-at"], name="audit_entry_by_action"),
            models.Index(fields=["request_id"], name="audit_entry_by_request"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target}"


class Attempts(models.Model):
    """Recent attempts that are counted against one key, and until when the key is refused.

    In PostgreSQL and not in Redis: a lock must hold when the cache is away, and be exact under parallel guesses.
    An account's key is the digest of its name, since people type passwords into the field of the name.
    """

    class Kind(models.TextChoices):
        ACCOUNT = rules.ACCOUNT, "Wrong passwords of an account"
        ADDRESS = rules.ADDRESS, "Wrong passwords from an address"
        REGISTRATION = rules.REGISTRATION, "Registrations from an address"
        PASSWORD_RESET = rules.PASSWORD_RESET, "Requests for a new password from an address"

    kind = models.CharField(max_length=20, choices=Kind)
    key = models.CharField(max_length=64)
    at = ArrayField(models.DateTimeField())
    last_at = models.DateTimeField(db_index=True)
    locked_until = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "attempts"
        constraints = [models.UniqueConstraint(fields=["kind", "key"], name="attempts_unique")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class Invitation(models.Model):
    """A link that sets a password, once. Of its token only the SHA-256 is kept, so nobody reads it out of here."""

    class Purpose(models.TextChoices):
        FIRST_PASSWORD = "first_password", "First password"
        RESET = "reset", "Forgotten password"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="invitations")
    purpose = models.CharField(max_length=16, choices=Purpose)
    token_digest = models.CharField(max_length=64, unique=True, editable=False)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)
    replaced_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user"],
                condition=models.Q(used_at__isnull=True, replaced_at__isnull=True),
                name="invitation_one_open_for_each_user",
            )
        ]

    def __str__(self) -> str:
        return f"{self.purpose} of {self.user_id}"


class PasswordReset(models.Model):
    """A request for a new password by e-mail, and truthfully what became of it.

    Requests that fit no account are rows as well (`user` null): the answer takes as long for them.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENDING = "sending", "Being sent"
        SENT = "sent", "Accepted by the mail server"
        FAILED = "failed", "Not sent"
        UNKNOWN = "unknown", "Perhaps sent: the worker or the connection ended in between"
        IGNORED = "ignored", "Not to be sent"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="+")
    page = models.CharField(max_length=PAGE_LENGTH)
    requested_at = models.DateTimeField(db_default=Now(), db_index=True)
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    detail = models.CharField(max_length=300, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.id} {self.state}"


class MailPreferences(models.Model):
    """What somebody wants to be told by e-mail, too. Who has no row wants everything; notifications come anyway."""

    user = models.OneToOneField(User, primary_key=True, on_delete=models.CASCADE, related_name="mail_preferences")
    excuse_letters = models.BooleanField(default=True, help_text="That one's own excuse letter was decided.")
    grades = models.BooleanField(default=True, help_text="That one's own grade of a term is final.")
    daily_reports = models.BooleanField(default=True, help_text="The unit's daily report, for staff.")

    class Meta:
        verbose_name_plural = "mail preferences"

    def __str__(self) -> str:
        return f"mail preferences of {self.user_id}"


class Mail(models.Model):
    """An e-mail that an event has caused, and truthfully what became of it. No event causes a second one.

    The table stands in the schema `ops`, which a restore of the database never replaces: otherwise a restored copy
    would have forgotten what was sent since, and send it again. So it has no foreign keys, its DDL must be repeatable,
    and Django's `flush` does not see it.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENDING = "sending", "Being sent"
        SENT = "sent", "Accepted by the mail server"
        NOT_SENT = "not_sent", "Not sent"
        UNKNOWN = "unknown", "Perhaps sent: the worker or the connection ended in between"
        SKIPPED = "skipped", "Not to be sent"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event = models.TextField(unique=True, help_text="What caused it.")
    kind = models.TextField()
    recipient_id = models.BigIntegerField()
    address = models.TextField(db_default="", help_text="Where it was sent.")
    context = models.JSONField(help_text="What its words are made of; emptied when it was sent.")
    state = models.TextField(choices=State)
    detail = models.TextField(db_default="")
    attempts = models.PositiveSmallIntegerField(db_default=0)
    created_at = models.DateTimeField(db_default=ClockTimestamp())
    due_at = models.DateTimeField(db_default=ClockTimestamp())
    claimed_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = '"ops"."mail"'
        indexes = [
            models.Index(fields=["state", "due_at"], name="mail_by_state"),
            models.Index(fields=["claimed_at"], name="mail_by_claim"),
            models.Index(fields=["-created_at"], name="mail_newest"),
        ]

    def __str__(self) -> str:
        return self.event
