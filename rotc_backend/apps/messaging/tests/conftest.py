import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from django.core.cache import cache as django_cache

from apps.accounts.tests import factories
from apps.accounts.tests.factories import Person
from apps.events.models import EventHead
from apps.messaging.tests.daphne_process import Daphne, daphne_running
from apps.messaging.tests.factories import Unit, unit_create
from core import cache


@pytest.fixture
def admin(db: None) -> Person:
    return factories.admin()


@pytest.fixture
def instructor(db: None) -> Person:
    return factories.instructor()


@pytest.fixture
def cadet(db: None) -> Person:
    return factories.cadet()


@pytest.fixture
def stranger(db: None) -> Person:
    """Another cadet, who must see nothing of the first one's."""
    return factories.stranger()


@pytest.fixture
def unit(db: None) -> Unit:
    return unit_create()


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


@pytest.fixture
def elsewhere(transactional_db: None, tmp_path: Path) -> Callable[..., AbstractContextManager[Daphne]]:
    """A maker of daphnes of the test's own: `with elsewhere(REDIS_URL=…) as daphne`; `options` are the command's."""
    logs = (tmp_path / f"daphne-{number}.log" for number in itertools.count(1))

    def elsewhere(options: Sequence[str] = (), **environment: str) -> AbstractContextManager[Daphne]:
        return daphne_running(log=next(logs), environment=environment, options=options)

    return elsewhere
