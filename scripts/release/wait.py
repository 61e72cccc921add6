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

IN_A_ROW = 3
SHORTEST_COMMIT = 7
# The smoke suite's own limit for an answer; a service that is slower than this is found to be so there.
ATTEMPT_SECONDS = 5.0
PAUSE_SECONDS = 1.0
PAUSE_WHEN_ANSWERING_SECONDS = 0.1
# No deploy repairs a wrong name or certificate, so nobody waits long for one. Long enough for a resolver's
# hiccup.
NAME_PATIENCE_SECONDS = 10.0


class Outcome(StrEnum):
    READY = "ready"
    OLD_VERSION = "old version"
    UNSTEADY = "unsteady"
    NEVER_ANSWERED = "never answered"
    NAME_UNKNOWN = "name unknown"
    CERTIFICATE_REFUSED = "certificate refused"


class Sign(StrEnum):
    """What one attempt saw."""

    EXPECTED = "the expected version"
    OTHER_VERSION = "another version"
    ANSWER = "an answer without a version"
    NOTHING = "no answer"
    NAME_UNKNOWN = "the name does not resolve"
    CERTIFICATE_REFUSED = "the certificate is refused"


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


def is_expected(*, expected: str | None, version: str | None, commit: str | None) -> bool:
    """None expects any answer.

    A text with a dot is a version; any other is 7 or more characters of a commit.
    """
    if expected is None:
        return True
    if "." in expected:
        return version == expected
    return len(expected) >= SHORTEST_COMMIT and commit is not None and commit.startswith(expected.lower())


def look(*, base_url: str, expected: str | None, seconds: float, trust: ssl.SSLContext) -> Sighting:
    """Ask health once, on a new connection, believing the certificates that `trust` believes."""
    headers = {"User-Agent": "rgms-verify"}
    parts = urlsplit(base_url)
    near = parts.hostname in {"127.0.0.1", "::1", "localhost"}
    if near and parts.scheme == "http":
        headers["X-Forwarded-Proto"] = "https"
    try:
        with httpx.Client(timeout=seconds, headers=headers, trust_env=not near, verify=trust) as client:
            answer = _get(client=client, url=f"{base_url}/api/health/", seconds=seconds)
    except httpx.HTTPError as error:
        return _without_answer(error)
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
    """Whether nothing but a wrong name or certificate was ever seen, for long enough."""
    wrong = {Sign.NAME_UNKNOWN, Sign.CERTIFICATE_REFUSED}
    return elapsed >= NAME_PATIENCE_SECONDS and all(one.sign in wrong for one in sightings)


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
    elif last.sign is Sign.NAME_UNKNOWN:
        outcome, detail = Outcome.NAME_UNKNOWN, last.detail
    elif last.sign is Sign.CERTIFICATE_REFUSED:
        outcome, detail = Outcome.CERTIFICATE_REFUSED, last.detail
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


def _without_answer(error: httpx.HTTPError) -> Sighting:
    causes = list(_chain(error))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Sighting(sign=Sign.NAME_UNKNOWN, detail=str(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Sighting(sign=Sign.CERTIFICATE_REFUSED, detail=cause.verify_message or str(cause))
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes) or "refused" in str(error).lower():
        return Sighting(sign=Sign.NOTHING, detail="connection refused")
    if isinstance(error, httpx.ConnectTimeout):
        return Sighting(sign=Sign.NOTHING, detail="no connection in time")
    if isinstance(error, httpx.TimeoutException):
        return Sighting(sign=Sign.NOTHING, detail="connected, and no answer in time")
    return Sighting(sign=Sign.NOTHING, detail=f"{type(error).__name__}: {error}")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that it was raised from."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        pending += [one.__cause__, one.__context__]
