"""What the views of this app have in common: who may call them, and how a row with a version is answered."""

from typing import Any, TypeVar

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from apps.accounts.authentication import AdminOnly, SignedIn, StaffOnly
from core.http import Pages, entity_tag
from core.models import VersionedModel
from core.serializers import StrictSerializer

_S = TypeVar("_S", bound=BaseSerializer[Any])

ETAG = "Send the header `ETag` of the answer back in `If-Match` with a change."
SEEN_BY_STAFF = "Seen by training staff and administrators; changed by administrators."


class _AdminsWrite(APIView):
    readers: type[BasePermission]

    @property
    def permission_classes(self) -> tuple[type[BasePermission], ...]:  # type: ignore[override]  # reading and writing, one path
        reading = self.request is None or self.request.method in {"GET", "HEAD", "OPTIONS"}
        return (self.readers if reading else AdminOnly,)


class StaffRead(_AdminsWrite):
    readers = StaffOnly


class EverybodyReads(_AdminsWrite):
    readers = SignedIn


def given_in(request: Request, serializer: type[StrictSerializer], *, partial: bool = False) -> dict[str, Any]:
    """The validated body. Raises REST framework's ValidationError."""
    given = serializer(data=request.data, partial=partial)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


def row_answer(row: VersionedModel, output: BaseSerializer[Any], *, location: str | None = None) -> Response:
    """200, or 201 with Location; with the row's entity tag."""
    headers = {"ETag": entity_tag(row.version)}
    if location is not None:
        headers["Location"] = location
    return Response(output.data, status=200 if location is None else 201, headers=headers)


def page_answer(view: APIView, request: Request, rows: "QuerySet[Any]", serializer: type[_S]) -> Response:
    pages = Pages()
    page = pages.paginate_queryset(rows, request, view)
    return pages.get_paginated_response(serializer(page, many=True).data)


def conflict(*codes: str) -> OpenApiResponse:
    """How 409 is documented."""
    return OpenApiResponse(description="Codes: " + ", ".join(f"`{code}`" for code in codes) + ".")
