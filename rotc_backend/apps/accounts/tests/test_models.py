from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from apps.accounts.models import AuditEntry, Revocation, Role, Status, TokenGeneration, User
from apps.accounts.tests import factories

pytestmark = pytest.mark.django_db


def refused_by_the_database(write: Callable[[], Any], *, constraint: str) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        write()


@pytest.mark.parametrize("name", ["liza", "LIZA", "lIzA"])
def test_the_database_takes_a_username_once_whatever_its_letter_case(name: str) -> None:
    User.objects.create(username="Liza")
    refused_by_the_database(
        lambda: User.objects.bulk_create([User(username=name)]), constraint="user_username_unique_in_any_case"
    )
    assert User.objects.count() == 1


def test_the_database_refuses_a_role_and_a_status_that_nobody_knows() -> None:
    account = factories.user("Liza")
    rows = User.objects.filter(pk=account.pk)
    refused_by_the_database(lambda: rows.update(role="superuser"), constraint="user_role_known")
    refused_by_the_database(lambda: rows.update(status="maybe"), constraint="user_status_known")


def test_a_revocation_concerns_a_session_or_a_version_of_a_user() -> None:
    for fields in ({}, {"user_id": 7}, {"least_version": 2}):
        refused_by_the_database(
            lambda fields=fields: Revocation.objects.create(**fields),  # type: ignore[misc]
            constraint="revocation_concerns_something",
        )
    Revocation.objects.create(user_id=7, least_version=2)


def test_there_is_one_token_generation_and_the_migration_made_it() -> None:
    TokenGeneration.objects.get_or_create(pk=1)
    refused_by_the_database(lambda: TokenGeneration.objects.create(pk=2), constraint="token_generation_is_one_row")


@pytest.mark.parametrize(
    ("role", "status", "enters"),
    [
        (Role.ADMIN, Status.APPROVED, True),
        (Role.ADMIN, Status.PENDING, False),
        (Role.TRAINING_STAFF, Status.APPROVED, False),
        (Role.CADET, Status.APPROVED, False),
    ],
)
def test_the_admin_site_is_for_approved_administrators(role: Role, status: Status, enters: bool) -> None:
    account = User(username="x", role=role, status=status)
    assert (account.is_staff, account.has_perm("accounts.view_user"), account.has_module_perms("accounts")) == (
        (enters,) * 3
    )


def test_somebody_with_a_history_cannot_be_deleted() -> None:
    account = factories.user("Liza")
    AuditEntry.objects.create(actor=account, action="x", target="y")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=account.pk).delete()


def test_a_person_is_shown_by_name_or_by_username() -> None:
    assert User(username="liza", first_name="Liza", last_name="Macaraeg").get_full_name() == "Liza Macaraeg"
    assert User(username="liza").get_full_name() == str(User(username="liza")) == "liza"
