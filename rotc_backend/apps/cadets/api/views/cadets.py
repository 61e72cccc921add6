import hashlib
import json
from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from apps.accounts.authentication import AdminOnly, caller_of
from apps.cadets import rules, selectors
from apps.cadets.api.serializers.cadets import (
    CadetInput,
    CadetListOutput,
    CadetOutput,
    CadetsQuery,
    LinkedAccountInput,
)
from apps.cadets.api.views.answers import ETAG, SEEN_BY_STAFF, StaffRead, conflict, given_in, row_answer
from apps.cadets.services import cadets, links
from core.cache import read_through
from core.http import Pages, expected_version, page_of
from core.openapi import IF_MATCH
from core.serializers import query_of

CACHE_SECONDS = 300

_TAGS = ["cadets"]
NAME = {
    "id": 57,
    "student_id": "2024-01183",
    "last_name": "Macaraeg",
    "first_name": "Liza",
    "middle_name": "Peña",
    "suffix": "",
    "full_name": "Macaraeg, Liza Peña",
}
PLACE = {
    "id": 912,
    "term_id": 4,
    "company": {"id": 1, "name": "Alpha"},
    "platoon": {"id": 2, "name": "2nd Platoon"},
    "battalion": "1st Battalion",
    "position": "",
    "rank": "CDT",
    "level": "MS1",
    "status": "ongoing",
    "enrolled_on": "2026-08-10",
    "version": 1,
}
_ROW = {
    **NAME,
    "course": "BS Agriculture",
    "year_level": 2,
    "photo_url": "/api/v1/cadets/57/photo",
    "user_id": 303,
    "archived_at": None,
    "version": 4,
    "enrollment": PLACE,
}
DETAILS = {
    "email": "liza.macaraeg@example.edu.ph",
    "contact_number": "0917 555 0123",
    "address": "Maigo, Lanao del Norte",
    "gender": "female",
    "birthdate": "2006-03-14",
    "religion": "",
    "course": "BS Agriculture",
    "year_level": 2,
}
CADET: dict[str, Any] = {
    **NAME,
    **DETAILS,
    "photo_url": "/api/v1/cadets/57/photo",
    "photo_state": "ready",
    "user_id": 303,
    "archived_at": None,
    "created_at": "2026-08-03T02:00:11.140Z",
    "updated_at": "2026-08-22T01:15:04.812Z",
    "version": 4,
}
_GIVEN = {name: NAME[name] for name in ("student_id", "last_name", "first_name", "middle_name")} | {
    name: value for name, value in DETAILS.items() if value
}
_NEW = {
    **CADET,
    "photo_url": None,
    "photo_state": None,
    "user_id": None,
    "updated_at": CADET["created_at"],
    "version": 1,
}
_ARCHIVED = {**CADET, "archived_at": "2026-09-01T03:20:00.000Z", "version": 5}


class CadetsView(StaffRead):
    pagination_class = Pages

    @extend_schema(
        operation_id="cadets_list",
        tags=_TAGS,
        summary="Cadets, with their place in a term",
        description=(
            "Without `term` everybody is listed, with the enrollment in the current term; with it, who is enrolled in "
            "it. Filters by company, platoon, level and status are about that enrollment. Answered from the cache "
            f"where possible, unless it is a search; the header Cache-Status tells. {SEEN_BY_STAFF}"
        ),
        parameters=[CadetsQuery],
        responses={200: CadetListOutput(many=True)},
        examples=[OpenApiExample("a row", response_only=True, status_codes=["200"], value=_ROW)],
    )
    def get(self, request: Request) -> Response:
        query, page = query_of(request, CadetsQuery), page_of(request)
        if query.get("search"):
            # Not kept: what is typed letter by letter comes once and would fill the cache.
            return Response(self._page(request, query))
        asked = json.dumps([sorted(query.items()), page]).encode()
        return Response(
            read_through(
                key=f"cadets:{hashlib.sha256(asked).hexdigest()}",
                versions=[rules.roster_version()],
                ttl=CACHE_SECONDS,
                compute=lambda: self._page(request, query),
            )
        )

    def _page(self, request: Request, query: dict[str, Any]) -> Any:
        rows, term_id = selectors.cadets_filtered(**query)
        pages = Pages()
        page = pages.paginate_queryset(rows, request, self)
        enrollments = selectors.enrollments_in(term_id=term_id or 0, cadet_ids=[cadet.pk for cadet in page])
        output = CadetListOutput(page, many=True, context={"enrollments": enrollments})
        return pages.get_paginated_response(output.data).data

    @extend_schema(
        operation_id="cadets_create",
        tags=_TAGS,
        summary="Make a cadet's record",
        description=(
            "Without account and enrollment, which have operations of their own. Administrators only. Staff hear "
            "`cadet.created`."
        ),
        request=CadetInput,
        responses={
            201: OpenApiResponse(CadetOutput, description="Created; Location gives its address."),
            409: conflict("student_id_taken"),
        },
        examples=[
            OpenApiExample("a new cadet", request_only=True, value=_GIVEN),
            OpenApiExample("created", response_only=True, status_codes=["201"], value=_NEW),
        ],
    )
    def post(self, request: Request) -> Response:
        cadet = cadets.cadet_create(actor=caller_of(request), fields=given_in(request, CadetInput))
        return row_answer(cadet, CadetOutput(cadet), location=reverse("cadet", args=[cadet.pk]))


