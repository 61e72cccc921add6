"""The interface reads UTF-8 alone, whatever charset a caller names (RFC 8259, 8.1).

Django decodes the query by the charset of Content-Type while it makes the request: before any middleware, so that one
which is no text encoding ("zlib") ended as a bare 500 of the server.
"""

from collections.abc import Callable, Iterable
from typing import Any

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
AsgiApplication = Callable[[dict[str, Any], Any, Any], Any]


def without_charset(content_type: str) -> str:
    """`content_type` without the parameter charset; other parameters (a form's boundary) stay as they are."""
    media_type, *parameters = content_type.split(";")
    kept = [one for one in parameters if not one.strip().lower().startswith("charset")]
    return ";".join([media_type, *kept])


def utf8_wsgi(application: WsgiApplication) -> WsgiApplication:
    def utf8(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("CONTENT_TYPE"):
            environ = {**environ, "CONTENT_TYPE": without_charset(environ["CONTENT_TYPE"])}
        return application(environ, start_response)

    return utf8


def utf8_asgi(application: AsgiApplication) -> AsgiApplication:
    async def utf8(scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = [
            (name, without_charset(value.decode("latin-1")).encode("latin-1") if name == b"content-type" else value)
            for name, value in scope.get("headers", [])
        ]
        await application({**scope, "headers": headers}, receive, send)

    return utf8
