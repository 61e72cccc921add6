from django.contrib.postgres.fields import ArrayField
from django.db import models


class ClockTimestamp(models.Func):
    """The instant of the statement's row, where Now() is the start of its transaction."""

    function = "clock_timestamp"
    output_field = models.DateTimeField()


class RandomUuid(models.Func):
    function = "gen_random_uuid"
    output_field = models.UUIDField()


class EventHead(models.Model):
    """One row: how far the log has been given positions. Whoever holds its lock gives the next ones."""

    one = models.BooleanField(primary_key=True, db_default=True, editable=False)
    epoch = models.UUIDField(db_default=RandomUuid())
    position = models.BigIntegerField(db_default=0)

    class Meta:
        db_table = "event_head"
        constraints = [models.CheckConstraint(condition=models.Q(one=True), name="event_head_is_one_row")]

    def __str__(self) -> str:
        return f"{self.epoch}:{self.position}"


class Event(models.Model):
    """What clients hear: written by the transaction that causes it, read by every hub and every replay.

    `position` is given after the commit, by a reader: ids are handed out before it, so a reader that asks for
    greater ids would miss a transaction that took its id early and committed late.
    """

    position = models.BigIntegerField(unique=True, null=True)
    type = models.TextField()
    recipients = ArrayField(models.TextField())
    data = models.JSONField()
    at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        db_table = "event"
        indexes = [
            models.Index(fields=["id"], condition=models.Q(position__isnull=True), name="event_without_position")
        ]

    def __str__(self) -> str:
        return f"{self.type} at {self.position}"


class OutboxJob(models.Model):
    """A job that has been asked for and is not done. It is written by the transaction that asks, and deleted when its
    task has come to its end; whatever happens to its message meanwhile, it is sent again when it is due.

    The table stands in the schema `ops`, which a restore of the database never replaces: otherwise a restored copy
    would ask again for what has been done since. So its DDL must be repeatable, and Django's `flush` does not see it.
    """

    task = models.TextField()
    arguments = models.JSONField()
    request_id = models.TextField(db_default="")
    created_at = models.DateTimeField(db_default=ClockTimestamp())
    due_at = models.DateTimeField(help_text="When it is sent again, unless it was done by then.")
    sends = models.PositiveSmallIntegerField(db_default=1)
    starts = models.PositiveSmallIntegerField(
        db_default=0, help_text="Since an attempt last ended in order; more than one: its process was killed."
    )

    class Meta:
        db_table = '"ops"."outbox"'
        verbose_name = "job in the outbox"
        verbose_name_plural = "jobs in the outbox"
        indexes = [models.Index(fields=["due_at"], name="outbox_due")]

    def __str__(self) -> str:
        return f"{self.task} {self.pk}"
