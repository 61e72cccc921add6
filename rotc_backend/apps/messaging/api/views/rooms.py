from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from apps.accounts.authentication import SignedIn, caller_of
from apps.messaging.api.serializers import rooms as serializers
from apps.messaging.api.views.messages import AUTHOR, LOOKED, MESSAGE, NOT_FOUND, ONLOOKER, TAGS, WHO
from apps.messaging.selectors import rooms as selectors
from apps.messaging.services import rooms as services
from core.http import Pages
from core.serializers import query_of

_OTHER = {"id": 3, "username": "ramon", "name": "Ramon Dela Cruz", "role": "training_staff"}
_ROOM = {
    "id": 7,
    "kind": "company",
    "name": "Alpha",
    "company_id": 1,
    "people": [],
    "member_count": 64,
    "unread": 1,
    "last_read_id": 5119,
    "last_message": MESSAGE,
}
_DIRECT = {
    **_ROOM,
    "id": 31,
    "kind": "direct",
    "name": _OTHER["name"],
    "company_id": None,
    "people": [_OTHER, AUTHOR],
    "member_count": 2,
    "unread": 0,
    "last_read_id": None,
    "last_message": None,
}
_MARK = {"user_id": 17, "last_message_id": 5120, "read_at": "2026-08-22T01:17:40.006Z"}


class RoomsView(APIView):
    permission_classes = (SignedIn,)
    pagination_class = Pages

    @extend_schema(
        operation_id="rooms_list",
        tags=TAGS,
        summary="The rooms that one is in",
        description=(
            f"{WHO}The rooms with the newest messages come first. Rooms of archived companies are not in the list. "
            "With `others` an administrator finds the direct rooms of other people, without anything of what is said "
            "in them; everybody else is answered 403 `permission_denied`."
        ),
        parameters=[serializers.RoomsQuery],
        responses={
            200: serializers.RoomOutput(many=True),
            403: OpenApiResponse(description="`permission_denied`: `others` is for administrators."),
        },
        examples=[OpenApiExample("a company's room", response_only=True, status_codes=["200"], value=_ROOM)],
    )
    def get(self, request: Request) -> Response:
        actor = caller_of(request)
        query = query_of(request, serializers.RoomsQuery)
        others = query.pop("others")
        services.rooms_ensure()
        found = selectors.rooms_of_others(actor=actor) if others else selectors.rooms_seen_by(actor=actor, **query)
        pages = Pages()
        rooms = pages.paginate_queryset(found, request, self)
        seen = selectors.summaries(actor=actor, rooms=rooms, with_words=not others)
        return pages.get_paginated_response(serializers.RoomOutput(seen, many=True).data)


class DirectRoomsView(APIView):
    permission_classes = (SignedIn,)

    @extend_schema(
        operation_id="rooms_open_direct",
        tags=TAGS,
        summary="Open the direct room with another person",
        description=(
            "There is one room for two people, whoever opens it; 200 when it was there already, and then whatever has "
            "become of the two since. Staff and administrators write to anybody, cadets to them and to cadets of the "
            "own company in the current term. Both hear `room.opened`. Problems: 400 with `unknown_person` at "
            "`username` (nobody, somebody who cannot sign in, or to whom the caller may not write) and with "
            "`yourself`."
        ),
        request=serializers.DirectRoomInput,
        responses={
            200: OpenApiResponse(serializers.RoomOutput, description="It was there already."),
            201: OpenApiResponse(serializers.RoomOutput, description="Opened; Location gives its address."),
        },
        examples=[
            OpenApiExample("with an instructor", request_only=True, value={"username": "ramon"}),
            OpenApiExample("opened", response_only=True, status_codes=["200", "201"], value=_DIRECT),
        ],
    )
    def post(self, request: Request) -> Response:
        given = serializers.DirectRoomInput(data=request.data)
        given.is_valid(raise_exception=True)
        actor = caller_of(request)
        room, opened = services.room_open_direct(actor=actor, **given.validated_data)
        seen = selectors.room_summary(actor=actor, room_id=room.pk)
        return Response(
            serializers.RoomOutput(seen).data,
            status=201 if opened else 200,
            headers={"Location": reverse("room", args=[room.pk])} if opened else None,
        )


class RoomView(APIView):
    permission_classes = (SignedIn,)

    @extend_schema(
        operation_id="rooms_retrieve",
        tags=TAGS,
        summary="One room, and how far everybody has read in it",
        description=f"{WHO}{LOOKED}",
        responses={200: serializers.RoomDetailOutput, 404: OpenApiResponse(description=NOT_FOUND)},
        examples=[
            OpenApiExample(
                "a company's room", response_only=True, status_codes=["200"], value={**_ROOM, "read_marks": [_MARK]}
            )
        ],
    )
    def get(self, request: Request, room_id: int) -> Response:
        actor = caller_of(request)
        room = services.room_enter(actor=actor, room_id=room_id)
        seen = selectors.room_summary(actor=actor, room_id=room.pk)
        marks = serializers.ReadMarkOutput(selectors.read_marks_of(room=room), many=True).data
        return Response({**serializers.RoomOutput(seen).data, "read_marks": marks})


class RoomReadView(APIView):
    permission_classes = (SignedIn,)

    @extend_schema(
        operation_id="rooms_read",
        tags=TAGS,
        summary="Say how far one has read",
        description=(
            f"{WHO}The mark never moves back: an older message leaves it where it is, and only a move is told, as "
            "`message.read` to the room. Problem: 400 with `unknown_message` at `message_id`."
        ),
        request=serializers.ReadInput,
        responses={
            200: serializers.ReadMarkOutput,
            403: OpenApiResponse(description=ONLOOKER),
            404: OpenApiResponse(description=NOT_FOUND),
        },
        examples=[
            OpenApiExample("to a message", request_only=True, value={"message_id": 5120}),
            OpenApiExample("where the mark is now", response_only=True, status_codes=["200"], value=_MARK),
        ],
    )
    def post(self, request: Request, room_id: int) -> Response:
        given = serializers.ReadInput(data=request.data)
        given.is_valid(raise_exception=True)
        mark = services.room_read(actor=caller_of(request), room_id=room_id, **given.validated_data)
        return Response(serializers.ReadMarkOutput(mark).data)
