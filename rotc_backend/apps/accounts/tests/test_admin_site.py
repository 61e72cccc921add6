import threading
import time
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import make_password
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from apps.accounts import services
from apps.accounts.models import Attempts, AuditEntry, Invitation, PasswordReset, Role, Session, User
from apps.accounts.tests import factories
from apps.accounts.tests.concurrency import together
from apps.accounts.tests.events_of import heard
from apps.accounts.tests.factories import PASSWORD, Person
from core.errors import NotAuthenticated

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def site(admin: Person) -> Client:
    client = Client()
    client.force_login(admin.user)
    return client


def change(site: Client, account: User, **changes: str) -> Any:
    """Save the form of an account as an administrator does, with some fields changed."""
    account.refresh_from_db()
    form = {name: getattr(account, name) for name in ("username", "email", "first_name", "last_name", "role", "status")}
    sent = {**form, "row_version": account.version, **changes}
    return site.post(reverse("admin:accounts_user_change", args=[account.pk]), sent)


@pytest.mark.parametrize("typed", ["Amina", "amina", "AMINA"])
def test_an_administrator_enters_with_name_and_password(typed: str) -> None:
    factories.user("Amina", role=Role.ADMIN)
    client = Client()
    answer = client.post("/admin/login/?next=/admin/", {"username": typed, "password": PASSWORD})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")
    assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize("who", ["cadet", "instructor"])
def test_nobody_else_enters(who: str, request: pytest.FixtureRequest) -> None:
    person: Person = request.getfixturevalue(who)
    client = Client()
    answer = client.post("/admin/login/?next=/admin/", {"username": person.user.username, "password": PASSWORD})
    assert answer.status_code == 200
    client.force_login(person.user)
    assert client.get("/admin/").status_code == 302


@pytest.mark.parametrize("model", ["user", "session", "auditentry", "invitation", "passwordreset", "attempts"])
def test_the_pages_of_accounts_open(site: Client, admin: Person, cadet: Person, model: str) -> None:
    services.invitation_create(actor=admin.principal, user_id=cadet.user.pk, page="x", send=False)
    with pytest.raises(NotAuthenticated):
        services.session_open(username="Liza", password="not the password")
    rows = {
        "user": cadet.user,
        "session": cadet.session,
        "auditentry": AuditEntry.objects.latest("id"),
        "invitation": Invitation.objects.get(),
        "passwordreset": PasswordReset.objects.create(user=cadet.user, page="x"),
        "attempts": Attempts.objects.get(),
    }
    assert site.get(reverse(f"admin:accounts_{model}_changelist")).status_code == 200
    assert site.get(reverse(f"admin:accounts_{model}_changelist"), {"q": "liza"}).status_code == 200
    assert site.get(reverse(f"admin:accounts_{model}_change", args=[rows[model].pk])).status_code == 200
    assert site.get("/admin/").status_code == 200


def test_an_invitation_is_shown_without_its_digest(site: Client, admin: Person, cadet: Person) -> None:
    services.invitation_create(actor=admin.principal, user_id=cadet.user.pk, page="x", send=False)
    invitation = Invitation.objects.get()
    page = site.get(reverse("admin:accounts_invitation_change", args=[invitation.pk]))
    assert invitation.token_digest.encode() not in page.content


def test_a_session_is_shown_without_its_refresh_token(site: Client, cadet: Person) -> None:
    page = site.get(reverse("admin:accounts_session_change", args=[cadet.session.pk]))
    assert cadet.session.refresh_id.encode() not in page.content
    assert b"Liza" in page.content


