import datetime as dt
import uuid

import pytest

from apps.accounts import selectors, services
from apps.accounts.models import Revocation, Session, User
from apps.accounts.tests import factories
from core.clock import now

pytestmark = pytest.mark.django_db


def session(account: User, *, expires: dt.timedelta, ended: dt.timedelta | None = None) -> Session:
    present = now()
    return Session.objects.create(
        user=account,
        created_at=present - dt.timedelta(days=20),
        expires_at=present + expires,
        ended_at=None if ended is None else present - ended,
        refresh_id=uuid.uuid4().hex,
    )


def counted(found: dict[str, int]) -> bool:
    """Whether a cleanup removes just that."""
    kinds = ("sessions", "revocations", "invitations", "password_resets", "attempts")
    return services.tokens_cleanup() == {**dict.fromkeys(kinds, 0), **found}


def test_what_no_token_can_meet_any_more_is_removed_and_counted_and_nothing_else() -> None:
    account = factories.user("Liza")
    day = dt.timedelta(days=1)
    kept = {
        session(account, expires=day).pk,
        session(account, expires=day, ended=6 * day).pk,
    }
    session(account, expires=-dt.timedelta(seconds=1))
    session(account, expires=-day, ended=2 * day)
    session(account, expires=day, ended=8 * day)
    young = Revocation.objects.create(user_id=account.pk, least_version=2, at=now() - selectors.WINDOW)
    Revocation.objects.create(session_id=uuid.uuid4(), at=now() - 2 * selectors.WINDOW - day)

    assert counted({"sessions": 3, "revocations": 1})
    assert set(Session.objects.values_list("pk", flat=True)) == kept
    assert list(Revocation.objects.values_list("pk", flat=True)) == [young.pk]
    assert counted({})


def test_the_window_is_longer_than_an_access_token_lives(settings: object) -> None:
    from django.conf import settings as django_settings

    assert dt.timedelta(minutes=django_settings.ACCESS_TOKEN_MINUTES) < selectors.WINDOW
