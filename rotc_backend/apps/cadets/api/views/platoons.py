from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from apps.accounts.authentication import AdminOnly, caller_of
from apps.cadets import selectors
from apps.cadets.api.serializers.lists import ListEntryInput, ListQuery, PlatoonOutput
from apps.cadets.api.views.answers import ETAG, EverybodyReads, conflict, given_in, page_answer, row_answer
from apps.cadets.services import lists
from core.http import Pages, expected_version
from core.openapi import IF_MATCH
from core.serializers import query_of

_TAGS = ["platoons"]
_PLATOON = {"id": 1, "name": "1st Platoon", "position": 10, "archived_at": None, "version": 1}
_RENAMED = {**_PLATOON, "name": "First Platoon", "version": 2}
_ARCHIVED = {**_PLATOON, "archived_at": "2026-08-22T01:15:04.812Z", "version": 2}


class PlatoonsView(EverybodyReads):
    pagination_class = Pages

    @extend_schema(
        operation_id="platoons_list",
        tags=_TAGS,
        summary="The platoons, in their order",
        description="For everybody who is signed in.",
        parameters=[ListQuery],
        responses={200: PlatoonOutput(many=True)},
        examples=[OpenApiExample("in use", response_only=True, status_codes=["200"], value=_PLATOON)],
    )
    def get(self, request: Request) -> Response:
        return page_answer(self, request, selectors.platoons_listed(**query_of(request, ListQuery)), PlatoonOutput)

    @extend_schema(
        operation_id="platoons_create",
        tags=_TAGS,
        summary="Add a platoon",
        description="Administrators only. Staff hear `platoon.changed`.",
        request=ListEntryInput,
        responses={
            201: OpenApiResponse(PlatoonOutput, description="Created; Location gives its address."),
            409: conflict("name_taken"),
        },
        examples=[
            OpenApiExample("one more", request_only=True, value={"name": "1st Platoon", "position": 10}),
            OpenApiExample("created", response_only=True, status_codes=["201"], value=_PLATOON),
        ],
    )
    def post(self, request: Request) -> Response:
        platoon = lists.platoon_create(actor=caller_of(request), **given_in(request, ListEntryInput))
        return row_answer(platoon, PlatoonOutput(platoon), location=reverse("platoon", args=[platoon.pk]))


class PlatoonView(EverybodyReads):
    @extend_schema(
        operation_id="platoons_retrieve",
        tags=_TAGS,
        summary="One platoon",
        description=f"For everybody who is signed in. {ETAG}",
        responses={200: PlatoonOutput},
        examples=[OpenApiExample("in use", response_only=True, status_codes=["200"], value=_PLATOON)],
    )
    def get(self, request: Request, platoon_id: int) -> Response:
        platoon = selectors.platoon_by_id(platoon_id=platoon_id)
        return row_answer(platoon, PlatoonOutput(platoon))

    @extend_schema(
        operation_id="platoons_change",
        tags=_TAGS,
        summary="Rename a platoon or move it in the list",
        description=("Whoever is in it stays in it, in all terms. Administrators only. Staff hear `platoon.changed`."),
        parameters=[IF_MATCH],
        request=ListEntryInput,
        responses={200: PlatoonOutput, 409: conflict("name_taken")},
        examples=[
            OpenApiExample("another name", request_only=True, value={"name": "First Platoon"}),
            OpenApiExample("renamed", response_only=True, status_codes=["200"], value=_RENAMED),
        ],
    )
    def patch(self, request: Request, platoon_id: int) -> Response:
        platoon = lists.platoon_change(
            actor=caller_of(request),
            platoon_id=platoon_id,
            expected_version=expected_version(request),
            changes=given_in(request, ListEntryInput, partial=True),
        )
        return row_answer(platoon, PlatoonOutput(platoon))


class PlatoonArchiveView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="platoons_archive",
        tags=_TAGS,
        summary="Archive a platoon",
        description=(
            "It takes no new enrollments; those that it has stay. Nothing happens if it is archived already. "
            "Administrators only. Staff hear `platoon.changed`."
        ),
        request=None,
        responses={200: PlatoonOutput},
        examples=[OpenApiExample("archived", response_only=True, status_codes=["200"], value=_ARCHIVED)],
    )
    def post(self, request: Request, platoon_id: int) -> Response:
        platoon = lists.platoon_archive(actor=caller_of(request), platoon_id=platoon_id)
        return row_answer(platoon, PlatoonOutput(platoon))


class PlatoonRestoreView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="platoons_restore",
        tags=_TAGS,
        summary="Take a platoon out of the archive",
        description="Nothing happens if it is not archived. Administrators only. Staff hear `platoon.changed`.",
        request=None,
        responses={200: PlatoonOutput},
        examples=[OpenApiExample("in use", response_only=True, status_codes=["200"], value={**_PLATOON, "version": 3})],
    )
    def post(self, request: Request, platoon_id: int) -> Response:
        platoon = lists.platoon_restore(actor=caller_of(request), platoon_id=platoon_id)
        return row_answer(platoon, PlatoonOutput(platoon))
