"""Terms."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db import connection, transaction
from django.dispatch import Signal

from apps.accounts.rules import Principal
from apps.accounts.services import audit_record
from apps.cadets import rules, selectors
from apps.cadets.events import TermChanged, TermCreated
from apps.cadets.models import Enrollment, Semester, Term
from apps.cadets.services.constraints import conflicts
from apps.events.services import publish
from core import cache
from core.errors import Conflict, FieldError, NotFound, ValidationFailed
from core.models import apply_changes, lock_row

_MAKING_CURRENT = 7_216_001  # the advisory lock of term_make_current; any number that nothing else takes
# Cadets too: which company's part they may hear depends on the current term.
_HEARERS = ["role:admin", "role:training_staff", "role:cadet"]

# Asks whoever has something that happens in a term whether it may get these dates: `term_id`, `starts_on`, `ends_on`.
# Sent in the transaction of the change, while the term is locked against all writers and before it is written; a
# receiver refuses by raising Conflict. A signal, since what lies in a term (training days) is above this app.
term_dates_change = Signal()


def term_hold_open(*, term_id: int) -> None:
    """Keep a term open until the present transaction ends; every write that belongs to a term calls this first.

    A shared lock: writers do not wait for each other, closing the term waits for all of them. Raises NotFound, and
    Conflict (`term_closed`) for a closed term.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("term_hold_open() belongs into the transaction of the write")
    with connection.cursor() as cursor:
        cursor.execute("SELECT closed_at IS NULL FROM cadets_term WHERE id = %s FOR SHARE", [term_id])
        found = cursor.fetchone()
    if found is None:
        raise NotFound("There is no term with this id.")
    if not found[0]:
        raise _closed()


def term_create(
    *, actor: Principal, school_year: str, semester: Semester, starts_on: dt.date, ends_on: dt.date
) -> Term:
    """Make a term, not yet the current one. Raises ValidationFailed, and Conflict (`term_exists`)."""
    _refuse_malformed(school_year=school_year, starts_on=starts_on, ends_on=ends_on)
    exists = _exists(school_year, semester)
    with conflicts({"term_unique": exists}):
        if Term.objects.filter(school_year=school_year, semester=semester).exists():
            raise exists
        term = Term.objects.create(school_year=school_year, semester=semester, starts_on=starts_on, ends_on=ends_on)
        term.refresh_from_db()
        audit_record(
            actor_id=actor.user_id,
            action="term.create",
            target=f"term:{term.pk}",
            after={"school_year": school_year, "semester": semester, "starts_on": starts_on, "ends_on": ends_on},
        )
        _touch(term)
        publish(event=TermCreated(**_told(term)), recipients=_HEARERS)
    return term


def term_change(*, actor: Principal, term_id: int, expected_version: int, changes: Mapping[str, Any]) -> Term:
    """Change name or dates of an open term.

    Raises NotFound, PreconditionFailed, ValidationFailed, and Conflict: `term_closed`, `term_exists`,
    `enrollments_outside` when somebody was enrolled on a day that would no longer belong to the term, or what receivers
    of `term_dates_change` raise (`training_days_outside`).
    """
    exists = _exists(changes.get("school_year", ""), changes.get("semester", ""))
    with conflicts({"term_unique": exists}):
        term = lock_row(Term.objects.filter(pk=term_id), expected_version=expected_version)
        if term.closed_at is not None:
            raise _closed()
        planned = {name: changes.get(name, getattr(term, name)) for name in ("school_year", "starts_on", "ends_on")}
        _refuse_malformed(**planned)
        outside = Enrollment.objects.filter(term=term).exclude(
            enrolled_on__range=(planned["starts_on"], planned["ends_on"])
        )
        starts_on, ends_on = planned["starts_on"], planned["ends_on"]
        if (starts_on, ends_on) != (term.starts_on, term.ends_on):
            if outside.exists():
                raise Conflict(
                    "Somebody was enrolled on a day outside these dates. Change the enrollments first.",
                    code="enrollments_outside",
                )
            term_dates_change.send(sender=Term, term_id=term.pk, starts_on=starts_on, ends_on=ends_on)
        before, after = apply_changes(term, changes)
        if before:
            audit_record(
                actor_id=actor.user_id, action="term.change", target=f"term:{term.pk}", before=before, after=after
            )
            term_tell(term)
    return term


def term_make_current(*, actor: Principal, term_id: int) -> Term:
    """Make this term the current one and the one before no longer, at once. Nothing happens if it is already.

    Raises NotFound, and Conflict (`term_closed`).
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            # One switch at a time. Locks of rows would not do: where no term is current yet there is none to lock.
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_MAKING_CURRENT])
        chosen = list(Term.objects.filter(pk=term_id) | Term.objects.filter(is_current=True))
        locked = {
            term.pk: term
            for term in Term.objects.select_for_update(no_key=True)
            .filter(pk__in=[term.pk for term in chosen])
            .order_by("pk")
        }
        term = locked.pop(term_id, None)
        if term is None:
            raise NotFound("There is no term with this id.")
        if term.is_current:
            return term
        if term.closed_at is not None:
            raise _closed()
        for former in locked.values():
            apply_changes(former, {"is_current": False})
            term_tell(former)
        apply_changes(term, {"is_current": True})
        audit_record(
            actor_id=actor.user_id,
            action="term.make_current",
            target=f"term:{term.pk}",
            before={"current": next(iter(locked), None)},
            after={"current": term.pk},
        )
        term_tell(term)
    return term


def term_tell(term: Term) -> None:
    """Move what is cached about a term that was just changed, and tell the staff; in the transaction of the change."""
    _touch(term)
    publish(event=TermChanged(**_told(term)), recipients=_HEARERS)


def term_of_input(*, term_id: int | None) -> Term:
    """The term that a body names, or the current one.

    Raises ValidationFailed (`unknown_term` at `term_id`), and NotFound (`no_current_term`).
    """
    if term_id is None:
        return selectors.term_current()
    term = Term.objects.filter(pk=term_id).first()
    if term is None:
        detail = "There is no term with this id."
        raise ValidationFailed(detail, errors=[FieldError(field="term_id", code="unknown_term", detail=detail)])
    return term


def _touch(term: Term) -> None:
    cache.touch(rules.roster_version(), rules.term_version(term.pk))


def _told(term: Term) -> dict[str, Any]:
    return {
        "id": term.pk,
        "version": term.version,
        "school_year": term.school_year,
        "semester": str(term.semester),
        "starts_on": term.starts_on,
        "ends_on": term.ends_on,
        "is_current": term.is_current,
        "closed_at": term.closed_at,
    }


def _refuse_malformed(*, school_year: str, starts_on: dt.date, ends_on: dt.date) -> None:
    errors = []
    if not rules.school_year_is_one(school_year):
        detail = "Write two consecutive years, for example 2025-2026."
        errors.append(FieldError(field="school_year", code="not_consecutive", detail=detail))
    if ends_on < starts_on:
        detail = "A term cannot end before it begins."
        errors.append(FieldError(field="ends_on", code="before_start", detail=detail))
    if errors:
        raise ValidationFailed("The term cannot be saved so.", errors=errors)


def _exists(school_year: str, semester: str) -> Conflict:
    named = f"{school_year} {semester}".strip() or "of this year and semester"
    return Conflict(f"There is a term {named} already. Change that one.", code="term_exists")


def _closed() -> Conflict:
    return Conflict(
        "This term is closed and its grades are frozen. An administrator has to reopen it first.", code="term_closed"
    )
