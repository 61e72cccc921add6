"""A URLconf for tests: views that fail in every way, and some that report what they cost."""

from typing import Any

from django.core import exceptions as django_exceptions
from django.db import InterfaceError, OperationalError, connection
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions as rest_exceptions
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import errors
from core.cache import read_through
from core.http import Pages

FAILURES: dict[str, Exception] = {
    "domain_error": errors.DomainError("Ask again."),
    "validation_failed": errors.ValidationFailed(
        "Two rows are wrong.",
        errors=[errors.FieldError(field="rows.3.status", code="unknown", detail="Write present or late.")],
    ),
    "token_missing": errors.NotAuthenticated("Sign in."),
    "token_expired": errors.NotAuthenticated("Too old.", code="token_expired"),
    "credentials_wrong": errors.NotAuthenticated("Wrong.", code="credentials_wrong"),
    "permission_denied": errors.PermissionRefused("Not yours."),
    "not_found": errors.NotFound("No such row."),
    "conflict": errors.Conflict("The term is closed.", code="term_closed"),
    "precondition_failed": errors.PreconditionFailed("Read it again."),
    "precondition_required": errors.PreconditionRequired("Send If-Match."),
    "content_too_large": errors.ContentTooLarge("Send at most 20 MB."),
    "database_away": OperationalError("terminating connection due to administrator command at hunter2"),
    "database_gone": InterfaceError("the connection is closed"),
    "body_too_big": django_exceptions.RequestDataTooBig("hunter2"),
    "too_many_requests": errors.TooManyRequests("Wait.", retry_after=7),
    "unavailable": errors.Unavailable("Away.", code="queue_unavailable"),
    "rest_validation": rest_exceptions.ValidationError({"name": ["Too long."]}),
    "rest_rows": rest_exceptions.ValidationError({"rows": [{}, {"status": ["Unknown."]}]}),
    "rest_list": rest_exceptions.ValidationError([{}, {"status": ["Unknown."]}]),
    "rest_parse": rest_exceptions.ParseError("JSON parse error - at column 9: secret"),
    "rest_authentication": rest_exceptions.AuthenticationFailed("no"),
    "rest_not_authenticated": rest_exceptions.NotAuthenticated(),
    "rest_permission": rest_exceptions.PermissionDenied(),
    "rest_not_found": rest_exceptions.NotFound(),
    "rest_method": rest_exceptions.MethodNotAllowed("PUT"),
    "rest_not_acceptable": rest_exceptions.NotAcceptable(),
    "rest_media_type": rest_exceptions.UnsupportedMediaType("text/csv"),
    "rest_throttled": rest_exceptions.Throttled(wait=6.2),
    "rest_throttled_for_unknown_time": rest_exceptions.Throttled(),
    "rest_api_exception": rest_exceptions.APIException("The printer is out of paper."),
    "django_404": Http404("No Cadet matches the given query."),
    "django_permission": django_exceptions.PermissionDenied("inner reason"),
    "ours": RuntimeError("the password is hunter2"),
}


class OpenView(APIView):
    authentication_classes = ()
    permission_classes = ()


class FailingView(OpenView):
    def get(self, request: Request, name: str) -> Response:
        raise FAILURES[name]


class Row(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["present", "late"])
    tags = serializers.ListField(child=serializers.IntegerField(), required=False)


class Sheet(serializers.Serializer[Any]):
    title = serializers.CharField(max_length=5)
    rows = Row(many=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["title"] == "no":
            raise serializers.ValidationError("The title and the rows do not go together.")
        return attrs


class SheetView(OpenView):
    def post(self, request: Request) -> Response:
        given = Sheet(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(given.validated_data)


class RowsView(OpenView):
    """Takes a list at the top of its body."""

    def post(self, request: Request) -> Response:
        given = Row(data=request.data, many=True)
        given.is_valid(raise_exception=True)
        return Response(given.validated_data)


class Numbers:
    """A hundred and one rows that can be counted and cut, as a queryset can."""

    def __init__(self) -> None:
        self._rows = list(range(101))

    def count(self) -> int:
        return len(self._rows)

    def __getitem__(self, part: slice) -> list[int]:
        return self._rows[part]


class PagedView(OpenView):
    def get(self, request: Request) -> Response:
        pages = Pages()
        return pages.get_paginated_response(pages.paginate_queryset(Numbers(), request, self))


class QueryView(OpenView):
    """Runs as many queries as asked, each of about 20 ms, and uses the cache if asked."""

    def get(self, request: Request, queries: int) -> Response:
        with connection.cursor() as cursor:
            for _ in range(queries):
                cursor.execute("SELECT pg_sleep(0.02)")
        if "cached" in request.query_params:
            key = request.query_params["cached"]
            return Response(read_through(key=key, versions=[key], ttl=30, compute=lambda: {"n": queries}))
        return Response({"n": queries})


class PublicView(OpenView):
    def get(self, request: Request) -> Response:
        return Response({}, headers={"Cache-Control": "public, max-age=300"})


@csrf_exempt
def failing_page(request: HttpRequest) -> HttpResponse:
    password = request.POST.get("password", "hunter2")
    raise RuntimeError("the password is hunter2" if password == "hunter2" else "another reason")


def forbidden_page(request: HttpRequest) -> HttpResponse:
    raise django_exceptions.PermissionDenied


def malformed_page(request: HttpRequest) -> HttpResponse:
    raise django_exceptions.SuspiciousOperation("somebody tries")


def asked_user(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.user.is_authenticated))


class MirrorView(OpenView):
    def post(self, request: Request) -> Response:
        errors = {str(name): ["There is no such field."] for name in request.data}
        raise rest_exceptions.ValidationError(errors)


urlpatterns = [
    path("api/v1/mirror", MirrorView.as_view()),
    path("api/v1/fail/<str:name>", FailingView.as_view()),
    path("api/v1/sheets", SheetView.as_view()),
    path("api/v1/rows", RowsView.as_view()),
    path("api/v1/numbers", PagedView.as_view()),
    path("api/v1/queries/<int:queries>", QueryView.as_view()),
    path("api/v1/public", PublicView.as_view()),
    path("api/failing", failing_page),
    path("api/forbidden", forbidden_page),
    path("api/malformed", malformed_page),
    path("failing", failing_page),
    path("forbidden", forbidden_page),
    path("malformed", malformed_page),
    path("asked-user", asked_user),
]

handler400 = "core.http.bad_request"
handler403 = "core.http.permission_denied"
handler404 = "core.http.page_not_found"
handler500 = "core.http.server_error"
