"""The book of events: caused over HTTP, heard on sockets, matched by correlation id."""

from dataclasses import dataclass, field

from load.results import SocketCounts, slower_add
from load.slo import Rungs


@dataclass(slots=True)
class _Entry:
    account: str
    sent_at: float
    slice_index: int | None
    confirmed: bool = False
    heard: list[float] = field(default_factory=list)
    misheard: int = 0


class DeliveryBook:
    """Who must hear what. Times are seconds of one monotonic clock; slice None is the warm-up."""

    def __init__(self, *, run_id: str) -> None:
        self._prefix = f"load-{run_id}-"
        self._entries: dict[str, _Entry] = {}
        self.identifiers: list[int | str] = []

    @property
    def prefix(self) -> str:
        """What every correlation id of this run begins with."""
        return self._prefix

    def cause(self, *, account: str, at: float, slice_index: int | None) -> str:
        """Enter an event before it is caused: it may be heard before HTTP has answered. Returns its id."""
        correlation_id = f"{self._prefix}{len(self._entries) + 1}"
        self._entries[correlation_id] = _Entry(account=account, sent_at=at, slice_index=slice_index)
        return correlation_id

    def confirm(self, *, correlation_id: str, identifier: int | str) -> None:
        """The service has taken the event on: from now on it must be heard, and its row be removed."""
        self._entries[correlation_id].confirmed = True
        self.identifiers.append(identifier)

    def hear(self, *, correlation_id: object, account: str, at: float) -> None:
        """A socket of `account` received an event; those of other runs are none of our business."""
        entry = self._entries.get(correlation_id) if isinstance(correlation_id, str) else None
        if entry is None:
            return
        if entry.account == account:
            entry.heard.append(at)
        else:
            entry.misheard += 1

    def outstanding(self) -> int:
        return sum(entry.confirmed and not entry.heard for entry in self._entries.values())

    def count(self, *, rungs: Rungs, slices: int) -> tuple[SocketCounts, list[SocketCounts]]:
        """Counters of the warm-up and of each slice. An event that HTTP did not confirm is owed to nobody."""
        warm_up = SocketCounts.empty(rungs=rungs)
        measured = [SocketCounts.empty(rungs=rungs) for _ in range(slices)]
        for entry in self._entries.values():
            counts = warm_up if entry.slice_index is None else measured[entry.slice_index]
            counts.misdelivered += entry.misheard
            counts.doubled += max(0, len(entry.heard) - 1)
            if not entry.confirmed:
                continue
            counts.sent += 1
            if not entry.heard:
                counts.lost += 1
                continue
            counts.received += 1
            milliseconds = (entry.heard[0] - entry.sent_at) * 1000
            slower_add(slower=counts.slower, rungs=rungs.delivery_ms, milliseconds=milliseconds)
        return warm_up, measured
