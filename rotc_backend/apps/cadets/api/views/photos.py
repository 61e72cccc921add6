from typing import Any

from django.http import FileResponse, HttpResponseRedirect
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.authentication import CadetOnly, caller_of
from apps.cadets import selectors
from apps.cadets.api.serializers.cadets import CadetOutput, CadetPhotoInput, OwnCadetOutput
from apps.cadets.api.views.answers import StaffRead, row_answer
from apps.cadets.api.views.cadets import CADET
from apps.cadets.api.views.own import NO_RECORD, own_output
from apps.cadets.models import Cadet
from apps.cadets.services import photos
from apps.pictures.rules import FILE_PROCESSING, being_prepared
from core.errors import NotFound
from core.file_views import FileNegotiation, ImageUploadParser
from core.uploads import file_answer

_TAGS = ["cadets"]
_SENT = {**CADET, "photo_state": "processing", "version": CADET["version"] + 1}
_CHECKED = (
    "JPEG, PNG or WebP by content, 10 MB at most. It is written anew in the background as an upright JPEG of at most "
    "1,600 pixels, without metadata: nothing tells where it was taken. The answer shows `photo_state` `processing` and "
    "still the `photo_url` of the photo before; some seconds later `cadet.changed` tells that `photo_state` is `ready` "
    "(both count the version up, so read again before a change), or `refused` for what could not be decoded; then "
    "whoever sent it is notified why. Sent again meanwhile, the newest counts. Problems: 400 with `file_type`, "
    "`file_malformed` or `image_too_large` at `file` (beyond 80 megapixels, as progressive JPEG or PNG beyond 12, as "
    "WebP beyond 4); 413 `content_too_large`."
)
_PHOTO: dict[Any, Any] = {
    (200, "image/jpeg"): OpenApiResponse(OpenApiTypes.BINARY, description="The photo itself."),
    302: OpenApiResponse(description="Location is a link to the file, signed, for five minutes."),
    404: OpenApiResponse(description="There is no such cadet or no photo (`no_photo`)."),
    409: OpenApiResponse(description="`file_processing`: the first photo is being prepared. Ask again in seconds."),
}


def _photo_of(cadet: Cadet) -> FileResponse | HttpResponseRedirect:
    if not cadet.photo and cadet.photo_sent == FILE_PROCESSING:
        raise being_prepared()
    if not cadet.photo:
        raise NotFound("There is no photo.", code="no_photo")
    return file_answer(name=cadet.photo, content_type="image/jpeg")


def _upload_in(request: Request) -> Any:
    given = CadetPhotoInput(data=request.data)
    given.is_valid(raise_exception=True)
    return given.validated_data["file"]


class CadetPhotoView(StaffRead):
    parser_classes = (ImageUploadParser,)
    content_negotiation_class = FileNegotiation

    @extend_schema(
        operation_id="cadets_photo_retrieve",
        tags=_TAGS,
        summary="A cadet's photo",
        description="Seen by training staff and administrators. The file itself, or a link to it.",
        responses=_PHOTO,
    )
    def get(self, request: Request, cadet_id: int) -> FileResponse | HttpResponseRedirect:
        return _photo_of(selectors.cadet_by_id(cadet_id=cadet_id))

    @extend_schema(
        operation_id="cadets_photo_replace",
        tags=_TAGS,
        summary="Set a cadet's photo",
        description=f"{_CHECKED} Administrators only. Staff and the cadet hear `cadet.changed`.",
        request={"multipart/form-data": CadetPhotoInput},
        responses={200: CadetOutput},
        examples=[OpenApiExample("with a photo", response_only=True, status_codes=["200"], value=_SENT)],
    )
    def put(self, request: Request, cadet_id: int) -> Response:
        cadet = photos.cadet_photo_set(actor=caller_of(request), cadet_id=cadet_id, upload=_upload_in(request))
        return row_answer(cadet, CadetOutput(cadet))

    @extend_schema(
        operation_id="cadets_photo_delete",
        tags=_TAGS,
        summary="Remove a cadet's photo",
        description=(
            "Also one that is being prepared. Nothing happens if there is none. Administrators only. Staff and the "
            "cadet hear `cadet.changed`."
        ),
        responses={204: None},
    )
    def delete(self, request: Request, cadet_id: int) -> Response:
        photos.cadet_photo_remove(actor=caller_of(request), cadet_id=cadet_id)
        return Response(status=204)


class OwnPhotoView(APIView):
    permission_classes = (CadetOnly,)
    parser_classes = (ImageUploadParser,)
    content_negotiation_class = FileNegotiation

    @extend_schema(
        operation_id="cadets_me_photo_retrieve",
        tags=_TAGS,
        summary="One's own photo",
        description="Cadets only. The file itself, or a link to it.",
        responses={**_PHOTO, 404: OpenApiResponse(description="`no_photo`, or `no_cadet_record`.")},
    )
    def get(self, request: Request) -> FileResponse | HttpResponseRedirect:
        return _photo_of(_own(request))

    @extend_schema(
        operation_id="cadets_me_photo_replace",
        tags=_TAGS,
        summary="Set one's own photo",
        description=f"{_CHECKED} Cadets only. Staff and the cadet hear `cadet.changed`.",
        request={"multipart/form-data": CadetPhotoInput},
        responses={200: OwnCadetOutput, 404: NO_RECORD},
    )
    def put(self, request: Request) -> Response:
        own = _own(request)
        cadet = photos.cadet_photo_set(actor=caller_of(request), cadet_id=own.pk, upload=_upload_in(request))
        return row_answer(cadet, own_output(cadet))

    @extend_schema(
        operation_id="cadets_me_photo_delete",
        tags=_TAGS,
        summary="Remove one's own photo",
        description=(
            "Also one that is being prepared. Nothing happens if there is none. Cadets only. Staff and the cadet hear "
            "`cadet.changed`."
        ),
        responses={204: None, 404: NO_RECORD},
    )
    def delete(self, request: Request) -> Response:
        photos.cadet_photo_remove(actor=caller_of(request), cadet_id=_own(request).pk)
        return Response(status=204)


def _own(request: Request) -> Cadet:
    return selectors.cadet_of_user(user_id=caller_of(request).user_id)
