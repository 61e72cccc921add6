"""What every operation of the OpenAPI document has in common: its problems (RFC 9457) and its headers."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import DJANGO_PATH_CONVERTER_MAPPING
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter

_PROBLEM = {
    "type": "object",
    "description": "An error, as RFC 9457 has it. `code` is stable and for programs; `detail` says what to do.",
    "required": ["type", "title", "status", "detail", "code", "instance", "request_id", "errors"],
    "properties": {
        "type": {"type": "string", "format": "uri", "examples": ["urn:rgms:problem:token_expired"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "examples": ["token_expired"]},
        "instance": {"type": "string", "description": "The path that was asked."},
        "request_id": {
            "type": ["string", "null"],
            "description": "Also in the header X-Request-ID; tell it to support.",
        },
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "detail"],
                "properties": {
                    "field": {"type": "string", "description": "Path in the body or name of the parameter."},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
_MEANING = {
    "400": "Fields or parameters need correction, or the body is not JSON.",
    "401": "The token is missing, malformed, expired, signed with another key, or its session has ended.",
    "403": "The role of this account does not allow it.",
    "404": "There is no such thing, or it belongs to somebody else.",
    "405": "The path has no such method.",
    "406": "Only application/json is offered.",
    "412": "Somebody else has changed it since it was read; nothing was changed now.",
    "413": "The file is larger than allowed.",
    "415": "Only the media types named for the body are read.",
    "428": "The header If-Match is missing: say which version you have changed.",
    "503": "A part that this needs is away; try again in a few seconds.",
}
_METHODS = frozenset({"get", "post", "put", "patch", "delete"})


# How a row's id in a path (core.paths) is described; the library knows only Django's own converters.
DJANGO_PATH_CONVERTER_MAPPING["id"] = OpenApiTypes.INT64

IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="The ETag of what you have read; otherwise a change of somebody else could be overwritten.",
    examples=[OpenApiExample("version 3", value='"v3"')],
)


class RoleAutoSchema(AutoSchema):
    """Adds `x-roles`, the roles that may call the operation, read from the view's own permission classes."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        roles = [role for permission in self.view.permission_classes for role in getattr(permission, "roles", ())]
        if roles:
            operation["x-roles"] = roles
        return operation


def document_problems(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:  # noqa: ARG001 - the hook's signature
    """drf-spectacular's postprocessing hook: adds the component Problem and, to each operation, its problems."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = _PROBLEM
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            if method in _METHODS:
                declared = [status for status in operation.get("responses", {}) if status >= "400"]
                for status in sorted({*_statuses(path, operation), *declared}):
                    _document(operation, status)
    return result


def _statuses(path: str, operation: dict[str, Any]) -> list[str]:
    signed_in = any("bearer" in requirement for requirement in operation.get("security", []))
    takes_body = "requestBody" in operation
    statuses = ["406"]
    if takes_body or operation.get("parameters"):
        statuses.append("400")
    if takes_body:
        statuses.append("415")
    if signed_in or path.startswith("/api/v1/auth/"):
        statuses += ["401", "503"]
    if any(parameter["name"] == "If-Match" for parameter in operation.get("parameters", ())):
        statuses += ["412", "428"]
    if "multipart/form-data" in operation.get("requestBody", {}).get("content", {}):
        statuses.append("413")
    if len(operation.get("x-roles", ())) in {1, 2}:  # all three may call it: nobody is refused for a role
        statuses.append("403")
    if "{" in path:
        statuses.append("404")
    return sorted(statuses)


def _document(operation: dict[str, Any], status: str) -> None:
    response = operation.setdefault("responses", {}).setdefault(status, {"description": _MEANING.get(status, "")})
    response.setdefault("content", {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}})
