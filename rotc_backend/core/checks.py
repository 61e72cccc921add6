"""System checks that stop a process before it serves. Each has an id, and a hint that says what to do."""

from typing import Any

from django.conf import settings
from django.core import checks

CONFIGURATION = "configuration"


@checks.register(CONFIGURATION)
def check_secret(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:  # noqa: ARG001 - Django's signature
    if len(settings.SECRET_KEY) >= 128 and len(settings.TOKEN_KEY) >= 128 and settings.KEY_FINGERPRINT:
        return []
    return [
        checks.Error(
            "The keys are not derived from DJANGO_SECRET_KEY.",
            hint="Set DJANGO_SECRET_KEY to one generated value of 43 characters or more, shared by all services.",
            id="rgms.E001",
        )
    ]


@checks.register(CONFIGURATION)
def check_database(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:  # noqa: ARG001 - Django's signature
    engine = settings.DATABASES["default"].get("ENGINE", "")
    if engine == "django.db.backends.postgresql":
        return []
    return [
        checks.Error(
            f"The database engine is {engine or 'not set'}; only PostgreSQL works.",
            hint="Set DATABASE_URL to a postgresql:// connection string.",
            id="rgms.E002",
        )
    ]


@checks.register(CONFIGURATION)
def check_hosts(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:  # noqa: ARG001 - Django's signature
    if any("*" in host for host in settings.ALLOWED_HOSTS):
        return [
            checks.Error(
                "ALLOWED_HOSTS holds a wildcard, so any Host header is believed.",
                hint="List each host name of the service, comma-separated.",
                id="rgms.E003",
            )
        ]
    return []


@checks.register(CONFIGURATION)
def check_redis(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:  # noqa: ARG001 - Django's signature
    if settings.REDIS_URL:
        return []
    return [
        checks.Error(
            "There is no Redis for tasks, sockets and cache.",
            hint="Set REDIS_URL to a redis:// or rediss:// connection string, the same for all services.",
            id="rgms.E004",
        )
    ]


@checks.register(CONFIGURATION)
def check_debug(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:  # noqa: ARG001 - Django's signature
    if settings.DEBUG and settings.DJANGO_ENV == "production":
        return [
            checks.Error(
                "DEBUG is on in production: error pages would show settings and code to everybody.",
                hint="Set DEBUG=False.",
                id="rgms.E005",
            )
        ]
    return []


class ProcessRefused(SystemExit):
    """A process that must not serve; the message names each reason and its remedy."""


def refuse_misconfiguration(*, serves_http: bool) -> None:
    """Run the configuration checks. Raises ProcessRefused, whose text a failed deploy shows as its last lines.

    gunicorn, daphne and celery beat run no system check of their own.
    """
    found = [message for message in checks.run_checks(tags=[CONFIGURATION]) if message.is_serious()]
    if serves_http and not settings.ALLOWED_HOSTS:
        found.append(
            checks.Error(
                "ALLOWED_HOSTS is empty, so every request would be refused.",
                hint="List the service's host names, comma-separated.",
                id="rgms.E006",
            )
        )
    if found:
        lines = "\n".join(f"  - ({message.id}) {message.msg} {message.hint}" for message in found)
        raise ProcessRefused(f"The configuration is refused:\n{lines}")
