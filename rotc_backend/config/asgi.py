"""The channels service (daphne): sockets, server-sent events, and health over HTTP."""

import atexit
import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

import django

django.setup(set_prefix=False)

from channels.routing import ProtocolTypeRouter
from django.core.handlers.asgi import ASGIHandler

from apps.messaging.routing import DEFAULT_STREAMS, STREAMS, websocket_urlpatterns
from apps.operations.sampler import start_sampler, stop_sampler
from apps.realtime.middleware import SocketDoor
from apps.realtime.server import start_with_daphne
from apps.realtime.server_sent import PATH, EventStreams
from core import broker
from core.checks import refuse_misconfiguration
from core.content_types import utf8_asgi
from core.timeouts import bound_statements

refuse_misconfiguration(serves_http=True)
bound_statements()


def leave() -> None:
    """Say in order that this service has stopped."""
    stop_sampler()
    broker.heartbeat_remove()


class HealthHandler(ASGIHandler):
    """Django's handler over `config.urls_channels` alone: this process neither loads nor offers the REST views."""

    def create_request(self, scope: Any, body_file: Any) -> Any:
        request, error = super().create_request(scope, body_file)
        if request is not None:
            request.urlconf = "config.urls_channels"
        return request, error


health = utf8_asgi(HealthHandler())
event_streams = EventStreams(STREAMS, default=DEFAULT_STREAMS)


async def http(scope: Any, receive: Any, send: Any) -> None:
    """Event streams stay open for minutes; Django's handler would keep a thread for each."""
    await (event_streams if scope["path"].rstrip("/") == PATH else health)(scope, receive, send)


application = ProtocolTypeRouter({"http": http, "websocket": SocketDoor([*websocket_urlpatterns])})

start_sampler()
atexit.register(leave)
start_with_daphne()
