"""Tests: real PostgreSQL and Valkey, no manifest to collect first, a password hash that costs nothing."""

from config.settings.base import *  # noqa: F403 - the settings themselves
from config.settings.base import STORAGES

DJANGO_ENV = "testing"
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
CORS_ALLOWED_ORIGINS = ["https://front-end.example"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
# Static files are taken from where they lie: nothing has to be collected before a test.
WHITENOISE_AUTOREFRESH = True
WHITENOISE_USE_FINDERS = True
