from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from apps.accounts.authentication import SignedIn, caller_of
from apps.messaging.api.serializers import rooms as serializers
from apps.messaging.selectors import rooms as selectors
from apps.messaging.services import messages as services
from apps.messaging.services.rooms import room_enter
from core.serializers import query_of

TAGS = ["chat"]
AUTHOR = {"id": 17, "username": "liza", "name": "Liza Macaraeg", "role": "cadet"}
MESSAGE = {
    "id": 5120,
    "room_id": 7,
    "author": AUTHOR,
    "body": "The drill begins at 06:30.",
    "client_id": "0f9a6f0e-5f57-4c7e-9a59-7f9d0c1b2a33",
    "created_at": "2026-08-22T01:15:04.812Z",
    "edited_at": None,
    "deleted_at": None,
}
WHO = (
    "A cadet is in the room of the own company in the current term and in direct rooms; training staff and "
    "administrators are in the staff room, every company's room and their own direct rooms. "
)
LOOKED = "An administrator also reads the direct rooms of others, and the audit trail shows it. "
NOT_FOUND = "Not found, also for a room that the caller is not in."
_NO_MESSAGE = "Not found, also for a message in a room that the caller is not in."
ONLOOKER = (
    "`not_a_member`: a direct room of two other people, which an administrator reads without writing; "
    "`account_archived`."
)


class RoomMessagesView(APIView):
    permission_classes = (SignedIn,)

    @extend_schema(
        operation_id="messages_list",
        tags=TAGS,
        summary="What was said in a room, newest first",
        description=(
            f"{WHO}{LOOKED}Read on with the answer's `next_before` as `before`: messages that come meanwhile "
            "move nothing. Removed messages stay in their place with an empty body."
        ),
        parameters=[serializers.MessagesQuery],
        responses={200: serializers.MessagesOutput, 404: OpenApiResponse(description=NOT_FOUND)},
        examples=[
            OpenApiExample(
                "the newest",
                response_only=True,
                status_codes=["200"],
                value={"results": [MESSAGE], "next_before": 5120},
            )
        ],
    )
    def get(self, request: Request, room_id: int) -> Response:
        query = query_of(request, serializers.MessagesQuery)
        room = room_enter(actor=caller_of(request), room_id=room_id)
        messages, next_before = selectors.history(room=room, before=query.get("before"), limit=query["limit"])
        return Response(serializers.MessagesOutput({"results": messages, "next_before": next_before}).data)

    @extend_schema(
        operation_id="messages_send",
        tags=TAGS,
        summary="Write in a room",
        description=(
            f"{WHO}The room hears `message.created`. A `client_id` that the caller has already used in this room "
            "gives the message that it named then, with 200: a client repeats a request whose answer was lost "
            "without writing twice. 20 messages in 10 seconds at the most, in all rooms together."
        ),
        request=serializers.MessageInput,
        responses={
            200: OpenApiResponse(serializers.MessageOutput, description="Sent before with this `client_id`."),
            201: OpenApiResponse(serializers.MessageOutput, description="Sent; Location gives its address."),
            403: OpenApiResponse(description=ONLOOKER),
            404: OpenApiResponse(description=NOT_FOUND),
            409: OpenApiResponse(description="`company_archived`: nobody writes in its room any more."),
            429: OpenApiResponse(description="`sending_too_fast`: wait for the seconds in the header Retry-After."),
        },
        examples=[
            OpenApiExample(
                "a message",
                request_only=True,
                value={"body": MESSAGE["body"], "client_id": MESSAGE["client_id"]},
            ),
            OpenApiExample("sent", response_only=True, status_codes=["200", "201"], value=MESSAGE),
        ],
    )
    def post(self, request: Request, room_id: int) -> Response:
        given = serializers.MessageInput(data=request.data)
        given.is_valid(raise_exception=True)
        message, is_new = services.message_send(actor=caller_of(request), room_id=room_id, **given.validated_data)
        return Response(
            serializers.MessageOutput(message).data,
            status=201 if is_new else 200,
            headers={"Location": reverse("message", args=[message.pk])} if is_new else None,
        )


class MessageView(APIView):
    permission_classes = (SignedIn,)

    @extend_schema(
        operation_id="messages_retrieve",
        tags=TAGS,
        summary="One message",
        description=f"{WHO}{LOOKED}",
        responses={200: serializers.MessageOutput, 404: OpenApiResponse(description=_NO_MESSAGE)},
        examples=[OpenApiExample("a message", response_only=True, status_codes=["200"], value=MESSAGE)],
    )
    def get(self, request: Request, message_id: int) -> Response:
        message = services.message_enter(actor=caller_of(request), message_id=message_id)
        return Response(serializers.MessageOutput(message).data)

    @extend_schema(
        operation_id="messages_edit",
        tags=TAGS,
        summary="Change what one wrote oneself",
        description="Nobody else's words, also not as an administrator. The room hears `message.edited`.",
        request=serializers.MessageChangeInput,
        responses={
            200: serializers.MessageOutput,
            403: OpenApiResponse(description="`not_the_author`."),
            404: OpenApiResponse(description=_NO_MESSAGE),
            409: OpenApiResponse(description="`message_deleted` or `company_archived`."),
        },
        examples=[
            OpenApiExample("other words", request_only=True, value={"body": "The drill begins at 07:00."}),
            OpenApiExample(
                "edited",
                response_only=True,
                status_codes=["200"],
                value={
                    **MESSAGE,
                    "body": "The drill begins at 07:00.",
                    "edited_at": "2026-08-22T01:16:31.440Z",
                },
            ),
        ],
    )
    def patch(self, request: Request, message_id: int) -> Response:
        given = serializers.MessageChangeInput(data=request.data)
        given.is_valid(raise_exception=True)
        message = services.message_edit(actor=caller_of(request), message_id=message_id, **given.validated_data)
        return Response(serializers.MessageOutput(message).data)

    @extend_schema(
        operation_id="messages_delete",
        tags=TAGS,
        summary="Remove a message",
        description=(
            "One's own; an administrator may remove any. Its words are gone, its place stays. The room hears "
            "`message.deleted` once, however often it is asked."
        ),
        responses={
            204: None,
            403: OpenApiResponse(description="`not_the_author`."),
            404: OpenApiResponse(description=_NO_MESSAGE),
        },
    )
    def delete(self, request: Request, message_id: int) -> Response:
        services.message_delete(actor=caller_of(request), message_id=message_id)
        return Response(status=204)
