import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from core.messages import Event


@dataclass(frozen=True, kw_only=True)
class GradeChanged(Event):
    """Something that one's own grade depends on was written; `cause` is score or adjustment. Fetch the standing."""

    type: ClassVar[str] = "grade.changed"

    term_id: int
    enrollment_id: int
    cause: str


@dataclass(frozen=True, kw_only=True)
class ScoresRecorded(Event):
    """Exam scores of these enrollments were recorded, changed or removed."""

    type: ClassVar[str] = "scores.recorded"

    term_id: int
    enrollment_ids: list[int]


@dataclass(frozen=True, kw_only=True)
class MeritIssued(Event):
    type: ClassVar[str] = "merit.issued"

    id: int
    cadet_id: int
    enrollment_id: int
    term_id: int
    kind: str
    points: int
    reason: str
    issued_at: dt.datetime


@dataclass(frozen=True, kw_only=True)
class MeritRevoked(Event):
    type: ClassVar[str] = "merit.revoked"

    id: int
    cadet_id: int
    enrollment_id: int
    term_id: int
    revoked_at: dt.datetime
    revoke_reason: str


@dataclass(frozen=True, kw_only=True)
class AdjustmentIssued(Event):
    """`points` is a decimal string."""

    type: ClassVar[str] = "adjustment.issued"

    id: int
    enrollment_id: int
    term_id: int
    component: str
    points: str
    reason: str
    issued_at: dt.datetime


@dataclass(frozen=True, kw_only=True)
class AdjustmentRevoked(Event):
    type: ClassVar[str] = "adjustment.revoked"

    id: int
    enrollment_id: int
    term_id: int
    revoked_at: dt.datetime
    revoke_reason: str


@dataclass(frozen=True, kw_only=True)
class GradingPolicyChanged(Event):
    """`term_id` is null for the unit's default. Every grade that follows this policy may be another now."""

    type: ClassVar[str] = "grading_policy.changed"

    term_id: int | None


@dataclass(frozen=True, kw_only=True)
class TermClosed(Event):
    type: ClassVar[str] = "term.closed"

    term_id: int
    closed_at: dt.datetime
    sheets: int


@dataclass(frozen=True, kw_only=True)
class TermReopened(Event):
    type: ClassVar[str] = "term.reopened"

    term_id: int
    sheets: int


@dataclass(frozen=True, kw_only=True)
class GradeReleased(Event):
    """One's own grade of a term is final."""

    type: ClassVar[str] = "grade.released"

    term_id: int
    enrollment_id: int
    sheet_id: int
    revision: int
