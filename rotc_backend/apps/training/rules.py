"""Decisions about training days, attendance and excuse letters, in plain Python."""

import base64
import datetime as dt
import hmac
import re
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from apps.cadets.rules import PERSON_COLUMNS
from core.clock import MANILA, manila_date
from core.tables import Column, choices_by_fold

PRESENT, LATE, EXCUSED, ABSENT = "present", "late", "excused", "absent"
STATUSES = (PRESENT, LATE, EXCUSED, ABSENT)
PENDING, APPROVED, REJECTED, WITHDRAWN = "pending", "approved", "rejected", "withdrawn"
UNMARKED = "unmarked"  # no record; only ever asked for and counted, never stored

# What a scan gives; the last two are refused, and kept, since a scan that arrives later may change their meaning.
TIME_IN, TIME_OUT, TOO_SOON, ALREADY_OUT = "time_in", "time_out", "too_soon", "already_out"
MANUAL, SCAN, IMPORT, SYNC = "manual", "scan", "import", "sync"  # how a record was taken

# Who has left a term or put it off is not absent from its training days.
STATUSES_OUTSIDE = frozenset({"dropped", "deferred"})

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


def day_has_ended(*, date: dt.date, cancelled: bool, today: dt.date) -> bool:
    """Whether a training day is over: at midnight in Manila, where it is `today`. A cancelled one never took place."""
    return not cancelled and date < today


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


# --- Tables that people exchange --------------------------------------------------------------------------------------

ATTENDANCE_COLUMNS: Final = (
    *PERSON_COLUMNS,
    Column(field="status", title="Status", aliases=("Attendance", "Attendance status", "Mark")),
    Column(field="time_in", title="Time in", aliases=("In", "Arrival", "Arrived", "Time of arrival")),
    Column(field="time_out", title="Time out", aliases=("Out", "Departure", "Left", "Time of departure")),
    Column(field="remarks", title="Remarks", aliases=("Remark", "Note", "Notes", "Comment", "Comments")),
)
LONGEST_REMARKS = 255  # characters

# How officers write a status. A tick or an x is not among them: some mark with it who came, some who did not.
STATUS_WORDS: Final = choices_by_fold(
    *STATUSES,
    p=PRESENT,
    pres=PRESENT,
    l=LATE,
    tardy=LATE,
    e=EXCUSED,
    ex=EXCUSED,
    exc=EXCUSED,
    excuse=EXCUSED,
    excusedletter=EXCUSED,
    excusedabsence=EXCUSED,
    a=ABSENT,
    abs=ABSENT,
    absence=ABSENT,
)


def instant_of_day(written: dt.time | dt.datetime, *, date: dt.date) -> dt.datetime:
    """What a sheet of a training day means by a time: Manila's, on that day unless it names another."""
    if isinstance(written, dt.datetime):
        return written.replace(tzinfo=MANILA)
    return dt.datetime.combine(date, written, tzinfo=MANILA)


def written_time(instant: dt.datetime | None, *, date: dt.date) -> dt.time | dt.datetime | None:
    """An instant as the sheet of a training day shows it, to the second; `instant_of_day` reads it."""
    if instant is None:
        return None
    local = instant.astimezone(MANILA).replace(tzinfo=None, microsecond=0)
    return local.time() if local.date() == date else local


def same_second(instant: dt.datetime, other: dt.datetime) -> bool:
    """Whether two instants are the same as far as a sheet shows them."""
    return instant.replace(microsecond=0) == other.replace(microsecond=0)


# --- Attendance codes -------------------------------------------------------------------------------------------------

CLOCK_SKEW = dt.timedelta(minutes=2)  # how far a scanner's clock may be from ours
LONGEST_OFFLINE = dt.timedelta(days=7)  # how old a scan may be that a scanner hands in
BETWEEN_SCANS = dt.timedelta(minutes=5)  # whoever is scanned twice within has been scanned in, not out

