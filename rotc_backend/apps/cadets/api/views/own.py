"""What cadets see and change of themselves."""

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.authentication import CadetOnly, caller_of
from apps.cadets import selectors
from apps.cadets.api.serializers.cadets import OwnCadetInput, OwnCadetOutput
from apps.cadets.api.views.answers import ETAG, given_in, row_answer
from apps.cadets.api.views.cadets import DETAILS, NAME, PLACE
from apps.cadets.api.views.terms import TERM
from apps.cadets.models import Cadet
from apps.cadets.services import cadets
from core.http import expected_version
from core.openapi import IF_MATCH

_OWN = {
    **NAME,
    **DETAILS,
    "photo_url": "/api/v1/cadets/me/photo",
    "photo_state": "ready",
    "updated_at": "2026-08-22T01:15:04.812Z",
    "version": 4,
    "enrollments": [{"term": TERM, **{name: value for name, value in PLACE.items() if name != "term_id"}}],
}
NO_RECORD = OpenApiResponse(description="`no_cadet_record`: the account is not linked to a cadet's record.")


def own_output(cadet: Cadet) -> OwnCadetOutput:
    enrollments = selectors.enrollments_of_cadet(cadet_id=cadet.pk)
    return OwnCadetOutput(cadet, context={"enrollments": enrollments})


class OwnCadetView(APIView):
    permission_classes = (CadetOnly,)

    @extend_schema(
        operation_id="cadets_me",
        tags=["cadets"],
        summary="One's own record, with the enrollments of all terms",
        description=f"Cadets only. {ETAG}",
        responses={200: OwnCadetOutput, 404: NO_RECORD},
        examples=[OpenApiExample("a cadet", response_only=True, status_codes=["200"], value=_OWN)],
    )
    def get(self, request: Request) -> Response:
        cadet = selectors.cadet_of_user(user_id=caller_of(request).user_id)
        return row_answer(cadet, own_output(cadet))

    @extend_schema(
        operation_id="cadets_me_change",
        tags=["cadets"],
        summary="Change one's own contact data",
        description=(
            "E-mail, contact number and address; everything else is for an administrator to change. Cadets only. Staff "
            "and the cadet hear `cadet.changed`. Problems: 400 with `unknown_field` at every other field."
        ),
        parameters=[IF_MATCH],
        request=OwnCadetInput,
        responses={200: OwnCadetOutput, 404: NO_RECORD},
        examples=[
            OpenApiExample("another number", request_only=True, value={"contact_number": "0918 555 0199"}),
            OpenApiExample(
                "changed",
                response_only=True,
                status_codes=["200"],
                value={**_OWN, "contact_number": "0918 555 0199", "version": 5},
            ),
        ],
    )
    def patch(self, request: Request) -> Response:
        cadet = cadets.cadet_change_own(
            actor=caller_of(request),
            expected_version=expected_version(request),
            changes=given_in(request, OwnCadetInput, partial=True),
        )
        return row_answer(cadet, own_output(cadet))
