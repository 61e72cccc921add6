"""HTTP in the words of its standards: problem documents (RFC 9457), pages, and the answers of unknown paths."""

import logging
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.core import exceptions as django_exceptions
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions as rest_exceptions
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.errors import (
    ContentTooLarge,
    DomainError,
    FieldError,
    NotAuthenticated,
    NotFound,
    PermissionRefused,
    PreconditionRequired,
    TooManyRequests,
    Unavailable,
    ValidationFailed,
)
from core.measure import current_request_id

logger = logging.getLogger("rgms.http")

CONTENT_TYPE = "application/problem+json"
PROBLEM_TYPE = "urn:rgms:problem:"
PAGE_SIZE = 50
LARGEST_PAGE = 200


def problem(
    *, status: int, code: str, title: str, detail: str, instance: str, errors: Sequence[FieldError] = ()
) -> dict[str, Any]:
    """The members of a problem document. `instance` is the path without its query, which may hold secrets."""
    return {
        "type": f"{PROBLEM_TYPE}{code}",
        "title": title,
        "status": status,
        "detail": _encodable(detail),
        "code": code,
        "instance": instance,
        "request_id": current_request_id(),
        "errors": [{"field": _encodable(e.field), "code": e.code, "detail": _encodable(e.detail)} for e in errors],
    }


def _encodable(text: str) -> str:
    # The caller's own words may hold half a surrogate pair, which no encoding of the answer has.
    return text.encode("utf-8", "backslashreplace").decode()


def problem_response(*, request: HttpRequest, error: DomainError) -> JsonResponse:
    """The answer to `error` outside REST views (middleware, unknown paths)."""
    response = JsonResponse(document_of(error, request.path), status=error.status, content_type=CONTENT_TYPE)
    for name, value in headers_of(error).items():
        response[name] = value
    return response


def document_of(error: DomainError, instance: str) -> dict[str, Any]:
    """The problem document of an error in the domain; `instance` as `problem` takes it."""
    return problem(
        status=error.status,
        code=error.code,
        title=error.title,
        detail=error.detail,
        instance=instance,
        errors=error.errors,
    )


def headers_of(error: DomainError) -> dict[str, str]:
    """What goes with it in the header."""
    if isinstance(error, NotAuthenticated) and error.code.startswith("token_"):
        if error.code == "token_missing":
            return {"WWW-Authenticate": 'Bearer realm="rgms"'}
        return {"WWW-Authenticate": f'Bearer realm="rgms", error="invalid_token", error_description="{error.code}"'}
    if isinstance(error, TooManyRequests):
        return {"Retry-After": str(error.retry_after)}
    return {}


def problem_of_exception(exception: Exception, context: Mapping[str, Any]) -> Response | None:
    """REST framework's exception handler: every error that a caller can cause becomes a problem document.

    Returns None for what is our own fault; Django then logs it and `server_error` answers.
    """
    request: Request = context["request"]
    error = _domain_error(exception)
    if error is None:
        return None
    response = Response(
        document_of(error, request.path), status=error.status, headers=headers_of(error), content_type=CONTENT_TYPE
    )
    if isinstance(exception, rest_exceptions.MethodNotAllowed):
        view: APIView = context["view"]
        response["Allow"] = ", ".join(view.allowed_methods)
    # Otherwise a view's transaction would commit although its caller was told of an error.
    from rest_framework.views import set_rollback

    set_rollback()
    return response


class _RestError(DomainError):
    """One of REST framework's own refusals, in our form."""

    def __init__(self, *, status: int, code: str, title: str, detail: str) -> None:
        super().__init__(detail, code=code)
        self.status = status
        self.title = title


def _role_refused() -> DomainError:
    return PermissionRefused("Sign in with an account whose role may do this, or ask an administrator.")


def _domain_error(exception: Exception) -> DomainError | None:
    match exception:
        case DomainError():
            return exception
        case OperationalError() | InterfaceError():
            logger.warning("The database is away: %s", type(exception).__name__)
            return Unavailable(
                "The database is away or overloaded; nothing was saved. Try again in a few seconds.",
                code="database_unavailable",
            )
        case django_exceptions.RequestDataTooBig():
            return ContentTooLarge("The body is larger than this operation takes. Send fewer rows at once.")
    return _of_framework(exception)


def _of_framework(exception: Exception) -> DomainError | None:  # noqa: PLR0911 - one return for each kind of refusal
    match exception:
        case rest_exceptions.ValidationError():
            errors = tuple(_field_errors(exception.detail, prefix=""))
            named = ", ".join(dict.fromkeys(error.field for error in errors))
            return ValidationFailed(f"Correct these fields and send the request again: {named}.", errors=errors)
        case Http404() | rest_exceptions.NotFound():
            return NotFound("Nothing is found at this address. Check the id and the path.")
        case django_exceptions.PermissionDenied() | rest_exceptions.PermissionDenied():
            return _role_refused()
        case rest_exceptions.NotAuthenticated() | rest_exceptions.AuthenticationFailed():
            return NotAuthenticated(
                "Send the header Authorization: Bearer <access token> from POST /api/v1/auth/login."
            )
        case rest_exceptions.ParseError():
            return _RestError(
                status=400,
                code="body_malformed",
                title="The body is not valid JSON",
                detail="Send one JSON object in UTF-8 with the header Content-Type: application/json.",
            )
        case rest_exceptions.Throttled():
            return TooManyRequests(
                "Wait as long as the header Retry-After says.",
                retry_after=math.ceil(getattr(exception, "wait", None) or 1),
            )
        case rest_exceptions.APIException():
            code = str(exception.default_code)
            return _RestError(
                status=exception.status_code,
                code=code,
                title=code.replace("_", " ").capitalize(),
                detail=str(exception.detail),
            )
    return None


