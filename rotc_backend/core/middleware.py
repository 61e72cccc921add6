"""The outermost layers: request id, timing, one log line a request, and /api/v1 with or without a slash at the end."""

import logging
import re
import time
import uuid
from collections.abc import Callable

from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from core.clock import MANILA
from core.measure import DatabaseStopwatch, Measure, measuring

logger = logging.getLogger("rgms.request")

_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_DATABASE_AWAY = (
    "The database does not answer, or others are writing what this page needs. Go back and try again soon.\n"
)
GetResponse = Callable[[HttpRequest], HttpResponseBase]


class RequestMiddleware:
    """Gives each request an id (the caller's, if it is well formed), measures it, and logs it without its query."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-ID", "")
        measure = Measure(request_id=given if _ACCEPTABLE_ID.fullmatch(given) else uuid.uuid4().hex)
        started = time.perf_counter()
        with measuring(measure), connection.execute_wrapper(DatabaseStopwatch(measure)):
            response = self._get_response(request)
            milliseconds = (time.perf_counter() - started) * 1000
            response["X-Request-ID"] = measure.request_id
            if request.path_info.startswith("/api/"):
                response["Server-Timing"] = measure.server_timing(application_ms=milliseconds)
                if measure.cache_status:
                    response["Cache-Status"] = ", ".join(measure.cache_status)
                if not response.has_header("Cache-Control"):
                    response["Cache-Control"] = "no-store"  # personal data stays out of every cache but the server's
            self._log(request, response, measure, milliseconds)
        return response

    @staticmethod
    def _log(request: HttpRequest, response: HttpResponseBase, measure: Measure, milliseconds: float) -> None:
        if request.path_info.startswith("/api/health/") and response.status_code == 200:
            return  # asked every few seconds by the platform
        match = request.resolver_match
        logger.log(
            logging.ERROR if response.status_code >= 500 else logging.INFO,
            "%s %s %s",
            request.method,
            request.path_info,
            response.status_code,
            extra={
                "route": match.route if match else None,
                "milliseconds": round(milliseconds, 1),
                "database_milliseconds": round(measure.database_ms, 1),
                "database_queries": measure.database_queries,
                "user_id": _known_user_id(request),
            },
        )


def _known_user_id(request: HttpRequest) -> int | None:
    user = getattr(request, "user", None)
    if isinstance(user, SimpleLazyObject):
        # Asking it would read the database for the sake of a log line, and fail the answer when that is away.
        user = getattr(request, "_cached_user", None)
    return getattr(user, "pk", None)


class TrailingSlashMiddleware:
    """Serves /api/v1/x/ as /api/v1/x without a redirect, which would turn a POST into a GET."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith("/api/v1/"):
            request.path_info = request.path_info.rstrip("/")
        return self._get_response(request)


class AdminSiteMiddleware:
    """Shows and reads times on the pages of the admin site by the clock in Manila, which is the officers' own."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith("/admin/"):
            return self._get_response(request)
        with timezone.override(MANILA):
            return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A database that is away, or for which a page waited too long, is no fault of the page: 503, as in the API."""
        if not request.path_info.startswith("/admin/") or not isinstance(exception, OperationalError | InterfaceError):
            return None
        logger.error("The database did not answer a page of the admin site: %s", type(exception).__name__)
        return HttpResponse(_DATABASE_AWAY, status=503, content_type="text/plain; charset=utf-8")
