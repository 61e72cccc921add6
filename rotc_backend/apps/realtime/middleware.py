import logging
from collections.abc import Sequence
from typing import Any

from channels.routing import URLRouter
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.urls import URLPattern

from apps.accounts.authentication import principal_of
from apps.accounts.rules import Principal
from apps.realtime.rules import (
    BEARER_SUBPROTOCOL,
    CloseCode,
    SocketRefused,
    origin_is_allowed,
    token_presented,
)
from apps.realtime.sockets import Receive, Scope, Send, in_database, until_disconnected
from core.errors import NotAuthenticated, Unavailable

logger = logging.getLogger("rgms.sockets")


class SocketDoor:
    """The way in to every socket: accepts, then checks origin, path and token, in this order.

    The routes' applications find the Principal in `scope["principal"]`. The token is taken out of the scope,
    so that nothing behind this door can log it. What a client did wrong is told by the close code
    (`CloseCode`).
    """

    def __init__(self, routes: Sequence[URLPattern]) -> None:
        self._patterns = [route.pattern for route in routes]
        self._router = URLRouter(list(routes))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        subprotocols: Sequence[str] = scope.get("subprotocols", ())
        chosen = BEARER_SUBPROTOCOL if BEARER_SUBPROTOCOL in subprotocols else None
        await send({"type": "websocket.accept", "subprotocol": chosen})
        try:
            principal = await self._admitted(scope)
            inner = {**scope, "principal": principal, "query_string": b"", "headers": [], "subprotocols": []}
            await self._router(inner, receive, send)
        except SocketRefused as refusal:
            await send({"type": "websocket.close", "code": int(refusal.code), "reason": refusal.reason})
            await until_disconnected(receive)

    async def _admitted(self, scope: Scope) -> Principal:
        if not origin_is_allowed(_header(scope, b"origin"), allowed=settings.CORS_ALLOWED_ORIGINS):
            raise SocketRefused(code=CloseCode.NOT_ALLOWED, reason="origin_not_allowed")
        if not any(pattern.match(scope["path"].lstrip("/")) for pattern in self._patterns):
            raise SocketRefused(code=CloseCode.PATH_UNKNOWN, reason="path_unknown")
        query = scope.get("query_string", b"").decode("latin-1")
        token = token_presented(query=query, subprotocols=scope.get("subprotocols", ()))
        try:
            principal: Principal = await in_database(principal_of, token)
        except NotAuthenticated as error:
            raise SocketRefused(code=CloseCode.TOKEN_REFUSED, reason=error.code) from None
        except (Unavailable, DatabaseError, InterfaceError, TimeoutError) as error:
            logger.warning("A socket could not be authenticated: %s", type(error).__name__)
            raise SocketRefused(code=CloseCode.TRY_AGAIN_LATER, reason="unavailable") from None
        return principal


def _header(scope: dict[str, Any], name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)
