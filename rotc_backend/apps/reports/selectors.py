from django.db.models import Q, QuerySet

from apps.accounts.rules import Principal
from apps.reports import rules
from apps.reports.models import Certificate, Report
from core.errors import NotFound


def reports_visible_to(*, principal: Principal, kind: str | None = None, state: str | None = None) -> QuerySet[Report]:
    """Reports, the newest first: administrators see all, others their own of the kinds that their role may ask for;
    staff the daily ones of the schedule as well.
    """
    rows = Report.objects.select_related("requested_by", "certificate").order_by("-id")
    if not principal.is_admin:
        kinds = rules.kinds_of(is_admin=False, is_staff_member=principal.is_staff_member)
        own = Q(requested_by_id=principal.user_id, kind__in=kinds)
        rows = rows.filter(own | Q(requested_by=None, kind=rules.DAILY) if principal.is_staff_member else own)
    if kind is not None:
        rows = rows.filter(kind=kind)
    return rows if state is None else rows.filter(state=state)


def report_visible_to(*, principal: Principal, report_id: int) -> Report:
    """Raises NotFound."""
    report = reports_visible_to(principal=principal).filter(pk=report_id).first()
    if report is None:
        raise NotFound("There is no report with this id, or it is somebody else's.")
    return report


def certificate_by_code(*, code: str) -> Certificate:
    """The certificate of a code as somebody has typed it. Raises NotFound (`certificate_unknown`) for every other text:
    what was never issued and what was misread look the same.
    """
    read = rules.code_read(code)
    found = Certificate.objects.select_related("sheet").filter(code=read).first() if read else None
    if found is None:
        raise NotFound(
            "No certificate has this code. Type the 20 letters and digits as they are printed; if they are right, the "
            "certificate was not issued by this unit.",
            code="certificate_unknown",
        )
    return found


def state_of_certificate(certificate: Certificate) -> str:
    """The certificate must come with its sheet."""
    return rules.certificate_state(
        revoked=certificate.revoked_at is not None,
        superseded=certificate.superseded_at is not None,
        sheet_superseded=certificate.sheet.superseded_at is not None,
    )
