from rest_framework import serializers

from apps.accounts.models import User


class UserOutput(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ("id", "username", "email", "first_name", "last_name", "role", "status")
        read_only_fields = fields


class LoginInput(serializers.Serializer):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=256, trim_whitespace=False, write_only=True)


class RefreshInput(serializers.Serializer):
    refresh = serializers.CharField(max_length=4096, write_only=True)


class TokenPairOutput(serializers.Serializer):
    access = serializers.CharField(help_text="Opens requests for 15 minutes: Authorization: Bearer <access>.")
    refresh = serializers.CharField(help_text="Works once, within 7 days, at POST /api/v1/auth/refresh.")


class LoginOutput(TokenPairOutput):
    user = UserOutput()
