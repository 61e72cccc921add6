from django.urls import re_path

from apps.messaging.consumers import NotificationSocket

websocket_urlpatterns = [
    # The guide's path has the slash; a client that leaves it out would only see a close code.
    re_path(r"^ws/notifications/?$", NotificationSocket.as_asgi()),
]
