from functools import partial
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.accounts import services
from apps.accounts.models import AuditEntry, Role, Status, User
from apps.accounts.tests import factories
from apps.accounts.tests.concurrency import together
from apps.accounts.tests.events_of import heard
from apps.accounts.tests.factories import PASSWORD, Person
from core.clock import now
from core.errors import PermissionRefused

pytestmark = pytest.mark.django_db


def patch(person: Person, user: User, changes: dict[str, Any], version: str | None = None) -> Any:
    user.refresh_from_db()
    tag = version if version is not None else f'"v{user.version}"'
    return person.client.patch(f"/api/v1/users/{user.pk}", changes, headers={"If-Match": tag} if tag else None)


# --- Reading ----------------------------------------------------------------------------------------------------------


def names(admin: Person, query: str) -> list[str]:
    answer = admin.client.get(f"/api/v1/users?{query}")
    assert answer.status_code == 200, answer.json()
    assert answer.json()["count"] >= len(answer.json()["results"])
    return [row["username"] for row in answer.json()["results"]]


@pytest.fixture
def crowd(admin: Person, instructor: Person, cadet: Person) -> None:
    rhea = factories.user("rhea", status=Status.PENDING)
    User.objects.filter(pk=rhea.pk).update(first_name="Rhea", last_name="Alonto", email="somebody@msu.example")
    User.objects.filter(pk=factories.user("gone").pk).update(archived_at=now())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["Amina", "gone", "Liza", "Ramon", "rhea"]),
        ("role=cadet", ["gone", "Liza", "rhea"]),
        ("role=cadet&archived=false", ["Liza", "rhea"]),
        ("archived=true", ["gone"]),
        ("status=pending", ["rhea"]),
        ("search=ALONTO", ["rhea"]),
        ("search=alo+rhe", ["rhea"]),
        ("search=alo+liza", []),
        ("search=msu.example", ["rhea"]),
        ("search=%25", []),
        ("sort=-username", ["rhea", "Ramon", "Liza", "gone", "Amina"]),
        ("sort=last_login&archived=false", ["Amina", "Ramon", "Liza", "rhea"]),
        ("sort=-created_at&role=cadet", ["gone", "rhea", "Liza"]),
        ("page=2&page_size=2", ["Liza", "Ramon"]),
        ("page=9", []),
    ],
)
def test_accounts_are_filtered_searched_sorted_and_paged(
    admin: Person, crowd: None, query: str, expected: list[str]
) -> None:
    assert names(admin, query) == expected


@pytest.mark.parametrize(
    "query", ["role=king", "status=x", "archived=maybe", "sort=password", "unknown=1", "page=0", "search=%00"]
)
def test_a_filter_that_makes_no_sense_is_refused_by_its_name(admin: Person, query: str) -> None:
    answer = admin.client.get(f"/api/v1/users?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


def test_a_list_costs_two_queries_however_long_it_is(admin: Person) -> None:
    costs = []
    for round_number in range(2):
        for number in range(5):
            factories.user(f"cadet{round_number}{number}")
        admin.client.get("/api/v1/users")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            admin.client.get("/api/v1/users")
        costs.append(len(queries))
    assert costs == [2, 2]


def test_an_account_is_shown_with_its_version_and_nothing_secret(admin: Person, cadet: Person) -> None:
    answer = admin.client.get(f"/api/v1/users/{cadet.user.pk}")
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"v1"')
    body = answer.json()
    assert (body["username"], body["version"], body["archived_at"]) == ("Liza", 1, None)
    assert body["last_login"].endswith("Z")
    assert not {"password", "token_version"} & set(body)


@pytest.mark.parametrize("path", ["9999999", "9223372036854775807", "9223372036854775808", "0", "x", "-1"])
@pytest.mark.parametrize("tail", ["", "/approve", "/archive", "/restore", "/unlock", "/invitation"])
def test_an_account_that_is_not_there_is_not_found(admin: Person, path: str, tail: str) -> None:
    method = admin.client.post if tail else admin.client.get
    assert method(f"/api/v1/users/{path}{tail}").status_code == 404


@pytest.mark.parametrize("who", ["instructor", "cadet"])
def test_only_administrators_see_and_change_accounts(who: str, request: pytest.FixtureRequest) -> None:
    person: Person = request.getfixturevalue(who)
    own = f"/api/v1/users/{person.user.pk}"
    answers = [
        person.client.get("/api/v1/users"),
        person.client.post("/api/v1/users", {}),
        person.client.get(own),
        person.client.patch(own, {"role": "admin"}, headers={"If-Match": '"v1"'}),
        *(person.client.post(f"{own}/{act}") for act in ("approve", "archive", "restore", "unlock", "invitation")),
        person.client.get("/api/v1/audit-entries"),
    ]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(403, "permission_denied")}
    person.user.refresh_from_db()
    assert person.user.version == 1


# --- Changing ---------------------------------------------------------------------------------------------------------


