"""HTTP as the suite speaks it.

Harmless by construction, every answer with its request id, every secret learned.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from smoke.check import Check
from smoke.expectation import Mismatch
from smoke.network import obstacle
from smoke.redaction import Redaction
from smoke.target import is_loopback

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Opening, renewing and closing a session of the suite's own account: without it nothing behind the door could
# be looked at read-only. Sessions are closed at the end of the run.
SESSION_PATHS = re.compile(r"/api/v1/auth/(login|refresh|logout)/?")
TIMEOUT = httpx.Timeout(10, connect=5)
LONGEST_EXCERPT = 300
FROM_HERE = (
    "Nothing is said about the deployment: look at this machine's network, names and trusted certificates, then run "
    "the suite again."
)


class RefusedWrite(RuntimeError):
    """A check tried to write without saying so, or where it may not.

    A fault of the check, never of the target.
    """


@dataclass(kw_only=True)
class WritePermission:
    """Decides, request by request, whether an unsafe method may leave this machine."""

    why_not: str | None
    running: Check | None = None

    def judge(self, *, method: str, path: str) -> None:
        """Raise RefusedWrite unless the request is safe, concerns the suite's own session, or may be sent."""
        if method in SAFE_METHODS or (method == "POST" and SESSION_PATHS.fullmatch(path)):
            return
        if self.why_not is not None:
            raise RefusedWrite(f"{method} {path} refused: {self.why_not}")
        if self.running is None or not (self.running.writes or self.running.last):
            name = self.running.id if self.running else "no check"
            raise RefusedWrite(f"{method} {path} refused: {name} is not marked as writing")


class HarmlessTransport(httpx.BaseTransport):
    """Stands below the client, so that no way of sending a request leads past it."""

    def __init__(self, *, wrapped: httpx.BaseTransport, permission: WritePermission) -> None:
        self._wrapped = wrapped
        self._permission = permission

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._permission.judge(method=request.method, path=request.url.path)
        return self._wrapped.handle_request(request)

    def close(self) -> None:
        self._wrapped.close()


class Answer:
    """One HTTP answer, with expectations that name the request they are about."""

    def __init__(self, *, response: httpx.Response) -> None:
        self.response = response
        self.request = f"{response.request.method} {response.request.url.path}"
        self.status = response.status_code
        self.headers = response.headers
        self.text = response.text
        self.request_id = response.headers.get("x-request-id")
        self.elapsed_seconds = response.elapsed.total_seconds()

    def fails(self, *, expected: str, came: str) -> Mismatch:
        return Mismatch(
            expected=f"{self.request}: {expected}",
            came=came,
            request_id=self.request_id,
        )

    def expect(self, condition: bool, *, expected: str, came: str) -> None:
        """Raise Mismatch, with this answer's request id, unless `condition` holds."""
        if not condition:
            raise self.fails(expected=expected, came=came)

    def expect_status(self, *statuses: int) -> "Answer":
        wanted = " or ".join(str(status) for status in statuses)
        self.expect(self.status in statuses, expected=f"status {wanted}", came=self.summary())
        return self

    def expect_header(self, name: str, condition: Callable[[str], bool], *, expected: str) -> str:
        """Return the header's value. Raises Mismatch if it is absent or `condition` does not hold for it."""
        value = self.headers.get(name)
        came = f"no {name} header" if value is None else f"{name}: {value}"
        self.expect(value is not None and condition(value), expected=f"{name} {expected}", came=came)
        return str(value)

    def expect_at(self, path: str, wanted: object) -> "Answer":
        """Expect the JSON value at `path` ("services.database") to equal `wanted`."""
        came = self.at(path)
        self.expect(
            came == wanted and type(came) is type(wanted),
            expected=f"{path} is {json.dumps(wanted)}",
            came=f"{path} is {json.dumps(came)}{self._detail_of(path)}",
        )
        return self

    def expect_problem(self, status: int, *codes: str) -> "Answer":
        """Expect an RFC 9457 problem document with this status and one of `codes`."""
        wanted = " or ".join(codes)
        self.expect(
            self.status == status and self.media_type == "application/problem+json",
            expected=f"a problem document with status {status} and code {wanted}",
            came=self.summary(),
        )
        self.expect(self.at("code") in codes, expected=f"code {wanted}", came=f"code {self.at('code')}")
        return self

    @property
    def media_type(self) -> str:
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    def json(self) -> Any:
        """The decoded body. Raises Mismatch if it is no JSON."""
        try:
            return json.loads(self.text)
        except ValueError:
            raise self.fails(expected="a JSON body", came=self.summary()) from None

    def at(self, path: str) -> Any:
        """The JSON value at a path of keys and list positions joined by dots.

        Raises Mismatch if it is absent.
        """
        value = self.json()
        for key in path.split("."):
            if isinstance(value, dict) and key in value:
                value = value[key]
            elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
                value = value[int(key)]
            else:
                raise self.fails(expected=f"{path} in the body", came=self.summary())
        return value

    def mapping(self, path: str) -> dict[str, Any]:
        """The JSON object at `path`. Raises Mismatch if there is none."""
        value = self.at(path)
        if not isinstance(value, dict):
            raise self.fails(expected=f"an object at {path}", came=f"{json.dumps(value)[:LONGEST_EXCERPT]}")
        return value

    def rows(self, path: str) -> list[dict[str, Any]]:
        """The JSON list of objects at `path`. Raises Mismatch if there is none."""
        value = self.at(path)
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            raise self.fails(expected=f"a list of objects at {path}", came=f"{json.dumps(value)[:LONGEST_EXCERPT]}")
        return value

    def summary(self) -> str:
        """Status, media type and the beginning of the body, on one line."""
        excerpt = " ".join(self.text.split())[:LONGEST_EXCERPT]
        location = f" to {self.headers['location']}" if "location" in self.headers else ""
        media_type = self.media_type or "no content type"
        return f"status {self.status}{location}, {media_type}: {excerpt or '(empty body)'}"

    def _detail_of(self, path: str) -> str:
        """What the answer itself says about a value of health's `services` that is wrong."""
        body = self.json()
        details = body.get("details") if isinstance(body, dict) else None
        name = path.rpartition(".")[2]
        return f" ({details[name]})" if isinstance(details, dict) and name in details else ""


