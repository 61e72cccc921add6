"""Training days that have ended in Manila are closed: whoever has no record was absent, unless a letter excuses.

1  which days lack something          one query, and in most quarters of an hour there is none
2  hold the day in its open term      officers and scanners come before or after, and none of them is overwritten
3  apply the approved letters         what they excuse is not absent
4  the others become absent           source sync: a scan that is handed in later, or a letter, still takes it over

Nothing says of a day that it is closed: each time it is asked anew who lacks a record. So it can be done again at any
time, and a cadet who is enrolled later, as of a day before, is marked the next time.
"""

import datetime as dt
from dataclasses import dataclass

from django.db import connection, transaction

from apps.training import rules
from apps.training.models import AttendanceSource, TrainingDay
from apps.training.selectors.closing import cadets_without_record, days_to_close
from apps.training.selectors.people import cadets_named
from apps.training.services.attendance import CADETS
from apps.training.services.holds import training_day_hold
from apps.training.services.letters import approved_letters_apply
from apps.training.services.records import facts_of, write
from core.errors import Conflict


@dataclass(frozen=True, kw_only=True)
class Closed:
    """What closing days has written."""

    days: int = 0
    absent: int = 0
    excused: int = 0

    def __add__(self, other: "Closed") -> "Closed":
        return Closed(
            days=self.days + other.days, absent=self.absent + other.absent, excused=self.excused + other.excused
        )


def ended_days_close(*, today: dt.date) -> Closed:
    """Close every day before `today` (Manila's) of the terms that are open. One transaction for each day."""
    if connection.in_atomic_block:
        raise RuntimeError("each day is closed in a transaction of its own, or officers would wait for all of them")
    closed = Closed()
    for training_day_id in days_to_close(today=today):
        closed += training_day_close(training_day_id=training_day_id, today=today)
    return closed


def training_day_close(*, training_day_id: int, today: dt.date) -> Closed:
    """Close one day; nothing happens to one that is cancelled, has not ended, or whose term was closed meanwhile."""
    with transaction.atomic():
        try:
            day = training_day_hold(training_day_id=training_day_id)
        except Conflict:  # its term was closed just now: its grades are frozen
            return Closed()
        if not rules.day_has_ended(date=day.date, cancelled=day.cancelled_at is not None, today=today):
            return Closed()
        excused = approved_letters_apply(actor_id=None, training_day=day)
        absent = _absent_mark(day)
    return Closed(days=int(excused + absent > 0), absent=absent, excused=excused)


def _absent_mark(day: TrainingDay) -> int:
    cadet_ids = cadets_without_record(training_day=day)
    if cadet_ids:
        people = cadets_named(term_id=day.term_id, ids=cadet_ids, student_ids=[])
        write(
            CADETS,
            actor_id=None,
            day=day,
            wanted={cadet_id: {**facts_of(None), "status": rules.ABSENT} for cadet_id in cadet_ids},
            existing={},
            people={person.person_id: person for person in people},
            source=AttendanceSource.SYNC,
        )
    return len(cadet_ids)
