"""What operations cost in SQL queries, with few rows and with many, against docs/query-budgets.toml."""

import datetime as dt
import re
import tomllib
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache as django_cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient

from apps.cadets.models import Enrollment, StaffProfile
from apps.training.rules import AttendanceCode, code_spelled, instant_cut
from core.clock import iso, now
from core.http import LARGEST_PAGE
from tests.calls import call_of
from tests.cast import ADMIN, World, undone, world_standing
from tests.crowd import crowd_add
from tests.routes import api_routes, shape

pytestmark = pytest.mark.django_db
BUDGETS: Mapping[str, Mapping[str, Any]] = tomllib.loads(
    (Path(__file__).resolve().parents[2] / "docs" / "query-budgets.toml").read_text()
)
FEW, MANY = 10, 60
# Not of the answer: transaction control, and what authentication reads every two seconds whatever is asked.
NOT_COUNTED = re.compile(
    r"SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK|BEGIN|COMMIT|.*\bFROM \"accounts_(?:revocation|tokengeneration)\"", re.DOTALL
)


def _of_cadets(world: World, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    cadet_ids = Enrollment.objects.filter(term_id=world.ids["term_id"]).values_list("cadet_id", flat=True)
    return [{"cadet_id": cadet_id, **record} for cadet_id in cadet_ids.order_by("cadet_id")]


def _of_enrollments(world: World, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    enrollments = Enrollment.objects.filter(term_id=world.ids["term_id"]).order_by("id").values_list("id", flat=True)
    return [{"enrollment_id": enrollment_id, **record} for enrollment_id in enrollments]


def _of_staff(world: World, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    profiles = StaffProfile.objects.filter(archived_at=None).order_by("id").values_list("id", flat=True)
    return [{"staff_id": staff_id, **record} for staff_id in profiles]


def _scans_today(world: World) -> list[dict[str, Any]]:
    """A fresh code of everybody who is enrolled, as a scanner sends them later."""
    present = instant_cut(now())
    return [
        {
            "scan_id": str(uuid.uuid4()),
            "scanned_at": iso(present),
            "code": code_spelled(
                AttendanceCode(
                    training_day_id=int(world.ids["day_of_today_id"]),
                    cadet_id=record["cadet_id"],
                    issued_at=present,
                    lifetime=dt.timedelta(minutes=10),
                    nonce=uuid.uuid4(),
                ),
                key=settings.ATTENDANCE_CODE_KEY,
            ),
        }
        for record in _of_cadets(world, {})
    ]


# Writes that take many rows, with as many as there are.
BULK: Mapping[str, Callable[[World], Any]] = {
    "POST /api/v1/training-days/{training_day_id}/attendance": lambda world: {
        "records": _of_cadets(world, {"status": "late"})
    },
    "POST /api/v1/training-days/{training_day_id}/staff-attendance": lambda world: {
        "records": _of_staff(world, {"status": "excused"})
    },
    "POST /api/v1/training-days/{training_day_id}/scans/batch": lambda world: {"scans": _scans_today(world)},
    "POST /api/v1/terms/{term_id}/scores": lambda world: {
        "records": _of_enrollments(world, {"exam": "midterm", "score": "91.00"})
    },
}


@dataclass(frozen=True, kw_only=True)
class Cost:
    """`rows` is the length of the answer's list; `cached` is None when no second answer came from the cache."""

    queries: list[str]
    rows: int | None = None
    cached: list[str] | None = None
    failure: str = ""


@pytest.fixture(scope="module")
def costs(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Mapping[int, Mapping[str, Cost]]]:
    """The cost of every operation at both sizes, measured once."""
    with django_db_blocker.unblock(), world_standing() as world:
        crowd_add(world, first=0, count=FEW)
        few = {operation: cost_of(world, operation) for operation in BUDGETS}
        crowd_add(world, first=FEW, count=MANY - FEW)
        yield {FEW: few, MANY: {operation: cost_of(world, operation) for operation in BUDGETS}}


def cost_of(world: World, operation: str) -> Cost:
    budget = BUDGETS[operation]
    with undone():
        if "before" in budget:
            answer, queries = measured(world, budget["before"], ADMIN)
            if answer.status_code >= 300:
                return Cost(queries=queries, failure=f"{budget['before']}: {answer.status_code} {answer.content}")
        django_cache.clear()
        person = budget.get("as", "anonymous")
        answer, queries = measured(world, operation, person)
        if not 200 <= answer.status_code < 300:
            return Cost(queries=queries, failure=f"{answer.status_code} {answer.content}")
        cached = None
        if operation.startswith("GET "):
            again, queries_again = measured(world, operation, person)
            if "; hit" in again.headers.get("Cache-Status", ""):
                cached = queries_again
                assert again.content == answer.content, operation
        if "rows" not in budget:
            return Cost(queries=queries, cached=cached)
        if budget["rows"] == "lines":
            return Cost(queries=queries, rows=answer.whole.count(b"\r\n"), cached=cached)
        rows = answer.json()
        for name in budget["rows"].split("."):
            rows = rows[name]
        return Cost(queries=queries, rows=len(rows), cached=cached)


def measured(world: World, operation: str, person: str) -> tuple[Any, list[str]]:
    """(answer, SQL of the answer). What was streamed stands in `answer.whole`."""
    method, path = operation.split(" ")
    budget, body = BUDGETS.get(operation, {}), None
    if operation in BULK:
        body = BULK[operation](world)
    elif method != "GET" and (build := call_of(operation).body) is not None:
        body = build(world, person)
    replaced = call_of(operation).ids
    ids = {**world.ids, **(replaced(world, person) if replaced else {})}
    address = path.format_map(ids) + (f"?{budget['query']}".format_map(world.ids) if "query" in budget else "")
    client: APIClient = world.client(person)
    with CaptureQueriesContext(connection) as captured:
        answer = getattr(client, method.lower())(address, body, **({} if method == "GET" else {"format": "json"}))
        if answer.streaming:
            answer.whole = b"".join(answer.streaming_content)
    return answer, [query["sql"] for query in captured if not NOT_COUNTED.match(query["sql"])]


def test_every_operation_that_reads_or_takes_many_rows_has_a_budget() -> None:
    operations = {shape(operation): operation for route in api_routes() for operation in route.operations}
    budgets, bulk = {shape(operation) for operation in BUDGETS}, {shape(operation) for operation in BULK}
    needed = {each for each, operation in operations.items() if operation.startswith("GET ") or each in bulk}
    assert len(needed) > 50
    assert sorted(needed - budgets) == [], "operations without a budget"
    assert sorted((budgets | bulk) - set(operations)) == [], "budgets without an operation"


@pytest.mark.parametrize("operation", list(BUDGETS))
def test_an_operation_keeps_its_budget_however_many_rows_there_are(
    costs: Mapping[int, Mapping[str, Cost]], operation: str
) -> None:
    budget, few, many = BUDGETS[operation], costs[FEW][operation], costs[MANY][operation]
    assert (few.failure, many.failure) == ("", "")
    assert len(many.queries) == len(few.queries), _shown(many.queries)
    assert len(many.queries) <= budget["queries"], _shown(many.queries)
    if "rows" in budget:
        assert few.rows is not None
        assert many.rows is not None
        assert few.rows < many.rows <= LARGEST_PAGE, "the list has to grow, or nothing is proven"
    if "cached" in budget:
        assert many.cached is not None, "the second answer should have come from the cache"
        assert len(many.cached) <= budget["cached"], _shown(many.cached)
    else:
        assert many.cached is None, "it came from the cache: say so in the budget"


def _shown(queries: list[str]) -> str:
    return "\n".join(["", *(f"{place}. {sql[:300]}" for place, sql in enumerate(queries, start=1))])
