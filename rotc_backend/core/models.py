"""Rows that several people change: each change names the version that it was made from."""

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db import models
from django.db.models.functions import Now

from core.clock import now
from core.errors import NotFound, PreconditionFailed

_M = TypeVar("_M", bound="VersionedModel")


class VersionedModel(models.Model):
    """A row with a version that counts its changes and becomes its entity tag."""

    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        abstract = True


def lock_row(rows: models.QuerySet[_M], *, expected_version: int | None = None, missing: str = "") -> _M:
    """The one row of `rows`, locked until the transaction ends.

    Raises NotFound with the words of `missing`, and PreconditionFailed (`version_changed`) when somebody else has
    changed the row since `expected_version` was read.
    """
    # NO KEY: rows that refer to this one can still be inserted meanwhile. Only this table: a joined one may be shared.
    row = rows.select_for_update(of=("self",), no_key=True).first()
    if row is None:
        raise NotFound(missing or "There is nothing with this id. It may have been removed.")
    if expected_version is not None and row.version != expected_version:
        raise PreconditionFailed(
            "Somebody has changed this since you read it. Read it again, look at what changed, and repeat your change "
            "with the new ETag."
        )
    return row


def apply_changes(row: VersionedModel, changes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Save what differs and count the version up; return (before, after) of only that, both empty when nothing does.

    `changes` maps attribute names to values. The row must have been locked by `lock_row`.
    """
    before = {name: _recorded(getattr(row, name)) for name, value in changes.items() if getattr(row, name) != value}
    if not before:
        return {}, {}
    for name in before:
        setattr(row, name, changes[name])
    row.version += 1
    row.updated_at = now()
    row.save(update_fields=[*before, "version", "updated_at"])
    return before, {name: _recorded(changes[name]) for name in before}


def _recorded(value: Any) -> Any:
    return value.pk if isinstance(value, models.Model) else value
