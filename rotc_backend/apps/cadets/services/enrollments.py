"""Enrollments: a cadet's place in a term. Lock order: the term is held open, then the cadet or the enrollment."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, TypeVar

from django.db import transaction

from apps.accounts.rules import Principal
from apps.accounts.services import audit_record
from apps.cadets import rules, selectors
from apps.cadets.events import EnrollmentChanged, EnrollmentCreated
from apps.cadets.models import Cadet, Company, Enrollment, Platoon, Term
from apps.cadets.services.cadets import MISSING, cadet_hearers
from apps.cadets.services.constraints import conflicts
from apps.cadets.services.terms import term_hold_open, term_of_input
from apps.events.services import publish
from core import cache
from core.clock import manila_date, now
from core.errors import Conflict, FieldError, ValidationFailed
from core.models import apply_changes, lock_row

_E = TypeVar("_E", Company, Platoon)


def enrollment_create(*, actor: Principal, cadet_id: int, term_id: int | None, fields: Mapping[str, Any]) -> Enrollment:
    """Enroll a cadet in a term, the current one unless told, from today unless told (within the term).

    `fields` are an enrollment's, with company and platoon as `company_id` and `platoon_id`. Raises NotFound (also
    `no_current_term`), ValidationFailed (`unknown_…`, `archived_…`, `outside_term`), and Conflict: `term_closed`,
    `cadet_archived`, `already_enrolled`.
    """
    selectors.cadet_by_id(cadet_id=cadet_id)
    term = term_of_input(term_id=term_id)
    with conflicts({"enrollment_unique": _enrolled_already()}):
        term_hold_open(term_id=term.pk)
        term.refresh_from_db()  # as it stays while it is held
        cadet = lock_row(Cadet.objects.filter(pk=cadet_id), missing=MISSING)
        if cadet.archived_at is not None:
            raise Conflict("This cadet is archived. Restore the record first.", code="cadet_archived")
        if Enrollment.objects.filter(cadet=cadet, term=term).exists():
            raise _enrolled_already()
        given = _checked(fields, term=term, present=None)
        given.setdefault(
            "enrolled_on",
            rules.enrollment_date(today=manila_date(now()), starts_on=term.starts_on, ends_on=term.ends_on),
        )
        enrollment = Enrollment.objects.create(cadet=cadet, term=term, **given)
        audit_record(
            actor_id=actor.user_id,
            action="enrollment.create",
            target=f"enrollment:{enrollment.pk}",
            after={"cadet_id": cadet.pk, "term_id": term.pk, **given},
        )
        _touch(enrollment)
        publish(event=EnrollmentCreated(**enrollment_told(enrollment)), recipients=cadet_hearers(cadet))
    return selectors.enrollment_by_id(enrollment_id=enrollment.pk)


def enrollment_change(
    *, actor: Principal, enrollment_id: int, expected_version: int, changes: Mapping[str, Any]
) -> Enrollment:
    """Change the place in an open term: company, platoon, rank, level, status and so on.

    Raises NotFound, PreconditionFailed, ValidationFailed as `enrollment_create`, and Conflict (`term_closed`).
    """
    term_id = selectors.enrollment_by_id(enrollment_id=enrollment_id).term_id  # which never changes
    with transaction.atomic():
        term_hold_open(term_id=term_id)
        enrollment = lock_row(
            Enrollment.objects.filter(pk=enrollment_id).select_related("cadet", "term"),
            expected_version=expected_version,
        )
        previous_company_id = enrollment.company_id
        before, after = apply_changes(enrollment, _checked(changes, term=enrollment.term, present=enrollment))
        if before:
            audit_record(
                actor_id=actor.user_id,
                action="enrollment.change",
                target=f"enrollment:{enrollment.pk}",
                before=before,
                after=after,
            )
            _touch(enrollment)
            publish(
                event=EnrollmentChanged(**enrollment_told(enrollment), previous_company_id=previous_company_id),
                recipients=cadet_hearers(enrollment.cadet),
            )
    return selectors.enrollment_by_id(enrollment_id=enrollment_id)


def _checked(fields: Mapping[str, Any], *, term: Term, present: Enrollment | None) -> dict[str, Any]:
    """`fields` as they can be written. Raises ValidationFailed."""
    errors: list[FieldError] = []
    errors += _unfit(Company, "company", fields, present.company_id if present else None)
    errors += _unfit(Platoon, "platoon", fields, present.platoon_id if present else None)
    day: dt.date | None = fields.get("enrolled_on")
    if day is not None and not term.starts_on <= day <= term.ends_on:
        detail = f"Write a day of the term, from {term.starts_on} to {term.ends_on}."
        errors.append(FieldError(field="enrolled_on", code="outside_term", detail=detail))
    if errors:
        raise ValidationFailed("The enrollment cannot be saved so.", errors=errors)
    return dict(fields)


def _unfit(table: type[_E], noun: str, fields: Mapping[str, Any], present_id: int | None) -> list[FieldError]:
    entry_id = fields.get(f"{noun}_id")
    if entry_id is None or entry_id == present_id:  # who is in an archived company may stay there
        return []
    entry = table.objects.filter(pk=entry_id).first()
    if entry is None:
        return [FieldError(field=f"{noun}_id", code=f"unknown_{noun}", detail=f"There is no {noun} with this id.")]
    if entry.archived_at is not None:
        detail = f"{entry.name} is archived and takes nobody new. Choose another, or restore it."
        return [FieldError(field=f"{noun}_id", code=f"archived_{noun}", detail=detail)]
    return []


def _enrolled_already() -> Conflict:
    return Conflict("This cadet is enrolled in this term already. Change that enrollment.", code="already_enrolled")


def _touch(enrollment: Enrollment) -> None:
    cache.touch(
        rules.roster_version(),
        rules.grades_version(enrollment.term_id),
        rules.standing_version(enrollment.cadet_id),
    )


def enrollment_told(enrollment: Enrollment) -> dict[str, Any]:
    """What events tell of an enrollment."""
    return {
        "id": enrollment.pk,
        "version": enrollment.version,
        "cadet_id": enrollment.cadet_id,
        "term_id": enrollment.term_id,
        "company_id": enrollment.company_id,
        "platoon_id": enrollment.platoon_id,
        "rank": str(enrollment.rank),
        "level": str(enrollment.level),
        "status": str(enrollment.status),
        "enrolled_on": enrollment.enrolled_on,
    }
