"""What the headers of an answer say: who gave it, whether it was cached, how long the database took."""

from collections.abc import Mapping

from load.results import Owner

# The name under which the service reports its own cache (RFC 9211, member of Cache-Status).
SERVICE_CACHE = "rgms"


def split_outside_quotes(value: str, separator: str) -> list[str]:
    """Split a structured header at `separator`, but not within quoted strings (RFC 9110, 5.6.4)."""
    parts, part, quoted, escaped = [], [], False, False
    for character in value:
        if quoted:
            part.append(character)
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                quoted = False
        elif character == separator:
            parts.append("".join(part).strip())
            part = []
        else:
            quoted = character == '"'
            part.append(character)
    return [*parts, "".join(part).strip()]


def cache_hit(cache_status: str | None) -> bool | None:
    """Whether the service's own cache answered; None if the header does not say (an edge cache is not it)."""
    for member in split_outside_quotes(cache_status or "", ","):
        name, *parameters = split_outside_quotes(member, ";")
        if name.strip('"').lower() == SERVICE_CACHE:
            return any(parameter.lower() in ("hit", "hit=?1") for parameter in parameters)
    return None


def server_timing_ms(server_timing: str | None, metric: str) -> float | None:
    """The duration of `metric` in milliseconds; None if it is absent or not a number."""
    for member in split_outside_quotes(server_timing or "", ","):
        name, *parameters = split_outside_quotes(member, ";")
        if name.lower() != metric:
            continue
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "dur":
                return _duration(value)
    return None


def _duration(value: str) -> float | None:
    try:
        milliseconds = float(value.strip().strip('"'))
    except ValueError:
        return None
    return milliseconds if 0 <= milliseconds < float("inf") else None


def answer_owner(*, status: int, headers: Mapping[str, str]) -> Owner:
    """Who is to blame for an answer that is not the expected one. Header names are in lower case.

    Our own throttle tells when to come back. Whatever else carries our request id is the application's; a
    proxy that speaks for itself says so (RFC 9209), or lacks the request id.
    """
    if status == 429 and "retry-after" in headers:
        return Owner.THROTTLE
    if "proxy-status" in headers and status >= 500:
        return Owner.EDGE
    return Owner.APPLICATION if headers.get("x-request-id") else Owner.EDGE
