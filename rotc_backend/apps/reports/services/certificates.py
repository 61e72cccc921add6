"""Certificates: issued from a frozen grade sheet, superseded by a later one, revoked with a reason.

One of each type is in force for an enrollment. Printing it again gives the same code, as long as it would say the same.
"""

import secrets
from typing import Any

from django.db import transaction

from apps.accounts.rules import Principal
from apps.accounts.services import audit_record
from apps.cadets.models import Enrollment
from apps.grading.models import GradeSheet
from apps.grading.selectors import sheet_findings
from apps.grading.selectors.grades import grade_of_sheet, sheets_in_force, status_of_sheet
from apps.reports import rules
from apps.reports.models import Certificate
from apps.reports.selectors import certificate_by_code
from core.clock import manila_date, now
from core.errors import Conflict, FieldError, NotFound, PermissionRefused, ValidationFailed

_REASON_LENGTH = 255


def certificate_issue(*, actor: Principal, enrollment_id: int, certificate_type: str) -> Certificate:
    """The certificate in force of an enrollment; a new one if there is none, or if it would say something else by now.

    Raises PermissionRefused, NotFound, and Conflict: `term_open`, `not_passed`, `too_few_merits`, `sheet_unsound`.
    """
    if not actor.is_admin:
        raise PermissionRefused("Only administrators issue certificates.")
    with transaction.atomic():
        # Two who print at once: the second finds what the first has issued. The term's row, so that it stays closed.
        enrollment = _locked(enrollment_id)
        sheet = sheets_in_force(enrollments=[enrollment]).get(enrollment.pk)
        facts = _facts(enrollment, sheet, certificate_type)
        assert sheet is not None  # noqa: S101 - else it was refused
        in_force = Certificate.objects.filter(
            enrollment_id=enrollment_id, type=certificate_type, superseded_at=None, revoked_at=None
        ).first()
        if in_force is not None and in_force.sheet_id == sheet.pk and in_force.facts == facts:
            return in_force
        if in_force is not None:
            in_force.superseded_at = now()
            in_force.save(update_fields=["superseded_at"])
        made = Certificate.objects.create(
            code=rules.code_made(secrets.token_bytes(rules.CODE_BYTES)),
            type=certificate_type,
            enrollment=enrollment,
            sheet=sheet,
            facts=facts,
            issued_by_id=actor.user_id,
        )
        made.refresh_from_db(fields=["issued_at"])
        # Without the code: who reads the trail is not who holds the certificate.
        audit_record(
            actor_id=actor.user_id,
            action="certificate.issue",
            target=f"certificate:{made.pk}",
            after={
                "type": certificate_type,
                "enrollment_id": enrollment_id,
                "sheet_id": sheet.pk,
                "supersedes": in_force.pk if in_force else None,
            },
        )
    return made


def certificate_revoke(*, actor: Principal, code: str, reason: str) -> Certificate:
    """Take a certificate back. Whoever asks for its code is told so from now on, but not why.

    Raises PermissionRefused, ValidationFailed at `reason`, NotFound, and Conflict (`certificate_revoked`).
    """
    if not actor.is_admin:
        raise PermissionRefused("Only administrators revoke certificates.")
    reason = reason.strip()
    if not reason or len(reason) > _REASON_LENGTH:
        detail = f"Give a reason of at most {_REASON_LENGTH} characters."
        raise ValidationFailed(detail, errors=[FieldError(field="reason", code="invalid", detail=detail)])
    with transaction.atomic():
        pk = certificate_by_code(code=code).pk
        certificate = (
            Certificate.objects.select_for_update(no_key=True, of=("self",)).select_related("sheet").get(pk=pk)
        )
        if certificate.revoked_at is not None:
            raise Conflict("This certificate is revoked already.", code="certificate_revoked")
        certificate.revoked_at, certificate.revoked_by_id = now(), actor.user_id
        certificate.revoke_reason = reason
        certificate.save(update_fields=["revoked_at", "revoked_by", "revoke_reason"])
        audit_record(
            actor_id=actor.user_id,
            action="certificate.revoke",
            target=f"certificate:{certificate.pk}",
            after={"reason": reason},
        )
    return certificate


def _locked(enrollment_id: int) -> Enrollment:
    rows = Enrollment.objects.select_related("cadet", "term", "company", "platoon").filter(pk=enrollment_id)
    enrollment = rows.select_for_update(no_key=True, of=("self", "term")).first()
    if enrollment is None:
        raise NotFound("There is no enrollment with this id.")
    return enrollment


def _facts(enrollment: Enrollment, sheet: GradeSheet | None, certificate_type: str) -> dict[str, Any]:
    """What the certificate says. Raises Conflict when the enrollment earns none."""
    term, cadet = enrollment.term, enrollment.cadet
    grade = grade_of_sheet(sheet) if sheet is not None else None
    refusal = rules.certificate_refusal(
        certificate_type=certificate_type,
        term_closed=term.closed_at is not None,
        frozen=sheet is not None,
        status=status_of_sheet(sheet) if sheet is not None else "",
        remark=grade.remark if grade is not None else "",
        merits=grade.aptitude.merits if grade is not None else 0,
    )
    if refusal is not None:
        raise Conflict(refusal[1], code=refusal[0])
    assert sheet is not None  # noqa: S101 - for who checks types
    assert grade is not None  # noqa: S101
    if next(sheet_findings(sheet_id=sheet.pk, live=False), None) is not None:
        raise Conflict(
            "The frozen grade sheet is not what was frozen. Verify the term's sheets before anything is certified.",
            code="sheet_unsound",
        )
    decided_on = manila_date(sheet.frozen_at)
    return {
        "name": rules.name_in_order(
            first=cadet.first_name, middle=cadet.middle_name, last=cadet.last_name, suffix=cadet.suffix
        ),
        "school_year": term.school_year,
        "semester": term.get_semester_display(),
        "level": enrollment.level,
        "equivalent": grade.equivalent,
        "remark": grade.remark,
        "decided_on": decided_on.isoformat(),
        **({"merits": grade.aptitude.merits} if certificate_type == rules.MERIT else {}),
    }
