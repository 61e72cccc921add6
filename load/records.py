"""Strict reading of JSON and TOML values into dataclasses.

One reader for the policy, the profiles and both evidence files: an unknown key, a missing key or a value
of the wrong type is an error that names the place, since a typo in a limit must fail here and not in a
verdict.
"""

import json
import math
import os
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, cast

Record = TypeVar("Record")


class RecordError(ValueError):
    """A document does not have the shape that its schema promises."""


def record_read(kind: type[Record], value: object, *, where: str) -> Record:
    """Build `kind` from plain JSON or TOML data.

    Supports dataclasses, bool, int, float, str, string enums, lists, string-keyed dictionaries and unions
    with None. A dataclass whose class attribute `extra_keys_allowed` is true ignores keys that it does not
    know; every other one refuses them. `__post_init__` of a dataclass may raise ValueError.

    Raises:
        RecordError: with the path of the offending value, e.g. `slo.toml: objectives.errors.slo`.
    """
    return cast("Record", _read(kind, value, where))


def record_plain(record: object) -> dict[str, Any]:
    """The JSON form of a dataclass instance: dictionaries, lists, numbers and strings only."""
    return cast("dict[str, Any]", _plain(asdict(cast("Any", record))))


def json_document_read(path: Path) -> dict[str, Any]:
    """Parse a file that must hold one JSON object, without NaN or infinities and without repeated keys.

    Raises:
        RecordError: if the file is missing, unreadable, empty or not such a document.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: cannot be read: {error}") from error
    if not text.strip():
        raise RecordError(f"{path}: is empty")
    try:
        document = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path}: is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise RecordError(f"{path}: must be a JSON object, not {type(document).__name__}")
    return document


def schema_require(document: Mapping[str, Any], schema: str, *, where: str) -> None:
    """Refuse a document that is not of `schema`, naming both.

    Raises:
        RecordError: if the document's `schema` differs or is absent.
    """
    found = document.get("schema")
    if found != schema:
        raise RecordError(f"{where}: schema must be {schema!r}, not {found!r}")


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"repeated keys {', '.join(repeated)}")
    return document


def _read(kind: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(kind)
    if origin is types.UnionType or origin is typing.Union:
        return _read_optional(kind, value, where)
    if origin is list:
        (item_kind,) = typing.get_args(kind)
        if not isinstance(value, list):
            raise _mismatch(where, "a list", value)
        return [_read(item_kind, item, f"{where}[{index}]") for index, item in enumerate(value)]
    if origin is dict:
        _, item_kind = typing.get_args(kind)
        if not isinstance(value, dict):
            raise _mismatch(where, "a table", value)
        return {str(key): _read(item_kind, item, f"{where}.{key}") for key, item in value.items()}
    if is_dataclass(kind):
        return _read_dataclass(kind, value, where)
    return _read_scalar(kind, value, where)


def _read_optional(kind: Any, value: Any, where: str) -> Any:
    if value is None:
        return None
    (present,) = [option for option in typing.get_args(kind) if option is not types.NoneType]
    return _read(present, value, where)


def _read_scalar(kind: Any, value: Any, where: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(value)
        except ValueError:
            known = ", ".join(str(member.value) for member in kind)
            raise RecordError(f"{where}: {value!r} is none of {known}") from None
    # bool is a subclass of int in Python, but `true` is not a count.
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise RecordError(f"{where}: {value!r} is not a finite number")
        return float(value)
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind in (str, bool) and isinstance(value, kind):
        return value
    raise _mismatch(where, getattr(kind, "__name__", str(kind)), value)


def _read_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _mismatch(where, "a table", value)
    hints = typing.get_type_hints(kind)
    members = {member.name: member for member in fields(kind) if member.init}
    unknown = sorted(set(value) - set(members))
    if unknown and not getattr(kind, "extra_keys_allowed", False):
        raise RecordError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(sorted(members))}")
    missing = sorted(
        name
        for name, member in members.items()
        if name not in value and member.default is MISSING and member.default_factory is MISSING
    )
    if missing:
        raise RecordError(f"{where}: missing {', '.join(missing)}")
    arguments = {name: _read(hints[name], value[name], f"{where}.{name}") for name in members if name in value}
    try:
        return kind(**arguments)
    except RecordError:
        raise
    except ValueError as error:
        raise RecordError(f"{where}: {error}") from error


def _mismatch(where: str, expected: str, value: object) -> RecordError:
    return RecordError(f"{where}: expected {expected}, not {type(value).__name__}")


def document_replace(path: Path, text: str) -> None:
    """Write a whole file or nothing: a crash must not leave half of the evidence, or half a verdict."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
