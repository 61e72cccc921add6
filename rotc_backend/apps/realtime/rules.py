import enum
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

LARGEST_FRAME = 65_536  # bytes that a client may send in one message
LONGEST_REF = 64  # characters
BEARER_SUBPROTOCOL = "rgms.bearer"

# Frames of one client: so many at once, and so many each second in the long run.
FRAMES_AT_ONCE, FRAMES_A_SECOND = 60, 10.0

READY, RESYNC, HEARTBEAT, CLOSED = "connection.ready", "resync_required", "heartbeat", "connection.closed"
PONG, ANSWER, ERROR = "pong", "answer", "error"


class CloseCode(enum.IntEnum):
    """Why a socket ends. It is always accepted first: refused before that, a browser sees only HTTP 403.

    ======  =======================  =============================================================
    code    reason                   what it means, and what the client does
    ======  =======================  =============================================================
    1012    service_restart          This instance stops, or the log was replaced by a backup's:
                                     connect again at once, with the last id it has.
    1013    unavailable              The database does not answer: connect again later.
            slow_reader              This client does not read: connect again with the last id it has.
    4400    frame_malformed          A frame is not a JSON object with a type: the client's mistake.
    4401    token_missing            The token does not open this socket. With token_expired,
            token_malformed          exchange the refresh token and connect again; with
            token_expired            token_revoked, sign in again. The same words as over HTTP.
            token_bad_signature      The socket of a token that expires, or whose session ends, is
            token_wrong_type         closed so as well.
            token_revoked
    4403    origin_not_allowed       The page is not served from one of CORS_ALLOWED_ORIGINS.
            not_a_member             Not in this room, or no longer.
            archived                 The room's company is archived.
    4404    path_unknown             There is no socket at this path.
            room_unknown             There is no such room, or none that this account may know of.
    4408    idle                     The client has said nothing for SOCKET_IDLE_SECONDS: send pings.
    4413    frame_too_large          A message was larger than 64 KiB.
    4429    too_many_frames          The client sends faster than a person can: its mistake.
            too_many_sockets         The account has too many connections: close some.
    ======  =======================  =============================================================
    """

    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    FRAME_MALFORMED = 4400
    TOKEN_REFUSED = 4401
    NOT_ALLOWED = 4403
    UNKNOWN = 4404
    IDLE = 4408
    FRAME_TOO_LARGE = 4413
    TOO_MANY = 4429


@dataclass(frozen=True, kw_only=True)
class SocketRefused(Exception):
    """Ends the socket with `code` and `reason`, a stable word for programs that never holds a secret."""

    code: CloseCode
    reason: str


def origin_is_allowed(origin: str | None, *, allowed: Collection[str]) -> bool:
    """Browsers always name the page's origin; who names none acts for nobody but itself."""
    return origin is None or origin.lower().rstrip("/") in {known.lower() for known in allowed}


def token_presented(*, query: str, subprotocols: Sequence[str]) -> str:
    """The access token of a handshake, or "": the word after `rgms.bearer`, else `?token=`."""
    if BEARER_SUBPROTOCOL in subprotocols:
        following = subprotocols[subprotocols.index(BEARER_SUBPROTOCOL) + 1 :]
        if following:
            return following[0]
    return next((value for name, value in parse_qsl(query) if name == "token"), "")


def resume_presented(*, query: str) -> str | None:
    """What `?last_event_id=` says, or None. An empty one is none: it is what a client has that never heard anything."""
    return next((value for name, value in parse_qsl(query) if name == "last_event_id"), None)


@dataclass(frozen=True, kw_only=True)
class ClientFrame:
    """What a client said: {"type": …, "data": …, "ref": …}. The answer repeats `ref`."""

    type: str
    data: Any
    ref: str | None = None


def client_frame(text: str) -> ClientFrame:
    """Raises SocketRefused for what is too large, or is not a JSON object with a type."""
    if len(text) > LARGEST_FRAME or len(text.encode(errors="surrogatepass")) > LARGEST_FRAME:
        raise SocketRefused(code=CloseCode.FRAME_TOO_LARGE, reason="frame_too_large")
    try:
        # RecursionError: 64 KiB of "[" nest deeper than the parser goes.
        parsed = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict) or not isinstance(parsed.get("type"), str):
        raise SocketRefused(code=CloseCode.FRAME_MALFORMED, reason="frame_malformed")
    ref = parsed.get("ref")
    if ref is not None and not (isinstance(ref, str) and len(ref) <= LONGEST_REF):
        raise SocketRefused(code=CloseCode.FRAME_MALFORMED, reason="frame_malformed")
    return ClientFrame(type=parsed["type"], data=parsed.get("data"), ref=ref)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")  # Python reads NaN, and would echo what no browser can parse


class Allowance:
    """How much a client may still send: FRAMES_AT_ONCE, growing again by FRAMES_A_SECOND."""

    def __init__(self, *, at: float) -> None:
        self._left, self._at = float(FRAMES_AT_ONCE), at

    def takes(self, *, at: float) -> bool:
        """Whether one more frame at this second (of a clock that only goes forward) is within it."""
        self._left = min(float(FRAMES_AT_ONCE), self._left + (at - self._at) * FRAMES_A_SECOND)
        self._at = at
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A frame of the server: {"id", "type", "at", "data"}, encoded once however many sockets it goes to.

    `id` is `epoch:position` for what has a place in the log, and `position` the same as a number, else 0.
    """

    id: str | None
    type: str
    at: str
    data: Any
    position: int = 0

    @cached_property
    def text(self) -> str:
        # An event's text is valid and shorter unescaped; an answer may echo half a surrogate pair, which UTF-8 cannot
        # hold.
        content = {"id": self.id, "type": self.type, "at": self.at, "data": self.data}
        return json.dumps(content, separators=(",", ":"), ensure_ascii=self.id is None)

    @cached_property
    def payload(self) -> bytes:
        return self.text.encode()

    @cached_property
    def event_stream(self) -> bytes:
        """The same as one event of a server-sent stream; JSON has no line break of its own."""
        place = f"id: {self.id}\n" if self.id is not None else ""
        return f"{place}event: {self.type}\ndata: {self.text}\n\n".encode()
