"""The same work by several callers at once, each with a connection of its own."""

import threading
from collections.abc import Callable, Sequence

from django.db import connections


def together(works: Sequence[Callable[[], str]]) -> list[str]:
    """Start all of `works` at the same moment; return, sorted, what each returns or the name of what it raised."""
    outcomes: list[str] = []
    start = threading.Barrier(len(works), timeout=20)

    def perform(work: Callable[[], str]) -> None:
        try:
            start.wait()
            outcomes.append(work())
        except Exception as error:  # noqa: BLE001 - the outcome of a test
            outcomes.append(str(getattr(error, "code", type(error).__name__)))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=perform, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(outcomes) == len(works), "one of them hangs"
    return sorted(outcomes)
