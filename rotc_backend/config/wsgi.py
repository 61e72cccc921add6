"""The web service (gunicorn)."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

from django.core.wsgi import get_wsgi_application

from core.checks import refuse_misconfiguration
from core.content_types import utf8_wsgi
from core.timeouts import bound_statements

application = utf8_wsgi(get_wsgi_application())

refuse_misconfiguration(serves_http=True)
bound_statements()
