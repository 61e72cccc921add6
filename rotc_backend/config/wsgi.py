"""The web service (gunicorn)."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()

from core.checks import refuse_misconfiguration
from core.timeouts import bound_statements

refuse_misconfiguration(serves_http=True)
bound_statements()
