"""Server-sent events (WHATWG HTML, 9.2) from the same log, for clients without sockets."""

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from apps.accounts.authentication import bearer_token
from apps.accounts.rules import Principal
from apps.realtime.admission import header, origin_admitted, principal_admitted, query_of
from apps.realtime.delivery import Delivery, Receive, Scope, Send, while_connected
from apps.realtime.rules import CLOSED, CloseCode, Frame, SocketRefused
from apps.realtime.streams import Stream
from core.clock import iso, now
from core.errors import (
    DomainError,
    FieldError,
    NotAuthenticated,
    NotFound,
    PermissionRefused,
    TooManyRequests,
    Unavailable,
    ValidationFailed,
)
from core.http import CONTENT_TYPE, document_of, headers_of
from core.measure import Measure, measuring

logger = logging.getLogger("rgms.request")

PATH = "/api/v1/events"
RETRY_AFTER = 30  # seconds
MOST_STREAMS = 20  # of one connection: each is asked for in the database
RETRY_MILLISECONDS = 2000  # what a browser waits before it comes again
_CORS = {
    b"access-control-allow-methods": b"GET",
    b"access-control-allow-headers": b"authorization, last-event-id",
    b"access-control-max-age": b"86400",
}


class MethodUnknown(DomainError):
    status = 405
    code = "method_not_allowed"
    title = "This address is only read"


class EventStreams:
    """`GET /api/v1/events?streams=notifications,updates`: the frames of the sockets, one event each.

    An ASGI application of its own, since one connection stays open for minutes: it costs no thread. `streams` maps the
    names that a client may ask for to what they bring; one that needs an argument is asked for as `chat:7`. A stream
    that ends says so in a last event, `connection.closed`, with the code and reason that a socket would have had.
    """

    def __init__(self, streams: Mapping[str, type[Stream]], *, default: Sequence[str]) -> None:
        self._streams = streams
        self._default = ",".join(default)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        status = 200
        with measuring(Measure(request_id=uuid.uuid4().hex)) as measure:
            head = {b"x-request-id": measure.request_id.encode(), b"cache-control": b"no-store", b"vary": b"Origin"}
            try:
                if origin := origin_admitted(scope):
                    head[b"access-control-allow-origin"] = origin.encode("latin-1")
                    head[b"access-control-expose-headers"] = b"x-request-id"
                if scope["method"] == "OPTIONS":
                    status = 204
                    await _respond(send, 204, {**head, **_CORS})
                else:
                    await self._serve(scope, receive, send, head)
            except DomainError as error:
                status = error.status
                document = json.dumps(document_of(error, scope["path"])).encode()
                given = {name.lower().encode(): value.encode() for name, value in headers_of(error).items()}
                allow = {b"allow": b"GET, OPTIONS"} if isinstance(error, MethodUnknown) else {}
                await _respond(
                    send, status, {**head, **given, **allow, b"content-type": CONTENT_TYPE.encode()}, document
                )
            finally:
                logger.info(
                    "%s %s %s",
                    scope["method"],
                    scope["path"],
                    status,
                    extra={"milliseconds": round((time.perf_counter() - started) * 1000, 1)},
                )

    async def _serve(self, scope: Scope, receive: Receive, send: Send, head: Mapping[bytes, bytes]) -> None:
        if scope["method"] != "GET":
            raise MethodUnknown("Read the events with GET; write through the other operations.")
        query = dict(parse_qsl(query_of(scope)))
        authorization = header(scope, b"authorization")
        token = bearer_token(authorization) if authorization else query.get("token", "")
        principal = await principal_admitted(token)
        stream = self._stream(query.get("streams") or self._default, principal)
        # The header is what a browser sends when it comes again by itself; the address says where it began.
        last_event_id = header(scope, b"last-event-id") or query.get("last_event_id")
        await EventStream(stream, send, head).serve(receive, last_event_id=last_event_id)

    def _stream(self, names: str, principal: Principal) -> Stream:
        """What is asked for as one stream. Raises ValidationFailed."""
        parts: dict[str, Stream] = {}
        for name in names.split(","):
            kind, _, argument = name.partition(":")
            stream = self._streams.get(kind)
            if stream is None or (stream.argument is None) == bool(argument):
                raise self._unknown(name)
            if stream.argument is None:
                parts[name] = stream(principal, {})
            elif argument.isascii() and argument.isdigit() and len(argument) < 19:
                parts[name] = stream(principal, {stream.argument: int(argument)})
            else:
                raise self._unknown(name)
        if len(parts) > MOST_STREAMS:
            detail = f"At most {MOST_STREAMS} streams come over one connection."
            raise self._refused(FieldError(field="streams", code="too_many", detail=detail))
        return _Together(principal, parts)

    def _unknown(self, name: str) -> ValidationFailed:
        known = ", ".join(
            kind if one.argument is None else f"{kind}:<{one.argument}>" for kind, one in self._streams.items()
        )
        return self._refused(
            FieldError(field="streams", code="invalid_choice", detail=f"{name[:80]!r} is none of {known}.")
        )

    @staticmethod
    def _refused(error: FieldError) -> ValidationFailed:
        return ValidationFailed("Name the streams that you want, with commas between them.", errors=[error])


