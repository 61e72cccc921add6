from django.apps import AppConfig


class CadetsConfig(AppConfig):
    name = "apps.cadets"