class CadetView(StaffRead):
    @extend_schema(
        operation_id="cadets_retrieve",
        tags=_TAGS,
        summary="One cadet",
        description=f"{SEEN_BY_STAFF} {ETAG}",
        responses={200: CadetOutput},
        examples=[OpenApiExample("a cadet", response_only=True, status_codes=["200"], value=CADET)],
    )
    def get(self, request: Request, cadet_id: int) -> Response:
        cadet = selectors.cadet_by_id(cadet_id=cadet_id)
        return row_answer(cadet, CadetOutput(cadet))

    @extend_schema(
        operation_id="cadets_change",
        tags=_TAGS,
        summary="Change a cadet's data",
        description="Administrators only. Staff and the cadet hear `cadet.changed`.",
        parameters=[IF_MATCH],
        request=CadetInput,
        responses={200: CadetOutput, 409: conflict("student_id_taken")},
        examples=[
            OpenApiExample("another course", request_only=True, value={"course": "BS Forestry"}),
            OpenApiExample(
                "changed",
                response_only=True,
                status_codes=["200"],
                value={**CADET, "course": "BS Forestry", "version": 5},
            ),
        ],
    )
    def patch(self, request: Request, cadet_id: int) -> Response:
        cadet = cadets.cadet_change(
            actor=caller_of(request),
            cadet_id=cadet_id,
            expected_version=expected_version(request),
            changes=given_in(request, CadetInput, partial=True),
        )
        return row_answer(cadet, CadetOutput(cadet))


class CadetArchiveView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="cadets_archive",
        tags=_TAGS,
        summary="Archive a cadet",
        description=(
            "The account is archived as well: its sessions end, nobody signs in with it. History and student number "
            "stay. Nothing happens if the cadet is archived already. Administrators only. Staff hear `cadet.archived`."
        ),
        request=None,
        responses={200: CadetOutput, 409: conflict("own_account", "last_admin")},
        examples=[OpenApiExample("archived", response_only=True, status_codes=["200"], value=_ARCHIVED)],
    )
    def post(self, request: Request, cadet_id: int) -> Response:
        cadet = cadets.cadet_archive(actor=caller_of(request), cadet_id=cadet_id)
        return row_answer(cadet, CadetOutput(cadet))


class CadetRestoreView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="cadets_restore",
        tags=_TAGS,
        summary="Restore an archived cadet",
        description=(
            "An account that was closed with the record comes back too. "
            "Nothing happens if the cadet is not archived. Administrators only. Staff "
            "and the cadet hear `cadet.restored`."
        ),
        request=None,
        responses={200: CadetOutput},
        examples=[OpenApiExample("restored", response_only=True, status_codes=["200"], value={**CADET, "version": 6})],
    )
    def post(self, request: Request, cadet_id: int) -> Response:
        cadet = cadets.cadet_restore(actor=caller_of(request), cadet_id=cadet_id)
        return row_answer(cadet, CadetOutput(cadet))


class CadetAccountView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="cadets_account_link",
        tags=_TAGS,
        summary="Say which account is this cadet's",
        description=(
            "An account belongs to one cadet or one staff profile at most. Nothing happens if it is linked so already. "
            "Administrators only. Staff and the cadet hear `cadet.changed`. Problems: 400 with `unknown_user` at "
            "`user_id`; 409 `record_archived`, `already_linked` (the cadet has another account), `account_linked` (the "
            "account has another record), `account_archived`, `role_does_not_fit`."
        ),
        request=LinkedAccountInput,
        responses={
            200: CadetOutput,
            409: conflict(
                "record_archived", "already_linked", "account_linked", "account_archived", "role_does_not_fit"
            ),
        },
        examples=[
            OpenApiExample("an account", request_only=True, value={"user_id": 303}),
            OpenApiExample("linked", response_only=True, status_codes=["200"], value=CADET),
        ],
    )
    def put(self, request: Request, cadet_id: int) -> Response:
        cadet = links.cadet_account_link(
            actor=caller_of(request), cadet_id=cadet_id, **given_in(request, LinkedAccountInput)
        )
        return row_answer(cadet, CadetOutput(cadet))

    @extend_schema(
        operation_id="cadets_account_unlink",
        tags=_TAGS,
        summary="Take the account away from a cadet",
        description=(
            "The account itself stays as it is. Nothing happens if there is none. Administrators only. Staff and who "
            "had the account hear `cadet.changed`."
        ),
        responses={204: None},
    )
    def delete(self, request: Request, cadet_id: int) -> Response:
        links.cadet_account_unlink(actor=caller_of(request), cadet_id=cadet_id)
        return Response(status=204)
