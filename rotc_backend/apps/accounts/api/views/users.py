from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts import selectors, services
from apps.accounts.api import serializers
from apps.accounts.api.views import examples
from apps.accounts.api.views.invitations import invitation_page
from apps.accounts.authentication import AdminOnly, caller_of
from apps.accounts.models import User
from core.http import Pages, entity_tag, expected_version
from core.openapi import IF_MATCH
from core.serializers import query_of

_TAGS = ["users"]


def _account(user: User) -> Response:
    return Response(serializers.AccountOutput(user).data, headers={"ETag": entity_tag(user.version)})


class UsersView(APIView):
    permission_classes = (AdminOnly,)
    pagination_class = Pages

    @extend_schema(
        operation_id="users_list",
        tags=_TAGS,
        summary="Accounts",
        description="By username unless `sort` says otherwise.",
        parameters=[serializers.UsersQuery],
        responses={200: serializers.AccountOutput(many=True)},
        examples=[OpenApiExample("a page", response_only=True, status_codes=["200"], value=examples.ACCOUNT)],
    )
    def get(self, request: Request) -> Response:
        filters = query_of(request, serializers.UsersQuery)
        pages = Pages()
        rows = pages.paginate_queryset(selectors.users(**filters), request, view=self)
        return pages.get_paginated_response(serializers.AccountOutput(rows, many=True).data)

    @extend_schema(
        operation_id="users_create",
        tags=_TAGS,
        summary="Make an account and the link that sets its password",
        description=(
            "The account has no password; whoever opens the link chooses one. The link is shown once, in this answer, "
            "whether it could be e-mailed or not. Administrators hear `user.created`. Problem: 409 `username_taken`."
        ),
        request=serializers.UserInput,
        responses={
            201: serializers.InvitedUserOutput,
            409: OpenApiResponse(description="The username is taken, in any letter case."),
        },
        examples=[
            OpenApiExample(
                "an instructor",
                request_only=True,
                value={"username": "ramon.villanueva", "role": "training_staff", "email": "ramon@rotc.example"},
            ),
            OpenApiExample(
                "invited",
                response_only=True,
                status_codes=["201"],
                value={**examples.APPROVED, "version": 1, "invitation": examples.INVITATION},
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        given = serializers.UserInput(data=request.data)
        given.is_valid(raise_exception=True)
        facts = dict(given.validated_data)
        send = facts.pop("send_email")
        user, issued = services.user_invite(actor=caller_of(request), page=invitation_page(request), send=send, **facts)
        body = {
            **serializers.AccountOutput(user).data,
            "invitation": serializers.InvitationOutput(issued).data,
        }
        return Response(
            body,
            status=201,
            headers={"Location": reverse("user", args=[user.pk]), "ETag": entity_tag(user.version)},
        )


class UserView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="users_retrieve",
        tags=_TAGS,
        summary="One account",
        description="The header ETag names its version, for a change.",
        responses={200: serializers.AccountOutput},
        examples=[OpenApiExample("pending", response_only=True, status_codes=["200"], value=examples.ACCOUNT)],
    )
    def get(self, request: Request, user_id: int) -> Response:
        return _account(selectors.user_by_id(user_id))

    @extend_schema(
        operation_id="users_change",
        tags=_TAGS,
        summary="Change names, e-mail address or role",
        description=(
            "A changed role ends the account's sessions. Administrators and the account hear `user.changed`. Problems: "
            "409 `own_account` for one's own role, `last_admin`, `role_does_not_fit` for an account that is linked to "
            "a cadet or a staff profile: unlink it first; 412 `version_changed`."
        ),
        parameters=[IF_MATCH],
        request=serializers.UserChange,
        responses={
            200: serializers.AccountOutput,
            409: OpenApiResponse(
                description="The role of oneself, of the last active administrator, or of a linked account."
            ),
        },
        examples=[
            OpenApiExample("a new role", request_only=True, value={"role": "training_staff"}),
            OpenApiExample("changed", response_only=True, status_codes=["200"], value=examples.APPROVED),
        ],
    )
    def patch(self, request: Request, user_id: int) -> Response:
        given = serializers.UserChange(data=request.data)
        given.is_valid(raise_exception=True)
        return _account(
            services.user_change(
                actor=caller_of(request),
                user_id=user_id,
                expected_version=expected_version(request),
                changes=given.validated_data,
            )
        )


class UserApproveView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="users_approve",
        tags=_TAGS,
        summary="Approve an account",
        description=(
            "Idempotent: `user.approved` is heard once, by administrators and the account. Problem: 409 "
            "`account_archived`."
        ),
        request=None,
        responses={200: serializers.AccountOutput, 409: OpenApiResponse(description="The account is archived.")},
        examples=[OpenApiExample("approved", response_only=True, status_codes=["200"], value=examples.APPROVED)],
    )
    def post(self, request: Request, user_id: int) -> Response:
        return _account(services.user_approve(actor=caller_of(request), user_id=user_id))


class UserArchiveView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="users_archive",
        tags=_TAGS,
        summary="Archive an account",
        description=(
            "It cannot sign in, its sessions, sockets and open link end at once, its name and its history stay. "
            "Idempotent. Administrators hear `user.archived`. Problems: 409 `own_account`, `last_admin`."
        ),
        request=None,
        responses={
            200: serializers.AccountOutput,
            409: OpenApiResponse(description="One's own account, or the last active administrator."),
        },
        examples=[OpenApiExample("archived", response_only=True, status_codes=["200"], value=examples.ARCHIVED)],
    )
    def post(self, request: Request, user_id: int) -> Response:
        return _account(services.user_archive(actor=caller_of(request), user_id=user_id))


