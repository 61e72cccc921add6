from dataclasses import dataclass

from rest_framework.test import APIClient

from apps.accounts.authentication import token_pair
from apps.accounts.models import Role, Status, TokenGeneration, User
from apps.accounts.services import session_open, user_create

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Somebody who is signed in."""

    user: User
    client: APIClient


def caller_create(*, username: str, role: Role) -> Caller:
    TokenGeneration.objects.get_or_create(pk=1)  # a test that commits is followed by a flush, which empties this too
    user = user_create(actor_id=None, username=username, role=role, status=Status.APPROVED, password=PASSWORD)
    access, _ = token_pair(session_open(username=username, password=PASSWORD))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    return Caller(user=user, client=client)
