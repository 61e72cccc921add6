import pytest

from apps.accounts.tests import factories as accounts
from apps.accounts.tests.factories import Person
from apps.cadets.models import Term
from apps.cadets.tests import factories as unit
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.grading.tests import factories


@pytest.fixture(autouse=True)
def _use_an_empty_cache() -> None:
    factories.cache_emptied()


@pytest.fixture
def admin(db: None) -> Person:
    return accounts.admin()


@pytest.fixture
def instructor(db: None) -> StaffPerson:
    return unit.staff_person("Ramon")


@pytest.fixture
def colleague(db: None) -> StaffPerson:
    """Another instructor."""
    return unit.staff_person("Corazon")


@pytest.fixture
def liza(db: None) -> CadetPerson:
    return unit.cadet_person("Liza", last_name="Macaraeg")


@pytest.fixture
def omar(db: None) -> CadetPerson:
    """A cadet of another company, who must see nothing of the first one's."""
    return unit.cadet_person("Omar", last_name="Pangandaman", company=unit.company("Bravo"))


@pytest.fixture
def term(db: None) -> Term:
    return unit.term()
