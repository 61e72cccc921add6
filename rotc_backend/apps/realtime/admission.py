"""Who may connect: the same for sockets and for server-sent streams."""

import logging

from django.conf import settings
from django.db import DatabaseError, InterfaceError

from apps.accounts.authentication import principal_of
from apps.accounts.rules import Principal
from apps.realtime.delivery import Scope, in_database
from apps.realtime.rules import origin_is_allowed
from core.errors import NotAuthenticated, PermissionRefused, Unavailable

logger = logging.getLogger("rgms.sockets")


def header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


def query_of(scope: Scope) -> str:
    text: str = scope.get("query_string", b"").decode("latin-1")
    return text


def origin_admitted(scope: Scope) -> str | None:
    """The page that connects, if any. Raises PermissionRefused (`origin_not_allowed`)."""
    origin = header(scope, b"origin")
    if not origin_is_allowed(origin, allowed=settings.CORS_ALLOWED_ORIGINS):
        raise PermissionRefused(
            "This page is not served from one of CORS_ALLOWED_ORIGINS. Ask an administrator to add its origin.",
            code="origin_not_allowed",
        )
    return origin


async def principal_admitted(token: str) -> Principal:
    """Who an access token speaks for. Raises NotAuthenticated, or Unavailable."""
    try:
        principal: Principal = await in_database(principal_of, token)
    except NotAuthenticated:
        raise
    except (Unavailable, DatabaseError, InterfaceError, TimeoutError) as error:
        logger.warning("A client could not be authenticated: %s", type(error).__name__)
        raise Unavailable("The database is away. Connect again in a few seconds.") from None
    return principal
