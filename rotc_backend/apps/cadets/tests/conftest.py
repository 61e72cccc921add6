from pathlib import Path

import pytest
from django.core.cache import cache as django_cache
from pytest_django import Settings

from apps.accounts.tests import factories as accounts
from apps.accounts.tests.factories import Person
from apps.cadets.models import Company, Platoon, Term
from apps.cadets.tests import factories
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from core import cache


@pytest.fixture(autouse=True)
def _use_an_empty_cache() -> None:
    # Ids begin anew with every test database, and so do the keys made of them.
    django_cache.clear()
    cache.forget_failures()


@pytest.fixture
def admin(db: None) -> Person:
    return accounts.admin()


@pytest.fixture
def instructor(db: None) -> StaffPerson:
    return factories.staff_person("Ramon")


@pytest.fixture
def term(db: None) -> Term:
    return factories.term()


@pytest.fixture
def alpha(db: None) -> Company:
    return factories.company("Alpha")


@pytest.fixture
def bravo(db: None) -> Company:
    return factories.company("Bravo")


@pytest.fixture
def first_platoon(db: None) -> Platoon:
    return factories.platoon("1st Platoon")


@pytest.fixture
def liza(term: Term) -> CadetPerson:
    return factories.cadet_person("Liza", last_name="Macaraeg")


@pytest.fixture
def omar(term: Term) -> CadetPerson:
    """Another cadet, who must see nothing of Liza's."""
    return factories.cadet_person("Omar", last_name="Dimakuta")


@pytest.fixture
def media(settings: Settings, tmp_path: Path) -> Path:
    """An empty folder for what is uploaded."""
    settings.MEDIA_ROOT = str(tmp_path)
    return tmp_path
