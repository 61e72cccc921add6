from django.db import transaction
from django.db.models import F

from apps.accounts import selectors
from apps.accounts.models import Invitation, Revocation, Session, User
from core.clock import now


def sessions_revoke(user: User) -> None:
    """End all sessions of the account and refuse every token that it holds, inside the caller's transaction."""
    User.objects.filter(pk=user.pk).update(token_version=F("token_version") + 1)
    user.refresh_from_db(fields=["token_version"])
    Revocation.objects.create(user_id=user.pk, least_version=user.token_version)
    Session.objects.filter(user=user, ended_at=None).update(ended_at=now())
    transaction.on_commit(selectors.announce_revocation)


def links_end(user: User) -> None:
    """End the open link that would set the account's password, inside the caller's transaction.

    It belongs to the password and the e-mail address that were there when it was made.
    """
    Invitation.objects.filter(user=user, used_at=None, replaced_at=None).update(replaced_at=now())
