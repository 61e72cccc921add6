"""What clients hear about people and terms. Enough to show a list's row; whoever shows more fetches it by id."""

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from core.messages import Event


@dataclass(frozen=True, kw_only=True)
class _Term:
    id: int
    version: int
    school_year: str
    semester: str
    starts_on: dt.date
    ends_on: dt.date
    is_current: bool
    closed_at: dt.datetime | None


@dataclass(frozen=True, kw_only=True)
class TermCreated(_Term, Event):
    type: ClassVar[str] = "term.created"


@dataclass(frozen=True, kw_only=True)
class TermChanged(_Term, Event):
    """Its dates or name, whether it is the current one, whether it is closed."""

    type: ClassVar[str] = "term.changed"


@dataclass(frozen=True, kw_only=True)
class _ListEntry:
    id: int
    version: int
    name: str
    position: int
    archived_at: dt.datetime | None


@dataclass(frozen=True, kw_only=True)
class CompanyChanged(_ListEntry, Event):
    """A company was made, renamed, moved in the list, archived or restored."""

    type: ClassVar[str] = "company.changed"


@dataclass(frozen=True, kw_only=True)
class PlatoonChanged(_ListEntry, Event):
    """A platoon was made, renamed, moved in the list, archived or restored."""

    type: ClassVar[str] = "platoon.changed"


@dataclass(frozen=True, kw_only=True)
class _Cadet:
    id: int
    version: int
    student_id: str
    last_name: str
    first_name: str
    middle_name: str
    suffix: str
    year_level: int | None
    user_id: int | None
    archived_at: dt.datetime | None


@dataclass(frozen=True, kw_only=True)
class CadetCreated(_Cadet, Event):
    type: ClassVar[str] = "cadet.created"


@dataclass(frozen=True, kw_only=True)
class CadetChanged(_Cadet, Event):
    """Any of the cadet's data, the photo, or the account behind the record."""

    type: ClassVar[str] = "cadet.changed"


@dataclass(frozen=True, kw_only=True)
class CadetArchived(_Cadet, Event):
    type: ClassVar[str] = "cadet.archived"


@dataclass(frozen=True, kw_only=True)
class CadetRestored(_Cadet, Event):
    type: ClassVar[str] = "cadet.restored"


@dataclass(frozen=True, kw_only=True)
class _Enrollment:
    id: int
    version: int
    cadet_id: int
    term_id: int
    company_id: int | None
    platoon_id: int | None
    rank: str
    level: str
    status: str
    enrolled_on: dt.date


@dataclass(frozen=True, kw_only=True)
class EnrollmentCreated(_Enrollment, Event):
    type: ClassVar[str] = "enrollment.created"


@dataclass(frozen=True, kw_only=True)
class EnrollmentChanged(_Enrollment, Event):
    """`previous_company_id` differs from `company_id` when the cadet has moved to another company."""

    type: ClassVar[str] = "enrollment.changed"

    previous_company_id: int | None


@dataclass(frozen=True, kw_only=True)
class _Staff:
    id: int
    version: int
    rank: str
    last_name: str
    first_name: str
    middle_name: str
    suffix: str
    function: str
    user_id: int | None
    archived_at: dt.datetime | None


@dataclass(frozen=True, kw_only=True)
class StaffCreated(_Staff, Event):
    type: ClassVar[str] = "staff.created"


@dataclass(frozen=True, kw_only=True)
class StaffChanged(_Staff, Event):
    """Any of the profile's data, the account behind it, or whether it is archived."""

    type: ClassVar[str] = "staff.changed"
