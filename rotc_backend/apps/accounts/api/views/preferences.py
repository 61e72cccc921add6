from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts import authentication, selectors, services
from apps.accounts.api import serializers

_ALL = {"username": "liza", "email": "liza@rotc.example", "excuse_letters": True, "grades": True, "daily_reports": True}


class MailPreferencesView(APIView):
    @extend_schema(
        operation_id="auth_mail_preferences",
        tags=["auth"],
        summary="What one is told by e-mail, too",
        description="Notifications come anyway, and so do messages about the account itself and links for passwords.",
        responses={200: serializers.MailPreferencesOutput},
        examples=[OpenApiExample("everything", response_only=True, value=_ALL)],
    )
    def get(self, request: Request) -> Response:
        found = selectors.mail_preferences(principal=authentication.caller_of(request))
        return Response(serializers.MailPreferencesOutput(found).data)

    @extend_schema(
        operation_id="auth_mail_preferences_change",
        tags=["auth"],
        summary="Choose what one is told by e-mail, too",
        description="What is left out stays. Messages that wait already are sent all the same.",
        request=serializers.MailPreferencesInput,
        responses={200: serializers.MailPreferencesOutput},
        examples=[
            OpenApiExample("no daily reports", request_only=True, value={"daily_reports": False}),
            OpenApiExample("chosen", response_only=True, status_codes=["200"], value={**_ALL, "daily_reports": False}),
        ],
    )
    def patch(self, request: Request) -> Response:
        given = serializers.MailPreferencesInput(data=request.data)
        given.is_valid(raise_exception=True)
        changed = services.mail_preferences_change(
            actor=authentication.caller_of(request), changes=given.validated_data
        )
        return Response(serializers.MailPreferencesOutput(changed).data)
