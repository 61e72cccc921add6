import pytest
from pytest_django import Settings

from apps.accounts.tests import factories
from apps.accounts.tests.factories import Person


@pytest.fixture(autouse=True)
def few_failures_of_an_address(settings: Settings) -> None:
    settings.LOCKOUT_ADDRESS_FAILURES = 30  # a tenth of what production allows, and as true


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
