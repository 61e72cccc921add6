from typing import Any

from django.apps import AppConfig
from django.apps import apps as all_apps
from django.db.models.signals import post_migrate


class GradingConfig(AppConfig):
    name = "apps.grading"
    verbose_name = "Grades"

    def ready(self) -> None:
        post_migrate.connect(_ensure_default_policy, sender=self)


def _ensure_default_policy(*, using: str, apps: Any = all_apps, **kwargs: Any) -> None:  # noqa: ARG001 - Django's signature
    # `flush` empties this table as well, and without its default row nothing can be graded.
    try:
        apps.get_model("grading", "GradingPolicy")
    except LookupError:
        return  # migrated back to before this table
    from apps.grading.services import policies

    policies.policy_default_ensure(using=using)
