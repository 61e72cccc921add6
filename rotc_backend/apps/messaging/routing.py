"""What the channels service serves; `config.asgi` puts it together."""

from django.urls import re_path

from apps.messaging.consumers.chat import ChatStream
from apps.messaging.consumers.notifications import NotificationStream
from apps.messaging.consumers.updates import UpdateStream
from apps.realtime.sockets import socket_of

# The guide's paths have the slash; a client that leaves it out would only see a close code.
websocket_urlpatterns = [
    re_path(r"^ws/notifications/?$", socket_of(NotificationStream)),
    re_path(r"^ws/updates/?$", socket_of(UpdateStream)),
    re_path(r"^ws/chat/(?P<room_id>[0-9]{1,18})/?$", socket_of(ChatStream)),
]

# The names by which a server-sent stream asks for the same.
STREAMS = {"notifications": NotificationStream, "updates": UpdateStream, "chat": ChatStream}
DEFAULT_STREAMS = ("notifications", "updates")
