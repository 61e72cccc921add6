from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from apps.pictures import rules


class State(models.TextChoices):
    QUEUED = rules.QUEUED, "Waiting for the worker"
    RUNNING = rules.RUNNING, "Running"
    DONE = rules.DONE, "In its place"
    REFUSED = rules.REFUSED, "Refused"
    DROPPED = rules.DROPPED, "No longer wanted"


class SentFile(models.TextChoices):
    """What a record keeps of the file that was sent for it last, beside the name of the present one."""

    PROCESSING = rules.FILE_PROCESSING, "Waits for the worker"
    REFUSED = rules.FILE_REFUSED, "Refused"


class Picture(models.Model):
    """A picture that somebody sent for a record of another app, until the worker has put it there, and what became of
    it for some time after.

    `owner` and `lease_until` are the claim of the worker that has it: one that died is followed by another. While it
    waits, `name` is the name under which an attempt was about to store what it made of the picture.
    """

    purpose = models.CharField(max_length=24, help_text="What it was sent for.")
    record_id = models.BigIntegerField(null=True, help_text="Of the record that it was sent for.")
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    file_bytes = models.PositiveIntegerField()
    sent_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    sent_at = models.DateTimeField(editable=False)
    problem_code = models.CharField(max_length=40, blank=True)
    problem = models.TextField(blank=True, help_text="Why it was refused.")
    name = models.CharField(max_length=200, blank=True, editable=False)
    queued_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    owner = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    attempt = models.PositiveSmallIntegerField(default=0, editable=False)

    class Meta:
        verbose_name = "sent picture"
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=State.values), name="picture_state_known"),
            models.UniqueConstraint(
                fields=["purpose", "record_id"],
                condition=models.Q(state__in=rules.UNFINISHED),
                name="picture_one_waits_for_a_record",
            ),
        ]
        indexes = [models.Index(fields=["state", "lease_until"], name="picture_by_state")]

    def __str__(self) -> str:
        return f"picture {self.pk}: {self.purpose} {self.record_id}"

    @property
    def target(self) -> int:
        """Id of the record that it was sent for. Only a transaction that has not committed lacks it."""
        return self.record_id or 0


class PicturePart(models.Model):
    """A piece of what was sent, for as long as it is needed. In the database: web and worker share no disk.

    In pieces: to write a file of 10 MB in one takes 85 MB of a web process, and in these 5.
    """

    picture = models.ForeignKey(Picture, on_delete=models.CASCADE, related_name="parts", db_index=False)
    number = models.PositiveSmallIntegerField()
    content = models.BinaryField()

    class Meta:
        verbose_name = "part of a sent picture"
        verbose_name_plural = "parts of sent pictures"
        constraints = [models.UniqueConstraint(fields=["picture", "number"], name="picture_part_unique")]

    def __str__(self) -> str:
        return f"part {self.number} of picture {self.picture_id}"
