"""A small real HTTP server that plays as much of the service as these tests need, and misbehaves."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

# What a test looks for in every artefact afterwards. The awkward characters are spelled differently by JSON,
# by URLs and by XML.
CANARY_PASSWORD = 'canary"p/ss wörd+1&<'
CANARY_TOKEN = "eyJjYW5hcnkifQ.eyJjYW5hcnki.c2lnbmF0dXJl-canary"
CANARY_REFRESH = "canary-refresh-token-0123456789"
NOTIFICATIONS = "/api/v1/notifications"

# Status, headers and body.
Answer = tuple[int, dict[str, str], str]


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass
class FakeService:
    """Behaviour and memory of the server. A test changes the behaviour, and reads the memory."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    deletes_really: bool = True
    failures_before_pong: int = 0
    queue_depth: object = 0
    healths: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    holds: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: Seen) -> Answer:
        path = urlsplit(request.path).path.rstrip("/")
        if request.method == "DELETE" and path.startswith(f"{NOTIFICATIONS}/"):
            if self.deletes_really:
                self.rows.pop(int(path.rpartition("/")[2]), None)
            return told(204, None)
        routes: dict[tuple[str, str], Callable[[Seen], Answer]] = {
            ("POST", "/api/v1/auth/login"): self._sign_in,
            ("POST", "/api/v1/auth/logout"): lambda _request: told(204, None),
            ("GET", NOTIFICATIONS): lambda _request: told(200, {"results": list(reversed(self.rows.values()))}),
            ("POST", NOTIFICATIONS): self._notify,
            ("GET", "/echo"): self._echo,
            ("GET", "/garbage"): lambda _request: (
                500,
                {"Content-Type": "text/plain"},
                "\x00\x08\x1b[31m]]>",
            ),
            ("GET", "/ping"): self._ping,
            ("GET", "/api/health"): lambda _request: told(200, self.healths.pop(0) if self.healths else {}),
            ("GET", "/api/v1/operations/queue"): lambda _request: told(200, {"depth": self.queue_depth}),
            ("GET", "/api/v1/operations/status"): lambda _request: told(200, self.statuses.pop(0)),
            ("GET", "/hold"): self._hold,
        }
        unknown: Callable[[Seen], Answer] = lambda _request: told(404, {"code": "not_found"})  # noqa: E731
        return routes.get((request.method, path), unknown)(request)

    def _sign_in(self, request: Seen) -> Answer:
        username = json.loads(request.body)["username"]
        user = {"username": username, "role": username}
        return told(200, {"access": CANARY_TOKEN, "refresh": CANARY_REFRESH, "user": user})

    def _notify(self, request: Seen) -> Answer:
        number = len(self.rows) + 1
        self.rows[number] = {"id": number} | json.loads(request.body)
        return told(201, self.rows[number])

    def _echo(self, request: Seen) -> Answer:
        """Everything that the service was told, as an error page that says too much."""
        text = f"Authorization: {request.headers.get('authorization')}; password={CANARY_PASSWORD}"
        return 500, {"Content-Type": "text/plain; charset=utf-8", "X-Request-ID": "request-echo"}, text

    def _ping(self, _request: Seen) -> Answer:
        if self.failures_before_pong > 0:
            self.failures_before_pong -= 1
            return told(503, {"detail": "busy"})
        return told(200, {"status": "pong"})

    def _hold(self, _request: Seen) -> Answer:
        self.holds.set()
        self.hold.wait(timeout=20)
        return told(200, {})

    def unsafe(self) -> list[str]:
        """The requests that could have changed something, sessions apart."""
        return [
            f"{one.method} {one.path}"
            for one in self.seen
            if one.method not in {"GET", "HEAD", "OPTIONS"} and not one.path.startswith("/api/v1/auth/")
        ]


def told(status: int, value: object) -> Answer:
    headers = {"Content-Type": "application/json", "X-Request-ID": f"request-{status}"}
    return status, headers, "" if status == 204 else json.dumps(value)


@contextmanager
def serving(service: FakeService) -> Iterator[FakeService]:
    """Serve on a free port of the loopback address until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            request = Seen(
                method=self.command,
                path=self.path,
                headers={name.lower(): value for name, value in self.headers.items()},
                body=self.rfile.read(length).decode(),
            )
            service.seen.append(request)
            status, headers, text = service.answer(request)
            content = text.encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = do_PUT = _handle  # noqa: N815 - the names that the standard library calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's signature
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that was killed on purpose is no news."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield service
    finally:
        service.hold.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
