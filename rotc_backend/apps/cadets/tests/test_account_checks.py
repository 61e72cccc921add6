"""What the record says to a change of the account behind it, and what of both is archived and restored together."""

from functools import partial
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import AuditEntry, Role, User
from apps.accounts.tests import factories as accounts
from apps.accounts.tests.factories import Person
from apps.cadets.tests import factories
from apps.cadets.tests.expectations import at_once, refused, told
from apps.cadets.tests.factories import CadetPerson, StaffPerson

pytestmark = pytest.mark.django_db(transaction=True)


def change_role(admin: Person, account: User, role: str) -> Any:
    account.refresh_from_db()
    tag = f'"v{account.version}"'
    return admin.client.patch(f"/api/v1/users/{account.pk}", {"role": role}, headers={"if-match": tag})


def change_role_on_the_site(admin: Person, account: User, role: str) -> Any:
    account.refresh_from_db()
    site = Client()
    site.force_login(admin.user)
    names = ("username", "email", "first_name", "last_name", "status")
    form = {**{name: getattr(account, name) for name in names}, "row_version": account.version, "role": role}
    return site.post(reverse("admin:accounts_user_change", args=[account.pk]), form)


def post(admin: Person, path: str) -> Any:
    return admin.client.post(f"/api/v1/{path}")


def is_open(account: User) -> bool:
    return User.objects.get(pk=account.pk).archived_at is None


# --- Roles ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["training_staff", "admin"])
def test_the_account_of_a_cadet_stays_a_cadets(admin: Person, liza: CadetPerson, role: str) -> None:
    assert refused(change_role(admin, liza.user, role)) == (409, "role_does_not_fit")
    page = change_role_on_the_site(admin, liza.user, role)
    assert page.status_code == 200
    assert b"linked to a record that the new role does not fit" in page.content
    liza.user.refresh_from_db()
    assert (liza.user.role, liza.user.version) == ("cadet", 1)
    assert liza.client.get("/api/v1/auth/me").status_code == 200
    assert told() == []


def test_the_account_of_staff_moves_among_the_roles_of_staff_only(admin: Person, instructor: StaffPerson) -> None:
    assert refused(change_role(admin, instructor.user, "cadet")) == (409, "role_does_not_fit")
    assert change_role_on_the_site(admin, instructor.user, "cadet").status_code == 200
    assert User.objects.get(pk=instructor.user.pk).role == "training_staff"
    assert change_role(admin, instructor.user, "admin").status_code == 200
    assert change_role_on_the_site(admin, instructor.user, "training_staff").status_code == 302


def test_an_account_without_a_record_takes_any_role(admin: Person, liza: CadetPerson) -> None:
    free = accounts.user("rhea")
    assert change_role(admin, free, "training_staff").status_code == 200
    assert change_role_on_the_site(admin, free, "cadet").status_code == 302
    assert admin.client.delete(f"/api/v1/cadets/{liza.cadet.pk}/account").status_code == 204
    assert change_role(admin, liza.user, "training_staff").status_code == 200


def test_other_changes_of_a_linked_account_are_not_asked(admin: Person, liza: CadetPerson) -> None:
    # Linked before roles were compared.
    User.objects.filter(pk=liza.user.pk).update(role=Role.TRAINING_STAFF)
    path = f"/api/v1/users/{liza.user.pk}"
    changes = {"first_name": "Elizabeth", "role": "training_staff"}
    assert admin.client.patch(path, changes, headers={"if-match": '"v1"'}).status_code == 200
    assert change_role(admin, liza.user, "cadet").status_code == 200


def test_of_a_link_and_a_new_role_at_once_the_record_fits_in_the_end(admin: Person) -> None:
    for number in range(4):
        account, cadet = accounts.user(f"account{number}"), factories.cadet()
        path, body = f"/api/v1/cadets/{cadet.pk}/account", {"user_id": account.pk}
        answers = at_once(partial(admin.client.put, path, body), partial(change_role, admin, account, "training_staff"))
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        account.refresh_from_db()
        cadet.refresh_from_db()
        assert (account.role == "cadet") == (cadet.user_id == account.pk)


# --- Archive and restore ----------------------------------------------------------------------------------------------


def test_an_account_comes_back_only_with_its_record(admin: Person, liza: CadetPerson, instructor: StaffPerson) -> None:
    for record, account in (
        (f"cadets/{liza.cadet.pk}", liza.user),
        (f"staff/{instructor.profile.pk}", instructor.user),
    ):
        post(admin, f"{record}/archive")
        assert refused(post(admin, f"users/{account.pk}/restore")) == (409, "record_archived")
        assert not is_open(account)
        assert not AuditEntry.objects.filter(action="user.restore", target=f"user:{account.pk}").exists()
        assert post(admin, f"{record}/restore").status_code == 200
        assert is_open(account)


def test_an_account_that_was_taken_from_its_archived_record_comes_back(admin: Person, liza: CadetPerson) -> None:
    post(admin, f"cadets/{liza.cadet.pk}/archive")
    assert admin.client.delete(f"/api/v1/cadets/{liza.cadet.pk}/account").status_code == 204
    assert post(admin, f"users/{liza.user.pk}/restore").status_code == 200


def test_an_open_account_is_restored_without_a_question(admin: Person, liza: CadetPerson) -> None:
    post(admin, f"users/{liza.user.pk}/archive")
    assert post(admin, f"users/{liza.user.pk}/restore").status_code == 200
    assert post(admin, f"users/{liza.user.pk}/restore").status_code == 200
    assert is_open(liza.user)


@pytest.mark.parametrize("first", ["the account", "the record"])
def test_an_account_that_was_archived_for_itself_stays_so(
    admin: Person, liza: CadetPerson, instructor: StaffPerson, first: str
) -> None:
    for record, account in (
        (f"cadets/{liza.cadet.pk}", liza.user),
        (f"staff/{instructor.profile.pk}", instructor.user),
    ):
        archives = [f"users/{account.pk}/archive", f"{record}/archive"]
        for path in archives if first == "the account" else reversed(archives):
            assert post(admin, path).status_code == 200
        assert post(admin, f"{record}/restore").json()["archived_at"] is None
        # Whose account was open when the record was archived was archived with it; a second archiving does nothing.
        assert is_open(account) == (first == "the record")


def test_both_are_archived_at_the_same_instant(admin: Person, liza: CadetPerson) -> None:
    post(admin, f"cadets/{liza.cadet.pk}/archive")
    liza.cadet.refresh_from_db()
    liza.user.refresh_from_db()
    assert liza.cadet.archived_at is not None
    assert liza.cadet.archived_at == liza.user.archived_at
