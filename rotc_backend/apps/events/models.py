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
