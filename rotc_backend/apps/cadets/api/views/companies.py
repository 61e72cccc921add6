from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from apps.accounts.authentication import AdminOnly, caller_of
from apps.cadets import selectors
from apps.cadets.api.serializers.lists import CompanyOutput, ListEntryInput, ListQuery
from apps.cadets.api.views.answers import ETAG, EverybodyReads, conflict, given_in, page_answer, row_answer
from apps.cadets.services import lists
from core.http import Pages, expected_version
from core.openapi import IF_MATCH
from core.serializers import query_of

_TAGS = ["companies"]
_COMPANY = {"id": 1, "name": "Alpha", "position": 10, "archived_at": None, "version": 1}
_RENAMED = {**_COMPANY, "name": "Alfa", "version": 2}
_ARCHIVED = {**_COMPANY, "archived_at": "2026-08-22T01:15:04.812Z", "version": 2}


class CompaniesView(EverybodyReads):
    pagination_class = Pages

    @extend_schema(
        operation_id="companies_list",
        tags=_TAGS,
        summary="The companies, in their order",
        description="For everybody who is signed in.",
        parameters=[ListQuery],
        responses={200: CompanyOutput(many=True)},
        examples=[OpenApiExample("in use", response_only=True, status_codes=["200"], value=_COMPANY)],
    )
    def get(self, request: Request) -> Response:
        return page_answer(self, request, selectors.companies_listed(**query_of(request, ListQuery)), CompanyOutput)

    @extend_schema(
        operation_id="companies_create",
        tags=_TAGS,
        summary="Add a company",
        description="Administrators only. Staff hear `company.changed`.",
        request=ListEntryInput,
        responses={
            201: OpenApiResponse(CompanyOutput, description="Created; Location gives its address."),
            409: conflict("name_taken"),
        },
        examples=[
            OpenApiExample("one more", request_only=True, value={"name": "Alpha", "position": 10}),
            OpenApiExample("created", response_only=True, status_codes=["201"], value=_COMPANY),
        ],
    )
    def post(self, request: Request) -> Response:
        company = lists.company_create(actor=caller_of(request), **given_in(request, ListEntryInput))
        return row_answer(company, CompanyOutput(company), location=reverse("company", args=[company.pk]))


class CompanyView(EverybodyReads):
    @extend_schema(
        operation_id="companies_retrieve",
        tags=_TAGS,
        summary="One company",
        description=f"For everybody who is signed in. {ETAG}",
        responses={200: CompanyOutput},
        examples=[OpenApiExample("in use", response_only=True, status_codes=["200"], value=_COMPANY)],
    )
    def get(self, request: Request, company_id: int) -> Response:
        company = selectors.company_by_id(company_id=company_id)
        return row_answer(company, CompanyOutput(company))

    @extend_schema(
        operation_id="companies_change",
        tags=_TAGS,
        summary="Rename a company or move it in the list",
        description=("Whoever is in it stays in it, in all terms. Administrators only. Staff hear `company.changed`."),
        parameters=[IF_MATCH],
        request=ListEntryInput,
        responses={200: CompanyOutput, 409: conflict("name_taken")},
        examples=[
            OpenApiExample("another name", request_only=True, value={"name": "Alfa"}),
            OpenApiExample("renamed", response_only=True, status_codes=["200"], value=_RENAMED),
        ],
    )
    def patch(self, request: Request, company_id: int) -> Response:
        company = lists.company_change(
            actor=caller_of(request),
            company_id=company_id,
            expected_version=expected_version(request),
            changes=given_in(request, ListEntryInput, partial=True),
        )
        return row_answer(company, CompanyOutput(company))


class CompanyArchiveView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="companies_archive",
        tags=_TAGS,
        summary="Archive a company",
        description=(
            "It takes no new enrollments; those that it has stay. Nothing happens if it is archived already. "
            "Administrators only. Staff hear `company.changed`."
        ),
        request=None,
        responses={200: CompanyOutput},
        examples=[OpenApiExample("archived", response_only=True, status_codes=["200"], value=_ARCHIVED)],
    )
    def post(self, request: Request, company_id: int) -> Response:
        company = lists.company_archive(actor=caller_of(request), company_id=company_id)
        return row_answer(company, CompanyOutput(company))


class CompanyRestoreView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="companies_restore",
        tags=_TAGS,
        summary="Take a company out of the archive",
        description="Nothing happens if it is not archived. Administrators only. Staff hear `company.changed`.",
        request=None,
        responses={200: CompanyOutput},
        examples=[OpenApiExample("in use", response_only=True, status_codes=["200"], value={**_COMPANY, "version": 3})],
    )
    def post(self, request: Request, company_id: int) -> Response:
        company = lists.company_restore(actor=caller_of(request), company_id=company_id)
        return row_answer(company, CompanyOutput(company))