@pytest.mark.parametrize("model", ["session", "auditentry"])
def test_history_is_neither_added_nor_changed_nor_deleted(site: Client, cadet: Person, model: str) -> None:
    row = {"session": cadet.session, "auditentry": AuditEntry.objects.latest("id")}[model]
    assert site.get(reverse(f"admin:accounts_{model}_add")).status_code == 403
    assert site.post(reverse(f"admin:accounts_{model}_change", args=[row.pk]), {"action": "x"}).status_code == 403
    assert site.post(reverse(f"admin:accounts_{model}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403


def test_people_are_not_deleted(site: Client, cadet: Person) -> None:
    answer = site.post(reverse("admin:accounts_user_delete", args=[cadet.user.pk]), {"post": "yes"})
    assert answer.status_code == 403
    assert User.objects.filter(pk=cadet.user.pk).exists()


def test_an_administrator_creates_an_account_that_can_sign_in(site: Client, admin: Person) -> None:
    page = site.get(reverse("admin:accounts_user_add"))
    assert page.status_code == 200
    form = {"username": "Rhea", "usable_password": "true", "role": "training_staff", "status": "approved"}
    answer = site.post(reverse("admin:accounts_user_add"), {**form, "password1": PASSWORD, "password2": PASSWORD})
    assert answer.status_code == 302, answer.content.decode()
    session = services.session_open(username="rhea", password=PASSWORD)
    assert session.user.role == "training_staff"
    entry = AuditEntry.objects.get(action="user.create", target=f"user:{session.user.pk}", actor=admin.user)
    assert PASSWORD not in str(entry.after)


def test_a_name_taken_in_another_letter_case_is_refused_on_the_form(site: Client, cadet: Person) -> None:
    form = {"username": "LIZA", "usable_password": "true", "role": "cadet", "status": "approved"}
    answer = site.post(reverse("admin:accounts_user_add"), {**form, "password1": PASSWORD, "password2": PASSWORD})
    assert answer.status_code == 200
    assert User.objects.filter(role="cadet").count() == 1


@pytest.mark.parametrize("changes", [{"role": "training_staff"}, {"status": "pending"}])
def test_a_changed_role_or_status_refuses_older_tokens_and_ends_the_sessions(
    site: Client, admin: Person, cadet: Person, stranger: Person, changes: dict[str, str]
) -> None:
    assert cadet.client.get("/api/v1/auth/me").status_code == 200
    assert change(site, cadet.user, **changes).status_code == 302
    assert cadet.client.get("/api/v1/auth/me").json()["code"] == "token_revoked"
    assert Session.objects.get(pk=cadet.session.pk).ended_at is not None
    assert stranger.client.get("/api/v1/auth/me").status_code == 200
    entry = AuditEntry.objects.get(action="user.change", target=f"user:{cadet.user.pk}")
    assert entry.actor_id == admin.user.pk
    assert entry.before == {name: getattr(cadet.user, name) for name in changes}
    assert entry.after == changes


def test_the_next_sign_in_has_the_new_role(site: Client, cadet: Person) -> None:
    change(site, cadet.user, role="training_staff")
    again = factories.signed_in(cadet.user)
    assert again.principal.role == "training_staff"
    assert again.client.get("/api/v1/auth/me").json()["role"] == "training_staff"


def test_a_corrected_name_ends_no_session(site: Client, cadet: Person) -> None:
    assert change(site, cadet.user, first_name="Elizabeth").status_code == 302
    assert cadet.client.get("/api/v1/auth/me").json()["first_name"] == "Elizabeth"
    entry = AuditEntry.objects.get(action="user.change")
    assert (entry.before, entry.after) == ({"first_name": cadet.user.first_name}, {"first_name": "Elizabeth"})


def test_a_password_set_by_an_administrator_ends_the_sessions_and_opens_new_ones(
    site: Client, admin: Person, cadet: Person
) -> None:
    address = reverse("admin:auth_user_password_change", args=[cadet.user.pk])
    assert site.get(address).status_code == 200
    new = {"usable_password": "true", "password1": "another long password", "password2": "another long password"}
    assert site.post(address, new).status_code == 302
    assert cadet.client.get("/api/v1/auth/me").json()["code"] == "token_revoked"
    assert services.session_open(username="Liza", password="another long password").user.token_version == 2
    entry = AuditEntry.objects.get(action="user.change", target=f"user:{cadet.user.pk}")
    assert entry.actor_id == admin.user.pk
    everything = str(list(AuditEntry.objects.values())) + str(list(LogEntry.objects.values()))
    assert "another long password" not in everything


def test_a_change_of_the_own_password_ends_the_sessions_too_and_is_audited(site: Client, admin: Person) -> None:
    leads_to = reverse("admin:auth_user_password_change", args=[admin.user.pk])
    answer = site.get(reverse("admin:password_change"))
    assert (answer.status_code, answer.headers["Location"]) == (302, leads_to)
    assert site.post(reverse("admin:password_change"), {"old_password": PASSWORD}).status_code == 405
    new = {"usable_password": "true", "password1": "another long password", "password2": "another long password"}
    assert site.post(leads_to, new).status_code == 302
    assert admin.client.get("/api/v1/auth/me").json()["code"] == "token_revoked"
    entry = AuditEntry.objects.get(action="user.change")
    assert (entry.before, entry.after) == ({}, {"password": "replaced"})
    assert site.get("/admin/").status_code == 200


@pytest.mark.parametrize("who", ["cadet", "nobody"])
def test_the_page_for_the_own_password_is_the_sites(who: str, cadet: Person) -> None:
    client = Client()
    if who == "cadet":
        client.force_login(cadet.user)
    assert client.get(reverse("admin:password_change")).headers["Location"].startswith("/admin/login/")


def test_a_refused_password_ends_nothing(site: Client, cadet: Person) -> None:
    address = reverse("admin:auth_user_password_change", args=[cadet.user.pk])
    answer = site.post(address, {"usable_password": "true", "password1": "short", "password2": "short"})
    assert answer.status_code == 200
    assert cadet.client.get("/api/v1/auth/me").status_code == 200
    assert not AuditEntry.objects.filter(action="user.change").exists()


# --- Beside the API ---------------------------------------------------------------------------------------------------


def test_a_change_moves_the_version_so_that_the_api_refuses_an_older_one(
    site: Client, admin: Person, cadet: Person
) -> None:
    address = f"/api/v1/users/{cadet.user.pk}"
    tag = admin.client.get(address).headers["ETag"]
    assert change(site, cadet.user, first_name="Elizabeth").status_code == 302
    assert admin.client.patch(address, {"last_name": "X"}, headers={"If-Match": tag}).status_code == 412
    assert admin.client.get(address).headers["ETag"] == '"v2"'
    assert [event for event, _, _ in heard()] == ["user.changed"]


def test_a_form_that_changes_nothing_moves_nothing(site: Client, cadet: Person) -> None:
    assert change(site, cadet.user).status_code == 302
    assert User.objects.get(pk=cadet.user.pk).version == 1
    assert heard() == []


@pytest.mark.parametrize("changes", [{"role": "cadet"}, {"status": "pending"}])
def test_an_administrator_does_not_close_the_own_account(site: Client, admin: Person, changes: dict[str, str]) -> None:
    answer = change(site, admin.user, **changes)
    assert answer.status_code == 200
    assert b"This is your own account" in answer.content
    admin.user.refresh_from_db()
    assert (admin.user.role, admin.user.status, admin.user.version) == ("admin", "approved", 1)


def test_another_administrator_can_be_closed(site: Client) -> None:
    bea = factories.user("Bea", role=Role.ADMIN)
    assert change(site, bea, role="cadet").status_code == 302


def test_the_own_name_can_be_corrected(site: Client, admin: Person) -> None:
    assert change(site, admin.user, first_name="Amina").status_code == 302
    assert admin.client.get("/api/v1/auth/me").status_code == 200


@pytest.mark.parametrize("field", ["first_name", "last_name"])
def test_the_form_refuses_a_name_with_a_line_break(site: Client, cadet: Person, field: str) -> None:
    answer = change(site, cadet.user, **{field: "Liza\nMacaraeg"})
    assert answer.status_code == 200
    assert b"without control characters" in answer.content
    assert User.objects.get(pk=cadet.user.pk).version == 1


# --- The site's own sign-in -------------------------------------------------------------------------------------------


def test_signing_in_and_out_is_recorded(admin: Person) -> None:
    client = Client()
    client.post("/admin/login/?next=/admin/", {"username": "amina", "password": "not the password"})
    assert not AuditEntry.objects.filter(action__startswith="site_session").exists()
    client.post("/admin/login/?next=/admin/", {"username": "amina", "password": PASSWORD})
    assert client.post("/admin/logout/").status_code == 200
    Client().post("/admin/logout/")  # nobody
    entries = AuditEntry.objects.filter(action__startswith="site_session").order_by("pk")
    target = f"user:{admin.user.pk}"
    assert list(entries.values_list("action", "actor_id", "target")) == [
        ("site_session.open", admin.user.pk, target),
        ("site_session.end", admin.user.pk, target),
    ]
    assert all(entry.request_id for entry in entries)


@pytest.mark.parametrize("ended_by", ["archive", "role", "password"])
def test_the_cookie_of_who_was_closed_does_not_open_again_when_that_is_undone(
    site: Client, admin: Person, ended_by: str
) -> None:
    bea = factories.user("Bea", role=Role.ADMIN)
    cookie = Client()
    cookie.force_login(bea)
    assert cookie.get("/admin/").status_code == 200
    if ended_by == "archive":
        services.user_archive(actor=admin.principal, user_id=bea.pk)
        services.user_restore(actor=admin.principal, user_id=bea.pk)
    elif ended_by == "role":
        change(site, bea, role="training_staff")
        change(site, bea, role="admin")
    else:
        former = User.objects.get(pk=bea.pk).password
        services.user_set_password(actor_id=admin.user.pk, user=bea, password="another long password")
        User.objects.filter(pk=bea.pk).update(password=former)
    assert User.objects.get(pk=bea.pk).is_staff
    assert cookie.get("/admin/").status_code == 302
    assert site.get("/admin/").status_code == 200


def test_a_cookie_made_with_a_former_key_goes_on_until_the_session_ends(
    site: Client, admin: Person, settings: Settings
) -> None:
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the next key, which is long enough for a test of it"
    assert site.get("/admin/").status_code == 200
    services.user_set_password(actor_id=None, user=admin.user, password="another long password")
    assert site.get("/admin/").status_code == 302


# --- Who closes whom --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["oneself", "another"])
def test_the_password_of_an_active_administrator_is_not_switched_off(site: Client, admin: Person, who: str) -> None:
    account = admin.user if who == "oneself" else factories.user("Bea", role=Role.ADMIN)
    address = reverse("admin:auth_user_password_change", args=[account.pk])
    answer = site.post(address, {"usable_password": "false", "unset-password": "x"})
    assert answer.status_code == 200
    assert b"An active administrator needs a password" in answer.content
    assert User.objects.get(pk=account.pk).check_password(PASSWORD)
    assert not AuditEntry.objects.filter(action="user.change").exists()


def test_a_password_that_is_switched_off_is_recorded_as_that(site: Client, cadet: Person) -> None:
    address = reverse("admin:auth_user_password_change", args=[cadet.user.pk])
    assert site.post(address, {"usable_password": "false", "unset-password": "x"}).status_code == 302
    assert not User.objects.get(pk=cadet.user.pk).has_usable_password()
    assert AuditEntry.objects.get(action="user.change").after == {"password": "disabled"}


def test_an_administrator_without_a_password_is_no_other_one_on_the_form(site: Client, admin: Person) -> None:
    bea = factories.user("Bea", role=Role.ADMIN)
    User.objects.filter(pk=admin.user.pk).update(password=make_password(None))
    own = Client()
    own.force_login(User.objects.get(pk=admin.user.pk))
    answer = change(own, bea, role="cadet")
    assert answer.status_code == 200
    assert b"This is the last active administrator" in answer.content


def waiting_for_locks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # the view stays as it was first read in a transaction
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return int(cursor.fetchone()[0])


def test_two_administrators_who_demote_each_other_at_once_do_not_wait_for_each_other() -> None:
    first = factories.user("Amina", role=Role.ADMIN)
    people = [factories.user(name, role=Role.ADMIN) for name in ("Bea", "Cora")]
    sites = []
    for person in people:
        client = Client()
        client.force_login(person)
        sites.append(client)

    held = threading.Event()

    def demoting(actor: int) -> str:
        assert held.wait(timeout=20)
        other = people[1 - actor]
        names = ("username", "email", "first_name", "last_name", "role", "status")
        form = {**{name: getattr(other, name) for name in names}, "row_version": other.version, "role": "cadet"}
        return str(sites[actor].post(reverse("admin:accounts_user_change", args=[other.pk]), form).status_code)

    def holding() -> str:
        # Who holds a row here already while waiting for the first administrator's will make the other wait for it.
        with transaction.atomic():
            User.objects.select_for_update(no_key=True).get(pk=first.pk)
            held.set()
            for _ in range(200):
                if waiting_for_locks() == 2:
                    return "both wait"
                time.sleep(0.05)
        return "they never waited"

    assert together([lambda: demoting(0), lambda: demoting(1), holding]) == ["302", "403", "both wait"]
    assert User.objects.filter(pk__in=[person.pk for person in people], role=Role.ADMIN).count() == 1
