"""Attendance of cadets and of staff."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from apps.accounts.rules import Principal
from apps.training import events, rules
from apps.training.models import AttendanceRecord, AttendanceSource, StaffAttendanceRecord, TrainingDay
from apps.training.selectors.people import Person
from apps.training.services.records import (
    Kind,
    Mark,
    Marked,
    RecordRead,
    existing_of,
    facts_of,
    mark_many,
    mark_one,
    unmark,
    write,
)

CADETS = Kind(
    model=AttendanceRecord,
    noun="cadet",
    person="cadet_id",
    named="cadet_id",
    action="attendance",
    marked=events.AttendanceMarked,
    day_changed=events.AttendanceDayChanged,
    graded=True,
)
_STAFF = Kind(
    model=StaffAttendanceRecord,
    noun="staff",
    person="staff_profile_id",
    named="staff_id",
    action="staff_attendance",
    marked=events.StaffAttendanceMarked,
    day_changed=events.StaffAttendanceDayChanged,
    graded=False,
)

# --- Cadets -----------------------------------------------------------------------------------------------------------


def attendance_mark_many(
    *, actor: Principal, training_day_id: int, marks: Sequence[Mark], source: str = AttendanceSource.MANUAL
) -> Marked[AttendanceRecord]:
    """Write many cadets' attendance of one day: all of it or nothing, and the same call again changes nothing.

    1  hold the term and the day     2  may the day be marked?     3  who is meant?     4  are the times possible?
    5  write what differs, in ascending id     6  audit, cache, events

    Raises ValidationFailed with errors at `records.<index>.<field>` (`unknown_cadet`, `not_enrolled`,
    `cadet_archived`, `duplicate_row`, `time_outside_day`, `time_out_before_in`), NotFound for the day, and Conflict
    (`term_closed`, `day_cancelled`, `day_in_future`).
    """
    with transaction.atomic():
        return mark_many(CADETS, actor=actor, training_day_id=training_day_id, marks=marks, source=source)


def attendance_mark(
    *,
    actor: Principal,
    training_day_id: int,
    cadet_id: int,
    facts: Mapping[str, Any],
    source: str = AttendanceSource.MANUAL,
    expected: RecordRead | None = None,
) -> tuple[AttendanceRecord, bool]:
    """Write one cadet's attendance; return the record and whether it is new. What `facts` lack is emptied.

    Raises NotFound for the day and for a cadet who is not enrolled (`unknown_cadet`, `not_enrolled`), Conflict
    (`cadet_archived`, and as `attendance_mark_many`), PreconditionFailed when the record is not the one that was read,
    ValidationFailed for the times.
    """
    mark = Mark(person_id=cadet_id, facts=facts)
    with transaction.atomic():
        return mark_one(
            CADETS, actor=actor, training_day_id=training_day_id, mark=mark, source=source, expected=expected
        )


def attendance_unmark(*, actor: Principal, training_day_id: int, cadet_id: int) -> None:
    """Remove a record, as if nobody had marked the cadet.

    Raises NotFound, and Conflict (`term_closed`, `day_cancelled`).
    """
    with transaction.atomic():
        unmark(CADETS, actor=actor, training_day_id=training_day_id, person_id=cadet_id)


def attendance_excuse(*, actor_id: int | None, training_day: TrainingDay, people: Sequence[Person]) -> int:
    """Mark cadets `excused` on a day that the caller holds; return how many records that wrote.

    A record that exists keeps its times and remarks. A coming day can be excused before it is held.
    """
    cadets = {person.person_id: person for person in people}
    existing = existing_of(CADETS, training_day, cadets)
    wanted = {
        cadet_id: {**facts_of(existing.get(cadet_id)), "status": rules.EXCUSED}
        for cadet_id in cadets
        if cadet_id not in existing or existing[cadet_id].status != rules.EXCUSED
    }
    write(
        CADETS,
        actor_id=actor_id,
        day=training_day,
        wanted=wanted,
        existing=existing,
        people=cadets,
        source=AttendanceSource.SYNC,
    )
    return len(wanted)


# --- Staff ------------------------------------------------------------------------------------------------------------


def staff_attendance_mark_many(
    *, actor: Principal, training_day_id: int, marks: Sequence[Mark], source: str = AttendanceSource.MANUAL
) -> Marked[StaffAttendanceRecord]:
    """As `attendance_mark_many`, for staff profiles (`unknown_staff`, `staff_archived`)."""
    with transaction.atomic():
        return mark_many(_STAFF, actor=actor, training_day_id=training_day_id, marks=marks, source=source)


def staff_attendance_mark(
    *,
    actor: Principal,
    training_day_id: int,
    staff_id: int,
    facts: Mapping[str, Any],
    source: str = AttendanceSource.MANUAL,
    expected: RecordRead | None = None,
) -> tuple[StaffAttendanceRecord, bool]:
    """As `attendance_mark`, for a staff profile (`unknown_staff`, `staff_archived`)."""
    mark = Mark(person_id=staff_id, facts=facts)
    with transaction.atomic():
        return mark_one(
            _STAFF, actor=actor, training_day_id=training_day_id, mark=mark, source=source, expected=expected
        )


def staff_attendance_unmark(*, actor: Principal, training_day_id: int, staff_id: int) -> None:
    """As `attendance_unmark`, for a staff profile."""
    with transaction.atomic():
        unmark(_STAFF, actor=actor, training_day_id=training_day_id, person_id=staff_id)
