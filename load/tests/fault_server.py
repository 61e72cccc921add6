"""A small service that speaks the contract's endpoints, and misbehaves on request.

HTTP and WebSocket on two loopback ports, in one thread of the test's process, so that a test can compare what
the load generator counted with what the server saw.
"""

import asyncio
import json
import re
import secrets
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

Headers = dict[str, str]


@dataclass
class Faults:
    """What goes wrong. Durations in seconds; `every` counts requests to the measured endpoints.

    `broken` answers 500 with a request id, `edge` 502 without one, `throttled` 429 with Retry-After. A stall
    lasts `stall_seconds` from the moment that `stall` is called; `silent` never answers anything any more.
    """

    delay_seconds: float = 0.0
    broken_every: int = 0
    edge_every: int = 0
    throttled_every: int = 0
    without_headers: bool = False
    hang_up_every: int = 0
    silent: bool = False
    queue_depth: int = 3
    sound: bool = True
    cold_cache: bool = False
    lose_every: int = 0
    double_every: int = 0
    misdeliver: bool = False
    refuse_sign_in: bool = False
    keep_rows: bool = False
    commits: list[str] = field(default_factory=lambda: ["a" * 40])


class FaultServer:
    """`with FaultServer() as server:` then `server.base_url`, `server.channels_url`, `server.seen`."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.seen: Counter[str] = Counter()
        self.measured = 0
        self.injected: Counter[str] = Counter()
        self.rows: dict[int, dict[str, Any]] = {}
        self.logins: Counter[str] = Counter()
        self.forwarded: Counter[str | None] = Counter()
        self.agents: set[str | None] = set()
        self.passwords = {name: f"{name}-{secrets.token_urlsafe(12)}" for name in ("admin", "staff", "cadet")}
        self.issued: list[str] = []
        self.on_request: Callable[[str], None] | None = None
        self._tokens: dict[str, str] = {}
        self._refresh: dict[str, str] = {}
        self._fresh: set[tuple[str, str]] = set()
        self._sockets: dict[str, set[ServerConnection]] = {}
        self._events = 0
        self._healths = 0
        self._stall_until = 0.0
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fault-server", daemon=True)
        self.base_url = ""
        self.channels_url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._started.wait(10):
            raise RuntimeError("the fault server did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def environment(self) -> dict[str, str]:
        """Credentials as the load generator reads them."""
        names = {"ADMIN": "admin", "STAFF": "staff", "CADET": "cadet"}
        return {f"SMOKE_{role}_USERNAME": name for role, name in names.items()} | {
            f"SMOKE_{role}_PASSWORD": self.passwords[name] for role, name in names.items()
        }

    def stall(self, seconds: float) -> None:
        """Answer nothing for so long; every request that waits is answered afterwards."""
        self._loop.call_soon_threadsafe(self._set_stall, seconds)

    def forget_refresh_tokens(self) -> None:
        self._refresh.clear()

    # --- the server --------------------------------------------------------------------------------------

    def _set_stall(self, seconds: float) -> None:
        self._stall_until = self._loop.time() + seconds

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        http = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        sockets: Server = await serve(
            self._socket,
            "127.0.0.1",
            0,
            compression=None,
            ping_interval=None,
            close_timeout=0.2,
            select_subprotocol=lambda _, offered: offered[0] if offered else None,
        )
        self.base_url = f"http://127.0.0.1:{http.sockets[0].getsockname()[1]}"
        self.channels_url = f"ws://127.0.0.1:{next(iter(sockets.sockets)).getsockname()[1]}"
        self._started.set()
        await self._stop.wait()
        http.close()
        sockets.close()
        await sockets.wait_closed()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one_request(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went, or the server is stopping
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _one_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        line = await reader.readline()
        if not line.strip():
            return False
        method, target, _ = line.decode().split()
        headers: Headers = {}
        while (header := (await reader.readline()).decode().strip()) != "":
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        await asyncio.sleep(max(0.0, self._stall_until - self._loop.time()))
        if self.faults.silent:
            await asyncio.sleep(3600)
        answer = await self._answer(method, target, headers, json.loads(body) if body else {})
        if answer is None:
            return False
        status, extra, document = answer
        payload = b"" if document is None else json.dumps(document).encode()
        head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(payload)}", "Content-Type: application/json"]
        head += [f"{name}: {value}" for name, value in extra.items()]
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + payload)
        await writer.drain()
        return True

    async def _answer(
        self, method: str, target: str, headers: Headers, document: dict[str, Any]
    ) -> tuple[int, Headers, dict[str, Any] | None] | None:
        parts = urlsplit(target)
        path = parts.path
        self.forwarded[headers.get("x-forwarded-proto")] += 1
        self.agents.add(headers.get("user-agent"))
        name = f"{method} {re.sub(r'[0-9]+', 'N', path.removeprefix('/api/v1'))}"
        self.seen[name] += 1
        if self.on_request is not None:
            self.on_request(name)
        extra = {"X-Request-ID": secrets.token_hex(8), "Server-Timing": 'app;dur=2.5, db;dur=0.8;desc="1, 2"'}
        if name in MEASURED:
            self.measured += 1
            await asyncio.sleep(self.faults.delay_seconds)
            spoiled = self._spoil(extra)
            if spoiled is not None:
                return spoiled if spoiled[0] else None
        if self.faults.without_headers:
            extra = {}
        return self._route(name, path, parse_qs(parts.query), headers, document, extra)

    def _spoil(self, extra: Headers) -> tuple[int, Headers, dict[str, Any] | None] | None:
        faults, number = self.faults, self.measured
        if faults.hang_up_every and number % faults.hang_up_every == 0:
            self.injected["hang up"] += 1
            return 0, {}, None
        if faults.broken_every and number % faults.broken_every == 0:
            self.injected["broken"] += 1
            return 500, extra, {"code": "error"}
        if faults.edge_every and number % faults.edge_every == 0:
            self.injected["edge"] += 1
            return 502, {}, None
        if faults.throttled_every and number % faults.throttled_every == 0:
            self.injected["throttled"] += 1
            return 429, {**extra, "Retry-After": "1"}, {"code": "throttled"}
        return None

    def _route(  # noqa: PLR0911, PLR0912, PLR0917, C901 - one line per endpoint of the contract
        self,
        name: str,
        path: str,
        query: dict[str, list[str]],
        headers: Headers,
        document: dict[str, Any],
        extra: Headers,
    ) -> tuple[int, Headers, dict[str, Any] | None]:
        if name == "GET /api/health/":
            commit = self.faults.commits[min(self._healths, len(self.faults.commits) - 1)]
            self._healths += name == "GET /api/health/"
            told = {"version": "1.0.0", "commit": commit, "environment": "testing"}
            return 200, extra, {"status": "healthy", "services": {}, **told}
        if name == "POST /auth/login":
            return self._login(document, extra)
        if name == "POST /auth/refresh":
            return self._renew(document, extra)
        user = self._tokens.get(headers.get("authorization", "").removeprefix("Bearer "))
        if user is None:
            return 401, extra, {"code": "token_malformed"}
        match name:
            case "POST /auth/logout":
                return 204, extra, None
            case "GET /auth/me":
                return 200, extra, {"id": 1, "username": user, "role": user}
            case "GET /notifications":
                size = int(query.get("page_size", ["20"])[0])
                start = (int(query.get("page", ["1"])[0]) - 1) * size
                mine = [row for row in reversed(self.rows.values()) if row["recipient"] == user]
                page = {"count": len(mine), "results": mine[start : start + size]}
                return 200, self._cached(user, "list", extra), page
            case "GET /notifications/unread-count":
                return 200, self._cached(user, "unread", extra), {"unread": 0}
            case "POST /notifications":
                return self._create(document, extra)
            case "DELETE /notifications/N":
                if not self.faults.keep_rows:
                    self.rows.pop(int(path.rsplit("/", 1)[1]), None)
                return 204, extra, None
            case "GET /operations/queue":
                return 200, extra, {"pending": 1, "unacknowledged": 2, "depth": self.faults.queue_depth}
            case "GET /operations/integrity":
                findings = [] if self.faults.sound else [{"check": "orphans", "table": "x", "remedy": "mend"}]
                return 200, extra, {"sound": self.faults.sound, "checks": [{}, {}], "findings": findings}
        return 404, extra, {"code": "not_found"}

    def _login(self, document: dict[str, Any], extra: Headers) -> tuple[int, Headers, dict[str, Any]]:
        name = str(document.get("username"))
        self.logins[name] += 1
        if self.faults.refuse_sign_in or document.get("password") != self.passwords.get(name):
            return 401, extra, {"code": "credentials_wrong"}
        return 200, extra, {**self._issue(name), "user": {"username": name}}

    def _renew(self, document: dict[str, Any], extra: Headers) -> tuple[int, Headers, dict[str, Any]]:
        name = self._refresh.pop(str(document.get("refresh")), None)
        if name is None:
            return 401, extra, {"code": "token_revoked"}
        return 200, extra, self._issue(name)

    def _issue(self, name: str) -> dict[str, Any]:
        access, refresh = f"access.{secrets.token_urlsafe(24)}", f"refresh.{secrets.token_urlsafe(24)}"
        self._tokens[access], self._refresh[refresh] = name, name
        self.issued += [access, refresh]
        return {"access": access, "refresh": refresh}

    def _cached(self, user: str, key: str, extra: Headers) -> Headers:
        if not extra:
            return extra
        hit = (user, key) in self._fresh and not self.faults.cold_cache
        self._fresh.add((user, key))
        return {**extra, "Cache-Status": "rgms; hit" if hit else "rgms; fwd=uri-miss; stored"}

    def _create(self, document: dict[str, Any], extra: Headers) -> tuple[int, Headers, dict[str, Any]]:
        recipient = document["recipient"]
        number = len(self.seen) * 1000 + self.seen["POST /notifications"]
        row = {"id": number, **document, "created_at": "2026-01-01T00:00:00Z"}
        self.rows[number] = row
        self._fresh -= {(recipient, "list"), (recipient, "unread")}
        self._events += 1
        copies = 1
        if self.faults.lose_every and self._events % self.faults.lose_every == 0:
            copies = 0
        if self.faults.double_every and self._events % self.faults.double_every == 0:
            copies = 2
        listeners = {"admin"} if self.faults.misdeliver else {recipient}
        frame = json.dumps({"id": f"e:{number}", "type": "notification.created", "at": "", "data": row})
        for user in listeners:
            for socket in self._sockets.get(user, set()):
                for _ in range(copies):
                    self._loop.create_task(_send(socket, frame))
        return 201, extra, row

    async def _socket(self, socket: ServerConnection) -> None:
        request = socket.request
        offered = (request.headers.get("Sec-WebSocket-Protocol", "") if request else "").split(", ")
        user = self._tokens.get(offered[-1])
        if user is None:
            await socket.close(4401, "token_malformed")
            return
        listeners = self._sockets.setdefault(user, set())
        listeners.add(socket)
        self.seen["socket"] += 1
        try:
            await socket.send(json.dumps({"id": None, "type": "connection.ready", "at": "", "data": {}}))
            await socket.wait_closed()
        finally:
            listeners.discard(socket)


MEASURED = frozenset(
    {
        "GET /notifications",
        "GET /notifications/unread-count",
        "GET /auth/me",
        "POST /notifications",
    }
)

BEARER = Subprotocol("rgms.bearer")


async def _send(socket: ServerConnection, frame: str) -> None:
    with suppress(ConnectionClosed):
        await socket.send(frame)
