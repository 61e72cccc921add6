import datetime as dt

from django.conf import settings
from django.db.models import Q

from apps.accounts import selectors
from apps.accounts.models import Invitation, Revocation, Session
from apps.accounts.services.lockout import attempts_cleanup
from apps.accounts.services.resets import password_resets_cleanup
from core.clock import now

INVITATION_DAYS = 30  # its holder is told so long why the link does not work any more
PASSWORD_RESET_DAYS = 30


def tokens_cleanup() -> dict[str, int]:
    """Remove what no token and no guess can meet any more; counts by kind.

    Sessions whose refresh token has expired, revocations older than any token, invitations and requests for a new
    password after a month, attempts beyond their window.
    """
    present = now()
    sessions, _ = Session.objects.filter(
        Q(expires_at__lt=present) | Q(ended_at__lt=present - dt.timedelta(days=settings.REFRESH_TOKEN_DAYS))
    ).delete()
    revocations, _ = Revocation.objects.filter(at__lt=present - 2 * selectors.WINDOW).delete()
    invitations, _ = Invitation.objects.filter(expires_at__lt=present - dt.timedelta(days=INVITATION_DAYS)).delete()
    return {
        "sessions": sessions,
        "revocations": revocations,
        "invitations": invitations,
        "password_resets": password_resets_cleanup(before=present - dt.timedelta(days=PASSWORD_RESET_DAYS)),
        "attempts": attempts_cleanup(),
    }
