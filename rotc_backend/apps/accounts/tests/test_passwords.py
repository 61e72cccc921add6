import threading

import pytest
from django.contrib.auth.hashers import check_password, identify_hasher, make_password
from pytest_django import Settings

from apps.accounts import services
from apps.accounts.authentication import LeanArgon2PasswordHasher
from apps.accounts.models import Role, Status, User

HASHER = f"{LeanArgon2PasswordHasher.__module__}.{LeanArgon2PasswordHasher.__qualname__}"


@pytest.fixture
def argon2(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = [HASHER]


def test_a_password_costs_nineteen_mebibytes_two_passes_and_one_lane(argon2: None) -> None:
    encoded = make_password("correct horse")
    assert encoded.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert check_password("correct horse", encoded)
    assert not check_password("correct horse ", encoded)
    assert not identify_hasher(encoded).must_update(encoded)


@pytest.mark.parametrize("work", ["encode", "verify"])
def test_one_password_is_hashed_at_a_time_in_a_process(argon2: None, work: str) -> None:
    encoded = make_password("correct horse")
    finished = threading.Event()

    def hash_one() -> None:
        if work == "encode":
            make_password("another")
        else:
            check_password("correct horse", encoded)
        finished.set()

    with LeanArgon2PasswordHasher._one_at_a_time:  # as another request's thread holds it
        thread = threading.Thread(target=hash_one)
        thread.start()
        assert not finished.wait(timeout=0.5)
    assert finished.wait(timeout=10)
    thread.join()


@pytest.mark.django_db
def test_a_hash_of_cheaper_parameters_is_replaced_at_the_next_sign_in(settings: Settings) -> None:
    account = services.user_create(
        actor_id=None, username="Liza", role=Role.CADET, status=Status.APPROVED, password="correct horse battery"
    )
    assert account.password.startswith("md5$")
    settings.PASSWORD_HASHERS = [HASHER, *settings.PASSWORD_HASHERS]
    services.session_open(username="Liza", password="correct horse battery")
    assert User.objects.get(pk=account.pk).password.startswith("argon2$argon2id$")
