import datetime as dt

from django.db.models import QuerySet

from apps.training.models import TrainingDay
from core.errors import NotFound


def training_days(
    *, term_id: int, first: dt.date | None = None, last: dt.date | None = None, cancelled: bool | None = None
) -> QuerySet[TrainingDay]:
    """The days of a term from `first` to `last`, the first first."""
    days = TrainingDay.objects.filter(term_id=term_id).order_by("date", "id")
    if first is not None:
        days = days.filter(date__gte=first)
    if last is not None:
        days = days.filter(date__lte=last)
    return days if cancelled is None else days.filter(cancelled_at__isnull=not cancelled)


def training_day_by_id(*, training_day_id: int) -> TrainingDay:
    """Raises NotFound."""
    day = TrainingDay.objects.filter(pk=training_day_id).first()
    if day is None:
        raise NotFound("There is no training day with this id.")
    return day
