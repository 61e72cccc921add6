import pytest
from django.core.cache import cache as django_cache

from apps.accounts.tests import factories as accounts
from apps.accounts.tests.factories import Person
from apps.cadets.models import Term
from apps.cadets.tests import factories as cadets
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
    return cadets.staff_person("Ramon")


@pytest.fixture
def colleague(db: None) -> StaffPerson:
    """Another instructor, who must see nothing of the first one's imports."""
    return cadets.staff_person("Corazon")


@pytest.fixture
def liza(db: None) -> CadetPerson:
    return cadets.cadet_person("Liza", last_name="Macaraeg")


@pytest.fixture
def term(db: None) -> Term:
    return cadets.term()