class _Together(Stream):
    """Several streams as one: it hears what any of them does. `parts` are under the names they were asked for by."""

    def __init__(self, principal: Principal, parts: Mapping[str, Stream]) -> None:
        super().__init__(principal, {})
        self._parts = parts
        self.standing_types = frozenset().union(*(part.standing_types for part in parts.values()))

    def hears(self, event_type: str) -> bool:  # type: ignore[override]
        return any(part.hears(event_type) for part in self._parts.values())

    def recipients(self) -> Sequence[str]:
        return tuple(dict.fromkeys(recipient for part in self._parts.values() for recipient in part.recipients()))

    def welcome(self) -> dict[str, Any]:
        # Each by itself: a room and the notifications both tell how much is `unread`.
        return {"streams": {name: part.welcome() for name, part in self._parts.items()}}


class EventStream:
    """One client's stream. Its first byte is sent when it has been let in: what is refused before is a plain answer."""

    def __init__(self, stream: Stream, send: Send, head: Mapping[bytes, bytes]) -> None:
        self._principal: Principal = stream.principal
        self._send = send
        self._head = head
        self._delivery = Delivery(stream, self)
        self._has_begun = False
        self._refusal: SocketRefused | None = None  # ended before the first byte
        self._ended = asyncio.Event()

    # --- The wire -----------------------------------------------------------------------------------------------------

    async def send(self, frame: Frame) -> None:
        if not self._has_begun:
            self._has_begun = True
            # The last: proxies that collect an answer before they pass it on would keep every event back.
            head = {**self._head, b"content-type": b"text/event-stream", b"x-accel-buffering": b"no"}
            await self._send({"type": "http.response.start", "status": 200, "headers": list(head.items())})
            await self._write(f"retry: {RETRY_MILLISECONDS}\n\n".encode())
        await self._write(frame.event_stream)

    async def end(self, code: CloseCode, reason: str) -> None:
        if not self._has_begun:
            self._refusal = SocketRefused(code=code, reason=reason)
        else:
            said = Frame(id=None, type=CLOSED, at=iso(now()), data={"code": int(code), "reason": reason})
            await self._write(said.event_stream)
        self._ended.set()

    async def read_down_to(self, size: int) -> None:
        read = asyncio.get_running_loop().create_future()
        await self._send({"type": "rgms.read_down_to", "size": size, "future": read})
        await read

    async def _write(self, body: bytes) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    # --- The client's side --------------------------------------------------------------------------------------------

    async def serve(self, receive: Receive, *, last_event_id: str | None) -> None:
        """Until either side ends it. Raises DomainError for what is refused before the first byte."""
        try:
            try:
                beginning = self._delivery.begin(last_event_id)
                if await while_connected(beginning, receive, gone="http.disconnect") is None:
                    return
            except SocketRefused as refusal:
                await self._delivery.close(refusal.code, refusal.reason)
            if self._refusal is not None:
                raise _refusal_over_http(self._refusal)
            await self._until_ended(receive)
        finally:
            self._delivery.finish()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _until_ended(self, receive: Receive) -> None:
        left = max(0.0, (self._principal.expires_at - now()).total_seconds())
        gone = asyncio.ensure_future(_until_gone(receive))
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            done, _ = await asyncio.wait({gone, ended}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                await self._delivery.close(CloseCode.TOKEN_REFUSED, "token_expired")
        finally:
            gone.cancel()
            ended.cancel()


def _refusal_over_http(refusal: SocketRefused) -> DomainError:
    words = f"The stream cannot be opened: {refusal.reason}."
    match refusal.code:
        case CloseCode.TOKEN_REFUSED:
            return NotAuthenticated("This session has ended. Sign in again.", code=refusal.reason)
        case CloseCode.NOT_ALLOWED:
            return PermissionRefused(words, code=refusal.reason)
        case CloseCode.UNKNOWN:
            return NotFound(words, code=refusal.reason)
        case CloseCode.TOO_MANY:
            words = "This account has too many open connections. Close some of them."
            return TooManyRequests(words, retry_after=RETRY_AFTER, code=refusal.reason)
        case _:
            return Unavailable("Connect again in a few seconds.", code=refusal.reason)


async def _respond(send: Send, status: int, headers: Mapping[bytes, bytes], body: bytes = b"") -> None:
    head = {**headers, b"content-length": str(len(body)).encode()}
    await send({"type": "http.response.start", "status": status, "headers": list(head.items())})
    await send({"type": "http.response.body", "body": body})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
