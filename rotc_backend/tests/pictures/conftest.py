from pathlib import Path

import pytest
from django.core.cache import cache as django_cache
from pytest_django import Settings

from apps.accounts.tests import factories as accounts
from apps.accounts.tests.factories import Person
from apps.cadets.tests import factories as cadets
from apps.cadets.tests.factories import CadetPerson
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
def liza(db: None) -> CadetPerson:
    return cadets.cadet_person("Liza", last_name="Macaraeg")


@pytest.fixture
def media(settings: Settings, tmp_path: Path) -> Path:
    """An empty folder for what is stored."""
    folder = tmp_path / "media"
    folder.mkdir()
    settings.MEDIA_ROOT = str(folder)
    return folder