def _field_errors(detail: Any, *, prefix: str) -> list[FieldError]:
    if isinstance(detail, Mapping):
        return [
            error
            for name, inner in detail.items()
            for error in _field_errors(inner, prefix=f"{prefix}.{name}" if prefix else str(name))
        ]
    if isinstance(detail, list):
        found: list[FieldError] = []
        for index, inner in enumerate(detail):
            nested = isinstance(inner, Mapping | list)
            place = f"{prefix}.{index}" if prefix else str(index)
            found += _field_errors(inner, prefix=place if nested else prefix)
        return found
    field = prefix.removesuffix(".non_field_errors") or "body"
    if field == "non_field_errors":
        field = "body"
    return [FieldError(field=field, code=getattr(detail, "code", None) or "invalid", detail=str(detail))]


class Pages(BasePagination):
    """Numbered pages: `page` from 1, `page_size` from 1 to 200 (50 unless told).

    A page after the last is empty, not an error: rows may have gone since the caller counted them. The caller of
    `paginate_queryset` gives a total order, or rows would move between pages.
    """

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any]:
        number, size = page_of(request)
        self.count, self.number, self.size = queryset.count(), number, size
        return list(queryset[(number - 1) * size : number * size])

    def get_paginated_response(self, data: Any) -> Response:
        return Response(page_body(count=self.count, page=self.number, page_size=self.size, results=data))

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        whole = {"type": "integer", "minimum": 0}
        return {
            "type": "object",
            "required": ["count", "page", "page_size", "results"],
            "properties": {
                "count": {**whole, "description": "Rows on all pages together.", "example": 1},
                "page": {**whole, "minimum": 1, "example": 1},
                "page_size": {**whole, "minimum": 1, "maximum": LARGEST_PAGE, "example": PAGE_SIZE},
                "results": schema,
            },
        }

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        def parameter(name: str, description: str, **schema: int) -> dict[str, Any]:
            return {
                "name": name,
                "in": "query",
                "required": False,
                "description": description,
                "schema": {"type": "integer", "minimum": 1, **schema},
            }

        return [
            parameter("page", "Number of the page, from 1.", maximum=1_000_000, default=1),
            parameter("page_size", "Rows on a page.", maximum=LARGEST_PAGE, default=PAGE_SIZE),
        ]


def page_of(request: Request) -> tuple[int, int]:
    """(page, page_size) of the query. Raises ValidationFailed naming the parameter that is out of range."""
    errors: list[FieldError] = []

    def whole(name: str, default: int, most: int) -> int:
        text = request.query_params.get(name, str(default))
        if text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most:
            return int(text)
        errors.append(FieldError(field=name, code="out_of_range", detail=f"Write a whole number from 1 to {most}."))
        return default

    number, size = whole("page", 1, 1_000_000), whole("page_size", PAGE_SIZE, LARGEST_PAGE)
    if errors:
        raise ValidationFailed("The page cannot be read from the query.", errors=errors)
    return number, size


def page_body(*, count: int, page: int, page_size: int, results: Any) -> dict[str, Any]:
    return {"count": count, "page": page, "page_size": page_size, "results": results}


# Weak ones too: a proxy that compresses an answer makes its tag weak (Cloudflare does), and a version that counts every
# change tells as much either way.
_ENTITY_TAG = re.compile(r'(?:W/)?"v([1-9][0-9]{0,8})"')


def entity_tag(version: int) -> str:
    """The ETag of a row in this version; goes back in If-Match with a change."""
    return f'"v{version}"'


def expected_version(request: Request) -> int:
    """The version that If-Match names.

    Raises PreconditionRequired without that header, and ValidationFailed for one that is no entity tag of ours.
    """
    given = request.headers.get("If-Match", "").strip()
    if not given:
        raise PreconditionRequired("Send the ETag of what you have read in the header If-Match.")
    match = _ENTITY_TAG.fullmatch(given)
    if match is None:
        raise ValidationFailed(
            "If-Match is not an entity tag of this system.",
            errors=[FieldError(field="If-Match", code="invalid", detail='Send the ETag as it came, for example "v3".')],
        )
    return int(match[1])


# --- Answers outside REST views ---------------------------------------------------------------------------------------


def _is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/") or request.path_info == "/api"


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not _is_api(request):
        return defaults.page_not_found(request, exception)
    error = NotFound("No operation has this path. The list stands at /api/docs/.")
    return problem_response(request=request, error=error)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not _is_api(request):
        return defaults.permission_denied(request, exception)
    return problem_response(request=request, error=_role_refused())


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not _is_api(request):
        return defaults.bad_request(request, exception)
    error = _RestError(
        status=400,
        code="request_malformed",
        title="The request is malformed",
        detail="Its host, headers or body break a rule of HTTP or a limit of this service.",
    )
    return problem_response(request=request, error=error)


def server_error(request: HttpRequest) -> HttpResponse:
    if not _is_api(request):
        return defaults.server_error(request)
    error = _RestError(
        status=500,
        code="internal_error",
        title="An error of ours",
        detail="Nothing was saved. Try again later; if it stays, tell the operators this request_id.",
    )
    return problem_response(request=request, error=error)
