"""What other apps have to say before an account is changed: they know the records that are linked to it."""

from django.dispatch import Signal

from apps.accounts.models import User

# Sent inside the transaction, under the account's lock, with the keywords `user_id`, `role` (the new one, or None when
# it stays) and `restores`. A receiver raises a DomainError to refuse. A signal, since accounts knows no app above it.
account_checked = Signal()


def role_check(*, user_id: int, role: str) -> None:
    """Raises the Conflict of an app that cannot have this role for the account."""
    account_checked.send(sender=User, user_id=user_id, role=role, restores=False)


def restore_check(*, user_id: int) -> None:
    """Raises the Conflict of an app that cannot have the account restored."""
    account_checked.send(sender=User, user_id=user_id, role=None, restores=True)
