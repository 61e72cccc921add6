from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from apps.accounts.authentication import AdminOnly, StaffOnly, caller_of
from apps.cadets import selectors
from apps.cadets.api.serializers.cadets import LinkedAccountInput
from apps.cadets.api.serializers.staff import StaffInput, StaffOutput, StaffQuery
from apps.cadets.api.views.answers import ETAG, SEEN_BY_STAFF, StaffRead, conflict, given_in, page_answer, row_answer
from apps.cadets.services import links, staff
from core.http import Pages, expected_version
from core.openapi import IF_MATCH
from core.serializers import query_of

_TAGS = ["staff"]
_STAFF = {
    "id": 3,
    "rank": "CPT",
    "last_name": "Villanueva",
    "first_name": "Ramon",
    "middle_name": "",
    "suffix": "",
    "email": "ramon.villanueva@example.mil.ph",
    "function": "commandant",
    "afpsn": "O-15522",
    "contact_number": "0917 555 0145",
    "user_id": 12,
    "archived_at": None,
    "created_at": "2026-08-03T02:00:11.140Z",
    "updated_at": "2026-08-03T02:04:40.017Z",
    "version": 2,
}
_GIVEN = {
    name: _STAFF[name] for name in ("rank", "last_name", "first_name", "email", "function", "afpsn", "contact_number")
}
_NEW = {**_STAFF, "user_id": None, "updated_at": _STAFF["created_at"], "version": 1}


class StaffListView(StaffRead):
    pagination_class = Pages

    @extend_schema(
        operation_id="staff_list",
        tags=_TAGS,
        summary="Staff, by name",
        description=SEEN_BY_STAFF,
        parameters=[StaffQuery],
        responses={200: StaffOutput(many=True)},
        examples=[OpenApiExample("the commandant", response_only=True, status_codes=["200"], value=_STAFF)],
    )
    def get(self, request: Request) -> Response:
        return page_answer(self, request, selectors.staff_listed(**query_of(request, StaffQuery)), StaffOutput)

    @extend_schema(
        operation_id="staff_create",
        tags=_TAGS,
        summary="Make a staff profile",
        description=(
            "Without an account, which is linked by an operation of its own. Administrators only. Staff hear "
            "`staff.created`."
        ),
        request=StaffInput,
        responses={
            201: OpenApiResponse(StaffOutput, description="Created; Location gives its address."),
            409: conflict("email_taken"),
        },
        examples=[
            OpenApiExample("the commandant", request_only=True, value=_GIVEN),
            OpenApiExample("created", response_only=True, status_codes=["201"], value=_NEW),
        ],
    )
    def post(self, request: Request) -> Response:
        profile = staff.staff_create(actor=caller_of(request), fields=given_in(request, StaffInput))
        return row_answer(profile, StaffOutput(profile), location=reverse("staff-profile", args=[profile.pk]))


class StaffView(StaffRead):
    @extend_schema(
        operation_id="staff_retrieve",
        tags=_TAGS,
        summary="One staff profile",
        description=f"{SEEN_BY_STAFF} {ETAG}",
        responses={200: StaffOutput},
        examples=[OpenApiExample("the commandant", response_only=True, status_codes=["200"], value=_STAFF)],
    )
    def get(self, request: Request, staff_id: int) -> Response:
        profile = selectors.staff_by_id(staff_id=staff_id)
        return row_answer(profile, StaffOutput(profile))

    @extend_schema(
        operation_id="staff_change",
        tags=_TAGS,
        summary="Change a staff profile",
        description=(
            "The function says who may decide excuse letters, from now on. Administrators only. Staff hear "
            "`staff.changed`."
        ),
        parameters=[IF_MATCH],
        request=StaffInput,
        responses={200: StaffOutput, 409: conflict("email_taken")},
        examples=[
            OpenApiExample("promoted", request_only=True, value={"rank": "MAJ"}),
            OpenApiExample(
                "changed", response_only=True, status_codes=["200"], value={**_STAFF, "rank": "MAJ", "version": 3}
            ),
        ],
    )
    def patch(self, request: Request, staff_id: int) -> Response:
        profile = staff.staff_change(
            actor=caller_of(request),
            staff_id=staff_id,
            expected_version=expected_version(request),
            changes=given_in(request, StaffInput, partial=True),
        )
        return row_answer(profile, StaffOutput(profile))


