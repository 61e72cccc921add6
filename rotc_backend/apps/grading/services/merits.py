"""Merits, demerits and adjustments: issued, never edited, revoked once with a reason."""

from decimal import Decimal
from typing import TypeVar

from django.db import transaction

from apps.accounts.rules import ADMIN, TRAINING_STAFF, Principal
from apps.accounts.services import audit_record
from apps.cadets.models import Enrollment
from apps.cadets.rules import grades_version, standing_version
from apps.cadets.services.terms import term_hold_open
from apps.events.services import publish
from apps.grading import rules
from apps.grading.events import AdjustmentIssued, AdjustmentRevoked, GradeChanged, MeritIssued, MeritRevoked
from apps.grading.models import Adjustment, MeritDemerit, Revocable
from apps.grading.selectors.merits import adjustment_by_id, merit_by_id
from core import cache
from core.clock import now
from core.errors import Conflict, FieldError, NotFound, PermissionRefused, ValidationFailed

_R = TypeVar("_R", bound=Revocable)
_STAFF = [f"role:{role}" for role in (ADMIN, TRAINING_STAFF)]
_ADMINS = [f"role:{ADMIN}"]
_REASON_LENGTH = 255


def merit_issue(*, actor: Principal, enrollment_id: int, kind: str, points: int, reason: str) -> MeritDemerit:
    """Give a cadet merit or demerit points.

    Raises ValidationFailed (`unknown_enrollment`, or by field) and Conflict (`term_closed`).
    """
    errors = _reason_problems("reason", reason)
    if kind not in {rules.MERIT, rules.DEMERIT}:
        errors.append(FieldError(field="kind", code="invalid_choice", detail="Write merit or demerit."))
    if not 1 <= points <= 100:
        errors.append(FieldError(field="points", code="out_of_range", detail="Write a whole number from 1 to 100."))
    _refuse(errors)
    with transaction.atomic():
        enrollment = _hold(enrollment_id)
        row = MeritDemerit.objects.create(
            enrollment=enrollment, kind=kind, points=points, reason=reason.strip(), issued_by_id=actor.user_id
        )
        row.refresh_from_db(fields=["issued_at"])
        audit_record(
            actor_id=actor.user_id,
            action="merit.issue",
            target=f"merit:{row.pk}",
            after={"enrollment_id": enrollment.pk, "kind": kind, "points": points, "reason": row.reason},
        )
        _touch(enrollment)
        cache.touch(rules.leaderboard_version())
        publish(
            event=MeritIssued(
                id=row.pk,
                cadet_id=enrollment.cadet_id,
                enrollment_id=enrollment.pk,
                term_id=enrollment.term_id,
                kind=kind,
                points=points,
                reason=row.reason,
                issued_at=row.issued_at,
            ),
            recipients=[*_STAFF, *_cadet(enrollment)],
        )
    return merit_by_id(merit_id=row.pk)


def merit_revoke(*, actor: Principal, merit_id: int, reason: str) -> MeritDemerit:
    """Take a merit or demerit back; it stays in the log. Training staff revoke only what they issued themselves.

    Raises NotFound, PermissionRefused, ValidationFailed, and Conflict: `term_closed`, `already_revoked`.
    """
    _refuse(_reason_problems("reason", reason))
    found = merit_by_id(merit_id=merit_id)
    if not actor.is_admin and found.issued_by_id != actor.user_id:
        raise PermissionRefused("Training staff revoke what they issued themselves. Ask its issuer.")
    with transaction.atomic():
        enrollment = _hold(found.enrollment_id)
        row = _claim(MeritDemerit, key=merit_id, actor=actor, reason=reason)
        audit_record(
            actor_id=actor.user_id,
            action="merit.revoke",
            target=f"merit:{merit_id}",
            before={"revoked": False},
            after={"revoked": True, "revoke_reason": row.revoke_reason},
        )
        _touch(enrollment)
        cache.touch(rules.leaderboard_version())
        assert row.revoked_at is not None  # noqa: S101 - just written
        publish(
            event=MeritRevoked(
                id=merit_id,
                cadet_id=enrollment.cadet_id,
                enrollment_id=enrollment.pk,
                term_id=enrollment.term_id,
                revoked_at=row.revoked_at,
                revoke_reason=row.revoke_reason,
            ),
            recipients=[*_STAFF, *_cadet(enrollment)],
        )
    return merit_by_id(merit_id=merit_id)


