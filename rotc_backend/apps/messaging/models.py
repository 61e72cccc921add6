from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from apps.cadets.models import Company
from apps.messaging import rules
from core.models import VersionedModel

TITLE_LENGTH, BODY_LENGTH, CORRELATION_LENGTH = 200, rules.LONGEST_MESSAGE, 64  # characters
TEXT_LENGTH = 10_000


class Notification(models.Model):
    """A message of the system or of an administrator to one person. It is read or removed, never edited."""

    recipient = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications")
    title = models.CharField(max_length=TITLE_LENGTH)
    body = models.CharField(max_length=BODY_LENGTH)
    # Chosen by who creates it, so that a sender can recognise its own (the load harness measures delivery by it).
    correlation_id = models.CharField(max_length=CORRELATION_LENGTH, null=True)
    created_at = models.DateTimeField(db_default=Now())
    read_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            # Ids rise with time, so they give the order "newest first", and a total one.
            models.Index(fields=["recipient", "-id"], name="notification_own_newest"),
            models.Index(fields=["recipient"], condition=models.Q(read_at__isnull=True), name="notification_unread"),
            models.Index(fields=["read_at"], condition=models.Q(read_at__isnull=False), name="notification_read_at"),
        ]

    def __str__(self) -> str:
        return self.title


class RoomKind(models.TextChoices):
    COMPANY = rules.COMPANY, "Company"
    STAFF = rules.STAFF, "Staff"
    DIRECT = rules.DIRECT, "Direct"


class Room(models.Model):
    """Where people write to each other. Who is in it follows from rules; no row says who belongs to a company's room.

    A direct room names its two people in ascending id, so that there is one room for a pair, whoever opens it.
    """

    kind = models.CharField(max_length=7, choices=RoomKind)
    company = models.OneToOneField(Company, null=True, on_delete=models.PROTECT, related_name="room")
    first_person = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    second_person = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind"], condition=models.Q(kind=rules.STAFF), name="room_one_for_staff"),
            models.UniqueConstraint(fields=["first_person", "second_person"], name="room_one_for_a_pair"),
            models.CheckConstraint(
                condition=models.Q(kind=rules.COMPANY, company__isnull=False, first_person=None, second_person=None)
                | models.Q(kind=rules.STAFF, company=None, first_person=None, second_person=None)
                | models.Q(
                    kind=rules.DIRECT,
                    company=None,
                    first_person__isnull=False,
                    second_person__isnull=False,  # a comparison with null would let the row pass
                    first_person__lt=models.F("second_person"),
                ),
                name="room_is_of_its_kind",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} room {self.pk}"

    @property
    def person_ids(self) -> tuple[int, ...]:
        """The two people of a direct room; nobody for another kind."""
        return tuple(key for key in (self.first_person_id, self.second_person_id) if key is not None)


class Message(models.Model):
    """What somebody wrote in a room. Removed, its body is gone and the row stays, or replies would hang in the air."""

    # Without indexes of their own: those below begin with them.
    room = models.ForeignKey(Room, on_delete=models.PROTECT, related_name="messages", db_index=False)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    body = models.CharField(max_length=BODY_LENGTH)
    # Chosen by the author's client, so that one message sent twice (the answer was lost in a tunnel) is one message.
    client_id = models.CharField(max_length=rules.LONGEST_CLIENT_ID)
    created_at = models.DateTimeField()
    edited_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["author", "room", "client_id"], name="message_sent_once"),
            models.CheckConstraint(
                condition=(models.Q(deleted_at=None) & ~models.Q(body=""))
                | models.Q(deleted_at__isnull=False, body=""),
                name="message_blank_when_removed",
            ),
        ]
        indexes = [
            models.Index(fields=["room", "id"], name="message_in_room"),
            models.Index(fields=["author", "-created_at"], name="message_author_newest"),
        ]

    def __str__(self) -> str:
        return f"message {self.pk} in room {self.room_id}"


class ReadMark(models.Model):
    """How far somebody has read in a room. It only ever moves forward."""

    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="read_marks", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    last_message = models.ForeignKey(Message, on_delete=models.PROTECT, related_name="+", db_index=False)
    read_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["room", "user"], name="read_mark_unique")]

    def __str__(self) -> str:
        return f"user {self.user_id} has read room {self.room_id} to {self.last_message_id}"


class AnnouncementKind(models.TextChoices):
    ANNOUNCEMENT = "announcement", "Announcement"
    ACTIVITY = "activity", "Activity"


class Announcement(VersionedModel):
    """What the unit tells everybody: an announcement, or an activity on a day. Its photos count into its version."""

    kind = models.CharField(max_length=12, choices=AnnouncementKind)
    title = models.CharField(max_length=TITLE_LENGTH)
    text = models.TextField(max_length=TEXT_LENGTH)
    date = models.DateField(help_text="The day in Manila that it speaks of.")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=AnnouncementKind.values), name="announcement_kind_known")
        ]
        indexes = [
            models.Index(fields=["-id"], condition=models.Q(archived_at=None), name="announcement_newest"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def photos_ready(self) -> list["AnnouncementPhoto"]:
        """Those that can be looked at; no query where `photos` was fetched along."""
        return [photo for photo in self.photos.all() if photo.file]

    @property
    def photos_processing(self) -> int:
        """How many are being prepared."""
        return sum(not photo.file for photo in self.photos.all())


class AnnouncementPhoto(models.Model):
    """Without a `file` while it is being prepared. One that cannot be is removed."""

    announcement = models.ForeignKey(Announcement, on_delete=models.PROTECT, related_name="photos")
    file = models.CharField(max_length=200, help_text="Name in the media storage.")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"photo {self.pk} of announcement {self.announcement_id}"
