"""Decisions about reports and certificates, in plain Python."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from apps.cadets.rules import ADMIN_NCO, COMMANDANT, INSTRUCTOR, NSTP_DIRECTOR, ROTC_COORDINATOR
from apps.grading.rules import BADGES, PASSED

GRADE_SLIP, GRADE_SHEET = "grade_slip", "grade_sheet"
ATTENDANCE_DAY, ATTENDANCE_TERM = "attendance_day", "attendance_term"
MASTER_LIST, CERTIFICATE, DAILY = "master_list", "certificate", "daily"
PDF, XLSX, CSV = "pdf", "xlsx", "csv"
FILE_FORMATS = (PDF, XLSX, CSV)
COMPLETION, MERIT = "completion", "merit"

QUEUED, RUNNING, READY = "queued", "running", "ready"
FAILED, CANCELLED, EXPIRED = "failed", "cancelled", "expired"
UNDER_WAY = (QUEUED, RUNNING)
# From these a report can be asked for again; one that is ready has what was asked for.
REPEATABLE = (FAILED, CANCELLED, EXPIRED)

READING, WRITING, STORING = "reading", "writing", "storing"

LEASE_SECONDS = 30  # after which a worker that says nothing is taken for dead
ATTEMPTS = 3
LOST_MINUTES = 5  # a message that did not reach the queue is sent again after so long
MOST_UNDER_WAY = 20  # of one person
FILE_DAYS = 30  # a file is kept for so long; the row stays, and the report can be asked for again
LINK_SECONDS = 300  # a link to a file opens it for so long
CERTIFICATE_ASKS = 300  # of one address in a minute: a ceremony at which everybody scans is one address
MERIT_POINTS = BADGES[0]  # merits of the term that earn a certificate of merit

HEADING: Final = (
    "Mindanao State University \u2013 Sultan Naga Dimaporo",
    "National Service Training Program",
    "Reserve Officers\u2019 Training Corps Unit",
)

# --- What each kind takes, and who may ask for it ---------------------------------------------------------------------

TERM, COMPANY, TRAINING_DAY = "term_id", "company_id", "training_day_id"
ENROLLMENT, DATE, CERTIFICATE_TYPE = "enrollment_id", "day", "certificate_type"
PARAMETERS = (TERM, COMPANY, TRAINING_DAY, ENROLLMENT, DATE, CERTIFICATE_TYPE)


@dataclass(frozen=True, kw_only=True)
class KindRules:
    """`signatories` are (what they do, their function), from left to right; documents never name a person there."""

    title: str
    formats: tuple[str, ...]
    takes: frozenset[str]
    needs: frozenset[str] = frozenset()
    staff: bool = True
    signatories: tuple[tuple[str, str], ...]


_NOTED: Final = ("Noted by", COMMANDANT)
_APPROVED: Final = ("Approved by", NSTP_DIRECTOR)
KINDS: Final[Mapping[str, KindRules]] = {
    GRADE_SLIP: KindRules(
        title="Grade slip",
        formats=(PDF,),
        takes=frozenset({ENROLLMENT, TERM}),
        signatories=(("Certified by", ROTC_COORDINATOR), _NOTED),
    ),
    GRADE_SHEET: KindRules(
        title="Grade sheet",
        formats=FILE_FORMATS,
        takes=frozenset({TERM, COMPANY}),
        signatories=(("Prepared by", INSTRUCTOR), _NOTED, _APPROVED),
    ),
    ATTENDANCE_DAY: KindRules(
        title="Attendance sheet",
        formats=FILE_FORMATS,
        takes=frozenset({TRAINING_DAY, COMPANY}),
        needs=frozenset({TRAINING_DAY}),
        signatories=(("Taken by", INSTRUCTOR), _NOTED),
    ),
    ATTENDANCE_TERM: KindRules(
        title="Attendance of the term",
        formats=FILE_FORMATS,
        takes=frozenset({TERM, COMPANY}),
        signatories=(("Prepared by", ADMIN_NCO), _NOTED),
    ),
    MASTER_LIST: KindRules(
        title="Master list",
        formats=FILE_FORMATS,
        takes=frozenset({TERM, COMPANY}),
        staff=False,
        signatories=(("Prepared by", ADMIN_NCO), _NOTED, _APPROVED),
    ),
    CERTIFICATE: KindRules(
        title="Certificate",
        formats=(PDF,),
        takes=frozenset({ENROLLMENT, CERTIFICATE_TYPE}),
        needs=frozenset({ENROLLMENT}),
        staff=False,
        signatories=(("", COMMANDANT), ("", NSTP_DIRECTOR)),
    ),
    DAILY: KindRules(
        title="Daily report",
        formats=(PDF,),
        takes=frozenset({DATE, COMPANY}),
        needs=frozenset({DATE}),
        signatories=(("Prepared by", ADMIN_NCO), _NOTED),
    ),
}
STAFF_KINDS = tuple(kind for kind, its in KINDS.items() if its.staff)
CADET_KINDS = (GRADE_SLIP,)


def kinds_of(*, is_admin: bool, is_staff_member: bool) -> tuple[str, ...]:
    """What a role may ask for; a cadet's slip is the own one only."""
    if is_admin:
        return tuple(KINDS)
    return STAFF_KINDS if is_staff_member else CADET_KINDS


