"""Values against the schemas of the AsyncAPI document."""

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from config.asyncapi import asyncapi_document

DOCUMENT = asyncapi_document()
SCHEMAS: Mapping[str, Any] = DOCUMENT["components"]["schemas"]
MESSAGES: Mapping[str, Any] = DOCUMENT["components"]["messages"]
_ADDRESS = "urn:asyncapi"


def valid(schema: Mapping[str, Any], instance: Any) -> None:
    """Raises ValidationError, also for a field that the schema does not name.

    Clients have to leave such fields out; the service has to describe what it says.
    """
    Draft202012Validator(
        _closed(schema), registry=_REGISTRY, format_checker=Draft202012Validator.FORMAT_CHECKER
    ).validate(instance)


def _closed(schema: Any) -> Any:
    """A schema of the document for use outside of it, which refuses what it does not name."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    inner = {key: f"{_ADDRESS}{value}" if key == "$ref" else _closed(value) for key, value in schema.items()}
    is_object = isinstance(inner.get("properties"), dict)
    return {"additionalProperties": False, **inner} if is_object else inner


_REGISTRY: Registry[Any] = Registry().with_resource(
    _ADDRESS, Resource.from_contents(_closed(DOCUMENT), default_specification=DRAFT202012)
)
