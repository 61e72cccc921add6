"""Base classes of what leaves a transaction: events for clients, jobs for the worker."""

import dataclasses
import datetime as dt
import decimal
import uuid
from typing import Any, ClassVar

from core.clock import iso

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def plain(value: Any) -> Json:
    """`value` in JSON's own types: instants as ISO 8601, dates, decimals and UUIDs as text. Raises TypeError."""
    if isinstance(value, dt.datetime):
        return iso(value)
    if isinstance(value, dt.date | decimal.Decimal | uuid.UUID):
        return str(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} has no form in JSON")


class _Registered:
    """A message class that can be found by its name; each name belongs to one class."""

    def data(self) -> dict[str, Json]:
        """The fields as JSON values; what goes over the wire."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return {field.name: plain(getattr(self, field.name)) for field in fields}


def _register(registry: dict[str, Any], cls: type, name: str | None) -> None:
    if not name:
        raise TypeError(f"{cls.__qualname__} must name itself")
    other = registry.get(name)
    if other is not None and other.__qualname__ != cls.__qualname__:
        raise TypeError(f"{name!r} is declared by both {other.__qualname__} and {cls.__qualname__}")
    registry[name] = cls


class Event(_Registered):
    """What clients hear. Subclasses are frozen keyword-only dataclasses, so an unknown field is refused at once.

    `type` is the name on the wire ("notification.created").
    """

    registry: ClassVar[dict[str, type["Event"]]] = {}
    type: ClassVar[str]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        _register(Event.registry, cls, cls.__dict__.get("type"))


class Job(_Registered):
    """What happens later, in the worker. `task` is the name of the Celery task; the fields are its arguments."""

    task: ClassVar[str]
    registry: ClassVar[dict[str, type["Job"]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        _register(Job.registry, cls, cls.__dict__.get("task"))
