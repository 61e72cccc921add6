"""Closing a term, which freezes every grade in it, and reopening it.

close    1 lock the term: waits for every writer that holds it open, and none begins after it
         2 mark it closed, so that all its days count       3 compute every enrollment's grade from the rows
         4 write the sheets, the next revision of each      5 audit, events; all in one transaction
reopen   lock, supersede the sheets in force (none is ever deleted), mark it open
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Max

from apps.accounts.rules import ADMIN, CADET, TRAINING_STAFF, Principal
from apps.accounts.services import ToSend, audit_record, mails_queue
from apps.cadets.models import Enrollment, Term
from apps.cadets.rules import grades_version, roster_version, term_version
from apps.events.services import publish, publish_many
from apps.grading import rules
from apps.grading.events import GradeReleased, TermClosed, TermReopened
from apps.grading.models import GradeSheet, GradingPolicy
from apps.grading.selectors.dashboard import outcomes
from apps.grading.selectors.grades import enrollments_of_term, inputs_of
from core import cache
from core.clock import manila_date, now
from core.errors import Conflict, FieldError, PermissionRefused, ValidationFailed
from core.models import apply_changes, lock_row

_EVERYBODY = [f"role:{role}" for role in (ADMIN, TRAINING_STAFF, CADET)]
_ROWS_AT_ONCE = 500
_REASON_LENGTH = 255


@dataclass(frozen=True, kw_only=True)
class Closing:
    """What closing a term has frozen. `missing_exams` and `without_attendance` count grades that an administrator may
    want to look at: such parts count nothing.
    """

    term: Term
    closed_at: dt.datetime
    sheets: int
    outcomes: Sequence[Mapping[str, Any]]
    missing_exams: int
    without_attendance: int


def term_close(*, actor: Principal, term_id: int) -> Closing:
    """Freeze a term: every enrollment gets a grade sheet, and no write that could change a grade is taken any more.

    Changes nothing else: statuses of enrollments stay as they are. Raises PermissionRefused, NotFound, Conflict
    (`term_closed`) when it is closed already, and Unavailable (`policy_missing`).
    """
    _refuse_others(actor)
    at = now()
    with transaction.atomic():
        term = lock_row(Term.objects.filter(pk=term_id), missing="There is no term with this id.")
        if term.closed_at is not None:
            raise Conflict("This term is closed already; its grade sheets stand.", code="term_closed")
        # A change of the default policy waits, or this term would be frozen by one policy and shown with another.
        list(GradingPolicy.objects.select_for_update(no_key=True).filter(term=None))
        before, after = apply_changes(term, {"closed_at": at, "closed_by_id": actor.user_id})
        enrollments = enrollments_of_term(term=term)
        inputs = inputs_of(enrollments=enrollments, today=manila_date(at))
        grades = [rules.grade_of(one) for one in inputs]
        sheets = _freeze(actor=actor, at=at, enrollments=enrollments, inputs=inputs, grades=grades)
        audit_record(
            actor_id=actor.user_id,
            action="term.close",
            target=f"term:{term_id}",
            before=before,
            after={**after, "sheets": len(sheets)},
        )
        cache.touch(term_version(term_id), grades_version(term_id), roster_version())
        publish(event=TermClosed(term_id=term_id, closed_at=at, sheets=len(sheets)), recipients=_EVERYBODY)
        released = _releases(term_id, sheets)
        publish_many([(event, [f"user:{user_id}"]) for event, user_id in released])
        mails_queue(kind="grade_released", mails=[_mail(term, event, user_id) for event, user_id in released])
    return Closing(
        term=term,
        closed_at=at,
        sheets=len(sheets),
        outcomes=outcomes(grades),
        missing_exams=sum(bool(grade.subject.missing) for grade in grades),
        without_attendance=sum(not grade.attendance.held for grade in grades),
    )


def term_reopen(*, actor: Principal, term_id: int, reason: str) -> Term:
    """Open a closed term again, with a reason for the audit trail. Its sheets are superseded and kept.

    Raises PermissionRefused, ValidationFailed, NotFound, and Conflict (`term_open`).
    """
    _refuse_others(actor)
    if not reason.strip() or len(reason) > _REASON_LENGTH:
        detail = f"Give a reason of at most {_REASON_LENGTH} characters."
        raise ValidationFailed(detail, errors=[FieldError(field="reason", code="invalid", detail=detail)])
    with transaction.atomic():
        term = lock_row(Term.objects.filter(pk=term_id), missing="There is no term with this id.")
        if term.closed_at is None:
            raise Conflict("This term is open.", code="term_open")
        in_force = GradeSheet.objects.filter(enrollment__term_id=term_id, superseded_at=None)
        superseded = in_force.update(superseded_at=now())
        before, after = apply_changes(term, {"closed_at": None, "closed_by_id": None})
        audit_record(
            actor_id=actor.user_id,
            action="term.reopen",
            target=f"term:{term_id}",
            before=before,
            after={**after, "reason": reason.strip(), "sheets_superseded": superseded},
        )
        cache.touch(term_version(term_id), grades_version(term_id), roster_version())
        publish(event=TermReopened(term_id=term_id, sheets=superseded), recipients=_EVERYBODY)
    return term


def _freeze(
    *,
    actor: Principal,
    at: dt.datetime,
    enrollments: Sequence[Enrollment],
    inputs: Sequence[rules.Inputs],
    grades: Sequence[rules.Grade],
) -> list[GradeSheet]:
    of_term = GradeSheet.objects.filter(enrollment__term_id__in={one.term_id for one in enrollments})
    revisions = dict(of_term.values_list("enrollment_id").annotate(Max("revision")))
    sheets = []
    for enrollment, one, grade in zip(enrollments, inputs, grades, strict=True):
        frozen = rules.inputs_record(
            one, enrollment_id=enrollment.pk, cadet_id=enrollment.cadet_id, term_id=enrollment.term_id
        )
        result = rules.grade_record(grade)
        sheets.append(
            GradeSheet(
                enrollment=enrollment,
                revision=revisions.get(enrollment.pk, 0) + 1,
                inputs=frozen,
                result=result,
                digest=rules.sheet_digest(inputs=frozen, result=result),
                frozen_at=at,
                frozen_by_id=actor.user_id,
            )
        )
    return GradeSheet.objects.bulk_create(sheets, batch_size=_ROWS_AT_ONCE)


def _releases(term_id: int, sheets: Sequence[GradeSheet]) -> list[tuple[GradeReleased, int]]:
    """What cadets with an account are told, and whose account that is."""
    linked = Enrollment.objects.filter(term_id=term_id, cadet__user__isnull=False)
    users = dict(linked.values_list("pk", "cadet__user_id"))
    return [
        (
            GradeReleased(
                term_id=term_id, enrollment_id=sheet.enrollment_id, sheet_id=sheet.pk, revision=sheet.revision
            ),
            users[sheet.enrollment_id],
        )
        for sheet in sheets
        if sheet.enrollment_id in users
    ]


def _mail(term: Term, event: GradeReleased, user_id: int) -> ToSend:
    # Without the grade itself: a mailbox is read by more people than an account is.
    return ToSend(
        recipient_id=user_id,
        event=f"grade.released:{event.sheet_id}",
        context={"term": str(term), "revision": event.revision},
    )


def _refuse_others(actor: Principal) -> None:
    if not actor.is_admin:
        raise PermissionRefused("Only administrators close and reopen terms.")
