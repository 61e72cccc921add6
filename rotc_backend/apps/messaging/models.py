from django.conf import settings
from django.db import models
from django.db.models.functions import Now

TITLE_LENGTH, BODY_LENGTH, CORRELATION_LENGTH = 200, 4000, 64  # characters


class Notification(models.Model):
    """A message of the system or of an administrator to one person. It is read or removed, never edited."""

    recipient = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications")
    title = models.CharField(max_length=TITLE_LENGTH)
    body = models.CharField(max_length=BODY_LENGTH)
    # Chosen by who creates it, so that a sender can recognise its own (the load harness measures delivery by
    # it).
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
