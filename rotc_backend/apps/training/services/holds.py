"""What a write holds until its transaction ends. Always in this order: the term, its days, what hangs on them."""

from django.db.models import QuerySet

from apps.cadets.models import Term
from apps.cadets.services.terms import term_hold_open
from apps.training.models import TrainingDay
from core.errors import NotFound
from core.models import lock_row

NO_DAY = "There is no training day with this id."


def training_day_hold(*, training_day_id: int, expected_version: int | None = None, alone: bool = False) -> TrainingDay:
    """A day, locked in its open term: writes to a day and to its records come one after another.

    With `alone` no other write of the term runs meanwhile, see `term_hold_alone`. Raises NotFound, Conflict
    (`term_closed`), and PreconditionFailed as `lock_row` does.
    """
    rows = TrainingDay.objects.filter(pk=training_day_id)
    term_id = rows.values_list("term_id", flat=True).first()  # a day never moves to another term
    if term_id is None:
        raise NotFound(NO_DAY)
    if alone:
        term_hold_alone(term_id=term_id)
    else:
        term_hold_open(term_id=term_id)
    return lock_row(rows, expected_version=expected_version, missing=NO_DAY)


def training_day_share(*, training_day_id: int) -> TrainingDay:
    """A day in its open term, held together with others who share it; whoever holds it alone comes before or after.

    For writers of single records who keep out of each other's way by other locks. Raises NotFound, and Conflict
    (`term_closed`).
    """
    term_id = TrainingDay.objects.filter(pk=training_day_id).values_list("term_id", flat=True).first()
    if term_id is None:
        raise NotFound(NO_DAY)
    term_hold_open(term_id=term_id)
    # Django has no FOR SHARE.
    rows = TrainingDay.objects.raw("SELECT * FROM training_trainingday WHERE id = %s FOR SHARE", [training_day_id])
    return next(iter(rows))  # a day is never deleted


def training_days_hold(days: QuerySet[TrainingDay]) -> list[TrainingDay]:
    """Several days of a term that is held already, locked in the order of their ids."""
    return list(days.order_by("id").select_for_update(of=("self",), no_key=True))


def term_hold_alone(*, term_id: int) -> Term:
    """Keep a term open and its other writers out.

    For what gives a date a training day: otherwise a letter approved at the same moment would not see the day, and the
    day would not see the letter. Raises NotFound and Conflict (`term_closed`).
    """
    # The exclusive lock first: two writers that shared one would wait for each other to give it up.
    term = lock_row(Term.objects.filter(pk=term_id), missing="There is no term with this id.")
    term_hold_open(term_id=term_id)
    return term
