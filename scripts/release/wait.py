"""Waiting for a release to answer.

Not for health, which is for the checks to judge, but for the right version.
"""

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import httpx

from smoke.network import chain, obstacle
from smoke.target import is_expected

IN_A_ROW = 3
# The smoke suite's own limit for an answer; a service that is slower than this is found to be so there.
ATTEMPT_SECONDS = 5.0
PAUSE_SECONDS = 1.0
PAUSE_WHEN_ANSWERING_SECONDS = 0.1
# No deploy repairs a wrong name or certificate, or this machine's network, so nobody waits long for one. Long enough
# for a resolver's hiccup.
PATIENCE_WITH_OBSTACLE_SECONDS = 10.0


class Outcome(StrEnum):
    READY = "ready"
    OLD_VERSION = "old version"
    UNSTEADY = "unsteady"
    NEVER_ANSWERED = "never answered"
    NOT_REACHABLE = "not reachable from here"


class Sign(StrEnum):
    """What one attempt saw."""

    EXPECTED = "the expected version"
    OTHER_VERSION = "another version"
    ANSWER = "an answer without a version"
    NOTHING = "no answer"
    OBSTACLE = "not reachable from here"


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """One attempt. `version` and `commit` are health's own words; `detail` is for people."""

    sign: Sign
    detail: str
    version: str | None = None
    commit: str | None = None


@dataclass(frozen=True, kw_only=True)
class Waited:
    """How the wait ended; `answered` tells whether any HTTP answer came at all."""

    outcome: Outcome
    detail: str
    attempts: int
    seconds: float
    answered: bool
    last: Sighting


def look(*, base_url: str, expected: str | None, seconds: float, trust: ssl.SSLContext) -> Sighting:
    """Ask health once, on a new connection, believing the certificates that `trust` believes.

    No proxy is used: smoke and load use none, and all stages must see the same network.
    """
    headers = {"User-Agent": "rgms-verify"}
    parts = urlsplit(base_url)
    near = parts.hostname in {"127.0.0.1", "::1", "localhost"}
    if near and parts.scheme == "http":
        headers["X-Forwarded-Proto"] = "https"
    try:
        with httpx.Client(timeout=seconds, headers=headers, trust_env=False, verify=trust) as client:
            answer = _get(client=client, url=f"{base_url}/api/health/", seconds=seconds)
    except httpx.HTTPError as error:
        return _without_answer(error, base_url=base_url, seconds=seconds, trust=trust)
    version, commit = _identity(answer)
    told = f"status {answer.status_code}, version {version or 'not told'}, commit {(commit or 'not told')[:12]}"
    if is_expected(expected=expected, version=version, commit=commit):
        sign = Sign.EXPECTED
    elif version is None and commit is None:
        sign = Sign.ANSWER
    else:
        sign = Sign.OTHER_VERSION
    return Sighting(sign=sign, detail=told, version=version, commit=commit)


def wait_for(
    *,
    base_url: str,
    expected: str | None,
    seconds: float,
    report: Callable[[str], None] = lambda _text: None,
    pause: Callable[[float], None] = time.sleep,
) -> Waited:
    """Look until the expected version answered three times in a row, or for at most `seconds`.

    `report` is told in a sentence whenever what is seen changes.
    """
    started = time.monotonic()
    sightings: list[Sighting] = []
    # Once: reading the certificates that are trusted takes longer than asking.
    trust = httpx.create_ssl_context()
    for remaining in _attempts(started=started, seconds=seconds):
        patience = min(ATTEMPT_SECONDS, max(0.2, remaining))
        seen = look(base_url=base_url, expected=expected, seconds=patience, trust=trust)
        if not sightings or sightings[-1].detail != seen.detail:
            report(f"{time.monotonic() - started:5.1f} s  {seen.sign}: {seen.detail}")
        sightings.append(seen)
        if len(sightings) >= IN_A_ROW and all(one.sign is Sign.EXPECTED for one in sightings[-IN_A_ROW:]):
            break
        if _is_hopeless(sightings, elapsed=time.monotonic() - started):
            break
        answering = seen.sign is Sign.EXPECTED
        pause(min(PAUSE_WHEN_ANSWERING_SECONDS if answering else PAUSE_SECONDS, max(0.0, remaining)))
    return _judge(sightings, expected=expected, seconds=time.monotonic() - started)


def _attempts(*, started: float, seconds: float) -> Iterator[float]:
    """The seconds that remain, before each attempt; at least one attempt is made."""
    yield seconds
    while (remaining := seconds - (time.monotonic() - started)) > 0:
        yield remaining


