# Imported with every settings module, so that tasks find the application and not Celery's default one.
from config.celery import app as celery_app

__all__ = ("celery_app",)
