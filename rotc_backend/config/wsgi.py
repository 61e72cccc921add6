"""The web service (gunicorn)."""

import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

from django.core.wsgi import get_wsgi_application

from config.env import ConfigurationError

try:
    application = get_wsgi_application()
except ConfigurationError as error:
    sys.exit(str(error))

from core.checks import refuse_misconfiguration

refuse_misconfiguration(serves_http=True)
