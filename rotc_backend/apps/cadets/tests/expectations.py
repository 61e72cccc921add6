"""What tests of several operations say about answers, and how they let two people act in the same moment."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection

from apps.accounts.models import AuditEntry
from apps.events.models import Event


def fields_of(answer: Any) -> dict[str, str]:
    """Field and code of each correction that a 400 asks for."""
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    return {error["field"]: error["code"] for error in answer.json()["errors"]}


def refused(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def told() -> list[tuple[str, list[str]]]:
    """Type and recipients of all events, in their order."""
    return [(event.type, event.recipients) for event in Event.objects.order_by("id")]


def recorded(prefix: str) -> list[str]:
    """The audited actions that begin so, in their order."""
    return list(AuditEntry.objects.filter(action__startswith=prefix).order_by("id").values_list("action", flat=True))


def at_once(*attempts: Callable[[], Any]) -> Sequence[Any]:
    """What each attempt gives when all begin in the same moment, each in a thread with a connection of its own."""
    start = threading.Barrier(len(attempts), timeout=20)
    results: list[Any] = [None] * len(attempts)

    def run(place: int, attempt: Callable[[], Any]) -> None:
        try:
            start.wait()
            results[place] = attempt()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(attempts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return results
