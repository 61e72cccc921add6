from collections.abc import Sequence

from channels.routing import URLRouter
from django.urls import URLPattern

from apps.accounts.rules import Principal
from apps.realtime.admission import origin_admitted, principal_admitted, query_of
from apps.realtime.delivery import Receive, Scope, Send
from apps.realtime.rules import BEARER_SUBPROTOCOL, CloseCode, SocketRefused, resume_presented, token_presented
from apps.realtime.sockets import until_disconnected
from core.errors import NotAuthenticated, PermissionRefused, Unavailable


class SocketDoor:
    """The way in to every socket: accepts, then checks origin, path and token, in this order.

    The routes' applications find the Principal in `scope["principal"]`, and in `scope["last_event_id"]` what the client
    has heard before. The token is taken out of the scope, so that nothing behind this door can log it. What a client
    did wrong is told by the close code (`CloseCode`).
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
            inner = {
                **scope,
                "principal": await self._admitted(scope),
                "last_event_id": resume_presented(query=query_of(scope)),
                "query_string": b"",
                "headers": [],
                "subprotocols": [],
            }
            await self._router(inner, receive, send)
        except SocketRefused as refusal:
            await send({"type": "websocket.close", "code": int(refusal.code), "reason": refusal.reason})
            await until_disconnected(receive)

    async def _admitted(self, scope: Scope) -> Principal:
        try:
            origin_admitted(scope)
            if not any(pattern.match(scope["path"].lstrip("/")) for pattern in self._patterns):
                raise SocketRefused(code=CloseCode.UNKNOWN, reason="path_unknown")
            token = token_presented(query=query_of(scope), subprotocols=scope.get("subprotocols", ()))
            return await principal_admitted(token)
        except PermissionRefused as error:
            raise SocketRefused(code=CloseCode.NOT_ALLOWED, reason=error.code) from None
        except NotAuthenticated as error:
            raise SocketRefused(code=CloseCode.TOKEN_REFUSED, reason=error.code) from None
        except Unavailable:
            raise SocketRefused(code=CloseCode.TRY_AGAIN_LATER, reason="unavailable") from None
