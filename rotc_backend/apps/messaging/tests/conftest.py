from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.core.cache import cache as django_cache
from rest_framework.test import APIClient

from apps.accounts.authentication import principal_of, token_pair
from apps.accounts.models import Role, Status, TokenGeneration, User
from apps.accounts.rules import Principal
from apps.accounts.services import session_open, user_create
from apps.events.models import EventHead
from apps.messaging.tests.daphne_process import Daphne, daphne_running
from core import cache

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True, kw_only=True)
class Person:
    user: User
    token: str = field(repr=False)

    @property
    def client(self) -> APIClient:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {self.token}")
        return client

    @property
    def principal(self) -> Principal:
        return principal_of(self.token)


@pytest.fixture
def sign_in() -> Callable[[User], Person]:
    def sign_in(user: User) -> Person:
        access, _ = token_pair(session_open(username=user.username, password=PASSWORD))
        return Person(user=user, token=access)

    return sign_in


@pytest.fixture
def person(db: None, sign_in: Callable[[User], Person]) -> Callable[..., Person]:
    """A maker of signed-in people: person("amina", role=Role.ADMIN)."""

    def person(username: str, *, role: Role = Role.CADET) -> Person:
        TokenGeneration.objects.get_or_create(pk=1)
        user = user_create(actor_id=None, username=username, role=role, status=Status.APPROVED, password=PASSWORD)
        return sign_in(user)

    return person


@pytest.fixture
def admin(person: Callable[..., Person]) -> Person:
    return person("amina", role=Role.ADMIN)


@pytest.fixture
def cadet(person: Callable[..., Person]) -> Person:
    return person("omar")


@pytest.fixture
def stranger(person: Callable[..., Person]) -> Person:
    """Another cadet, who must see nothing of the first one's."""
    return person("bea")


@pytest.fixture(autouse=True)
def _use_an_empty_cache() -> None:
    # Ids begin anew with every test database, and so do the keys made of them.
    django_cache.clear()
    cache.forget_failures()


@pytest.fixture(scope="module")
def daphne_of_module(
    django_db_setup: None, django_db_blocker: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daphne]:
    log: Path = tmp_path_factory.mktemp("daphne") / "daphne.log"
    with daphne_running(log=log) as daphne:
        yield daphne


@pytest.fixture
def daphne(transactional_db: None, daphne_of_module: Daphne) -> Daphne:
    """The channels service on the test's database, shared by a module; what is written is committed for
    real."""
    # The test before this one emptied the tables, which began a new epoch; its hub must have noticed.
    daphne_of_module.await_output(str(EventHead.objects.get().epoch))
    return daphne_of_module
