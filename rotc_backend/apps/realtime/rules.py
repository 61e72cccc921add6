import enum
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

LARGEST_FRAME = 65_536  # bytes that a client may send in one message
BEARER_SUBPROTOCOL = "rgms.bearer"


class CloseCode(enum.IntEnum):
    """Why a socket ends. It is always accepted first: refused before that, a browser sees only HTTP 403.

    ======  =======================  =============================================================
    code    reason                   what it means, and what the client does
    ======  =======================  =============================================================
    1012    service_restart          This instance stops, or the log was replaced by a backup's:
                                     connect again at once, and fetch again what is shown.
    1013    unavailable              The database does not answer: connect again later.
            slow_reader              This client does not read: connect again, and fetch again.
    4400    frame_malformed          A frame is not a JSON object with a type: the client's mistake.
    4401    token_missing            The token does not open this socket. With token_expired,
            token_malformed          exchange the refresh token and connect again; with
            token_expired            token_revoked, sign in again. The same words as over HTTP.
            token_bad_signature      The socket of a token that expires, or whose session ends, is
            token_wrong_type         closed so as well.
            token_revoked
    4403    origin_not_allowed       The page is not served from one of CORS_ALLOWED_ORIGINS.
    4404    path_unknown             There is no socket at this path.
    4413    frame_too_large          A message was larger than 64 KiB.
    ======  =======================  =============================================================
    """

    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    FRAME_MALFORMED = 4400
    TOKEN_REFUSED = 4401
    NOT_ALLOWED = 4403
    PATH_UNKNOWN = 4404
    FRAME_TOO_LARGE = 4413


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


@dataclass(frozen=True, kw_only=True)
class ClientFrame:
    """What a client said: {"type": …, "data": …}."""

    type: str
    data: Any


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
    return ClientFrame(type=parsed["type"], data=parsed.get("data"))


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")  # Python reads NaN, and would echo what no browser can parse


def frame(*, id: str | None, type: str, at: str, data: Any) -> str:  # noqa: A002 - the names on the wire
    """A frame of the server as text: {"id", "type", "at", "data"}; `id` is `epoch:position` for events of the
    log."""
    # An event's text is valid and shorter unescaped; an answer may echo half a surrogate pair, which UTF-8
    # cannot hold.
    content = {"id": id, "type": type, "at": at, "data": data}
    return json.dumps(content, separators=(",", ":"), ensure_ascii=id is None)
