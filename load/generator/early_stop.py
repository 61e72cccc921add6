"""When to stop loading a service that is down: a CUSUM of ordinary trouble against an outage.

Page, "Continuous inspection schemes", Biometrika 41 (1954). Peeking at a percentile every few seconds instead
would stop healthy runs.
"""

import math

from load.slo import EarlyStop


class Cusum:
    """Log-likelihood ratio of an outage, never below zero; fires at ln(odds) and stays fired."""

    def __init__(self, *, rule: EarlyStop) -> None:
        self._bad_step = math.log(rule.bad_share / rule.good_share)
        self._good_step = math.log((1 - rule.bad_share) / (1 - rule.good_share))
        self._threshold = math.log(rule.odds)
        self._level = 0.0
        self.fired = False
        self.bad = 0
        self.watched = 0

    def observe(self, *, bad: bool) -> bool:
        """Take in one request; true if an outage is proven by it or was before."""
        if self.fired:
            return True
        self.watched += 1
        self.bad += bad
        self._level = max(0.0, self._level + (self._bad_step if bad else self._good_step))
        # Six bad in a row are exactly 10^6 to one; the rounding of six logarithms must not make it seven.
        self.fired = self._level >= self._threshold - 1e-9
        return self.fired


class OutageWatch:
    """Feeds the CUSUM with requests as they end, and with those that hang as soon as they do.

    A request counts once: when it is answered, or when it has been on its way for `slow_ms`, whichever is
    first. Times are seconds of one monotonic clock.
    """

    def __init__(self, *, rule: EarlyStop) -> None:
        self._slow_seconds = rule.slow_ms / 1000
        self._cusum = Cusum(rule=rule)
        self._under_way: dict[int, float] = {}

    @property
    def fired(self) -> bool:
        return self._cusum.fired

    @property
    def bad(self) -> int:
        return self._cusum.bad

    @property
    def watched(self) -> int:
        return self._cusum.watched

    def sent(self, *, number: int, at: float) -> None:
        self._under_way[number] = at

    def ended(self, *, number: int, at: float, failed: bool) -> None:
        """A watched request was answered, or failed."""
        started = self._under_way.pop(number, None)
        if started is not None:
            self._cusum.observe(bad=failed or at - started >= self._slow_seconds)

    def look(self, *, at: float) -> bool:
        """Count the requests that hang; true if an outage is proven."""
        hanging = [number for number, sent in self._under_way.items() if at - sent >= self._slow_seconds]
        for number in hanging:
            del self._under_way[number]
            self._cusum.observe(bad=True)
        return self._cusum.fired
