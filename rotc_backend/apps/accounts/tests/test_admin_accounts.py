"""Actions of the admin site on accounts, sessions and locks, and how the audit trail is read there."""

import datetime as dt
from typing import Any

import pytest
from django.db import transaction
from django.urls import reverse

from apps.accounts import services
from apps.accounts.models import Attempts, AuditEntry, Invitation, Role, Session, Status, User
from apps.accounts.tests import factories
from apps.accounts.tests.events_of import heard
from apps.accounts.tests.factories import Person
from core.clock import now
from core.errors import NotAuthenticated, TooManyRequests
from tests.admin_pages import Site, address_of, refusals, said

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def site(admin: Person) -> Site:
    return Site(admin.user)


def recorded(prefix: str) -> list[tuple[str, str]]:
    rows = AuditEntry.objects.filter(action__startswith=prefix).exclude(action="user.create").order_by("pk")
    return list(rows.values_list("action", "actor__username"))


# --- Accounts ---------------------------------------------------------------------------------------------------------


def test_registrations_are_approved_together_and_each_once(site: Site) -> None:
    waiting = [factories.user(name, status=Status.PENDING) for name in ("Wahid", "Fatima")]
    assert site.list_of(User, status__exact="pending") == sorted(waiting, key=lambda user: user.username)
    assert "2 users approved." in said(site.act("approve", *waiting))
    assert set(User.objects.filter(pk__in=[user.pk for user in waiting]).values_list("status", flat=True)) == {
        "approved"
    }
    assert recorded("user.") == [("user.approve", "Amina")] * 2
    assert [event for event, _, _ in heard()] == ["user.approved"] * 2
    assert "Nothing to do" in said(site.act("approve", *waiting))
    assert len(recorded("user.")) == 2


def test_one_that_is_refused_keeps_nothing_back_of_the_others(site: Site) -> None:
    good, archived = (factories.user(name, status=Status.PENDING) for name in ("Fatima", "Wahid"))
    User.objects.filter(pk=archived.pk).update(archived_at=now())
    words = said(site.act("approve", good, archived))
    assert "Wahid: This account is archived. Restore it first." in words
    assert "1 user approved." in words
    assert User.objects.get(pk=archived.pk).status == "pending"


@pytest.mark.django_db(transaction=True)
def test_archiving_asks_first_ends_the_sessions_and_can_be_undone(site: Site, cadet: Person) -> None:
    asked = site.act("archive", cadet.user)
    assert "their sessions end at once" in asked.content.decode()
    assert recorded("user.") == []
    assert cadet.client.get("/api/v1/auth/me").status_code == 200
    assert "1 user archived." in said(site.confirm("archive", cadet.user))
    assert cadet.client.get("/api/v1/auth/me").json()["code"] == "token_revoked"
    assert site.list_of(User, archived="yes") == [cadet.user]
    assert "1 user restored." in said(site.act("restore", cadet.user))
    assert recorded("user.") == [("user.archive", "Amina"), ("user.restore", "Amina")]


def test_nobody_archives_the_own_account(site: Site, admin: Person) -> None:
    assert "This is your own account" in said(site.confirm("archive", admin.user))
    assert (recorded("user."), heard()) == ([], [])


def test_a_form_from_an_older_state_is_refused(site: Site, cadet: Person, admin: Person) -> None:
    opened = site.fields_of(cadet.user)
    services.user_change(
        actor=admin.principal, user_id=cadet.user.pk, expected_version=1, changes={"email": "new@rotc.example"}
    )
    answer = site.change(cadet.user, opened, first_name="Elizabeth")
    assert "Somebody has changed this since you opened the page" in refusals(answer)["__all__"][0]
    user = User.objects.get(pk=cadet.user.pk)
    assert (user.email, user.first_name, user.version) == ("new@rotc.example", "", 2)


def test_a_locked_account_is_unlocked(site: Site, cadet: Person, settings: Any) -> None:
    settings.LOCKOUT_ACCOUNT_FAILURES = 1
    with pytest.raises(NotAuthenticated):
        services.session_open(username="Liza", password="not the password")
    with pytest.raises(TooManyRequests):
        services.session_open(username="Liza", password=factories.PASSWORD)
    site.act("unlock", cadet.user)
    assert services.session_open(username="Liza", password=factories.PASSWORD)
    assert recorded("user.") == [("user.unlock", "Amina")]


# --- Links for a password ---------------------------------------------------------------------------------------------


def test_links_are_shown_once_and_set_a_password(site: Site, cadet: Person, stranger: Person) -> None:
    User.objects.filter(pk=stranger.user.pk).update(archived_at=now())
    assert b"Also e-mail each link" in site.act("make_links", cadet.user).content
    assert not Invitation.objects.exists()
    page = site.confirm("make_links", cadet.user, stranger.user)
    assert "no-store" in page["Cache-Control"]
    text = page.content.decode()
    assert "This account is archived" in text
    token = text.partition("/invitation/#token=")[2].partition("<")[0]
    assert services.invitation_accept(token=token, password="another long password") == cadet.user
    assert recorded("invitation.create") == [("invitation.create", "Amina")]
    assert token not in str(list(AuditEntry.objects.values()))