def adjustment_issue(
    *, actor: Principal, enrollment_id: int, component: str, points: Decimal, reason: str
) -> Adjustment:
    """Add points by hand to one component of a grade, or take some off. Administrators only.

    Raises PermissionRefused, ValidationFailed (`unknown_enrollment`, or by field) and Conflict (`term_closed`).
    """
    _refuse_others(actor)
    errors = _reason_problems("reason", reason)
    if component not in rules.COMPONENTS:
        known = ", ".join(rules.COMPONENTS)
        errors.append(FieldError(field="component", code="invalid_choice", detail=f"Name one of {known}."))
    if not rules.is_adjustment(points):
        detail = "Write points from -100 to 100, other than 0, with at most two decimals."
        errors.append(FieldError(field="points", code="out_of_range", detail=detail))
    _refuse(errors)
    with transaction.atomic():
        enrollment = _hold(enrollment_id)
        row = Adjustment.objects.create(
            enrollment=enrollment, component=component, points=points, reason=reason.strip(), issued_by_id=actor.user_id
        )
        row.refresh_from_db(fields=["issued_at", "points"])
        shown = rules.points_text(row.points)
        audit_record(
            actor_id=actor.user_id,
            action="adjustment.issue",
            target=f"adjustment:{row.pk}",
            after={"enrollment_id": enrollment.pk, "component": component, "points": shown, "reason": row.reason},
        )
        _touch(enrollment)
        publish(
            event=AdjustmentIssued(
                id=row.pk,
                enrollment_id=enrollment.pk,
                term_id=enrollment.term_id,
                component=component,
                points=shown,
                reason=row.reason,
                issued_at=row.issued_at,
            ),
            recipients=_ADMINS,
        )
        _tell_changed(enrollment)
    return adjustment_by_id(adjustment_id=row.pk)


def adjustment_revoke(*, actor: Principal, adjustment_id: int, reason: str) -> Adjustment:
    """Take an adjustment back; it stays in the list. Administrators only.

    Raises PermissionRefused, NotFound, ValidationFailed, and Conflict: `term_closed`, `already_revoked`.
    """
    _refuse_others(actor)
    _refuse(_reason_problems("reason", reason))
    found = adjustment_by_id(adjustment_id=adjustment_id)
    with transaction.atomic():
        enrollment = _hold(found.enrollment_id)
        row = _claim(Adjustment, key=adjustment_id, actor=actor, reason=reason)
        audit_record(
            actor_id=actor.user_id,
            action="adjustment.revoke",
            target=f"adjustment:{adjustment_id}",
            before={"revoked": False},
            after={"revoked": True, "revoke_reason": row.revoke_reason},
        )
        _touch(enrollment)
        assert row.revoked_at is not None  # noqa: S101 - just written
        publish(
            event=AdjustmentRevoked(
                id=adjustment_id,
                enrollment_id=enrollment.pk,
                term_id=enrollment.term_id,
                revoked_at=row.revoked_at,
                revoke_reason=row.revoke_reason,
            ),
            recipients=_ADMINS,
        )
        _tell_changed(enrollment)
    return adjustment_by_id(adjustment_id=adjustment_id)


def _hold(enrollment_id: int) -> Enrollment:
    """The enrollment, its term held open. Raises ValidationFailed (`unknown_enrollment`) and Conflict."""
    enrollment = Enrollment.objects.filter(pk=enrollment_id).select_related("cadet").first()
    if enrollment is None:
        detail = "There is no enrollment with this id."
        raise ValidationFailed(
            detail, errors=[FieldError(field="enrollment_id", code="unknown_enrollment", detail=detail)]
        )
    term_hold_open(term_id=enrollment.term_id)
    return enrollment


def _claim(model: type[_R], *, key: int, actor: Principal, reason: str) -> _R:
    """Revoke the row by one conditional update: of two at once, one does it and the other learns so."""
    rows = model._default_manager.filter(pk=key)
    if not rows.filter(revoked_at=None).update(
        revoked_at=now(), revoked_by=actor.user_id, revoke_reason=reason.strip()
    ):
        raise Conflict("This was revoked already; nothing was changed.", code="already_revoked")
    row = rows.first()
    if row is None:
        raise NotFound("There is nothing with this id.")
    return row


def _touch(enrollment: Enrollment) -> None:
    cache.touch(grades_version(enrollment.term_id), standing_version(enrollment.cadet_id))


def _cadet(enrollment: Enrollment) -> list[str]:
    return [] if enrollment.cadet.user_id is None else [f"user:{enrollment.cadet.user_id}"]


def _tell_changed(enrollment: Enrollment) -> None:
    recipients = _cadet(enrollment)
    if recipients:
        event = GradeChanged(term_id=enrollment.term_id, enrollment_id=enrollment.pk, cause="adjustment")
        publish(event=event, recipients=recipients)


def _refuse_others(actor: Principal) -> None:
    if not actor.is_admin:
        raise PermissionRefused("Only administrators adjust grades.")


def _reason_problems(field: str, reason: str) -> list[FieldError]:
    if reason.strip() and len(reason) <= _REASON_LENGTH:
        return []
    detail = f"Give a reason of at most {_REASON_LENGTH} characters."
    return [FieldError(field=field, code="invalid", detail=detail)]


def _refuse(errors: list[FieldError]) -> None:
    if errors:
        raise ValidationFailed("Some fields need correction.", errors=errors)
