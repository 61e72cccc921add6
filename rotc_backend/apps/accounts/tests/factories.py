"""A small cast, for the tests of every app: an administrator, an instructor, a cadet, and a stranger to both."""

from dataclasses import dataclass, field

from rest_framework.test import APIClient

from apps.accounts import authentication, services
from apps.accounts.models import Role, Session, Status, TokenGeneration, User
from apps.accounts.rules import Principal

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who is signed in. Each `client` is a new one that sends the access token."""

    user: User
    session: Session
    access: str = field(repr=False)
    refresh: str = field(repr=False)

    @property
    def client(self) -> APIClient:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {self.access}")
        return client

    @property
    def principal(self) -> Principal:
        return authentication.principal_of(self.access)


def user(username: str, *, role: Role = Role.CADET, status: Status = Status.APPROVED) -> User:
    TokenGeneration.objects.get_or_create(pk=1)  # a test that commits is followed by a flush, which takes this row too
    return services.user_create(
        actor_id=None,
        username=username,
        role=role,
        status=status,
        password=PASSWORD,
        email=f"{username.lower()}@rotc.example",
    )


def signed_in(account: User) -> Person:
    session = services.session_open(username=account.username, password=PASSWORD)
    access, refresh = authentication.token_pair(session)
    return Person(user=session.user, session=session, access=access, refresh=refresh)


def admin() -> Person:
    return signed_in(user("Amina", role=Role.ADMIN))


def instructor() -> Person:
    return signed_in(user("Ramon", role=Role.TRAINING_STAFF))


def cadet() -> Person:
    return signed_in(user("Liza"))


def stranger() -> Person:
    """A cadet who has nothing to do with the one above."""
    return signed_in(user("Omar"))