# --- Certificates -----------------------------------------------------------------------------------------------------

VALID, SUPERSEDED, REVOKED = "valid", "superseded", "revoked"
_SYMBOLS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U to be misread
_MISREAD: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
CODE_BYTES = 10  # 80 random bits: nobody finds one by trying
CODE_LENGTH = 20  # symbols, of which the last four tell a misread code without a look into the database
_CHECKED = 16


def code_made(random: bytes) -> str:
    """A certificate's code of CODE_BYTES random bytes."""
    number = int.from_bytes(random)
    body = "".join(_SYMBOLS[number >> 5 * place & 31] for place in reversed(range(_CHECKED)))
    return body + _check_of(body)


def code_read(text: str) -> str | None:
    """The code that somebody has typed or scanned, as it is stored; None for what is no code at all."""
    if len(text) > 64 or not text.isascii():
        return None
    code = text.upper().translate(_MISREAD)
    if len(code) != CODE_LENGTH or not set(code) <= set(_SYMBOLS) or code[_CHECKED:] != _check_of(code[:_CHECKED]):
        return None
    return code


def code_shown(code: str) -> str:
    """ "K3ZQ9-…", in four groups that can be read out."""
    return "-".join(code[place : place + 5] for place in range(0, CODE_LENGTH, 5))


def _check_of(body: str) -> str:
    number = int.from_bytes(hashlib.sha256(body.encode()).digest()[:3]) >> 4
    return "".join(_SYMBOLS[number >> 5 * place & 31] for place in (3, 2, 1, 0))


def certificate_refusal(
    *, certificate_type: str, term_closed: bool, frozen: bool, status: str, remark: str, merits: int
) -> tuple[str, str] | None:
    """Why an enrollment earns no certificate, as (problem code, what to do), or None.

    `status`, `remark` and `merits` are those of its frozen grade sheet.
    """
    if not term_closed or not frozen:
        return "term_open", "A certificate says what was decided. Close the term first, which decides its grades."
    if remark != PASSED or status not in {"ongoing", "completed"}:
        return "not_passed", "Only who has passed the term gets a certificate of it."
    if certificate_type == MERIT and merits < MERIT_POINTS:
        return "too_few_merits", f"A certificate of merit takes {MERIT_POINTS} merits in the term."
    return None


def certificate_state(*, revoked: bool, superseded: bool, sheet_superseded: bool) -> str:
    """What is said of a certificate. A term that was reopened is decided anew: its old grades are history."""
    if revoked:
        return REVOKED
    return SUPERSEDED if superseded or sheet_superseded else VALID


def name_in_order(*, first: str, middle: str, last: str, suffix: str) -> str:
    """ "Liza Santos Macaraeg Jr.", as a certificate says it."""
    return " ".join(part for part in (first, middle, last, suffix) if part)


# --- Words ------------------------------------------------------------------------------------------------------------

STATUS_LETTERS: Final = {"present": "P", "late": "L", "excused": "E", "absent": "A"}
UNMARKED_LETTER, NOT_YET_LETTER = "\u2013", ""  # no record; a day before the enrollment


def daily_client_id(*, day: object, company_id: int | None) -> str:
    """What makes a daily report of the schedule the same one, however often its job runs."""
    return f"daily:{day}:{company_id or 'unit'}"


def percentage(part: int, whole: int) -> str:
    """A share in per cent with one decimal, cut as grades are; a dash of nothing."""
    if not whole:
        return "\u2013"
    tenths = part * 1000 // whole
    return f"{tenths // 10}.{tenths % 10}"


def titles_joined(parts: Iterable[str]) -> str:
    return ", ".join(part for part in parts if part)
