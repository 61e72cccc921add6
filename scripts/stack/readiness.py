"""Whether a started system is ready: asked of the services themselves, over HTTP."""

import http.client
import json
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

_ANSWER_WITHIN = 3.0  # seconds; Render allows 5
_SETTLED_AFTER = 1.0  # seconds a process must live when nobody reports its heartbeat
_OVERRIDDEN_SETTLED_AFTER = 8.0  # the same, when it was told to differ: it may beat where the others do not look


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`status` is None when nobody answered, and `reason` says why; `document` is empty unless JSON came."""

    status: int | None
    reason: str
    document: Mapping[str, Any]


def health_ask(*, port: int, path: str) -> Answer:
    """One GET on a new connection, as Render's check does. Redirects are not followed."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_WITHIN)
    try:
        connection.request("GET", path, headers={"Accept": "application/json", "Connection": "close"})
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        return Answer(status=None, reason=str(error) or type(error).__name__, document={})
    finally:
        connection.close()
    try:
        document = json.loads(body)
    except ValueError:
        document = {}
    return Answer(
        status=response.status,
        reason=response.reason,
        document=document if isinstance(document, dict) else {},
    )


def missing_for_readiness(
    *, answers: Mapping[str, Answer], ages: Mapping[str, float], overridden: Set[str] = frozenset()
) -> list[str]:
    """What is still missing, in words; empty when ready.

    `answers` holds one for each started service with a health check, `ages` the seconds since each started
    service was started. A heartbeat older than its service was left by the run before. A service in
    `overridden` was given variables of its own, to try a fault: another Redis perhaps, so that it and the others
    need not see each other. It is ready when it answers, whatever it says, or has lived for a while.
    """
    missing: list[str] = []
    reported = {name for answer in answers.values() for name in answer.document.get("processes") or ()}
    for name, age in ages.items():
        if name in overridden and name not in answers:
            settled = _OVERRIDDEN_SETTLED_AFTER
        else:
            settled = 0.0 if name in answers or name in reported else _SETTLED_AFTER
        if age < settled:
            missing.append(f"{name} has only just been started")
    for name, answer in answers.items():
        if answer.status is None:
            missing.append(f"{name} does not answer ({answer.reason})")
        if name in overridden:
            continue
        if answer.status is not None and not 200 <= answer.status < 400:
            missing.append(f"{name} answers {answer.status} {json.dumps(answer.document) if answer.document else ''}")
        expected = {other: age for other, age in ages.items() if other not in overridden}
        missing.extend(_missing_in(name, answer.document, expected))
    return missing


def _missing_in(name: str, document: Mapping[str, Any], ages: Mapping[str, float]) -> list[str]:
    missing: list[str] = []
    for store in ("database", "redis"):
        state = document.get("services", {}).get(store)
        if state not in {None, "connected"}:
            missing.append(f"{name} says {store} {state}")
    processes = document.get("processes")
    if not isinstance(processes, dict):
        return missing
    for service, age in ages.items():
        process = processes.get(service, {})
        heartbeat = process.get("age_seconds")
        if process.get("state") != "running":
            missing.append(f"{name} says {service} {process.get('state', 'is unknown')}")
        elif heartbeat is not None and heartbeat > age:
            missing.append(f"{name} has only an old heartbeat of {service}")
    return missing
