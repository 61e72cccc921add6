"""HTTP under gevent: pooled connections, checked certificates, no redirects, one deadline."""

import errno
import json
import socket
import ssl
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import gevent
from geventhttpclient.connectionpool import ConnectionPool, SSLConnectionPool
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError, HTTPSocketPoolResponse

from load.generator.recorder import Failure
from load.results import Owner

# No server closes a connection that was used so lately for being idle.
_STALE_SECONDS = 1.0

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

# Failures to reach the network at all, or to have a socket for it, are ours.
_CLIENT_ERRNOS = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS}
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer; header names in lower case, repeated headers joined by commas."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def document(self) -> dict[str, Any] | None:
        """The JSON object in the body, None if there is none."""
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return document if isinstance(document, dict) else None


class NotConnectedError(Exception):
    """A connection was never made, TLS included; raised from the reason."""


def _connected(connect: Callable[[], Any]) -> Any:
    try:
        return connect()
    except (OSError, gevent.Timeout) as error:
        raise NotConnectedError from error


# Which of the two phases failed cannot be told from the error: a time-out is the same one in both. Waiting for
# one of the pool's connections to be free is neither: then the application holds them.
class _PlainPool(ConnectionPool):
    def _create_socket(self) -> Any:
        return _connected(super()._create_socket)


class _SecurePool(SSLConnectionPool):
    def _create_socket(self) -> Any:
        return _connected(super()._create_socket)


class UnansweredError(Exception):
    """No answer came; `failure` says whose fault that is."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.kind)
        self.failure = failure


def loopback(host: str | None) -> bool:
    return host in LOOPBACK_NAMES or (host is not None and host.startswith("127."))


class Transport:
    """Requests to one base URL.

    `connections` bounds how many are open at once; a request beyond it waits, and its time counts.
    """

    def __init__(self, *, base_url: str, timeout_seconds: float, connections: int) -> None:
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        self._timeout_seconds = timeout_seconds
        # The platform's edge ends TCP and TLS, so a connection that is not made never reached the application. On
        # loopback there is no edge.
        self._edge = not loopback(host)
        self._prefix = parts.path.rstrip("/")
        kind = _SecurePool if secure else _PlainPool
        # It checks certificate and name unless it is told to be insecure; it never is.
        self._pool = kind(
            host,
            port,
            host,
            port,
            size=connections,
            connection_timeout=timeout_seconds,
            network_timeout=timeout_seconds,
        )
        self._last_used: weakref.WeakKeyDictionary[object, float] = weakref.WeakKeyDictionary()
        head = [f"Host: {parts.netloc}", "User-Agent: rgms-load", "Accept: application/json"]
        if not secure and loopback(host):
            # As the platform's proxy says it, else a service in production settings answers with a redirect.
            head.append("X-Forwarded-Proto: https")
        self._head = "\r\n".join(head)

    def close(self) -> None:
        self._pool.close()

    def exchange(
        self,
        *,
        method: str,
        path: str,
        token: str | None = None,
        document: Mapping[str, Any] | None = None,
        timeout_seconds: float | None = None,
    ) -> Answer:
        """One request and its answer; `document` is sent as JSON.

        Raises:
            UnansweredError: if there is no complete answer within the time-out, for whatever reason.
        """
        body = b"" if document is None else json.dumps(document).encode()
        lines = [f"{method} {self._prefix}{path} HTTP/1.1", self._head]
        if token is not None:
            lines.append(f"Authorization: Bearer {token}")
        if document is not None:
            lines.append("Content-Type: application/json")
        if method != "GET":
            lines.append(f"Content-Length: {len(body)}")
        request = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
        limit = timeout_seconds or self._timeout_seconds
        try:
            with gevent.Timeout(limit):
                return self._send(method, request)
        except gevent.Timeout:
            raise UnansweredError(_LATE) from None
        except NotConnectedError as error:
            raise UnansweredError(self._failure_to_connect(error.__cause__)) from error
        except (OSError, HTTPParseError) as error:
            raise UnansweredError(_failure_of(error)) from error

    def _send(self, method: str, request: bytes) -> Answer:
        while True:
            connection = self._pool.get_socket()
            idle_seconds = time.monotonic() - self._last_used.get(connection, float("inf"))
            stale = _STALE_SECONDS <= idle_seconds < float("inf")
            try:
                response = self._receive(connection, method, request)
            except (HTTPConnectionClosed, ConnectionResetError, BrokenPipeError):
                # A server may close an idle connection just as it is used again. Only then, and only if
                # repeating is safe, is the request sent once more (RFC 9112, 9.3.1); the time goes on. A
                # busy connection that closes is a request that nobody answered, and counts as one.
                if stale and method == "GET":
                    continue
                raise
            body = bytes(response.read())
            self._last_used[connection] = time.monotonic()
            headers: dict[str, str] = {}
            for name, value in response.items():
                known = headers.get(name.lower())
                headers[name.lower()] = value if known is None else f"{known}, {value}"
            return Answer(status=response.status_code, headers=headers, body=body)

    def _failure_to_connect(self, cause: BaseException | None) -> Failure:
        failure = _failure_of(cause) if isinstance(cause, Exception) else _LATE
        if not self._edge:
            return failure
        kind = "no connection in time" if failure is _LATE else failure.kind
        return Failure(owner=Owner.CLIENT, kind=kind)

    def _receive(self, connection: Any, method: str, request: bytes) -> Any:
        try:
            connection.sendall(request)
        except BaseException:
            self._pool.release_socket(connection)
            raise
        # From here on the response gives the connection back, also if it fails.
        return HTTPSocketPoolResponse(connection, self._pool, method=method)


_LATE = Failure(owner=Owner.APPLICATION, kind="no answer in time", unanswered=True)
_CLOSED = Failure(owner=Owner.APPLICATION, kind="connection closed without an answer")

# The first kind of error that matches; the order matters, since most are subclasses of OSError.
_FAILURES: tuple[tuple[type[Exception], Failure], ...] = (
    (ssl.SSLEOFError, _CLOSED),
    (ssl.SSLZeroReturnError, _CLOSED),
    (ssl.SSLError, Failure(owner=Owner.CLIENT, kind="TLS failed")),
    (socket.gaierror, Failure(owner=Owner.CLIENT, kind="name not resolved")),
    (TimeoutError, _LATE),
    (ConnectionRefusedError, Failure(owner=Owner.APPLICATION, kind="connection refused")),
    (ConnectionError, _CLOSED),
    (HTTPConnectionClosed, _CLOSED),
    (HTTPParseError, Failure(owner=Owner.APPLICATION, kind="answer is not HTTP")),
)


def _failure_of(error: Exception) -> Failure:
    if isinstance(error, OSError) and error.errno in _CLIENT_ERRNOS:
        return Failure(owner=Owner.CLIENT, kind=errno.errorcode[error.errno])
    for kind, failure in _FAILURES:
        if isinstance(error, kind):
            return failure
    return Failure(owner=Owner.APPLICATION, kind=type(error).__name__)
