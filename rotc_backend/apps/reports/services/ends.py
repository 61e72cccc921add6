"""How a report ends, whatever the end: in one transaction its file stays or goes, an audit entry and an event come."""

import datetime as dt
from typing import Any

from django.db import connection

from apps.accounts.rules import ADMIN, TRAINING_STAFF
from apps.accounts.services import audit_record
from apps.events.services import publish
from apps.reports import rules
from apps.reports.events import ReportFailed, ReportReady
from apps.reports.models import Report, State
from apps.reports.services.documents import Made
from core.clock import iso, now
from core.leases import LeasedTable
from core.uploads import file_discard_on_commit

LEASES = LeasedTable(table="reports_report", lease_seconds=rules.LEASE_SECONDS, attempts=rules.ATTEMPTS)

_ACTIONS = {
    State.READY: "report.make",
    State.FAILED: "report.fail",
    State.CANCELLED: "report.cancel",
    State.EXPIRED: "report.expire",
}


def hearers(report: Report) -> list[str]:
    """Who hears of a report: whoever asked for it, or of the schedule's ones all of the staff."""
    if report.requested_by_id is None:
        return [f"role:{role}" for role in (ADMIN, TRAINING_STAFF)]
    return [f"user:{report.requested_by_id}"]


def told_of(report: Report) -> dict[str, Any]:
    """A report in the audit trail."""
    return {
        "kind": report.kind,
        "file_format": report.file_format,
        "title": report.title,
        **({"certificate": str(report.certificate_id)} if report.certificate_id else {}),
    }


def report_ready(*, report: Report, made: Made) -> None:
    """Its file is stored: `report.file`. The caller has locked the row, in whose transaction this is written."""
    present = now()
    report.file_bytes, report.pages = len(made.content), made.pages
    report.expires_at = present + dt.timedelta(days=rules.FILE_DAYS)
    _end(report, State.READY, present)
    audit_record(
        actor_id=report.requested_by_id,
        action=_ACTIONS[State.READY],
        target=f"report:{report.pk}",
        after={**told_of(report), "file_bytes": report.file_bytes, "pages": made.pages},
    )
    publish(
        event=ReportReady(
            report_id=report.pk,
            kind=report.kind,
            file_format=report.file_format,
            expires_at=iso(report.expires_at),
        ),
        recipients=hearers(report),
    )


def report_end(*, report: Report, actor_id: int | None, state: State, code: str, detail: str) -> None:
    """Write an end without a file of a report whose row the caller has locked, in the caller's transaction.

    `actor_id` is None where nobody has asked for this end.
    """
    _file_given_up(report)
    report.problem_code, report.problem = code, detail
    _end(report, state, now())
    audit_record(
        actor_id=actor_id,
        action=_ACTIONS[state],
        target=f"report:{report.pk}",
        after={**told_of(report), **({"code": code} if code else {})},
    )
    if state != State.EXPIRED:
        publish(
            event=ReportFailed(report_id=report.pk, state=state.value, code=code),
            recipients=hearers(report),
        )


def _file_given_up(report: Report) -> None:
    """The stored file, or the one that a worker was about to store."""
    if report.file:
        file_discard_on_commit(report.file)
    report.file, report.file_bytes, report.pages, report.expires_at = "", None, None, None


def _end(report: Report, state: State, at: dt.datetime) -> None:
    if not connection.in_atomic_block:
        raise RuntimeError("a report ends in the transaction that holds its row")
    if state != State.EXPIRED:
        report.finished_at = at
    report.state, report.owner, report.lease_until, report.phase = state, None, None, ""
    report.save(
        update_fields=[
            "state",
            "owner",
            "lease_until",
            "phase",
            "finished_at",
            "file",
            "file_bytes",
            "pages",
            "expires_at",
            "problem",
            "problem_code",
            "rows_done",
            "rows_total",
        ]
    )
