from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache as django_cache

from apps.accounts.tests import factories as accounts
from apps.accounts.tests.factories import Person
from apps.cadets.models import Term
from apps.cadets.tests import factories as cadets
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.grading.tests import factories as grading
from core import cache


@pytest.fixture(autouse=True)
def _use_an_empty_cache() -> None:
    # Ids begin anew with every test database, and so do the keys made of them.
    django_cache.clear()
    cache.forget_failures()


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    """Where files are stored: an empty place of the test's own."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    return tmp_path / "media"


@pytest.fixture
def admin(db: None) -> Person:
    return accounts.admin()


@pytest.fixture
def instructor(db: None) -> StaffPerson:
    return cadets.staff_person("Ramon")


@pytest.fixture
def colleague(db: None) -> StaffPerson:
    """The Commandant, who must see nothing of the instructor's reports."""
    return cadets.commandant("Corazon")


@pytest.fixture
def liza(db: None) -> CadetPerson:
    return cadets.cadet_person("Liza", last_name="Macaraeg", middle_name="Santos")


@pytest.fixture
def omar(db: None) -> CadetPerson:
    """A cadet of another company."""
    return cadets.cadet_person("Omar", last_name="Pangandaman", company=cadets.company("Bravo"))


@pytest.fixture
def term(db: None) -> Term:
    grading.default_policy()
    return cadets.term()
