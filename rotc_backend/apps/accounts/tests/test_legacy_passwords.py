from typing import Any

import bcrypt
import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts import services
from apps.accounts.authentication import LeanArgon2PasswordHasher, LegacyBcryptPasswordHasher
from apps.accounts.models import Role, Status, User
from apps.accounts.tests import factories
from core.errors import ValidationFailed

pytestmark = pytest.mark.django_db
NEW = "another long password"
OLD = "Ma-alamat ng Lanao 1896"


@pytest.fixture
def hashers(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = [
        "apps.accounts.authentication.LeanArgon2PasswordHasher",
        "apps.accounts.authentication.LegacyBcryptPasswordHasher",
    ]


def legacy_hash(password: str, *, version: str = "2b", cost: int = 4) -> str:
    made = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(cost)).decode()
    return made.replace("$2b$", f"${version}$")


def taken_over(password: str, **options: Any) -> User:
    return services.user_create(
        actor_id=None,
        username="Liza",
        role=Role.CADET,
        status=Status.APPROVED,
        legacy_hash=legacy_hash(password, **options),
    )


@pytest.mark.parametrize("version", ["2a", "2b", "2y"])
@pytest.mark.parametrize("stored_with_prefix", [True, False])
def test_an_old_hash_opens_once_and_is_then_argon2(hashers: None, version: str, stored_with_prefix: bool) -> None:
    account = taken_over(OLD, version=version)
    assert account.password.startswith(f"bcrypt$${version}$")
    if not stored_with_prefix:  # as a copy of the old table has it
        User.objects.filter(pk=account.pk).update(password=account.password.removeprefix("bcrypt$"))
    for _ in range(2):
        assert services.session_open(username="Liza", password=OLD)
        assert User.objects.get(pk=account.pk).password.startswith("argon2$argon2id$")


@pytest.mark.parametrize("guess", ["wrong", "", OLD + " ", "x" * 256, "nul\x00byte"])
def test_another_password_does_not_open_an_old_hash_and_leaves_it(hashers: None, guess: str) -> None:
    account = taken_over(OLD)
    with pytest.raises(Exception, match="wrong"):
        services.session_open(username="Liza", password=guess)
    assert User.objects.get(pk=account.pk).password == account.password


def test_a_password_beyond_72_bytes_is_compared_as_the_old_system_did(hashers: None) -> None:
    long = "a correct horse battery staple " * 4
    taken_over(long)
    assert APIClient().post("/api/v1/auth/login", {"username": "Liza", "password": "y" * 100}).status_code == 401
    assert APIClient().post("/api/v1/auth/login", {"username": "Liza", "password": long}).status_code == 200
    # From then on all of it counts.
    assert APIClient().post("/api/v1/auth/login", {"username": "Liza", "password": long[:72]}).status_code == 401


@pytest.mark.parametrize("stored", ["$2b$10$cut-off", "bcrypt$", "$2b$31$" + "a" * 53, "gibberish", ""])
def test_a_stored_hash_that_cannot_be_read_opens_nothing_and_breaks_nothing(hashers: None, stored: str) -> None:
    account = taken_over(OLD)
    User.objects.filter(pk=account.pk).update(password=stored)
    assert APIClient().post("/api/v1/auth/login", {"username": "Liza", "password": OLD}).status_code == 401


@pytest.mark.parametrize("given", ["", "$2b$31$" + "a" * 53, "5f4dcc3b5aa765d61d8327deb882cf99", "$2b$10$short"])
def test_a_hash_that_is_none_is_not_taken_over(given: str) -> None:
    with pytest.raises(ValidationFailed):
        services.user_create(
            actor_id=None,
            username="Liza",
            role=Role.CADET,
            status=Status.APPROVED,
            legacy_hash=given,
        )
    assert User.objects.count() == 0


def test_a_wrong_password_costs_the_same_hashing_for_every_account_and_for_none(
    hashers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    for hasher, method in ((LeanArgon2PasswordHasher, "encode"), (LeanArgon2PasswordHasher, "verify"),
                           (LegacyBcryptPasswordHasher, "verify")):  # fmt: skip
        original = getattr(hasher, method)

        def counted(self: Any, *arguments: Any, original: Any = original, name: str | None = hasher.algorithm) -> Any:
            done.append(str(name))
            return original(self, *arguments)

        monkeypatch.setattr(hasher, method, counted)
    taken_over(OLD)
    factories.user("Omar")
    services.user_create(actor_id=None, username="invited", role=Role.CADET, status=Status.APPROVED)
    costs = {}
    for name in ("Liza", "Omar", "invited", "nobody"):
        done.clear()
        with pytest.raises(Exception, match="wrong"):
            services.session_open(username=name, password="not the password")
        costs[name] = sorted(done)
    assert set(map(tuple, costs.values())) == {("argon2", "bcrypt")}


def test_the_upgrade_does_not_undo_a_parallel_change_of_the_password(
    hashers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = taken_over(OLD)
    original = LegacyBcryptPasswordHasher.verify

    def changed_meanwhile(self: Any, password: str, encoded: str) -> bool:
        matches = original(self, password, encoded)
        monkeypatch.setattr(LegacyBcryptPasswordHasher, "verify", original)
        services.user_set_password(actor_id=None, user=User.objects.get(pk=account.pk), password=NEW)
        return matches

    monkeypatch.setattr(LegacyBcryptPasswordHasher, "verify", changed_meanwhile)
    with pytest.raises(Exception, match="wrong"):
        services.session_open(username="Liza", password=OLD)
    assert services.session_open(username="Liza", password=NEW)
