from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.accounts import services
from apps.accounts.models import AuditEntry, Role, Session, Status, TokenGeneration, User
from apps.accounts.tests import factories
from apps.accounts.tests.factories import PASSWORD
from core.errors import NotAuthenticated

pytestmark = pytest.mark.django_db


def create_admin(*arguments: str, **options: Any) -> str:
    output = StringIO()
    call_command("create_admin", *arguments, stdout=output, **options)
    return output.getvalue()


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> str:
    TokenGeneration.objects.get_or_create(pk=1)
    monkeypatch.setenv("ADMIN_PASSWORD", PASSWORD)
    return PASSWORD


def test_an_administrator_is_created_who_can_sign_in(password: str) -> None:
    assert "was created" in create_admin("--email", "admin@rotc.example")
    account = services.session_open(username="admin", password=password).user
    assert (account.role, account.status, account.email) == (Role.ADMIN, Status.APPROVED, "admin@rotc.example")
    assert AuditEntry.objects.filter(action="user.create", target=f"user:{account.pk}").count() == 1


def test_a_second_run_changes_nothing(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    create_admin("--username", "Amina")
    before = User.objects.values().get(), AuditEntry.objects.count()
    monkeypatch.setenv("ADMIN_PASSWORD", "quite another password")
    assert "nothing was changed" in create_admin("--username", "AMINA")
    assert (User.objects.values().get(), AuditEntry.objects.count()) == before


def test_the_password_is_replaced_only_when_asked_and_then_every_session_ends(
    password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_admin()
    session = services.session_open(username="admin", password=password)
    monkeypatch.setenv("ADMIN_PASSWORD", "quite another password")
    assert "its sessions ended" in create_admin("--reset-password")
    assert Session.objects.get(pk=session.pk).ended_at is not None
    assert services.session_open(username="admin", password="quite another password")


@pytest.mark.parametrize("weak", ["t1ny!", "password123", "1234567890123"])
def test_a_weak_password_is_refused_without_being_repeated(monkeypatch: pytest.MonkeyPatch, weak: str) -> None:
    monkeypatch.setenv("ADMIN_PASSWORD", weak)
    with pytest.raises(CommandError, match="too weak") as caught:
        create_admin()
    assert weak not in str(caught.value)
    assert User.objects.count() == 0


def test_a_name_that_cannot_be_one_is_refused(password: str) -> None:
    with pytest.raises(CommandError, match="malformed"):
        create_admin("--username", "with space")
    assert User.objects.count() == 0


@pytest.mark.parametrize(("role", "status"), [(Role.CADET, Status.APPROVED), (Role.ADMIN, Status.PENDING)])
def test_an_account_that_is_no_active_administrator_is_not_made_one(password: str, role: Role, status: Status) -> None:
    factories.user("admin", role=role, status=status)
    for arguments in ([], ["--reset-password"]):
        with pytest.raises(CommandError, match="is not an active administrator"):
            create_admin(*arguments)
    account = User.objects.get()
    assert (account.role, account.status) == (role, status)


def test_without_a_password_and_without_anybody_to_ask_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADMIN_PASSWORD", raising=False)
    monkeypatch.setattr("sys.stdin", StringIO())
    with pytest.raises(CommandError, match="Set ADMIN_PASSWORD"):
        create_admin()


def test_the_command_opens_an_administrator_who_is_archived_and_locked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account = factories.user("Amina", role=Role.ADMIN)
    for _ in range(5):
        with pytest.raises(NotAuthenticated):
            services.session_open(username="Amina", password="not the password")
    User.objects.filter(pk=account.pk).update(archived_at=account.created_at)
    monkeypatch.delenv("ADMIN_PASSWORD", raising=False)
    told = create_admin("--username", "amina")
    assert "is restored" in told
    assert "is unlocked" in told
    assert services.session_open(username="Amina", password=PASSWORD)
    assert set(AuditEntry.objects.filter(actor=None).values_list("action", flat=True)) >= {
        "user.restore",
        "user.unlock",
    }
    assert "nothing was changed" in create_admin("--username", "amina")