CODE_PREFIX = "RGMS1."  # with the version of what follows; tells our codes from all the others that a camera sees
_MILLISECOND = dt.timedelta(milliseconds=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SEALED = struct.Struct(">QQQI16s")  # training day, cadet, issued at (ms), lifetime (s), nonce: 44 bytes
_SEAL_BYTES = 16
# 60 bytes are exactly 96 characters of base32: none has spare bits, so that a code has one spelling only. Capital
# letters and digits alone let a QR code do with fewer and larger squares.
_CODE = re.compile(r"RGMS1\.[A-Z2-7]{96}")


class CodeRefused(ValueError):
    """Not a code of ours. The message is the problem code: `code_malformed` or `code_forged`."""


@dataclass(frozen=True, kw_only=True)
class AttendanceCode:
    """What a code says: who may be scanned at which training day, and until when. Instants in whole milliseconds."""

    training_day_id: int
    cadet_id: int
    issued_at: dt.datetime
    lifetime: dt.timedelta
    nonce: uuid.UUID

    @property
    def expires_at(self) -> dt.datetime:
        return self.issued_at + self.lifetime


def instant_cut(instant: dt.datetime) -> dt.datetime:
    """An instant as clients are told it, in whole milliseconds of UTC."""
    utc = instant.astimezone(dt.UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def code_spelled(code: AttendanceCode, *, key: str) -> str:
    """The characters of a code, sealed with `key`."""
    content = _SEALED.pack(
        code.training_day_id,
        code.cadet_id,
        (code.issued_at - _EPOCH) // _MILLISECOND,
        int(code.lifetime.total_seconds()),
        code.nonce.bytes,
    )
    return CODE_PREFIX + base64.b32encode(content + _seal(content, key)).decode()


def code_read(text: str, *, key: str) -> AttendanceCode:
    """What a code of ours says, in its only spelling. Raises CodeRefused."""
    if _CODE.fullmatch(text) is None:
        raise CodeRefused("code_malformed")
    sealed = base64.b32decode(text.removeprefix(CODE_PREFIX))
    content, seal = sealed[:-_SEAL_BYTES], sealed[-_SEAL_BYTES:]
    if not hmac.compare_digest(seal, _seal(content, key)):
        raise CodeRefused("code_forged")
    training_day_id, cadet_id, issued, lifetime, nonce = _SEALED.unpack(content)
    return AttendanceCode(
        training_day_id=training_day_id,
        cadet_id=cadet_id,
        issued_at=_EPOCH + issued * _MILLISECOND,
        lifetime=dt.timedelta(seconds=lifetime),
        nonce=uuid.UUID(bytes=nonce),
    )


def _seal(content: bytes, key: str) -> bytes:
    return hmac.digest(key.encode(), CODE_PREFIX.encode() + content, "sha256")[:_SEAL_BYTES]


# --- Scans ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class CodeUse:
    """One showing of a code to a scanner. The scanner's own number tells a retry from another showing."""

    scan_id: uuid.UUID
    scanned_at: dt.datetime


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What all scans of a cadet at a training day give together."""

    effects: dict[uuid.UUID, str]
    time_in: dt.datetime | None
    time_out: dt.datetime | None


@dataclass(frozen=True, kw_only=True)
class RecordState:
    """What scans may change of an attendance record."""

    status: str
    time_in: dt.datetime | None
    time_out: dt.datetime | None
    source: str


def scan_time_refusal(
    *, code: AttendanceCode, scanned_at: dt.datetime, received_at: dt.datetime, date: dt.date
) -> str | None:
    """Why a scan cannot have been then, as a problem code, or None. `date` is the training day's."""
    if scanned_at > received_at + CLOCK_SKEW or scanned_at < received_at - LONGEST_OFFLINE:
        return "scanned_at_impossible"
    if scanned_at < code.issued_at - CLOCK_SKEW or not time_fits_day(scanned_at, date=date):
        return "scanned_at_impossible"
    return "code_expired" if scanned_at > code.expires_at else None


def code_use_is_first(known: CodeUse, new: CodeUse) -> bool:
    """Whether a code that has been taken was shown elsewhere before, by a scanner that tells of it only now.

    Then that showing is the one that counts, since scanners that were offline report in any order.
    """
    return new.scan_id != known.scan_id and new.scanned_at < known.scanned_at


def scans_judged(times: Mapping[uuid.UUID, dt.datetime]) -> Judged:
    """What scans give, by the number of each, whatever order they came in.

    The first is the time in, the first that is BETWEEN_SCANS later the time out; the others give nothing.
    """
    effects: dict[uuid.UUID, str] = {}
    time_in = time_out = None
    for number, at in sorted(times.items(), key=lambda scan: (scan[1], scan[0])):
        if time_in is None:
            time_in, effects[number] = at, TIME_IN
        elif time_out is not None:
            effects[number] = ALREADY_OUT
        elif at - time_in < BETWEEN_SCANS:
            effects[number] = TOO_SOON
        else:
            time_out, effects[number] = at, TIME_OUT
    return Judged(effects=effects, time_in=time_in, time_out=time_out)


def arrival_status(time_in: dt.datetime, *, late_from: dt.datetime | None) -> str:
    return LATE if late_from is not None and time_in > late_from else PRESENT


def late_from(*, date: dt.date, late_after: dt.time | None) -> dt.datetime | None:
    """The instant after which whoever comes to a training day comes late."""
    return None if late_after is None else dt.datetime.combine(date, late_after, tzinfo=MANILA)


def record_after_scans(
    record: RecordState | None, *, before: Judged, after: Judged, late_from: dt.datetime | None
) -> RecordState:
    """A cadet's record once scans are known that were not before; there is at least one.

    1  no record                           what the scans give
    2  times: one that a person wrote      stays: it is otherwise than the scans known before gave it
    3  status of a scan                    follows the time in
    4  absent                              gives way, unless a person wrote it although scans were known already
    5  any other status                    stays: somebody decided it
    """
    if after.time_in is None:
        raise ValueError("there is no scan")
    arrived = arrival_status(after.time_in, late_from=late_from)
    if record is None:
        return RecordState(status=arrived, time_in=after.time_in, time_out=after.time_out, source=SCAN)
    time_in, time_out = _times_after_scans(record, before=before, after=after)
    status, source = record.status, record.source
    if source == SCAN:
        # As long as the time in stays, so does the status: `late_after` may have been changed since.
        status = status if before.time_in == after.time_in else arrived
    elif status == ABSENT and (source == SYNC or before.time_in is None):
        status, source = arrived, SCAN
    return RecordState(status=status, time_in=time_in, time_out=time_out, source=source)


def _times_after_scans(
    record: RecordState, *, before: Judged, after: Judged
) -> tuple[dt.datetime | None, dt.datetime | None]:
    keeps_in = record.time_in is not None and record.time_in != before.time_in
    keeps_out = record.time_out is not None and record.time_out != before.time_out
    time_in = record.time_in if keeps_in else after.time_in
    time_out = record.time_out if keeps_out else after.time_out
    if time_in is not None and time_out is not None and time_out < time_in:
        # Nobody leaves before having come: what a person wrote stays, what the scans say beside it does not.
        return (None, time_out) if keeps_out else (time_in, None)
    return time_in, time_out