def test_a_change_is_written_recorded_and_told(admin: Person, cadet: Person) -> None:
    answer = patch(admin, cadet.user, {"first_name": "Elizabeth", "email": "e@rotc.example"})
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"v2"')
    assert (answer.json()["first_name"], answer.json()["version"]) == ("Elizabeth", 2)
    entry = AuditEntry.objects.get(action="user.change")
    assert (entry.actor_id, entry.target) == (admin.user.pk, f"user:{cadet.user.pk}")
    assert entry.before == {"first_name": "", "email": "liza@rotc.example"}
    assert entry.after == {"first_name": "Elizabeth", "email": "e@rotc.example"}
    assert heard() == [("user.changed", ["role:admin", f"user:{cadet.user.pk}"], cadet.user.pk)]
    assert cadet.client.get("/api/v1/auth/me").status_code == 200


def test_a_change_that_changes_nothing_is_neither_recorded_nor_told(admin: Person, cadet: Person) -> None:
    answer = patch(admin, cadet.user, {"role": "cadet", "first_name": ""})
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"v1"')
    assert not AuditEntry.objects.filter(action="user.change").exists()
    assert heard() == []


@pytest.mark.parametrize(
    ("tag", "status", "code"),
    [("", 428, "if_match_missing"), ('"v7"', 412, "version_changed"), ("*", 400, "validation_failed")],
)
def test_a_change_names_the_version_that_it_was_made_from(
    admin: Person, cadet: Person, tag: str, status: int, code: str
) -> None:
    answer = patch(admin, cadet.user, {"first_name": "Elizabeth"}, version=tag)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert User.objects.get(pk=cadet.user.pk).first_name == ""


@pytest.mark.parametrize(
    "changes",
    [{"role": "king"}, {"role": None}, {"status": "approved"}, {"username": "x"}, {"password": "x"}, {"email": "x"}],
)
def test_what_is_not_to_be_changed_so_is_refused(admin: Person, cadet: Person, changes: dict[str, Any]) -> None:
    answer = patch(admin, cadet.user, changes)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == list(changes)


@pytest.mark.django_db(transaction=True)
def test_a_new_role_ends_the_sessions_and_counts_at_the_next_sign_in(admin: Person, cadet: Person) -> None:
    assert patch(admin, cadet.user, {"role": "training_staff"}).status_code == 200
    assert cadet.client.get("/api/v1/auth/me").json()["code"] == "token_revoked"
    assert factories.signed_in(cadet.user).principal.role == "training_staff"


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_from_the_same_version_one_is_refused(admin: Person, cadet: Person) -> None:
    works = [
        (lambda name=name: str(patch(admin, cadet.user, {"first_name": name}, version='"v1"').status_code))
        for name in ("Eliza", "Beth")
    ]
    assert together(works) == ["200", "412"]
    assert AuditEntry.objects.filter(action="user.change").count() == len(heard()) == 1


def test_an_administrator_does_not_lose_the_own_role(admin: Person) -> None:
    answer = patch(admin, admin.user, {"role": "cadet"})
    assert (answer.status_code, answer.json()["code"]) == (409, "own_account")
    assert patch(admin, admin.user, {"first_name": "Amina", "role": "admin"}).status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", ["demote", "archive"])
def test_two_administrators_who_close_each_other_at_once_leave_one(act: str) -> None:
    people = [factories.signed_in(factories.user(name, role=Role.ADMIN)) for name in ("Amina", "Bea")]

    def close(actor: Person, other: Person) -> str:
        if act == "archive":
            answer = actor.client.post(f"/api/v1/users/{other.user.pk}/archive")
        else:
            answer = patch(actor, User.objects.get(pk=other.user.pk), {"role": "cadet"})
        return str(answer.json().get("code", answer.status_code))

    outcomes = together([lambda: close(people[0], people[1]), lambda: close(people[1], people[0])])
    # The slower one is refused under the lock of the administrators or because its own session has ended already.
    assert outcomes in (["200", "permission_denied"], ["200", "token_revoked"])
    assert User.objects.filter(role=Role.ADMIN, archived_at=None).count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_three_who_close_each_other_in_a_ring_nobody_acts_after_losing_the_role() -> None:
    people = [factories.signed_in(factories.user(name, role=Role.ADMIN)) for name in ("Amina", "Bea", "Cora")]

    def close(actor: Person, other: Person) -> str:
        answer = actor.client.post(f"/api/v1/users/{other.user.pk}/archive")
        return str(answer.json().get("code", answer.status_code))

    ring = zip(people, [*people[1:], people[0]], strict=True)
    outcomes = together([partial(close, actor, other) for actor, other in ring])
    assert "200" in outcomes
    assert set(outcomes) <= {"200", "permission_denied", "token_revoked"}
    closed = AuditEntry.objects.filter(action="user.archive").order_by("pk").values_list("actor_id", "target")
    gone: set[str] = set()
    for actor_id, target in closed:
        assert f"user:{actor_id}" not in gone
        gone.add(target)


