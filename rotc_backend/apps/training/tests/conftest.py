from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache as django_cache

from apps.accounts.tests import factories as accounts
from apps.accounts.tests.factories import Person
from apps.cadets.tests import factories as cadets
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from core import cache


@pytest.fixture
def admin(db: None) -> Person:
    return accounts.admin()


@pytest.fixture
def instructor(db: None) -> StaffPerson:
    """Staff who may mark attendance and decide nothing."""
    return cadets.staff_person()


@pytest.fixture
def commandant(db: None) -> StaffPerson:
    return cadets.commandant()


@pytest.fixture
def cadet(db: None) -> CadetPerson:
    return cadets.cadet_person("Liza", last_name="Macaraeg")


@pytest.fixture
def stranger(db: None) -> CadetPerson:
    """A cadet of another company."""
    return cadets.cadet_person("Omar", last_name="Pangandaman", company=cadets.company("Bravo"))


@pytest.fixture(autouse=True)
def _use_an_empty_cache() -> None:
    # Ids begin anew with every test database, and so do the keys made of them.
    django_cache.clear()
    cache.forget_failures()


@pytest.fixture
def media(settings: Any, tmp_path: Path) -> Callable[[], list[Path]]:
    """Files in the media storage, which is empty at first."""
    settings.MEDIA_ROOT = str(tmp_path)
    return lambda: sorted(path for path in tmp_path.rglob("*") if path.is_file())
