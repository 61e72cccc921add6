from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts import authentication, selectors, services
from apps.accounts.api import schema, serializers
from apps.accounts.api.views import examples
from apps.accounts.models import User
from core.http import entity_tag, expected_version
from core.openapi import IF_MATCH

__all__ = ["LoginView", "LogoutView", "MeView", "PasswordView", "RefreshView", "schema"]

_LOCKED = OpenApiResponse(description="Too many wrong passwords; Retry-After says for how many seconds.")


class LoginView(APIView):
    authentication_classes = ()
    permission_classes = ()

    @extend_schema(
        operation_id="auth_login",
        tags=["auth"],
        summary="Sign in with username and password",
        description=(
            "Problems: 401 `credentials_wrong`; 403 `account_pending` or `account_archived`, told only to who knows "
            "the password; 429 `account_locked` after 5 wrong passwords within 15 minutes, for 15 minutes and also for "
            "the right one, whatever the letter case of the name and whether there is such an account; 429 "
            "`address_locked` after 30 from one network address."
        ),
        request=serializers.LoginInput,
        responses={
            200: serializers.LoginOutput,
            403: OpenApiResponse(description="Not approved yet, or archived."),
            429: _LOCKED,
        },
        examples=[
            OpenApiExample("sign in", request_only=True, value={"username": "admin", "password": "your-password"}),
            OpenApiExample("signed in", response_only=True, value={**examples.TOKENS, "user": examples.USER}),
        ],
    )
    def post(self, request: Request) -> Response:
        given = serializers.LoginInput(data=request.data)
        given.is_valid(raise_exception=True)
        session = services.session_open(**given.validated_data, address=authentication.client_address(request._request))
        access, refresh = authentication.token_pair(session)
        body = {"access": access, "refresh": refresh, "user": session.user}
        return Response(serializers.LoginOutput(body).data)


class RefreshView(APIView):
    authentication_classes = ()
    permission_classes = ()

    @extend_schema(
        operation_id="auth_refresh",
        tags=["auth"],
        summary="Exchange the refresh token for a new pair",
        description=(
            "Each refresh token works once. Problems: 401 `token_malformed`, `token_expired`, `token_bad_signature`, "
            "`token_wrong_type`, `token_revoked`, and `token_used` for one that was exchanged within the last 30 "
            "seconds: another window has the next pair. A token that was exchanged longer ago ends the whole session, "
            "since a second holder must be assumed (RFC 9700)."
        ),
        request=serializers.RefreshInput,
        responses={200: serializers.TokenPairOutput},
        examples=[OpenApiExample("exchanged", response_only=True, value=examples.TOKENS)],
    )
    def post(self, request: Request) -> Response:
        given = serializers.RefreshInput(data=request.data)
        given.is_valid(raise_exception=True)
        claims = authentication.refresh_claims_of(given.validated_data["refresh"])
        session = services.session_rotate(session_id=str(claims.get("sid")), refresh_id=str(claims.get("jti")))
        access, refresh = authentication.token_pair(session)
        return Response(serializers.TokenPairOutput({"access": access, "refresh": refresh}).data)


class LogoutView(APIView):
    @extend_schema(
        operation_id="auth_logout",
        tags=["auth"],
        summary="End this session at once",
        description="Its access and refresh tokens are refused from now on, and its sockets are closed (4401).",
        request=None,
        responses={204: None},
    )
    def post(self, request: Request) -> Response:
        services.session_end(actor=authentication.caller_of(request))
        return Response(status=204)


class PasswordView(APIView):
    @extend_schema(
        operation_id="auth_password_change",
        tags=["auth"],
        summary="Change one's own password",
        description=(
            "Every session of the account ends, also this one; the answer is a new one. Problems: 400 "
            "`validation_failed` with `password_wrong` for the current password, or with what the policy says of the "
            "new one; 429 as at the sign-in, whose count of wrong passwords it shares."
        ),
        request=serializers.PasswordInput,
        responses={200: serializers.TokenPairOutput, 429: _LOCKED},
        examples=[
            OpenApiExample(
                "change",
                request_only=True,
                value={"current_password": "your-password", "new_password": "another-long-password"},
            ),
            OpenApiExample("a new session", response_only=True, status_codes=["200"], value=examples.TOKENS),
        ],
    )
    def post(self, request: Request) -> Response:
        given = serializers.PasswordInput(data=request.data)
        given.is_valid(raise_exception=True)
        session = services.password_change(
            actor=authentication.caller_of(request),
            current=given.validated_data["current_password"],
            new=given.validated_data["new_password"],
            address=authentication.client_address(request._request),
        )
        access, refresh = authentication.token_pair(session)
        return Response(serializers.TokenPairOutput({"access": access, "refresh": refresh}).data)


class MeView(APIView):
    @extend_schema(
        operation_id="auth_me",
        tags=["auth"],
        summary="The account that is signed in",
        description="The header ETag names its version, for a change.",
        responses={200: serializers.UserOutput},
        examples=[OpenApiExample("an administrator", response_only=True, value=examples.USER)],
    )
    def get(self, request: Request) -> Response:
        return _own(selectors.user_of_principal(authentication.caller_of(request)))

    @extend_schema(
        operation_id="auth_me_change",
        tags=["auth"],
        summary="Change one's own names or e-mail address",
        description=(
            "Another e-mail address takes `current_password`, too: links for a new password are sent there, and an "
            "open one ends. Username, role and status are an administrator's to change. Sockets hear `user.changed`. "
            "Problems: 400 `validation_failed` with `required` or `password_wrong` at `current_password`; 429 as at "
            "the sign-in, whose count of wrong passwords it shares."
        ),
        parameters=[IF_MATCH],
        request=serializers.OwnAccountInput,
        responses={200: serializers.UserOutput, 429: _LOCKED},
        examples=[
            OpenApiExample(
                "a new address",
                request_only=True,
                value={"email": "amina@rotc.example", "current_password": "your-password"},
            ),
            OpenApiExample("a corrected name", request_only=True, value={"first_name": "Amina"}),
            OpenApiExample("changed", response_only=True, status_codes=["200"], value=examples.USER),
        ],
    )
    def patch(self, request: Request) -> Response:
        given = serializers.OwnAccountInput(data=request.data)
        given.is_valid(raise_exception=True)
        changes = dict(given.validated_data)
        current_password = changes.pop("current_password", None)
        return _own(
            services.own_account_change(
                actor=authentication.caller_of(request),
                expected_version=expected_version(request),
                changes=changes,
                current_password=current_password,
                address=authentication.client_address(request._request),
            )
        )


def _own(user: User) -> Response:
    return Response(serializers.UserOutput(user).data, headers={"ETag": entity_tag(user.version)})
