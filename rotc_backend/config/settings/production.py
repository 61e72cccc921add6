"""Render. Values differ from base; code does not."""

from config.settings.base import *  # noqa: F403 - the settings themselves
from config.settings.base import DJANGO_ENV, env

if DJANGO_ENV != "production":
    # Its other values would quietly keep uploads on a disk that is gone with the next deploy.
    env.blame("DJANGO_ENV", "does not say production", "Set DJANGO_ENV=production beside these settings.")
SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", default=True)
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True

env.refuse()