def test_why_a_link_was_not_sent_is_said(site: Site, cadet: Person) -> None:
    page = site.confirm("make_links", cadet.user, send="on").content.decode()
    assert "not set" in page or "e-mail" in page.lower()
    assert "Sent to" not in page


def test_many_links_at_once_are_refused(site: Site) -> None:
    users = [factories.user(f"many-{number}") for number in range(21)]
    assert "Choose at most 20 rows at once" in said(site.confirm("make_links", *users))
    assert not Invitation.objects.exists()


# --- Sessions and locks -----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_session_is_ended_by_an_administrator(site: Site, cadet: Person, stranger: Person) -> None:
    assert b"have to sign in again" in site.act("end", cadet.session).content
    assert cadet.client.get("/api/v1/auth/me").status_code == 200
    assert "1 session ended." in said(site.confirm("end", cadet.session))
    assert cadet.client.get("/api/v1/auth/me").json()["code"] == "token_revoked"
    assert stranger.client.get("/api/v1/auth/me").status_code == 200
    entry = AuditEntry.objects.get(action="session.end_by_admin")
    assert (entry.actor_id is not None, entry.target) == (True, f"session:{cadet.session.pk}")
    assert "Nothing to do" in said(site.confirm("end", cadet.session))
    assert AuditEntry.objects.filter(action="session.end_by_admin").count() == 1


def test_a_session_that_ended_meanwhile_is_left_alone(admin: Person, cadet: Person) -> None:
    services.session_end(actor=cadet.principal)
    ended_at = Session.objects.get(pk=cadet.session.pk).ended_at
    services.session_end_of_other(actor=admin.principal, session_id=cadet.session.pk)
    assert Session.objects.get(pk=cadet.session.pk).ended_at == ended_at
    assert not AuditEntry.objects.filter(action="session.end_by_admin").exists()


def test_the_lock_of_an_address_is_lifted_and_a_count_stays(site: Site) -> None:
    locked, counting = (
        Attempts.objects.create(kind=Attempts.Kind.ADDRESS, key=key, at=[now()], last_at=now(), locked_until=until)
        for key, until in (("203.0.113.7", now() + HOUR), ("203.0.113.8", None))
    )
    assert "1 attempts unlocked." in said(site.act("unlock", locked, counting))
    assert list(Attempts.objects.values_list("key", flat=True)) == ["203.0.113.8"]
    entry = AuditEntry.objects.get(action="attempts.unlock")
    assert (entry.actor.username if entry.actor else None, entry.target) == ("Amina", "attempts:address:203.0.113.7")


# --- The audit trail --------------------------------------------------------------------------------------------------


def test_an_entry_is_read_field_by_field_and_leads_to_what_it_is_about(site: Site, cadet: Person) -> None:
    with transaction.atomic():
        services.audit_record(
            actor_id=None,
            action="user.change",
            target=f"user:{cadet.user.pk}",
            before={"first_name": "<b>Liza</b>", "tags": ["a"]},
            after={"first_name": "Elizabeth", "role": None},
        )
    page = site.page_of(AuditEntry.objects.get(action="user.change"))
    assert "<td>&lt;b&gt;Liza&lt;/b&gt;</td><td>Elizabeth</td>" in page
    assert "<td>[&quot;a&quot;]</td><td></td>" in page
    assert "<td></td><td>null</td>" in page
    assert reverse("admin:accounts_user_change", args=[cadet.user.pk]) in page


@pytest.mark.parametrize("target", ["user:999999", "user:x", "session:x", "nothing", "user:", "unknown:5"])
def test_an_entry_about_what_is_gone_is_shown_as_it_is(site: Site, target: str) -> None:
    entry = AuditEntry.objects.create(action="x.y", target=target)
    assert target in site.page_of(entry)


def test_the_page_of_an_account_leads_to_its_traces(site: Site, cadet: Person) -> None:
    page = site.page_of(cadet.user)
    for model, query in ((AuditEntry, f"actor__id__exact={cadet.user.pk}"), (Session, "user__id__exact=")):
        assert f"{address_of(model, 'changelist')}?{query}" in page
    assert site.list_of(AuditEntry, actor__id__exact=cadet.user.pk)
    assert site.list_of(AuditEntry, target__exact=f"user:{cadet.user.pk}")


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        (User, "password__startswith"),
        (User, "sessions__refresh_id__startswith"),
        (User, "invitations__token_digest__startswith"),
        (Session, "refresh_id__startswith"),
        (Session, "user__password__startswith"),
        (Invitation, "token_digest__startswith"),
    ],
)
def test_secrets_cannot_be_guessed_by_filters_of_ones_own(site: Site, model: Any, lookup: str) -> None:
    assert site.client.get(address_of(model, "changelist"), {lookup: "a"}).status_code == 400


def test_staff_cannot_send_an_action(cadet: Person) -> None:
    ramon = factories.user("Ramon", role=Role.TRAINING_STAFF)
    wahid = factories.user("Wahid", status=Status.PENDING)
    Site(ramon).client.post(
        address_of(User, "changelist"), {"action": "approve", "_selected_action": [wahid.pk], "index": "0"}
    )
    assert User.objects.get(pk=wahid.pk).status == "pending"
