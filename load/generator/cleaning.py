"""Removing what the run wrote, and looking whether anything is left."""

import gevent
from gevent.pool import Pool

from load.generator.deliveries import DeliveryBook
from load.generator.sessions import Sessions
from load.generator.transport import Transport, UnansweredError

_AT_ONCE = 4
_ROUNDS = 3
_PAGE = 100
_MOST_PAGES = 20


class Cleaning:
    """Deletes the notifications of one run, then asks each account for its list to see what remains."""

    def __init__(self, *, transport: Transport, sessions: Sessions, book: DeliveryBook) -> None:
        self._transport = transport
        self._sessions = sessions
        self._book = book
        self._unanswered = False

    def clean(self, *, seconds: float) -> int | None:
        """Returns how many rows of the run remain; None if that could not be found out in time."""
        left: list[int | str] | None = None
        with gevent.Timeout(seconds, False):
            left = self._clean()
        return None if left is None else len(left)

    def _clean(self) -> list[int | str] | None:
        self._remove(self._book.identifiers)
        for _ in range(_ROUNDS):
            # A write without an answer may have happened all the same: the list knows, the book does not.
            remaining = self._remaining()
            if not remaining:
                return remaining
            self._remove(remaining)
        return self._remaining()

    def _remove(self, identifiers: list[int | str]) -> None:
        self._unanswered = False
        Pool(_AT_ONCE).map(self._remove_one, identifiers)

    def _remove_one(self, identifier: int | str) -> None:
        if self._unanswered:
            return  # a service that hangs is not asked a hundred times
        try:
            self._transport.exchange(
                method="DELETE",
                path=f"/api/v1/notifications/{identifier}",
                token=self._sessions.tokens["admin"],
                timeout_seconds=5,
            )
        except UnansweredError:
            self._unanswered = True  # what was not removed is found in the list

    def _remaining(self) -> list[int | str] | None:
        found: list[int | str] = []
        for token in self._sessions.tokens.values():
            for page in range(1, _MOST_PAGES + 1):
                rows = self._page(token, page)
                if rows is None:
                    return None
                ours = [
                    row["id"]
                    for row in rows
                    if isinstance(row, dict) and str(row.get("correlation_id")).startswith(self._book.prefix)
                ]
                found += ours
                # Newest first, and the run's rows are the newest: a page without one is behind them.
                if not ours:
                    break
        return found

    def _page(self, token: str, page: int) -> list[object] | None:
        path = f"/api/v1/notifications?page_size={_PAGE}&page={page}"
        try:
            answer = self._transport.exchange(method="GET", path=path, token=token, timeout_seconds=5)
        except UnansweredError:
            return None
        if answer.status == 404 and page > 1:
            return []
        rows = (answer.document() or {}).get("results")
        return rows if answer.status == 200 and isinstance(rows, list) else None
