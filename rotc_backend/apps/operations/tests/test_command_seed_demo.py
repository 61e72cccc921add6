from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import Role, User
from apps.cadets.models import Cadet
from apps.operations.services.demonstration import DEMO_ACCOUNTS

pytestmark = pytest.mark.django_db

PASSWORD = "Sunrise over Maigo"


@pytest.fixture(autouse=True)
def surroundings(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.MEDIA_ROOT = str(tmp_path)
    for account in DEMO_ACCOUNTS:
        monkeypatch.setenv(account.variable, f"{PASSWORD}, {account.username}")


def test_one_account_of_each_role_gets_its_password(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("seed_demo", "--cadets", "3")

    for username, role in (("admin", Role.ADMIN), ("staff", Role.TRAINING_STAFF), ("cadet", Role.CADET)):
        user = User.objects.get(username=username)
        assert user.role == role
        assert user.is_active
        assert user.check_password(f"{PASSWORD}, {username}")
    assert Cadet.objects.count() == 3
    assert "3 cadets" in capsys.readouterr().out


def test_passwords_stay_unless_they_are_to_be_reset(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("seed_demo", "--cadets", "0")
    monkeypatch.setenv("DEMO_CADET_PASSWORD", "Another one, over Tubod")

    call_command("seed_demo", "--cadets", "0")
    assert "Added: nothing" in capsys.readouterr().out
    assert User.objects.get(username="cadet").check_password(f"{PASSWORD}, cadet")

    call_command("seed_demo", "--cadets", "0", "--reset-passwords")
    assert User.objects.get(username="cadet").check_password("Another one, over Tubod")


def test_missing_passwords_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEMO_ADMIN_PASSWORD")
    monkeypatch.setenv("DEMO_CADET_PASSWORD", "")
    with pytest.raises(CommandError, match="DEMO_ADMIN_PASSWORD, DEMO_CADET_PASSWORD"):
        call_command("seed_demo", "--cadets", "3")
    assert not User.objects.exists()


@pytest.mark.parametrize("cadets", ["-1", "30001"])
def test_impossible_numbers_of_cadets_are_refused(cadets: str) -> None:
    with pytest.raises(CommandError, match="0 to 30000"):
        call_command("seed_demo", f"--cadets={cadets}")


def test_another_seed_is_refused_in_words_once_there_are_cadets() -> None:
    call_command("seed_demo", "--cadets", "1", "--seed", "1", "--today", "2026-11-24")
    with pytest.raises(CommandError, match="seed 1 on 2026-11-24"):
        call_command("seed_demo", "--cadets", "2", "--seed", "2")
