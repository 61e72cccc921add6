import pytest

from apps.accounts.tests import factories
from apps.accounts.tests.factories import Person


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
    return factories.stranger()
