import datetime as dt
import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.accounts import selectors, services
from apps.accounts.models import AuditEntry
from apps.accounts.tests import factories
from apps.accounts.tests.factories import PASSWORD, Person
from core.clock import now

pytestmark = pytest.mark.django_db
PATH = "/api/v1/audit-entries"


def entries(admin: Person, **query: Any) -> list[dict[str, Any]]:
    answer = admin.client.get(PATH, query)
    assert answer.status_code == 200, answer.json()
    return list(answer.json()["results"])


@pytest.fixture
def trail(admin: Person, cadet: Person) -> None:
    AuditEntry.objects.all().delete()
    start = now() - dt.timedelta(hours=10)
    facts = [
        (admin.user, "user.approve", "user:42", {"status": "pending"}, {"status": "approved"}, "request-one"),
        (admin.user, "user.archive", "user:42", None, {"archived_at": "x"}, "request-two"),
        (cadet.user, "notification.read", "notification:7", None, None, "request-two"),
        (None, "session.end_reused", "session:1", None, None, ""),
    ]
    for hour, (actor, action, target, before, after, request_id) in enumerate(facts):
        AuditEntry.objects.create(
            at=start + dt.timedelta(hours=hour),
            actor=actor,
            action=action,
            target=target,
            before=before,
            after=after,
            request_id=request_id,
        )


def test_the_trail_is_read_newest_first_with_who_and_what(admin: Person, trail: None) -> None:
    found = entries(admin)
    assert [entry["action"] for entry in found] == [
        "session.end_reused",
        "notification.read",
        "user.archive",
        "user.approve",
    ]
    assert found[0]["actor"] is None
    assert found[3]["actor"] == {"id": admin.user.pk, "username": "Amina"}
    assert (found[3]["before"], found[3]["after"]) == ({"status": "pending"}, {"status": "approved"})
    assert found[3]["request_id"] == "request-one"
    assert found[3]["at"].endswith("Z")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"actor": "AMINA"}, ["user.archive", "user.approve"]),
        ({"actor": "system"}, ["session.end_reused"]),
        ({"actor": "nobody"}, []),
        ({"action": "user.approve"}, ["user.approve"]),
        ({"target": "user:42"}, ["user.archive", "user.approve"]),
        ({"target": "user:4"}, []),
        ({"request_id": "request-two"}, ["notification.read", "user.archive"]),
        ({"request_id": "request-two", "actor": "liza"}, ["notification.read"]),
        ({"page": 2, "page_size": 3}, ["user.approve"]),
    ],
)
def test_the_trail_is_filtered(admin: Person, trail: None, query: dict[str, Any], expected: list[str]) -> None:
    assert [entry["action"] for entry in entries(admin, **query)] == expected


def test_a_time_is_from_inclusive_to_exclusive(admin: Person, trail: None) -> None:
    times = [entry["at"] for entry in entries(admin)]
    exact = [row.at.isoformat() for row in AuditEntry.objects.order_by("-at")]
    assert len(times) == 4
    assert [entry["action"] for entry in entries(admin, **{"from": exact[2], "to": exact[0]})] == [
        "notification.read",
        "user.archive",
    ]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-13-01T00:00:00Z"}, "to"),
        ({"acter": "x"}, "acter"),
        ({"action": "x" * 81}, "action"),
        ({"page": 201, "page_size": 50}, "page"),
        ({"target": "nul\x00"}, "target"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused_by_its_name(admin: Person, query: dict[str, Any], field: str) -> None:
    answer = admin.client.get(PATH, query)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


def test_every_write_of_an_account_stands_in_it_without_secrets(admin: Person) -> None:
    body = {"username": "Rhea", "password": PASSWORD}
    user_id = APIClient().post("/api/v1/auth/register", body).json()["id"]
    path = f"/api/v1/users/{user_id}"
    admin.client.post(f"{path}/approve")
    admin.client.patch(path, {"first_name": "Rhea"}, headers={"If-Match": '"v2"'})
    link = admin.client.post(f"{path}/invitation").json()["link"]
    token = link.partition("#token=")[2]
    APIClient().post("/api/v1/auth/invitations/accept", {"token": token, "password": "another long password"})
    rhea = APIClient().post("/api/v1/auth/login", {"username": "Rhea", "password": "another long password"}).json()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {rhea['access']}")
    changed = client.post(
        "/api/v1/auth/password", {"current_password": "another long password", "new_password": "a third long password"}
    ).json()
    admin.client.post(f"{path}/archive")
    admin.client.post(f"{path}/restore")
    found = entries(admin, target=f"user:{user_id}", page_size=200)
    assert [entry["action"] for entry in reversed(found)] == [
        "user.register",
        "user.approve",
        "user.change",
        "invitation.create",
        "invitation.accept",
        "user.change_password",
        "user.archive",
        "user.restore",
    ]
    everything = str(entries(admin, page_size=200))
    for secret in (
        PASSWORD,
        "another long password",
        "a third long password",
        token,
        rhea["access"],
        changed["refresh"],
    ):
        assert secret not in everything


# --- A long trail -----------------------------------------------------------------------------------------------------


def test_a_page_costs_the_same_however_long_the_trail_is(admin: Person, cadet: Person) -> None:
    # With a hundred thousand entries: what each step of the plans has read, for every filter.
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_auditentry (at, actor_id, action, target, request_id) "
            "SELECT now() - n * interval '1 second', CASE WHEN n %% 50 = 0 THEN %s ELSE %s END, "
            "CASE WHEN n %% 1000 = 0 THEN 'rare.action' ELSE 'usual.action' END, 'user:' || n %% 5000, 'request-' || n "
            "FROM generate_series(1, 100000) AS n",
            [cadet.user.pk, admin.user.pk],
        )
        cursor.execute("ANALYZE accounts_auditentry")
    filters: list[dict[str, Any]] = [
        {},
        {"actor": "Amina"},
        {"actor": "Liza"},
        {"action": "rare.action"},
        {"action": "usual.action"},
        {"target": "user:77"},
        {"request_id": "request-4711"},
        {"actor": "Amina", "action": "rare.action"},
        {"since": now() - dt.timedelta(hours=2), "until": now() - dt.timedelta(hours=1)},
        {"until": now() - dt.timedelta(hours=20)},
    ]
    for given in filters:
        rows = selectors.audit_entries(**given)
        for query, bound in ((rows[:50], 1000), (rows.order_by()[: selectors.COUNTED_ENTRIES], 11_000)):
            plan = query.explain(analyze=True, timing=False)
            read = re.findall(r"actual rows=([0-9.]+)|Rows Removed by Filter: ([0-9]+)", plan)
            assert read
            assert max(float(returned or removed) for returned, removed in read) <= bound, (given, plan)
    answer = admin.client.get(PATH)
    assert answer.json()["count"] == selectors.COUNTED_ENTRIES
    assert entries(admin, page=200, page_size=50)
    with CaptureQueriesContext(connection) as queries:
        entries(admin, action="rare.action")
    assert len(queries) == 2


def test_the_count_is_exact_as_long_as_it_is_small(admin: Person, trail: None) -> None:
    assert admin.client.get(PATH, {"page_size": 1}).json()["count"] == 4
    services.session_end(actor=factories.signed_in(admin.user).principal)
    assert admin.client.get(PATH, {"page_size": 1}).json()["count"] == 6
