"""Training days. Whatever happens to one, grades count anew: nothing about them is stored elsewhere."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from apps.accounts.rules import CADET, Principal
from apps.accounts.services import audit_record
from apps.cadets.models import Term
from apps.cadets.rules import grades_version, term_version
from apps.cadets.selectors import term_current
from apps.events.services import publish
from apps.training.events import TrainingDayCancelled, TrainingDayChanged, TrainingDayCreated
from apps.training.models import TrainingDay
from apps.training.services.holds import term_hold_alone, training_day_hold
from apps.training.services.letters import approved_letters_apply
from apps.training.services.records import STAFF_HEARS
from core import cache
from core.clock import now
from core.errors import Conflict, FieldError, NotFound, ValidationFailed
from core.messages import Event
from core.models import apply_changes

_EVERYBODY_HEARS = (*STAFF_HEARS, f"role:{CADET}")
_TOLD = (
    "id",
    "term_id",
    "date",
    "title",
    "description",
    "location",
    "late_after",
    "cancelled_at",
    "cancel_reason",
    "version",
)


def training_day_create(
    *,
    actor: Principal,
    term_id: int | None = None,
    date: dt.date,
    title: str,
    description: str = "",
    location: str = "",
    late_after: dt.time | None = None,
) -> TrainingDay:
    """Add a day to a term, the current one unless told; several on a date are possible.

    Whoever is scanned later than `late_after` in Manila comes late; without it nobody does.

    Raises ValidationFailed (`unknown_term` at `term_id`, `outside_term` at `date`), NotFound (`no_current_term`), and
    Conflict (`term_closed`).
    """
    with transaction.atomic():
        chosen = term_id if term_id is not None else term_current().pk
        try:
            term = term_hold_alone(term_id=chosen)
        except NotFound as error:
            raise _refused("term_id", "unknown_term", "There is no term with this id.") from error
        _refuse_outside(term, date)
        day = TrainingDay.objects.create(
            term=term, date=date, title=title, description=description, location=location, late_after=late_after
        )
        day.refresh_from_db()
        audit_record(
            actor_id=actor.user_id,
            action="training_day.create",
            target=f"training_day:{day.pk}",
            after={
                "term_id": day.term_id,
                "date": date,
                "title": title,
                "description": description,
                "location": location,
                "late_after": _written(late_after),
            },
        )
        _tell(day, TrainingDayCreated(**_told(day)))
        approved_letters_apply(actor_id=actor.user_id, training_day=day)
    return day


def training_day_change(
    *, actor: Principal, training_day_id: int, expected_version: int, changes: Mapping[str, Any]
) -> TrainingDay:
    """Change a day's `date`, `title`, `description`, `location` or `late_after`; its records stay as they are.

    Raises NotFound, PreconditionFailed, ValidationFailed (`outside_term` at `date`), and Conflict (`term_closed`).
    """
    with transaction.atomic():
        moves = "date" in changes
        day = training_day_hold(training_day_id=training_day_id, expected_version=expected_version, alone=moves)
        if moves and changes["date"] != day.date:
            _refuse_outside(day.term, changes["date"])
        before, after = apply_changes(day, changes)
        if after:
            audit_record(
                actor_id=actor.user_id,
                action="training_day.change",
                target=f"training_day:{day.pk}",
                before={name: _written(value) for name, value in before.items()},
                after={name: _written(value) for name, value in after.items()},
            )
            _tell(day, TrainingDayChanged(**_told(day)))
        if "date" in after:
            approved_letters_apply(actor_id=actor.user_id, training_day=day)
    return day


def training_day_cancel(*, actor: Principal, training_day_id: int, reason: str) -> TrainingDay:
    """Let a day count for nobody; its records are kept, for it can be reinstated.

    Raises NotFound, and Conflict (`term_closed`, `day_cancelled`).
    """
    with transaction.atomic():
        day = training_day_hold(training_day_id=training_day_id)
        if day.cancelled_at is not None:
            raise Conflict("This training day is cancelled already.", code="day_cancelled")
        cancelled_at = now()
        before, after = apply_changes(day, {"cancelled_at": cancelled_at, "cancel_reason": reason})
        audit_record(
            actor_id=actor.user_id,
            action="training_day.cancel",
            target=f"training_day:{day.pk}",
            before=before,
            after=after,
        )
        _tell(
            day,
            TrainingDayCancelled(
                id=day.pk, term_id=day.term_id, cancelled_at=cancelled_at, cancel_reason=reason, version=day.version
            ),
        )
    return day


def training_day_reinstate(*, actor: Principal, training_day_id: int) -> TrainingDay:
    """Let a cancelled day take place, with the records that it had.

    Raises NotFound, ValidationFailed (`outside_term` at `date`, if the term has been shortened meanwhile), and Conflict
    (`term_closed`, `day_not_cancelled`).
    """
    with transaction.atomic():
        day = training_day_hold(training_day_id=training_day_id, alone=True)
        if day.cancelled_at is None:
            raise Conflict("This training day is not cancelled.", code="day_not_cancelled")
        _refuse_outside(day.term, day.date)
        before, after = apply_changes(day, {"cancelled_at": None, "cancel_reason": ""})
        audit_record(
            actor_id=actor.user_id,
            action="training_day.reinstate",
            target=f"training_day:{day.pk}",
            before=before,
            after=after,
        )
        _tell(day, TrainingDayChanged(**_told(day)))
        approved_letters_apply(actor_id=actor.user_id, training_day=day)
    return day


def training_days_stay(*, term_id: int, starts_on: dt.date, ends_on: dt.date) -> None:
    """Whether a term can get these dates: a day outside would still count, though the term does not show it.

    Cancelled days may be outside, see `training_day_reinstate`. The caller holds the term alone, so that no day comes
    or moves meanwhile. Raises Conflict (`training_days_outside`).
    """
    days = TrainingDay.objects.filter(term_id=term_id, cancelled_at=None)
    outside = days.exclude(date__range=(starts_on, ends_on)).order_by("date", "id").first()
    if outside is not None:
        raise Conflict(
            f"There is a training day on {outside.date}, outside these dates. Move or cancel such days first.",
            code="training_days_outside",
        )


def _refuse_outside(term: Term, date: dt.date) -> None:
    if not term.starts_on <= date <= term.ends_on:
        raise _refused(
            "date", "outside_term", f"The term lasts from {term.starts_on} to {term.ends_on}. Choose a date within."
        )


def _refused(field: str, code: str, detail: str) -> ValidationFailed:
    return ValidationFailed(detail, errors=[FieldError(field=field, code=code, detail=detail)])


def _told(day: TrainingDay) -> dict[str, Any]:
    return {name: _written(getattr(day, name)) for name in _TOLD}


def _written(value: Any) -> Any:
    """A time of day as text, as it is fetched; anything else as it is."""
    return value.isoformat() if isinstance(value, dt.time) else value


def _tell(day: TrainingDay, event: Event) -> None:
    # The cache first: who is woken by the event fetches at once, and must not find what was cached before it.
    cache.touch(term_version(day.term_id), grades_version(day.term_id))
    publish(event=event, recipients=_EVERYBODY_HEARS)