def test_who_lost_the_role_a_moment_ago_is_refused_under_the_lock(admin: Person, cadet: Person) -> None:
    factories.user("Bea", role=Role.ADMIN)
    principal = admin.principal
    User.objects.filter(pk=admin.user.pk).update(role=Role.TRAINING_STAFF)
    with pytest.raises(PermissionRefused):
        services.user_archive(actor=principal, user_id=cadet.user.pk)
    with pytest.raises(PermissionRefused):
        services.user_change(actor=principal, user_id=cadet.user.pk, expected_version=1, changes={"role": Role.ADMIN})
    assert User.objects.get(pk=cadet.user.pk).version == 1


def test_an_administrator_without_a_password_is_not_counted_as_the_other_one(admin: Person) -> None:
    bea = factories.signed_in(factories.user("Bea", role=Role.ADMIN))
    services.user_create(actor_id=None, username="Cora", role=Role.ADMIN, status=Status.APPROVED)
    User.objects.filter(pk=bea.user.pk).update(password=make_password(None))
    answer = bea.client.post(f"/api/v1/users/{admin.user.pk}/archive")
    assert (answer.status_code, answer.json()["code"]) == (409, "last_admin")


# --- Letting in and out -----------------------------------------------------------------------------------------------


def test_an_approval_opens_the_account_and_is_told_once(admin: Person) -> None:
    rhea = factories.user("Rhea", status=Status.PENDING)
    for _ in range(2):
        answer = admin.client.post(f"/api/v1/users/{rhea.pk}/approve")
        assert (answer.status_code, answer.json()["status"], answer.headers["ETag"]) == (200, "approved", '"v2"')
    assert heard() == [("user.approved", ["role:admin", f"user:{rhea.pk}"], rhea.pk)]
    entry = AuditEntry.objects.get(action="user.approve")
    assert (entry.before, entry.after) == ({"status": "pending"}, {"status": "approved"})
    assert factories.signed_in(rhea)


@pytest.mark.django_db(transaction=True)
def test_two_approvals_at_once_are_one(admin: Person) -> None:
    rhea = factories.user("Rhea", status=Status.PENDING)
    works = [lambda: str(admin.client.post(f"/api/v1/users/{rhea.pk}/approve").status_code)] * 4
    assert together(works) == ["200"] * 4
    assert AuditEntry.objects.filter(action="user.approve").count() == len(heard()) == 1
    assert User.objects.get(pk=rhea.pk).version == 2


def test_an_archived_account_is_restored_before_it_is_approved(admin: Person) -> None:
    rhea = factories.user("Rhea", status=Status.PENDING)
    admin.client.post(f"/api/v1/users/{rhea.pk}/archive")
    answer = admin.client.post(f"/api/v1/users/{rhea.pk}/approve")
    assert (answer.status_code, answer.json()["code"]) == (409, "account_archived")
    restored = admin.client.post(f"/api/v1/users/{rhea.pk}/restore").json()
    assert (restored["status"], restored["archived_at"]) == ("pending", None)


@pytest.mark.django_db(transaction=True)
def test_an_archived_account_is_closed_at_once_and_keeps_its_name(
    admin: Person, cadet: Person, stranger: Person
) -> None:
    for _ in range(2):
        answer = admin.client.post(f"/api/v1/users/{cadet.user.pk}/archive")
        assert answer.status_code == 200
        assert answer.json()["archived_at"].endswith("Z")
    assert cadet.client.get("/api/v1/auth/me").json()["code"] == "token_revoked"
    assert APIClient().post("/api/v1/auth/refresh", {"refresh": cadet.refresh}).status_code == 401
    entered = APIClient().post("/api/v1/auth/login", {"username": "liza", "password": PASSWORD})
    assert (entered.status_code, entered.json()["code"]) == (403, "account_archived")
    taken = APIClient().post("/api/v1/auth/register", {"username": "LIZA", "password": PASSWORD})
    assert taken.json()["code"] == "username_taken"
    assert stranger.client.get("/api/v1/auth/me").status_code == 200
    assert heard() == [("user.archived", ["role:admin"], cadet.user.pk)]
    assert AuditEntry.objects.filter(action="user.archive").count() == 1


def test_a_restored_account_opens_again_with_its_history(admin: Person, cadet: Person) -> None:
    admin.client.post(f"/api/v1/users/{cadet.user.pk}/archive")
    for _ in range(2):
        assert admin.client.post(f"/api/v1/users/{cadet.user.pk}/restore").status_code == 200
    assert factories.signed_in(cadet.user).user.pk == cadet.user.pk
    assert [event for event, _, _ in heard()] == ["user.archived", "user.restored"]
    assert AuditEntry.objects.filter(action="user.restore").count() == 1


def test_nobody_archives_the_own_account(admin: Person) -> None:
    answer = admin.client.post(f"/api/v1/users/{admin.user.pk}/archive")
    assert (answer.status_code, answer.json()["code"]) == (409, "own_account")
    assert heard() == []


def test_another_administrator_can_be_archived(admin: Person) -> None:
    bea = factories.user("Bea", role=Role.ADMIN)
    assert admin.client.post(f"/api/v1/users/{bea.pk}/archive").status_code == 200
