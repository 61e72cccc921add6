from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from apps.accounts.authentication import SignedIn, StaffOnly, caller_of
from apps.messaging.api.serializers import announcements as serializers
from apps.messaging.rules import announcements_version
from apps.messaging.selectors import announcements as selectors
from apps.messaging.services import announcements as services
from apps.pictures.rules import being_prepared
from core.cache import read_through
from core.file_views import FileNegotiation, ImageUploadParser
from core.http import Pages, entity_tag, expected_version, page_of
from core.openapi import IF_MATCH
from core.serializers import query_of
from core.uploads import file_answer

CACHE_SECONDS = 300

_TAGS = ["announcements"]
_PHOTO = {
    "id": 41,
    "url": "/api/v1/announcements/12/photos/41",
    "state": "ready",
    "created_at": "2026-08-20T03:02:11.120Z",
}
_ACTIVITY = {
    "id": 12,
    "kind": "activity",
    "title": "Tree planting",
    "text": "All companies meet at the main gate at 06:00. Bring gloves and water.",
    "date": "2026-08-29",
    "photos": [_PHOTO],
    "photos_processing": 0,
    "created_by": 3,
    "archived_at": None,
    "created_at": "2026-08-20T03:00:45.008Z",
    "updated_at": "2026-08-20T03:02:11.120Z",
    "version": 2,
}
_GIVEN = {name: _ACTIVITY[name] for name in ("kind", "title", "text", "date")}
_ARCHIVED = {**_ACTIVITY, "archived_at": "2026-09-01T00:30:00.000Z", "version": 3}
_NOT_FOUND = "Not found; for cadets also when it is archived."
_EVERYBODY = "Everybody who is signed in hears "