def unreachable(error: BaseException, *, expected: str) -> Mismatch | None:
    """The mismatch that says that this machine is at fault; None if the deployment may be."""
    why = obstacle(error)
    if why is None:
        return None
    return Mismatch(expected=expected, came=f"not reachable from here: {why}", next_step=FROM_HERE, broken=True)


class Web:
    """One service over HTTP. Not thread-safe; keeps its connection."""

    def __init__(self, *, base_url: str, permission: WritePermission, redaction: Redaction, run_id: str) -> None:
        self.base_url = base_url
        self._redaction = redaction
        headers = {"User-Agent": f"rgms-smoke ({run_id})", "Accept": "application/json, */*;q=0.1"}
        if is_loopback(base_url) and urlsplit(base_url).scheme == "http":
            # What Render's proxy adds. Without it a production configuration answers with a redirect to
            # https, secure cookies and HSTS stay invisible.
            headers["X-Forwarded-Proto"] = "https"
        self.headers: Mapping[str, str] = headers
        self._client = httpx.Client(
            base_url=base_url,
            headers=headers,
            timeout=TIMEOUT,
            transport=HarmlessTransport(
                wrapped=httpx.HTTPTransport(
                    verify=True,
                    # The first connection to a service that sleeps may be lost; sending nothing twice that
                    # was received once is what the transport's own connect retries guarantee.
                    retries=1,
                ),
                permission=permission,
            ),
        )

    def get(self, path: str, *, token: str | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        return self.request("GET", path, token=token, headers=headers)

    def post(self, path: str, *, json: object = None, token: str | None = None) -> Answer:
        return self.request("POST", path, json=json, token=token)

    def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request and return whatever answer comes; a redirect is an answer.

        Raises Mismatch if none comes, RefusedWrite if the request may not be sent.
        """
        sent = dict(headers or {})
        if token is not None:
            self._redaction.learn(secret=token)
            sent["Authorization"] = f"Bearer {token}"
        try:
            response = self._client.request(method, path, json=json, headers=sent)
        except httpx.TimeoutException as error:
            raise Mismatch(
                expected=f"{method} {path}: an answer from {self.base_url} within {TIMEOUT.read:.0f} s",
                came=f"none ({type(error).__name__})",
            ) from None
        except httpx.TransportError as error:
            expected = f"{method} {path}: an answer from {self.base_url}"
            raise unreachable(error, expected=expected) or Mismatch(
                expected=expected, came=f"{error or type(error).__name__}"
            ) from None
        # One run is one client: a cookie that one check was given must not change what another one sees.
        self._client.cookies.clear()
        return Answer(response=response)

    def close(self) -> None:
        self._client.close()
