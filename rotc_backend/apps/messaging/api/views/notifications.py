from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from apps.accounts.authentication import AdminOnly, SignedIn, caller_of
from apps.messaging.api.serializers import notifications as serializers
from apps.messaging.selectors import notifications as selectors
from apps.messaging.services import notifications as services
from core.cache import read_through
from core.http import Pages, page_of

CACHE_SECONDS = 300

_TAGS = ["notifications"]
_NOTIFICATION = {
    "id": 812,
    "title": "Training day moved",
    "body": "Saturday's formation starts at 06:30 on the parade ground.",
    "correlation_id": None,
    "created_at": "2026-08-22T01:15:04.812Z",
    "read_at": None,
}
_READ = {**_NOTIFICATION, "read_at": "2026-08-22T01:17:40.006Z"}
_CACHED = "Answered from the cache where possible; the header Cache-Status tells."
_OTHERS = "Not found, also for somebody else's notification."


class NotificationsView(APIView):
    pagination_class = Pages

    @property
    def permission_classes(self) -> tuple[type[BasePermission], ...]:  # type: ignore[override]  # two operations, one path
        return (AdminOnly,) if self.request is not None and self.request.method == "POST" else (SignedIn,)

    @extend_schema(
        operation_id="notifications_list",
        tags=_TAGS,
        summary="One's own notifications, newest first",
        description=_CACHED,
        responses={200: serializers.NotificationOutput(many=True)},
        examples=[
            OpenApiExample(
                "a page",
                response_only=True,
                status_codes=["200"],
                value=_NOTIFICATION,
            )
        ],
    )
    def get(self, request: Request) -> Response:
        user_id = caller_of(request).user_id
        number, size = page_of(request)

        def page() -> Any:
            pages = Pages()
            rows = pages.paginate_queryset(selectors.notifications_of(user_id=user_id), request, self)
            return pages.get_paginated_response(serializers.NotificationOutput(rows, many=True).data).data

        return Response(
            read_through(
                key=f"notifications:{user_id}:{number}:{size}",
                versions=[selectors.notifications_version(user_id=user_id)],
                ttl=CACHE_SECONDS,
                compute=page,
            )
        )

    @extend_schema(
        operation_id="notifications_create",
        tags=_TAGS,
        summary="Notify one person",
        description=(
            "Reaches the recipient's open sockets as `notification.created`. Problems: 400 with "
            "`unknown_recipient` at `recipient`, and with `unknown_field` at a field that does not exist."
        ),
        request=serializers.NotificationInput,
        responses={
            201: OpenApiResponse(serializers.NotificationOutput, description="Created; Location gives its address.")
        },
        examples=[
            OpenApiExample(
                "notify a cadet",
                request_only=True,
                value={
                    "recipient": "cadet",
                    "title": _NOTIFICATION["title"],
                    "body": _NOTIFICATION["body"],
                    "correlation_id": "smoke-7f3a-1",
                },
            ),
            OpenApiExample(
                "created",
                response_only=True,
                status_codes=["201"],
                value={**_NOTIFICATION, "correlation_id": "smoke-7f3a-1"},
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        given = serializers.NotificationInput(data=request.data)
        given.is_valid(raise_exception=True)
        fields = dict(given.validated_data)
        recipient = fields.pop("recipient")
        notification = services.notification_create(
            actor_id=caller_of(request).user_id, recipient_id=recipient.pk, **fields
        )
        return Response(
            serializers.NotificationOutput(notification).data,
            status=201,
            headers={"Location": reverse("notification", args=[notification.pk])},
        )


class UnreadCountView(APIView):
    permission_classes = (SignedIn,)

    @extend_schema(
        operation_id="notifications_unread_count",
        tags=_TAGS,
        summary="How many of one's own notifications are unread",
        description=_CACHED,
        responses={200: serializers.UnreadCountOutput},
        examples=[OpenApiExample("three unread", response_only=True, value={"unread": 3})],
    )
    def get(self, request: Request) -> Response:
        user_id = caller_of(request).user_id
        return Response(
            read_through(
                key=f"notifications-unread:{user_id}",
                versions=[selectors.notifications_version(user_id=user_id)],
                ttl=CACHE_SECONDS,
                compute=lambda: {"unread": selectors.unread_count(user_id=user_id)},
            )
        )


class NotificationView(APIView):
    permission_classes = (SignedIn,)

    @extend_schema(
        operation_id="notifications_retrieve",
        tags=_TAGS,
        summary="One notification",
        description="One's own; an administrator sees everybody's.",
        responses={200: serializers.NotificationOutput, 404: OpenApiResponse(description=_OTHERS)},
        examples=[OpenApiExample("unread", response_only=True, status_codes=["200"], value=_NOTIFICATION)],
    )
    def get(self, request: Request, notification_id: int) -> Response:
        caller = caller_of(request)
        notification = selectors.notification_visible_to(
            user_id=caller.user_id, is_admin=caller.is_admin, notification_id=notification_id
        )
        return Response(serializers.NotificationOutput(notification).data)

    @extend_schema(
        operation_id="notifications_delete",
        tags=_TAGS,
        summary="Remove a notification",
        description="One's own; an administrator may remove any. Sockets hear `notification.removed`.",
        responses={204: None, 404: OpenApiResponse(description=_OTHERS)},
    )
    def delete(self, request: Request, notification_id: int) -> Response:
        services.notification_delete(actor=caller_of(request), notification_id=notification_id)
        return Response(status=204)


class NotificationReadView(APIView):
    permission_classes = (SignedIn,)

    @extend_schema(
        operation_id="notifications_read",
        tags=_TAGS,
        summary="Mark one's own notification as read",
        description="Idempotent: the time of the first reading stays. Sockets hear `notification.read` once.",
        request=None,
        responses={200: serializers.NotificationOutput, 404: OpenApiResponse(description=_OTHERS)},
        examples=[OpenApiExample("read", response_only=True, status_codes=["200"], value=_READ)],
    )
    def post(self, request: Request, notification_id: int) -> Response:
        notification = services.notification_read(actor=caller_of(request), notification_id=notification_id)
        return Response(serializers.NotificationOutput(notification).data)