def _is_hopeless(sightings: list[Sighting], *, elapsed: float) -> bool:
    """Whether nothing but an obstacle on the way was ever seen, for long enough."""
    return elapsed >= PATIENCE_WITH_OBSTACLE_SECONDS and all(one.sign is Sign.OBSTACLE for one in sightings)


def _judge(sightings: list[Sighting], *, expected: str | None, seconds: float) -> Waited:
    last = sightings[-1]
    recent = sightings[-IN_A_ROW:]
    answered = any(one.sign in {Sign.EXPECTED, Sign.OTHER_VERSION, Sign.ANSWER} for one in sightings)
    steady = len(recent) == IN_A_ROW and len({(one.sign, one.version, one.commit) for one in recent}) == 1
    if steady and last.sign is Sign.EXPECTED:
        outcome, detail = Outcome.READY, f"answered {IN_A_ROW} times in a row: {last.detail}"
    elif steady and last.sign is Sign.OTHER_VERSION:
        outcome, detail = (
            Outcome.OLD_VERSION,
            f"not live yet: expected {expected}, and steadily saw {last.detail}",
        )
    elif answered:
        outcome, detail = (
            Outcome.UNSTEADY,
            f"no steady answer of {expected or 'any version'}; last: {last.detail}",
        )
    elif last.sign is Sign.OBSTACLE:
        outcome, detail = Outcome.NOT_REACHABLE, last.detail
    else:
        outcome, detail = Outcome.NEVER_ANSWERED, f"never became healthy: {last.detail}"
    return Waited(
        outcome=outcome,
        detail=detail,
        attempts=len(sightings),
        seconds=seconds,
        answered=answered,
        last=last,
    )


def _get(*, client: httpx.Client, url: str, seconds: float) -> httpx.Response:
    """GET with a limit on the whole answer: httpx's time-outs are per read, and a trickle would never end.

    Raises httpx.HTTPError.
    """
    deadline = time.monotonic() + seconds
    with client.stream("GET", url) as answer:
        body = bytearray()
        for chunk in answer.iter_raw():
            body += chunk
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout(f"no complete answer within {seconds:.0f} s")
        return httpx.Response(answer.status_code, headers=answer.headers, content=bytes(body))


def _identity(answer: httpx.Response) -> tuple[str | None, str | None]:
    """Version and commit in the words of health; None where the body says nothing of them."""
    try:
        body: Any = json.loads(answer.content)
    except ValueError:
        return None, None
    if not isinstance(body, dict):
        return None, None
    version, commit = body.get("version"), body.get("commit")
    return (
        version if isinstance(version, str) else None,
        commit.lower() if isinstance(commit, str) else None,
    )


def obstacle_to(*, url: str, seconds: float, trust: ssl.SSLContext) -> str | None:
    """What on this machine's side keeps it from `url`, as smoke.network.obstacle says it; None if nothing does.

    Connects as far as TLS goes and asks nothing. A name may have several addresses: only if there is a way to none
    of them is that an obstacle.
    """
    parts = urlsplit(url)
    secure = parts.scheme in {"https", "wss"}
    address = (parts.hostname or "", parts.port or (443 if secure else 80))
    try:
        with socket.create_connection(address, timeout=seconds, all_errors=True) as connection:
            if secure:
                trust.wrap_socket(connection, server_hostname=parts.hostname).close()
    except ExceptionGroup as errors:
        obstacles = [obstacle(error) for error in errors.exceptions]
        return obstacles[0] if all(obstacles) else None
    except OSError as error:
        return obstacle(error)
    return None


def _without_answer(error: httpx.HTTPError, *, base_url: str, seconds: float, trust: ssl.SSLContext) -> Sighting:
    # httpx tells of the last address that it tried only, so a second look has the last word.
    if obstacle(error) and (why := obstacle_to(url=base_url, seconds=seconds, trust=trust)):
        return Sighting(sign=Sign.OBSTACLE, detail=why)
    causes = list(chain(error))
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes) or "refused" in str(error).lower():
        return Sighting(sign=Sign.NOTHING, detail="connection refused")
    if isinstance(error, httpx.ConnectTimeout):
        return Sighting(sign=Sign.NOTHING, detail="no connection in time")
    if isinstance(error, httpx.TimeoutException):
        return Sighting(sign=Sign.NOTHING, detail="connected, and no answer in time")
    return Sighting(sign=Sign.NOTHING, detail=f"{type(error).__name__}: {error}")
