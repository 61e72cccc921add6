"""Decisions about training days, attendance and excuse letters, in plain Python."""

import datetime as dt
from dataclasses import dataclass, field

from core.clock import manila_date

PRESENT, LATE, EXCUSED, ABSENT = "present", "late", "excused", "absent"
STATUSES = (PRESENT, LATE, EXCUSED, ABSENT)
PENDING, APPROVED, REJECTED, WITHDRAWN = "pending", "approved", "rejected", "withdrawn"
UNMARKED = "unmarked"  # no record; only ever asked for and counted, never stored

TIME_IN, TIME_OUT = "time_in", "time_out"  # what a scan gives

LARGEST_BULK = 500  # rows of one call
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class AttendanceCount:
    """What one cadet's attendance in a term adds up to.

    `held` is D: the days held so far that count for the cadet. `by_status` has each of STATUSES, counted over exactly
    these days; what is missing to `held` are days without a record.
    """

    held: int
    by_status: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))

    @property
    def unmarked(self) -> int:
        return self.held - sum(self.by_status.values())


def day_is_held(*, date: dt.date, cancelled: bool, term_closed: bool, today: dt.date) -> bool:
    """Whether a training day counts in its term: not cancelled, and begun unless the term is closed."""
    return not cancelled and (term_closed or date <= today)


def day_counts_for(*, date: dt.date, enrolled_on: dt.date, term_closed: bool) -> bool:
    """Whether a held day counts for a cadet: one before the enrollment does so only once the term is closed."""
    return term_closed or date >= enrolled_on


def time_fits_day(instant: dt.datetime, *, date: dt.date) -> bool:
    """Whether an aware time of arrival or departure can belong to a day in Manila: on it, or on the one beside it."""
    try:
        return abs(manila_date(instant) - date) <= _DAY
    except OverflowError:  # the last hours of the year 9999 have no date in Manila
        return False


def decision_refusal(*, state: str) -> str | None:
    """Why a letter in this state can no longer be decided or withdrawn, as a problem code, or None."""
    if state == PENDING:
        return None
    return "letter_withdrawn" if state == WITHDRAWN else "letter_decided"
