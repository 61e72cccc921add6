from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class OperationsConfig(AppConfig):
    name = "apps.operations"
    verbose_name = "Operations"

    def ready(self) -> None:
        # Celery finds tasks by itself in a worker only; here core.after_commit has to know them as well. This
        # app is the topmost, so all models are loaded by now.
        autodiscover_modules("tasks")
