import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from core.messages import Event


@dataclass(frozen=True, kw_only=True)
class TrainingDayCreated(Event):
    """The day as a client would fetch it. `late_after` is a time in Manila ("07:30:00") or null."""

    type: ClassVar[str] = "training_day.created"

    id: int
    term_id: int
    date: dt.date
    title: str
    description: str
    location: str
    late_after: str | None
    cancelled_at: dt.datetime | None
    cancel_reason: str
    version: int


@dataclass(frozen=True, kw_only=True)
class TrainingDayChanged(TrainingDayCreated):
    """The day as it is now; also told when a cancelled one takes place after all."""

    type: ClassVar[str] = "training_day.changed"


@dataclass(frozen=True, kw_only=True)
class TrainingDayCancelled(Event):
    type: ClassVar[str] = "training_day.cancelled"

    id: int
    term_id: int
    cancelled_at: dt.datetime
    cancel_reason: str
    version: int


@dataclass(frozen=True, kw_only=True)
class AttendanceMarked(Event):
    """One's own record as it is now; `status` is null when it was removed."""

    type: ClassVar[str] = "attendance.marked"

    training_day_id: int
    date: dt.date
    status: str | None
    time_in: dt.datetime | None
    time_out: dt.datetime | None
    remarks: str
    source: str | None


@dataclass(frozen=True, kw_only=True)
class AttendanceDayChanged(Event):
    """What one call did to a day's records, and how many there are of each status since."""

    type: ClassVar[str] = "attendance.day_changed"

    training_day_id: int
    created: int
    changed: int
    removed: int
    by_status: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class StaffAttendanceMarked(AttendanceMarked):
    type: ClassVar[str] = "staff_attendance.marked"


@dataclass(frozen=True, kw_only=True)
class StaffAttendanceDayChanged(AttendanceDayChanged):
    type: ClassVar[str] = "staff_attendance.day_changed"


@dataclass(frozen=True, kw_only=True)
class LetterSubmitted(Event):
    """Without the reason, which is the cadet's and the officers' who decide: they fetch it."""

    type: ClassVar[str] = "letter.submitted"

    id: int
    cadet_id: int
    date_absent: dt.date
    training_day_id: int | None
    state: str
    version: int


@dataclass(frozen=True, kw_only=True)
class LetterFileChanged(Event):
    """The picture that was sent as its file has been looked at. `file_state`: ready, or refused."""

    type: ClassVar[str] = "letter.file_changed"

    id: int
    cadet_id: int
    file_state: str
    version: int


@dataclass(frozen=True, kw_only=True)
class LetterDecided(Event):
    """`state` is approved or rejected."""

    type: ClassVar[str] = "letter.decided"

    id: int
    cadet_id: int
    state: str
    decided_at: dt.datetime
    decision_note: str
    version: int


@dataclass(frozen=True, kw_only=True)
class LetterWithdrawn(Event):
    type: ClassVar[str] = "letter.withdrawn"

    id: int
    cadet_id: int
    state: str
    version: int
