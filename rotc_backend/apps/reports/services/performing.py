"""A report in the worker.

1  judge the account again      2  read all that the report says, as of one moment      3  write the file, in memory
4  note the name that the file will have; remove the one of an attempt that died        5  store it
6  one transaction: the report's end with its audit entry and event

Nothing is locked while it is written. A worker that is killed leaves one name in the row, and whoever comes next
removes what stands under it: however often a report is begun, there is one file.
"""

import contextlib
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping

from django.db import connection, transaction

from apps.accounts.selectors import principal_of_user
from apps.events.services import publish
from apps.reports import rules
from apps.reports.events import ReportProgress
from apps.reports.models import Report, State
from apps.reports.services.asking import is_of
from apps.reports.services.contents.attendance import attendance_day, attendance_term
from apps.reports.services.contents.certificates import certificate
from apps.reports.services.contents.daily import daily
from apps.reports.services.contents.grades import grade_sheet, grade_slip
from apps.reports.services.contents.people import master_list
from apps.reports.services.documents import CertificatePage, Document, Made, Progress
from apps.reports.services.ends import LEASES, hearers, report_end, report_ready
from apps.reports.services.rendering import document_made
from core.errors import DomainError, PermissionRefused, Unavailable
from core.leases import Claim, LeaseLost, Place, Reporter
from core.uploads import file_discard, file_kept_by_commit, file_store_as

logger = logging.getLogger("rgms.reports")

Content = Callable[[Report, Progress], Document | CertificatePage]
CONTENTS: Mapping[str, Content] = {
    rules.GRADE_SLIP: grade_slip,
    rules.GRADE_SHEET: grade_sheet,
    rules.ATTENDANCE_DAY: attendance_day,
    rules.ATTENDANCE_TERM: attendance_term,
    rules.MASTER_LIST: master_list,
    rules.CERTIFICATE: certificate,
    rules.DAILY: daily,
}


def report_claim(*, report_id: int) -> Claim | None:
    """Claim a report; None when there is nothing to do. Raises RowHeld."""
    claim = LEASES.claim(row_id=report_id, phase=rules.READING)
    if claim is None:
        _give_up(report_id)
    return claim


def report_perform(*, claim: Claim, contents: Mapping[str, Content] = CONTENTS) -> State:
    """Do a claimed report to its end, and return how it ended.

    Raises LeaseLost, Unavailable and DatabaseError after which nothing is stored and another attempt may succeed.
    """
    report = _report(claim)

    def tell(place: Place) -> None:
        event = ReportProgress(report_id=report.pk, phase=place.phase, done=place.done, total=place.total)
        publish(event=event, recipients=hearers(report))

    with Reporter(table=LEASES, claim=claim, first=Place(rules.READING), tell=tell) as reporter:
        try:
            _refuse_former(report)
            with _one_moment():
                document = contents[report.kind](report, reporter.at)
            made = document_made(document, file_format=report.file_format, progress=reporter.at)
            reporter.at(rules.STORING, document.length, document.length)
            _stored(claim, report, made, length=document.length, reporter=reporter)
        except Unavailable:
            raise
        except DomainError as refusal:
            reporter.stop()
            return _ended(claim, code=refusal.code, detail=refusal.detail)
    return State.READY


def report_fail(*, claim: Claim, code: str, detail: str) -> None:
    """End a report that broke off, in words. Nothing if it is no longer ours."""
    try:
        _ended(claim, code=code, detail=detail)
    except LeaseLost:
        logger.warning("Report %s has another owner now", claim.row_id)


def _report(claim: Claim) -> Report:
    joined = ("requested_by", "company", "certificate__sheet", "enrollment__cadet")
    report = Report.objects.select_related(*joined).filter(pk=claim.row_id, owner=claim.owner).first()
    if report is None:
        raise LeaseLost
    return report


def _refuse_former(report: Report) -> None:
    """Whom it is made for may have lost the account or the role since. The schedule has neither."""
    user = report.requested_by
    if user is None:
        return
    if not user.is_active:
        raise PermissionRefused("The account that asked for this report can no longer be used.")
    actor = principal_of_user(user)
    may = report.kind in rules.kinds_of(is_admin=actor.is_admin, is_staff_member=actor.is_staff_member)
    if may and not actor.is_staff_member:
        may = report.enrollment is not None and is_of(report.enrollment, user_id=user.pk)
    if not may:
        raise PermissionRefused("The account that asked for this report no longer has a role that may.")


@contextlib.contextmanager
def _one_moment() -> Iterator[None]:
    """Whatever is read inside is as of one moment: a sheet never shows half of what somebody else writes meanwhile."""
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


def _stored(claim: Claim, report: Report, made: Made, *, length: int, reporter: Reporter) -> None:
    name = f"reports/{secrets.token_hex(16)}.{report.file_format}"
    with transaction.atomic():
        locked = _locked(claim)
        former, locked.file = locked.file, name
        locked.save(update_fields=["file"])
    file_discard(former)
    file_store_as(name=name, content=made.content)
    reporter.stop()  # from here on the row is ours until the commit; its thread would wait for it
    with file_kept_by_commit(name):
        locked = _locked(claim)
        locked.rows_done = locked.rows_total = length
        report_ready(report=locked, made=made)


def _locked(claim: Claim) -> Report:
    """The report, locked, while it is still ours. Raises LeaseLost."""
    rows = Report.objects.filter(pk=claim.row_id, owner=claim.owner, state=State.RUNNING)
    report = rows.select_for_update(no_key=True).first()
    if report is None:
        raise LeaseLost
    return report


def _ended(claim: Claim, *, code: str, detail: str) -> State:
    with transaction.atomic():
        report_end(report=_locked(claim), actor_id=None, state=State.FAILED, code=code, detail=detail)
    return State.FAILED


def _give_up(report_id: int) -> None:
    with transaction.atomic():
        if not LEASES.is_exhausted(row_id=report_id):
            return
        report_end(
            report=Report.objects.get(pk=report_id),
            actor_id=None,
            state=State.FAILED,
            code="attempts_exhausted",
            detail=(
                f"None of {rules.ATTEMPTS} attempts came to its end. Ask for it again; if that fails as well, tell an "
                "administrator the number of this report."
            ),
        )
    logger.error("Report %s is given up after %s attempts", report_id, rules.ATTEMPTS)