def _answer(announcement: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    body = serializers.AnnouncementOutput(announcement).data
    return Response(body, status=status, headers={"ETag": entity_tag(announcement.version), **(headers or {})})


class AnnouncementsView(APIView):
    pagination_class = Pages

    @property
    def permission_classes(self) -> tuple[type[BasePermission], ...]:  # type: ignore[override]  # two operations, one path
        return (StaffOnly,) if self.request is not None and self.request.method == "POST" else (SignedIn,)

    @extend_schema(
        operation_id="announcements_list",
        tags=_TAGS,
        summary="Announcements and activities, newest first",
        description=(
            "For everybody who is signed in; the archived ones for training staff and administrators (403 "
            "`permission_denied`). Answered from the cache where possible; the header Cache-Status tells."
        ),
        parameters=[serializers.AnnouncementsQuery],
        responses={
            200: serializers.AnnouncementOutput(many=True),
            403: OpenApiResponse(description="`permission_denied`: a cadet asked for archived ones."),
        },
        examples=[OpenApiExample("an activity", response_only=True, status_codes=["200"], value=_ACTIVITY)],
    )
    def get(self, request: Request) -> Response:
        query = query_of(request, serializers.AnnouncementsQuery)
        number, size = page_of(request)
        # Asked before the cache is: a cadet must not be given what was cached for staff.
        rows = selectors.announcements_seen_by(is_staff_member=caller_of(request).is_staff_member, **query)

        def page() -> Any:
            pages = Pages()
            found = pages.paginate_queryset(rows, request, self)
            return pages.get_paginated_response(serializers.AnnouncementOutput(found, many=True).data).data

        return Response(
            read_through(
                key=f"announcements:{query.get('kind', 'all')}:{query['archived']}:{number}:{size}",
                versions=[announcements_version()],
                ttl=CACHE_SECONDS,
                compute=page,
            )
        )

    @extend_schema(
        operation_id="announcements_create",
        tags=_TAGS,
        summary="Publish an announcement or an activity",
        description=f"Training staff and administrators. {_EVERYBODY}`announcement.published`.",
        request=serializers.AnnouncementInput,
        responses={
            201: OpenApiResponse(serializers.AnnouncementOutput, description="Published; Location gives its address.")
        },
        examples=[
            OpenApiExample("an activity", request_only=True, value=_GIVEN),
            OpenApiExample(
                "published",
                response_only=True,
                status_codes=["201"],
                value={**_ACTIVITY, "photos": [], "updated_at": _ACTIVITY["created_at"], "version": 1},
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        given = serializers.AnnouncementInput(data=request.data)
        given.is_valid(raise_exception=True)
        announcement = services.announcement_create(actor=caller_of(request), **given.validated_data)
        return _answer(announcement, status=201, headers={"Location": reverse("announcement", args=[announcement.pk])})


class AnnouncementView(APIView):
    @property
    def permission_classes(self) -> tuple[type[BasePermission], ...]:  # type: ignore[override]  # two operations, one path
        return (StaffOnly,) if self.request is not None and self.request.method == "PATCH" else (SignedIn,)

    @extend_schema(
        operation_id="announcements_retrieve",
        tags=_TAGS,
        summary="One announcement or activity",
        description="For everybody who is signed in; archived, for training staff and administrators.",
        responses={200: serializers.AnnouncementOutput, 404: OpenApiResponse(description=_NOT_FOUND)},
        examples=[OpenApiExample("an activity", response_only=True, status_codes=["200"], value=_ACTIVITY)],
    )
    def get(self, request: Request, announcement_id: int) -> Response:
        return _answer(
            selectors.announcement_seen_by(
                announcement_id=announcement_id, is_staff_member=caller_of(request).is_staff_member
            )
        )

    @extend_schema(
        operation_id="announcements_change",
        tags=_TAGS,
        summary="Change an announcement or activity",
        description=(
            f"Training staff and administrators, also what somebody else has written. {_EVERYBODY}"
            "`announcement.changed` when something differs. Adding or removing a photo is a change as well and gives "
            "a new ETag."
        ),
        parameters=[IF_MATCH],
        request=serializers.AnnouncementChangeInput,
        responses={
            200: serializers.AnnouncementOutput,
            409: OpenApiResponse(description="`announcement_archived`: restore it first."),
        },
        examples=[
            OpenApiExample("another day", request_only=True, value={"date": "2026-09-05"}),
            OpenApiExample(
                "changed",
                response_only=True,
                status_codes=["200"],
                value={**_ACTIVITY, "date": "2026-09-05", "version": 3},
            ),
        ],
    )
    def patch(self, request: Request, announcement_id: int) -> Response:
        given = serializers.AnnouncementChangeInput(data=request.data)
        given.is_valid(raise_exception=True)
        return _answer(
            services.announcement_change(
                actor=caller_of(request),
                announcement_id=announcement_id,
                expected_version=expected_version(request),
                changes=given.validated_data,
            )
        )


class AnnouncementArchiveView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="announcements_archive",
        tags=_TAGS,
        summary="Take an announcement out of sight",
        description=(
            f"Training staff and administrators; it can be restored. Idempotent. {_EVERYBODY}`announcement.archived` "
            "once."
        ),
        request=None,
        responses={200: serializers.AnnouncementOutput},
        examples=[OpenApiExample("archived", response_only=True, status_codes=["200"], value=_ARCHIVED)],
    )
    def post(self, request: Request, announcement_id: int) -> Response:
        return _answer(services.announcement_archive(actor=caller_of(request), announcement_id=announcement_id))


class AnnouncementRestoreView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="announcements_restore",
        tags=_TAGS,
        summary="Bring an archived announcement back",
        description=f"Training staff and administrators. Idempotent. {_EVERYBODY}`announcement.published` once.",
        request=None,
        responses={200: serializers.AnnouncementOutput},
        examples=[
            OpenApiExample("restored", response_only=True, status_codes=["200"], value={**_ACTIVITY, "version": 4})
        ],
    )
    def post(self, request: Request, announcement_id: int) -> Response:
        return _answer(services.announcement_restore(actor=caller_of(request), announcement_id=announcement_id))


class AnnouncementPhotosView(APIView):
    permission_classes = (StaffOnly,)
    parser_classes = (ImageUploadParser,)

    @extend_schema(
        operation_id="announcements_photo_add",
        tags=_TAGS,
        summary="Add a photo",
        description=(
            "Training staff and administrators; five photos at the most. Judged by its content (JPEG, PNG, WebP, "
            "10 MB) and written anew in the background, as JPEG without metadata. It counts at once, in "
            "`photos_processing`, and stands in `photos` when it is ready, some seconds later. Both times the "
            "announcement gets a new ETag, and everybody hears `announcement.changed`. One that cannot be decoded is "
            "removed, and its sender notified why. Problems at `file`: `file_type`, `file_malformed`, "
            "`image_too_large`."
        ),
        request=serializers.AnnouncementPhotoInput,
        responses={
            201: OpenApiResponse(serializers.AnnouncementPhotoOutput, description="Added; Location gives its address."),
            409: OpenApiResponse(description="`photos_full` or `announcement_archived`."),
        },
        examples=[
            OpenApiExample("added", response_only=True, status_codes=["201"], value={**_PHOTO, "state": "processing"})
        ],
    )
    def post(self, request: Request, announcement_id: int) -> Response:
        given = serializers.AnnouncementPhotoInput(data=request.data)
        given.is_valid(raise_exception=True)
        photo = services.photo_add(
            actor=caller_of(request), announcement_id=announcement_id, upload=given.validated_data["file"]
        )
        body = serializers.AnnouncementPhotoOutput(photo).data
        return Response(body, status=201, headers={"Location": body["url"]})


class AnnouncementPhotoView(APIView):
    content_negotiation_class = FileNegotiation

    @property
    def permission_classes(self) -> tuple[type[BasePermission], ...]:  # type: ignore[override]  # two operations, one path
        return (StaffOnly,) if self.request is not None and self.request.method == "DELETE" else (SignedIn,)

    @extend_schema(
        operation_id="announcements_photo",
        tags=_TAGS,
        summary="A photo of an announcement",
        description="For everybody who may see the announcement.",
        responses={
            (200, "image/jpeg"): OpenApiResponse(OpenApiTypes.BINARY, description="The picture."),
            302: OpenApiResponse(description="The picture is kept elsewhere: Location is a signed link that expires."),
            404: OpenApiResponse(description=_NOT_FOUND),
            409: OpenApiResponse(description="`file_processing`: it is being prepared. Ask again in seconds."),
        },
    )
    def get(self, request: Request, announcement_id: int, photo_id: int) -> Any:
        photo = selectors.photo_seen_by(
            announcement_id=announcement_id,
            photo_id=photo_id,
            is_staff_member=caller_of(request).is_staff_member,
        )
        if not photo.file:
            raise being_prepared()
        return file_answer(name=photo.file, content_type="image/jpeg")

    @extend_schema(
        operation_id="announcements_photo_remove",
        tags=_TAGS,
        summary="Remove a photo",
        description=(
            "Training staff and administrators. The file goes with it, the announcement gets a new ETag, and everybody "
            "hears `announcement.changed`."
        ),
        responses={204: None},
    )
    def delete(self, request: Request, announcement_id: int, photo_id: int) -> Response:
        services.photo_remove(actor=caller_of(request), announcement_id=announcement_id, photo_id=photo_id)
        return Response(status=204)