class UserRestoreView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="users_restore",
        tags=_TAGS,
        summary="Restore an archived account",
        description=(
            "Approved or pending as it was before. Idempotent. Administrators and the account hear `user.restored`. "
            "Problem: 409 `record_archived` while the cadet or the staff profile that it is linked to is archived: "
            "restore that instead, and the account that was archived with it comes back."
        ),
        request=None,
        responses={
            200: serializers.AccountOutput,
            409: OpenApiResponse(description="Its cadet or staff profile is archived."),
        },
        examples=[OpenApiExample("restored", response_only=True, status_codes=["200"], value=examples.APPROVED)],
    )
    def post(self, request: Request, user_id: int) -> Response:
        return _account(services.user_restore(actor=caller_of(request), user_id=user_id))


class UserUnlockView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="users_unlock",
        tags=_TAGS,
        summary="Lift the lock after wrong passwords",
        description="Idempotent. A lock of a network address stays.",
        request=None,
        responses={200: serializers.AccountOutput},
        examples=[OpenApiExample("unlocked", response_only=True, status_codes=["200"], value=examples.APPROVED)],
    )
    def post(self, request: Request, user_id: int) -> Response:
        return _account(services.user_unlock(actor=caller_of(request), user_id=user_id))


class UserInvitationView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="users_invitation",
        tags=_TAGS,
        summary="Make a link that sets an account's password",
        description=(
            "For the first password or after it was forgotten. The link works once, within 72 hours; older ones of the "
            "account end. It is shown in this answer and never again; `emailed` and `reason` say truthfully whether a "
            "mail server has taken it over. Problem: 409 `account_archived`."
        ),
        request=serializers.InvitationInput,
        responses={200: serializers.InvitationOutput, 409: OpenApiResponse(description="The account is archived.")},
        examples=[
            OpenApiExample("hand it over oneself", request_only=True, value={"send_email": False}),
            OpenApiExample("a link", response_only=True, status_codes=["200"], value=examples.INVITATION),
        ],
    )
    def post(self, request: Request, user_id: int) -> Response:
        given = serializers.InvitationInput(data=request.data)
        given.is_valid(raise_exception=True)
        issued = services.invitation_create(
            actor=caller_of(request),
            user_id=user_id,
            page=invitation_page(request),
            send=given.validated_data["send_email"],
        )
        return Response(serializers.InvitationOutput(issued).data)
