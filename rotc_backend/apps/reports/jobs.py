from dataclasses import dataclass

from core.messages import Job


@dataclass(frozen=True, kw_only=True)
class ReportPerform(Job):
    """Let the worker write a report that waits."""

    task = "reports.report_perform"

    report_id: int
