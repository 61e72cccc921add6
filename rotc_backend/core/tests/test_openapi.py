from typing import Any

import pytest
from django.urls import get_resolver, path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from core.openapi import RoleAutoSchema, document_problems


class OfficersOnly(BasePermission):
    roles = ("admin", "training_staff")


class Everybody(BasePermission):
    roles = ("admin", "training_staff", "cadet")


class BellInput(serializers.Serializer[Any]):
    times = serializers.IntegerField()


class BellView(APIView):
    """Signed in; whom it lets in is decided below."""

    permission_classes = (Everybody,)

    @extend_schema(operation_id="bell_read", responses={200: BellInput})
    def get(self, request: Request, number: int) -> Response:
        return Response()


class OfficersBellView(APIView):
    permission_classes = (OfficersOnly,)

    @extend_schema(operation_id="bell_ring", request=BellInput, responses={202: BellInput, 400: None})
    def post(self, request: Request) -> Response:
        return Response()


class PublicView(APIView):
    authentication_classes = ()
    permission_classes = ()

    @extend_schema(operation_id="bell_public", responses={200: BellInput})
    def get(self, request: Request) -> Response:
        return Response()


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    assert get_resolver().url_patterns  # imports the project's views, and with them the description of its tokens
    patterns = [
        path("api/v1/bells/<int:number>", BellView.as_view()),
        path("api/v1/bells", OfficersBellView.as_view()),
        path("api/v1/public", PublicView.as_view()),
    ]
    schema: dict[str, Any] = SchemaGenerator(patterns=patterns).get_schema(public=True)  # type: ignore[no-untyped-call]
    return schema


def operation(document: dict[str, Any], identity: str) -> dict[str, Any]:
    (found,) = [
        one for methods in document["paths"].values() for one in methods.values() if one["operationId"] == identity
    ]
    assert isinstance(found, dict)
    return found


def problems(document: dict[str, Any], identity: str) -> set[str]:
    return {
        status
        for status, response in operation(document, identity)["responses"].items()
        if "application/problem+json" in response.get("content", {})
    }


def test_every_operation_tells_the_problems_that_its_shape_makes_possible(document: dict[str, Any]) -> None:
    assert problems(document, "bell_public") == {"406"}
    assert problems(document, "bell_read") == {"400", "401", "404", "406", "503"}
    assert problems(document, "bell_ring") == {"400", "401", "403", "406", "415", "503"}


def test_roles_come_from_the_permission_classes_of_the_view(document: dict[str, Any]) -> None:
    assert operation(document, "bell_ring")["x-roles"] == ["admin", "training_staff"]
    assert operation(document, "bell_read")["x-roles"] == ["admin", "training_staff", "cadet"]
    assert "x-roles" not in operation(document, "bell_public")


def test_what_a_view_documents_itself_is_kept(document: dict[str, Any]) -> None:
    own = {"description": "Only on Sundays.", "content": {"application/problem+json": {"schema": {"type": "null"}}}}
    result = {"paths": {"/api/v1/x/{id}": {"get": {"responses": {"404": dict(own)}}, "parameters": []}}}
    documented = document_problems(result, None, None, True)
    assert documented["paths"]["/api/v1/x/{id}"]["get"]["responses"]["404"] == own
    assert documented["paths"]["/api/v1/x/{id}"]["parameters"] == []


def test_the_problem_in_the_document_has_the_members_of_the_problems_we_send(document: dict[str, Any]) -> None:
    from core.http import problem

    sent = problem(status=404, code="not_found", title="t", detail="d", instance="/x")
    component = document["components"]["schemas"]["Problem"]
    assert list(component["properties"]) == component["required"] == list(sent)


def test_the_views_of_the_project_are_documented_by_it() -> None:
    schema_class: object = api_settings.DEFAULT_SCHEMA_CLASS
    assert schema_class is RoleAutoSchema
