"""A developer's own process, beside the services that scripts/up started."""

from config.settings.base import *  # noqa: F403 - the settings themselves
from config.settings.base import ALLOWED_HOSTS, env

ALLOWED_HOSTS = ALLOWED_HOSTS or ["localhost", "127.0.0.1"]
DEBUG = env.flag("DEBUG", default=True)
SECURE_SSL_REDIRECT = False

env.refuse()
