"""The web service (gunicorn)."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()

from core.checks import refuse_misconfiguration

refuse_misconfiguration(serves_http=True)
