"""What waits to be done, and what was laid aside: jobs, e-mail, tasks that failed for good."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet

from apps.operations.models import DeadLetter
from core.errors import NotFound

_WAITING = """
SELECT (SELECT count(*) FROM ops.outbox),
    (SELECT extract(epoch FROM clock_timestamp() - min(created_at)) FROM ops.outbox),
    (SELECT count(*) FROM ops.dead_letter WHERE settled_at IS NULL),
    count(*) FILTER (WHERE state IN ('waiting', 'sending')),
    count(*) FILTER (WHERE state = 'sent'), count(*) FILTER (WHERE state = 'not_sent'),
    count(*) FILTER (WHERE state = 'unknown')
FROM ops.mail
"""
_LEAST_SECRET = 6  # characters; a shorter one would be found in ordinary words


def dead_letters(*, settled: bool | None = None) -> QuerySet[DeadLetter]:
    """The newest first; `settled` None means both kinds."""
    letters = DeadLetter.objects.order_by("-failed_at", "-pk")
    return letters if settled is None else letters.filter(settled_at__isnull=not settled)


def dead_letter_get(*, letter_id: int) -> DeadLetter:
    """Raises NotFound."""
    letter = DeadLetter.objects.filter(pk=letter_id).first()
    if letter is None:
        raise NotFound("There is no such dead letter; they are kept for 90 days.")
    return letter


def waiting_status() -> dict[str, Any]:
    """Jobs that are not done, failed tasks that nobody has looked at, and what became of e-mail in 90 days."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING)
        jobs, oldest, letters, waiting, sent, not_sent, unknown = cursor.fetchone()
    return {
        "outbox": {"jobs": jobs, "oldest_age_seconds": None if oldest is None else round(float(oldest), 1)},
        "dead_letters": letters,
        "email": {
            "configured": settings.EMAIL_CONFIGURED,
            "detail": _email_detail(not_sent=not_sent, unknown=unknown),
            "waiting": waiting,
            "sent": sent,
            "not_sent": not_sent,
            "unknown": unknown,
        },
    }


def _email_detail(*, not_sent: int, unknown: int) -> str:
    if not settings.EMAIL_CONFIGURED:
        return "Nothing is e-mailed: EMAIL_URL is not set."
    lost = [f"{not_sent} were not sent"] * bool(not_sent) + [f"{unknown} were perhaps sent"] * bool(unknown)
    return f"{' and '.join(lost)}: look at them in the admin site under Mails." if lost else ""


def secrets_known() -> frozenset[str]:
    """What this process has been told and must not write down."""
    addresses = (settings.REDIS_URL, settings.SENTRY_DSN or "")
    found = {
        settings.SECRET_KEY,
        settings.TOKEN_KEY,
        settings.ATTENDANCE_CODE_KEY,
        settings.DATABASES["default"].get("PASSWORD") or "",
        settings.EMAIL_HOST_PASSWORD,
        (settings.CLOUDINARY or {}).get("api_secret", ""),
        *settings.BACKUP_KEYS,
        settings.BACKUP_PLACE.get("secret_key", ""),
        settings.BACKUP_PLACE.get("api_secret", ""),
        settings.DATABASE_DIRECT.get("PASSWORD") or "",
        *(urlsplit(address).password or "" for address in addresses),
    }
    return frozenset(secret for secret in found if len(secret) >= _LEAST_SECRET)
