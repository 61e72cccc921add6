from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts import authentication, selectors, services
from apps.accounts.api import schema, serializers

__all__ = ["LoginView", "LogoutView", "MeView", "RefreshView", "schema"]

_USER = {
    "id": 1,
    "username": "admin",
    "email": "admin@rotc.example",
    "first_name": "Amina",
    "last_name": "Dimaporo",
    "role": "admin",
    "status": "approved",
}
_TOKENS = {"access": "eyJhbGciOi…", "refresh": "eyJhbGciOi…"}


class LoginView(APIView):
    authentication_classes = ()
    permission_classes = ()

    @extend_schema(
        operation_id="auth_login",
        tags=["auth"],
        summary="Sign in with username and password",
        description=(
            "Problems: 401 `credentials_wrong`; 403 `account_pending` or `account_archived`, told only to who knows "
            "the password."
        ),
        request=serializers.LoginInput,
        responses={200: serializers.LoginOutput, 403: OpenApiResponse(description="Not approved yet, or archived.")},
        examples=[
            OpenApiExample("sign in", request_only=True, value={"username": "admin", "password": "your-password"}),
            OpenApiExample("signed in", response_only=True, value={**_TOKENS, "user": _USER}),
        ],
    )
    def post(self, request: Request) -> Response:
        given = serializers.LoginInput(data=request.data)
        given.is_valid(raise_exception=True)
        session = services.session_open(**given.validated_data)
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
            "`token_wrong_type`, `token_revoked`. A token that was exchanged more than 30 seconds ago ends the whole "
            "session, since a second holder must be assumed (RFC 9700)."
        ),
        request=serializers.RefreshInput,
        responses={200: serializers.TokenPairOutput},
        examples=[OpenApiExample("exchanged", response_only=True, value=_TOKENS)],
    )
    def post(self, request: Request) -> Response:
        given = serializers.RefreshInput(data=request.data)
        given.is_valid(raise_exception=True)
        claims = authentication.claims_of(given.validated_data["refresh"], kind=authentication.REFRESH)
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


class MeView(APIView):
    @extend_schema(
        operation_id="auth_me",
        tags=["auth"],
        summary="The account that is signed in",
        responses={200: serializers.UserOutput},
        examples=[OpenApiExample("an administrator", response_only=True, value=_USER)],
    )
    def get(self, request: Request) -> Response:
        return Response(serializers.UserOutput(selectors.user_of_principal(authentication.caller_of(request))).data)
