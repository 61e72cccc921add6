from dataclasses import dataclass
from typing import ClassVar

from core.messages import Event


@dataclass(frozen=True, kw_only=True)
class ReportProgress(Event):
    """How far an own report is, at most once a second. `phase` is reading, writing or storing.

    `total` is null while the rows are read.
    """

    type: ClassVar[str] = "report.progress"

    report_id: int
    phase: str
    done: int
    total: int | None


@dataclass(frozen=True, kw_only=True)
class ReportReady(Event):
    """An own report can be fetched until `expires_at` (ISO 8601). The daily ones are told to all of the staff."""

    type: ClassVar[str] = "report.ready"

    report_id: int
    kind: str
    file_format: str
    expires_at: str


@dataclass(frozen=True, kw_only=True)
class ReportFailed(Event):
    """An own report has ended without a file: `failed` or `cancelled`, and why as a code."""

    type: ClassVar[str] = "report.failed"

    report_id: int
    state: str
    code: str


@dataclass(frozen=True, kw_only=True)
class ReportDeleted(Event):
    """An own report was removed, with its file."""

    type: ClassVar[str] = "report.deleted"

    report_id: int
