from django.apps import AppConfig
from django.urls import register_converter

from core.paths import IdConverter


class CoreConfig(AppConfig):
    name = "core"

    def ready(self) -> None:
        from core import checks  # noqa: F401 - registers the system checks

        register_converter(IdConverter, "id")
