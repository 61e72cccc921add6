"""A link that sets a password belongs to the password and the address that were there when it was made."""

from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from apps.accounts import services
from apps.accounts.models import Invitation, Role, User
from apps.accounts.tests import factories
from apps.accounts.tests.factories import PASSWORD, Person

pytestmark = pytest.mark.django_db
NEW = "another long password"


def link_for(admin: Person, account: User) -> str:
    issued = services.invitation_create(actor=admin.principal, user_id=account.pk, page="x", send=False)
    return issued.link.partition("#token=")[2]


def accept(token: str) -> str:
    answer = APIClient().post("/api/v1/auth/invitations/accept", {"token": token, "password": "a third long password"})
    return str(answer.json()["code"]) if answer.status_code != 204 else "accepted"


def site_of(admin: Person) -> Client:
    client = Client()
    client.force_login(admin.user)
    return client


def form_of(account: User, **changes: str) -> dict[str, str]:
    names = ("username", "email", "first_name", "last_name", "role", "status")
    return {**{name: getattr(account, name) for name in names}, "row_version": str(account.version), **changes}


def own_password(admin: Person, cadet: Person) -> None:
    body = {"current_password": PASSWORD, "new_password": NEW}
    assert cadet.client.post("/api/v1/auth/password", body).status_code == 200


def password_on_the_site(admin: Person, cadet: Person) -> None:
    new = {"usable_password": "true", "password1": NEW, "password2": NEW}
    address = reverse("admin:auth_user_password_change", args=[cadet.user.pk])
    assert site_of(admin).post(address, new).status_code == 302


def password_switched_off_on_the_site(admin: Person, cadet: Person) -> None:
    address = reverse("admin:auth_user_password_change", args=[cadet.user.pk])
    assert site_of(admin).post(address, {"usable_password": "false", "unset-password": "x"}).status_code == 302


def own_address(admin: Person, cadet: Person) -> None:
    body = {"email": "new@rotc.example", "current_password": PASSWORD}
    assert cadet.client.patch("/api/v1/auth/me", body, headers={"If-Match": '"v1"'}).status_code == 200


def address_by_an_administrator(admin: Person, cadet: Person) -> None:
    path = f"/api/v1/users/{cadet.user.pk}"
    answer = admin.client.patch(path, {"email": "new@rotc.example"}, headers={"If-Match": '"v1"'})
    assert answer.status_code == 200


def address_on_the_site(admin: Person, cadet: Person) -> None:
    form = form_of(User.objects.get(pk=cadet.user.pk), email="new@rotc.example")
    answer = site_of(admin).post(reverse("admin:accounts_user_change", args=[cadet.user.pk]), form)
    assert answer.status_code == 302


def archived_and_restored(admin: Person, cadet: Person) -> None:
    for act in ("archive", "restore"):
        assert admin.client.post(f"/api/v1/users/{cadet.user.pk}/{act}").status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        own_password,
        password_on_the_site,
        password_switched_off_on_the_site,
        own_address,
        address_by_an_administrator,
        address_on_the_site,
        archived_and_restored,
    ],
)
def test_an_open_link_ends_with(admin: Person, cadet: Person, change: Callable[[Person, Person], None]) -> None:
    other = factories.user("Rhea")
    token, unconcerned = link_for(admin, cadet.user), link_for(admin, other)
    change(admin, cadet)
    assert accept(token) == "invitation_replaced"
    assert accept(unconcerned) == "accepted"


def test_an_open_link_ends_with_the_rescue_of_an_administrator(admin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    bea = factories.user("Bea", role=Role.ADMIN)
    token = link_for(admin, bea)
    monkeypatch.setenv("ADMIN_PASSWORD", NEW)
    call_command("create_admin", "--username", "Bea", "--reset-password")
    assert accept(token) == "invitation_replaced"


def test_a_corrected_name_or_role_leaves_the_link(admin: Person, cadet: Person) -> None:
    token = link_for(admin, cadet.user)
    path = f"/api/v1/users/{cadet.user.pk}"
    changes = {"first_name": "Elizabeth", "role": "training_staff"}
    assert admin.client.patch(path, changes, headers={"If-Match": '"v1"'}).status_code == 200
    assert accept(token) == "accepted"


def test_the_link_that_was_used_says_so_and_not_that_it_was_replaced(admin: Person, cadet: Person) -> None:
    token = link_for(admin, cadet.user)
    assert accept(token) == "accepted"
    assert accept(token) == "invitation_used"
    invitation = Invitation.objects.get()
    assert invitation.used_at is not None
    assert invitation.replaced_at is None
