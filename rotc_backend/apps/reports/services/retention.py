"""What is done about reports whose file has been kept long enough, or whose worker or message was lost."""

from django.db import transaction

from apps.reports import rules
from apps.reports.jobs import ReportPerform
from apps.reports.models import Report, State
from apps.reports.services.ends import LEASES, report_end
from core.after_commit import enqueue
from core.clock import now


def reports_resume() -> int:
    """Ask the worker again for what waits too long, or whose worker has died; return how many.

    A message more than needed does nothing: whoever takes the first one claims the report.
    """
    lost = LEASES.without_worker(lost_minutes=rules.LOST_MINUTES)
    for report_id in lost:
        enqueue(ReportPerform(report_id=report_id))
    return len(lost)


def reports_expire() -> int:
    """Remove the files of reports that have been kept long enough; return how many. The rows stay."""
    due = Report.objects.filter(state=State.READY, expires_at__lt=now()).order_by("pk").values_list("pk", flat=True)
    return sum(_expired(report_id) for report_id in list(due))


def _expired(report_id: int) -> bool:
    with transaction.atomic():
        rows = Report.objects.filter(pk=report_id, state=State.READY, expires_at__lt=now())
        report = rows.select_for_update(no_key=True).first()
        if report is None:  # somebody has removed it just now
            return False
        report_end(
            report=report,
            actor_id=None,
            state=State.EXPIRED,
            code="expired",
            detail=f"Its file was kept for {rules.FILE_DAYS} days. Ask for the report again.",
        )
    return True
