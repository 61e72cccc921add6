"""Receivers of Django's own signals, where no service of this app is called."""

from typing import Any

from django.db import transaction

from apps.accounts.models import User
from apps.accounts.services import audit_record


def site_session_opened(*, user: User, **_: Any) -> None:
    with transaction.atomic():
        audit_record(actor_id=user.pk, action="site_session.open", target=f"user:{user.pk}")


def site_session_ended(*, user: User | None, **_: Any) -> None:
    if user is None:  # nobody was signed in
        return
    with transaction.atomic():
        audit_record(actor_id=user.pk, action="site_session.end", target=f"user:{user.pk}")
