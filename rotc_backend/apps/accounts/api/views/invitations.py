from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views import View
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts import authentication, services
from apps.accounts.api import serializers
from apps.accounts.api.views import examples
from apps.accounts.models import PAGE_LENGTH
from core.errors import FieldError, ValidationFailed

PAGE_PATH = "/invitation/"  # where config.urls puts InvitationPage
_LOCKED = OpenApiResponse(description="Too many attempts; Retry-After says for how many seconds.")
_ANSWER = {
    True: "If there is such an account with an e-mail address, a link to choose a new password is on its way to it.",
    False: "This system cannot send e-mail. Ask an administrator for a link to choose a new password.",
}


def invitation_page(request: Request) -> str:
    """The address of the page that links open: the one that is set, or else this service's own.

    Raises ValidationFailed for a Host with a port of hundreds of digits, which Django lets pass.
    """
    page: str = settings.INVITATION_URL or request.build_absolute_uri(PAGE_PATH)
    if len(page) > PAGE_LENGTH:
        detail = "Send the host's name, and a port of at most five digits."
        raise ValidationFailed(
            "The header Host is no address of this service.",
            errors=[FieldError(field="Host", code="invalid", detail=detail)],
        )
    return page


class RegisterView(APIView):
    authentication_classes = ()
    permission_classes = ()

    @extend_schema(
        operation_id="auth_register",
        tags=["auth"],
        summary="Register as a cadet",
        description=(
            "Makes a pending account of role `cadet`; nothing but an administrator's approval opens it. Administrators "
            "hear `user.registered`. Problems: 400 for a malformed field or a weak password; 409 `username_taken`; "
            "429 `address_locked`."
        ),
        request=serializers.RegistrationInput,
        responses={
            201: serializers.UserOutput,
            409: OpenApiResponse(description="The username is taken, in any letter case."),
            429: _LOCKED,
        },
        examples=[
            OpenApiExample(
                "register",
                request_only=True,
                value={
                    "username": "liza.macaraeg",
                    "password": "a-long-password",
                    "email": "liza@rotc.example",
                    "first_name": "Liza",
                    "last_name": "Macaraeg",
                },
            ),
            OpenApiExample("pending", response_only=True, status_codes=["201"], value=examples.REGISTERED),
        ],
    )
    def post(self, request: Request) -> Response:
        given = serializers.RegistrationInput(data=request.data)
        given.is_valid(raise_exception=True)
        user = services.user_register(**given.validated_data, address=authentication.client_address(request._request))
        return Response(
            serializers.UserOutput(user).data, status=201, headers={"Location": reverse("user", args=[user.pk])}
        )


class PasswordResetView(APIView):
    authentication_classes = ()
    permission_classes = ()

    @extend_schema(
        operation_id="auth_password_reset",
        tags=["auth"],
        summary="Ask for a link to choose a new password",
        description=(
            "Give either `username` or `email`. The answer is the same whether there is such an account or not. The "
            "link is e-mailed, works once and within 72 hours, and replaces older ones; a second one is not sent "
            "within 5 minutes. Where e-mail is not set up, `detail` says so. Problem: 429 `address_locked`."
        ),
        request=serializers.PasswordResetInput,
        responses={202: serializers.PasswordResetOutput, 429: _LOCKED},
        examples=[
            OpenApiExample("by name", request_only=True, value={"username": "liza.macaraeg"}),
            OpenApiExample("accepted", response_only=True, status_codes=["202"], value={"detail": _ANSWER[True]}),
        ],
    )
    def post(self, request: Request) -> Response:
        given = serializers.PasswordResetInput(data=request.data)
        given.is_valid(raise_exception=True)
        (identifier,) = given.validated_data.values()
        services.password_reset_request(
            identifier=identifier,
            page=invitation_page(request),
            address=authentication.client_address(request._request),
        )
        return Response({"detail": _ANSWER[settings.EMAIL_CONFIGURED]}, status=202)


class AcceptView(APIView):
    authentication_classes = ()
    permission_classes = ()

    @extend_schema(
        operation_id="auth_invitation_accept",
        tags=["auth"],
        summary="Choose a password with the token of a link",
        description=(
            "Sets the password of the account that the link was made for and ends its sessions; then sign in. "
            "Problems: 400 `invitation_unknown`, or `validation_failed` for a password that the policy refuses, after "
            "which the link still works; 409 `invitation_used`, `invitation_replaced`, `invitation_expired` or "
            "`account_archived`; 429 `address_locked` after 30 unknown tokens or wrong passwords."
        ),
        request=serializers.AcceptanceInput,
        responses={
            204: None,
            409: OpenApiResponse(description="The link was used or replaced, has expired, or its account is archived."),
            429: _LOCKED,
        },
        examples=[
            OpenApiExample("accept", request_only=True, value={"token": "3q2-7wAAAAB…", "password": "a-long-password"})
        ],
    )
    def post(self, request: Request) -> Response:
        given = serializers.AcceptanceInput(data=request.data)
        given.is_valid(raise_exception=True)
        services.invitation_accept(**given.validated_data, address=authentication.client_address(request._request))
        return Response(status=204)


class InvitationPage(View):
    """The page that a link opens, for a system without a front end of its own. The token stays in the browser."""

    def get(self, request: HttpRequest) -> HttpResponse:
        page = render(request, "accounts/invitation.html")
        page["Cache-Control"] = "no-store"
        page["Referrer-Policy"] = "no-referrer"
        page["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return page