class StaffArchiveView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="staff_archive",
        tags=_TAGS,
        summary="Archive a staff profile",
        description=(
            "The account is archived as well: its sessions end, nobody signs in with it. Nothing happens if the "
            "profile is archived already. Administrators only. Staff hear `staff.changed`. Problems: 409 "
            "`own_account` and `last_admin` for an administrator's profile."
        ),
        request=None,
        responses={200: StaffOutput, 409: conflict("own_account", "last_admin")},
        examples=[
            OpenApiExample(
                "archived",
                response_only=True,
                status_codes=["200"],
                value={**_STAFF, "archived_at": "2026-09-01T03:20:00.000Z", "version": 3},
            )
        ],
    )
    def post(self, request: Request, staff_id: int) -> Response:
        profile = staff.staff_archive(actor=caller_of(request), staff_id=staff_id)
        return row_answer(profile, StaffOutput(profile))


class StaffRestoreView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="staff_restore",
        tags=_TAGS,
        summary="Restore an archived staff profile",
        description=(
            "An account that was closed with the record comes back too. "
            "Nothing happens if the profile is not archived. Administrators only. "
            "Staff hear `staff.changed`."
        ),
        request=None,
        responses={200: StaffOutput},
        examples=[OpenApiExample("restored", response_only=True, status_codes=["200"], value={**_STAFF, "version": 4})],
    )
    def post(self, request: Request, staff_id: int) -> Response:
        profile = staff.staff_restore(actor=caller_of(request), staff_id=staff_id)
        return row_answer(profile, StaffOutput(profile))


class StaffAccountView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="staff_account_link",
        tags=_TAGS,
        summary="Say which account is behind a staff profile",
        description=(
            "An account belongs to one cadet or one staff profile at most. Nothing happens if it is linked so already. "
            "Administrators only. Staff hear `staff.changed`. Problems: 400 with `unknown_user` at `user_id`; 409 "
            "`record_archived`, `already_linked` (the profile has another account), `account_linked` (the account has "
            "another record), `account_archived`, `role_does_not_fit`."
        ),
        request=LinkedAccountInput,
        responses={
            200: StaffOutput,
            409: conflict(
                "record_archived", "already_linked", "account_linked", "account_archived", "role_does_not_fit"
            ),
        },
        examples=[
            OpenApiExample("an account", request_only=True, value={"user_id": 12}),
            OpenApiExample("linked", response_only=True, status_codes=["200"], value=_STAFF),
        ],
    )
    def put(self, request: Request, staff_id: int) -> Response:
        profile = links.staff_account_link(
            actor=caller_of(request), staff_id=staff_id, **given_in(request, LinkedAccountInput)
        )
        return row_answer(profile, StaffOutput(profile))

    @extend_schema(
        operation_id="staff_account_unlink",
        tags=_TAGS,
        summary="Take the account away from a staff profile",
        description=(
            "The account itself stays as it is. Nothing happens if there is none. Administrators only. Staff hear "
            "`staff.changed`."
        ),
        responses={204: None},
    )
    def delete(self, request: Request, staff_id: int) -> Response:
        links.staff_account_unlink(actor=caller_of(request), staff_id=staff_id)
        return Response(status=204)


class OwnStaffView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="staff_me",
        tags=_TAGS,
        summary="One's own staff profile",
        description="Training staff and administrators.",
        responses={
            200: StaffOutput,
            404: OpenApiResponse(description="`no_staff_profile`: the account is not linked to a staff profile."),
        },
        examples=[OpenApiExample("the commandant", response_only=True, status_codes=["200"], value=_STAFF)],
    )
    def get(self, request: Request) -> Response:
        profile = selectors.staff_of_user(user_id=caller_of(request).user_id)
        return row_answer(profile, StaffOutput(profile))
