from typing import Any

from django.apps import AppConfig


class TrainingConfig(AppConfig):
    name = "apps.training"
    verbose_name = "Training and attendance"

    def ready(self) -> None:
        from apps.cadets.services.terms import term_dates_change
        from apps.pictures.services import use_register
        from apps.training.services.letters import FILE

        # The one way for a term, which knows nothing of this app, to be kept around its training days.
        term_dates_change.connect(_keep_training_days, dispatch_uid="training.term_dates")
        use_register(FILE)


def _keep_training_days(*, term_id: int, starts_on: Any, ends_on: Any, **_: Any) -> None:
    from apps.training.services.days import training_days_stay

    training_days_stay(term_id=term_id, starts_on=starts_on, ends_on=ends_on)
