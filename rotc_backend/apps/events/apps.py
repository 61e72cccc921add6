from typing import Any

from django.apps import AppConfig
from django.apps import apps as all_apps
from django.db.models.signals import post_migrate


class EventsConfig(AppConfig):
    name = "apps.events"
    verbose_name = "Events"

    def ready(self) -> None:
        post_migrate.connect(_ensure_head, sender=self)
        from apps.events import services
        from core.after_commit import outbox_install

        outbox_install(services.DatabaseOutbox())


def _ensure_head(*, using: str, apps: Any = all_apps, **kwargs: Any) -> None:  # noqa: ARG001 - Django's signature
    # `flush` empties this table as well, and without its one row no event is ever delivered.
    try:
        apps.get_model("events", "EventHead")
    except LookupError:
        return  # migrated back to before this table
    from apps.events import services

    services.head_ensure(using=using)
