import datetime as dt
import decimal
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from core.messages import Event, Job


@pytest.fixture(autouse=True)
def registries_as_before() -> Iterator[None]:
    registries: list[dict[str, Any]] = [Event.registry, Job.registry]
    copies = [dict(registry) for registry in registries]
    yield
    for registry, before in zip(registries, copies, strict=True):
        registry.clear()
        registry.update(before)


def a_bell_class() -> Any:
    @dataclass(frozen=True, kw_only=True)
    class BellRung(Event):
        type: ClassVar[str] = "test.bell_rung"

        times: int
        note: Any = None

    return BellRung


def test_an_unknown_field_and_a_missing_field_are_refused_where_the_event_is_made() -> None:
    bell_rung = a_bell_class()
    with pytest.raises(TypeError, match="tines"):
        bell_rung(tines=3)
    with pytest.raises(TypeError, match="times"):
        bell_rung()
    with pytest.raises(TypeError, match="positional"):
        bell_rung(3)


def test_an_event_cannot_be_changed_after_it_was_made() -> None:
    event = a_bell_class()(times=3)
    with pytest.raises(AttributeError):
        event.times = 4
    assert event.data() == {"times": 3, "note": None}


def test_an_event_is_found_by_its_name() -> None:
    bell_rung = a_bell_class()
    assert Event.registry["test.bell_rung"] is bell_rung
    assert "test.bell_rung" not in Job.registry


def test_a_name_belongs_to_one_class() -> None:
    a_bell_class()
    with pytest.raises(TypeError, match=r"'test\.bell_rung' is declared by both .*BellRung.* and .*Gong"):

        class Gong(Event):
            type: ClassVar[str] = "test.bell_rung"


def test_a_message_without_a_name_of_its_own_is_refused() -> None:
    with pytest.raises(TypeError, match="Nameless must name itself"):

        class Nameless(Event):
            pass

    bell_rung = a_bell_class()
    with pytest.raises(TypeError, match="Louder must name itself"):

        class Louder(bell_rung):  # type: ignore[misc, valid-type]  # an inherited name would be a second owner
            pass

    with pytest.raises(TypeError, match="Idle must name itself"):

        class Idle(Job):
            pass


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (dt.datetime(2026, 3, 1, 8, 30, tzinfo=dt.UTC), "2026-03-01T08:30:00.000Z"),
        (dt.date(2026, 3, 1), "2026-03-01"),
        (decimal.Decimal("88.90"), "88.90"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        ((1, "two", (None, True)), [1, "two", [None, True]]),
        ({1: {"at": dt.date(2026, 3, 1)}}, {"1": {"at": "2026-03-01"}}),
        (1.5, 1.5),
    ],
)
def test_each_field_has_one_form_in_json(value: Any, form: Any) -> None:
    data = a_bell_class()(times=1, note=value).data()
    assert data["note"] == form
    assert json.loads(json.dumps(data)) == {"times": 1, "note": form}


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes"])
def test_a_value_that_json_cannot_hold_is_refused_instead_of_guessed(value: Any) -> None:
    with pytest.raises(TypeError, match="has no form in JSON"):
        a_bell_class()(times=1, note=value).data()
