import json
import threading
from typing import Any

import pytest
from django.db import connections

from apps.accounts import services
from apps.accounts.models import AuditEntry, Role, Session, Status, User
from apps.accounts.tests import factories
from apps.accounts.tests.factories import PASSWORD, Person
from core.errors import Conflict, ValidationFailed
from core.measure import Measure, measuring

pytestmark = pytest.mark.django_db


def create(**changes: Any) -> User:
    facts = {"username": "Liza", "role": Role.CADET, "status": Status.APPROVED, "password": PASSWORD, **changes}
    return services.user_create(actor_id=None, **facts)


def test_a_new_account_is_written_with_its_audit_entry() -> None:
    actor = create(username="Amina", role=Role.ADMIN)
    with measuring(Measure(request_id="create-liza")):
        account = services.user_create(
            actor_id=actor.pk, username="Liza", role=Role.CADET, status=Status.PENDING, password=PASSWORD
        )
    entry = AuditEntry.objects.get(target=f"user:{account.pk}")
    assert (entry.actor_id, entry.action, entry.request_id) == (actor.pk, "user.create", "create-liza")
    assert (entry.before, entry.after) == (None, {"username": "Liza", "role": "cadet", "status": "pending"})
    account.refresh_from_db()
    assert (account.role, account.status, account.token_version) == ("cadet", "pending", 1)
    assert account.check_password(PASSWORD)


def test_a_name_in_use_is_a_conflict_in_any_letter_case_and_leaves_nothing() -> None:
    create(username="Liza")
    for name in ("liza", "LIZA"):
        with pytest.raises(Conflict) as caught:
            create(username=name)
        assert caught.value.code == "username_taken"
    assert User.objects.count() == AuditEntry.objects.count() == 1


def test_a_name_is_stored_in_one_form_however_it_was_typed() -> None:
    decomposed, composed = "Jose\N{COMBINING ACUTE ACCENT}", "Jos\N{LATIN SMALL LETTER E WITH ACUTE}"
    assert create(username=decomposed).username == composed
    assert services.session_open(username=decomposed, password=PASSWORD).user.username == composed
    with pytest.raises(Conflict):
        create(username=composed)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"username": ""}, {"username"}),
        ({"username": "with space"}, {"username"}),
        ({"username": "x" * 151}, {"username"}),
        ({"email": "nobody"}, {"email"}),
        ({"first_name": "x" * 151, "last_name": "y" * 151}, {"first_name", "last_name"}),
        ({"role": "superuser"}, {"role"}),
        ({"status": "maybe"}, {"status"}),
    ],
)
def test_a_malformed_field_is_refused_by_its_name(changes: dict[str, Any], fields: set[str]) -> None:
    with pytest.raises(ValidationFailed) as caught:
        create(**changes)
    assert {error.field for error in caught.value.errors} == fields
    assert User.objects.count() == AuditEntry.objects.count() == 0


@pytest.mark.parametrize("password", ["t1ny!", "password123", "12345678901", "lizamacaraeg", ""])
def test_a_weak_password_is_refused_and_not_repeated(password: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        create(username="lizamacaraeg", password=password)
    assert {error.field for error in caught.value.errors} == {"password"}
    assert not password or password not in str([caught.value.detail, *caught.value.errors])
    assert User.objects.count() == 0


def test_an_account_without_a_password_has_an_unusable_one() -> None:
    assert not create(password=None).has_usable_password()


@pytest.mark.django_db(transaction=True)
def test_of_two_that_take_the_same_name_at_once_one_gets_it_and_the_other_a_conflict() -> None:
    outcomes: list[str] = []
    start = threading.Barrier(2, timeout=10)

    def attempt(name: str) -> None:
        try:
            start.wait()
            create(username=name)
            outcomes.append("created")
        except Conflict:
            outcomes.append("conflict")
        finally:
            connections.close_all()

    for round_number in range(5):
        threads = [
            threading.Thread(target=attempt, args=[f"{name}{round_number}"]) for name in ("contested", "CONTESTED")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=20)
    assert sorted(outcomes) == ["conflict"] * 5 + ["created"] * 5
    assert AuditEntry.objects.filter(action="user.create").count() == 5


@pytest.mark.django_db(transaction=True)
def test_a_new_password_ends_every_session_of_the_account_and_nobody_elses(cadet: Person, stranger: Person) -> None:
    second = factories.signed_in(cadet.user)
    services.user_set_password(actor_id=cadet.user.pk, user=cadet.user, password="another long password")
    for person in (cadet, second):
        assert person.client.get("/api/v1/auth/me").json()["code"] == "token_revoked"
    assert Session.objects.filter(user=cadet.user, ended_at=None).count() == 0
    assert stranger.client.get("/api/v1/auth/me").status_code == 200
    session = services.session_open(username="Liza", password="another long password")
    assert session.user.token_version == 2
    entry = AuditEntry.objects.get(action="user.set_password")
    assert (entry.actor_id, entry.target) == (cadet.user.pk, f"user:{cadet.user.pk}")


def test_a_weak_new_password_changes_nothing(cadet: Person) -> None:
    with pytest.raises(ValidationFailed):
        services.user_set_password(actor_id=None, user=User.objects.get(pk=cadet.user.pk), password="short")
    assert services.session_open(username="Liza", password=PASSWORD)
    assert not AuditEntry.objects.filter(action="user.set_password").exists()


def test_no_audit_entry_holds_a_secret(cadet: Person) -> None:
    principal = cadet.principal
    services.user_set_password(actor_id=None, user=cadet.user, password="another long password")
    services.session_end(actor=principal)
    written = json.dumps(list(AuditEntry.objects.values("action", "target", "before", "after", "request_id")))
    cadet.user.refresh_from_db()
    secrets = [PASSWORD, "another long password", cadet.user.password, cadet.access, cadet.refresh]
    for secret in [*secrets, cadet.session.refresh_id]:
        assert secret not in written


@pytest.mark.django_db(transaction=True)
def test_an_audit_entry_belongs_into_the_transaction_of_its_write() -> None:
    with pytest.raises(RuntimeError, match="belongs into the transaction"):
        services.audit_record(actor_id=None, action="x", target="y")
    assert AuditEntry.objects.count() == 0
