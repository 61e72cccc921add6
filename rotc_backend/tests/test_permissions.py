"""Every operation and every person, against docs/permissions.md, with real tokens and requests that are valid."""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient

from apps.accounts.tests.factories import PASSWORD
from apps.cadets.models import Cadet
from apps.reports.services.links import report_of_token
from apps.training.services.codes import attendance_code_read
from tests.calls import CALLS, call_of
from tests.cast import (
    ANONYMOUS,
    ARCHIVED,
    CADET,
    MARKS,
    PENDING,
    PEOPLE,
    RECORDS,
    STAFF,
    STAFF_ATTENDANCE,
    UNREAD,
    World,
    undone,
    world_standing,
)
from tests.routes import METHODS, api_routes, shape

pytestmark = pytest.mark.django_db
PAGE = Path(__file__).resolve().parents[2] / "docs" / "permissions.md"
ROUTES = {route.path: route for route in api_routes()}
CELL = re.compile(r"yes|own|40[134](?: [a-z_]+)?")


def rows_of(page: str) -> list[tuple[str, dict[str, str]]]:
    """("METHOD /path", {person: cell}) for each row of the page's tables of operations."""
    rows = []
    for line in page.splitlines():
        if line.startswith("| `/api/"):
            path, method, *cells = (cell.strip().strip("`") for cell in line.strip().strip("|").split("|"))
            assert len(cells) == len(PEOPLE), line
            assert all(CELL.fullmatch(cell) for cell in cells), line
            rows.append((f"{method} {path}", dict(zip(PEOPLE, cells, strict=True))))
    return rows


ROWS = rows_of(PAGE.read_text())
CELLS = dict(ROWS)
PARAMETERS = {parameter for operation in CELLS for parameter in re.findall(r"{(\w+)}", operation)}
PUBLIC = sorted(operation for operation, cells in ROWS if cells[ANONYMOUS] == "yes")
TOKEN = re.compile(r"eyJ[\w-]+\.(eyJ[\w-]+)\.[\w-]+")


@dataclass(frozen=True, kw_only=True)
class Own:
    """What an answer to "own" is besides full of the asking person's marks and free of everybody else's.

    `says` are facts that the JSON answer has to contain, for this person. `names` are those marks of others that may
    stand in it nevertheless, and for that operation only. `is_of` judges an answer in which no words stand.
    """

    is_of: Callable[[World, str, str], bool] | None = None
    says: Callable[[World, str], Mapping[str, Any]] | None = None
    names: tuple[str, ...] = ()


def code_is_of(world: World, person: str, text: str) -> bool:
    """Whether a code, as an answer gives it, is this person's."""
    owner = attendance_code_read(json.loads(text)["code"]).cadet_id
    return bool(Cadet.objects.get(pk=owner).user_id == world.people[person].user.pk)


def link_is_of(world: World, person: str, text: str) -> bool:
    """Whether a link, as an answer gives it, opens a report of this person."""
    report = report_of_token(json.loads(text)["url"].rpartition("/")[2])
    return bool(report.requested_by_id == world.people[person].user.pk)


# Ramon is the instructor, who gave the merits and has the direct room with the cadet; Amina closed the term.
OWN: Mapping[str, Own] = {
    "GET /api/v1/cadets/me/attendance": Own(
        says=lambda _, person: {"totals": {"held": 2, RECORDS[person].attendance: 1, "unmarked": 1}}
    ),
    "GET /api/v1/staff/me/attendance": Own(says=lambda _, person: {"totals": {"held": 2, STAFF_ATTENDANCE[person]: 1}}),
    "GET /api/v1/excuse-letters": Own(says=lambda _, __: {"count": 1}),
    "GET /api/v1/training-days/{training_day_id}/attendance-code": Own(is_of=code_is_of),
    # What stands in a picture cannot be read here: tests of the operation itself show whose code it is.
    "GET /api/v1/training-days/{training_day_id}/attendance-code/image": Own(
        is_of=lambda _, __, text: text.startswith("\ufffdPNG")
    ),
    "GET /api/v1/imports": Own(says=lambda _, person: {"count": 1 if person == STAFF else 0}),
    "GET /api/v1/reports": Own(says=lambda _, person: {"count": 1 if person == CADET else 0}),
    "GET /api/v1/reports/{report_id}/link": Own(is_of=link_is_of),
    "GET /api/v1/cadets/me/merits": Own(
        says=lambda _, person: {"count": 1, "results": [{"points": RECORDS[person].merit}]}, names=("Ramon",)
    ),
    "POST /api/v1/merits/{merit_id}/revoke": Own(names=MARKS[CADET]),
    "GET /api/v1/cadets/me/standing": Own(
        says=lambda _, person: {
            "attendance": {"by_status": {RECORDS[person].attendance: 1}},
            "aptitude": {"merits": RECORDS[person].merit},
            "subject": {"exams": {"prelim": RECORDS[person].prelim}},
            "lifetime_merits": RECORDS[person].merit,
        }
    ),
    "GET /api/v1/leaderboard/me": Own(
        says=lambda _, person: {"place": RECORDS[person].place, "of": 2, "lifetime_merits": RECORDS[person].merit}
    ),
    "GET /api/v1/grade-sheets/{sheet_id}": Own(names=("Amina",)),
    "GET /api/v1/notifications": Own(says=lambda _, person: {"count": UNREAD[person]}),
    "GET /api/v1/notifications/unread-count": Own(says=lambda _, person: {"unread": UNREAD[person]}),
    "GET /api/v1/rooms": Own(names=("Ramon",)),
    "GET /api/v1/rooms/{direct_room_id}": Own(names=("Ramon",)),
    "POST /api/v1/rooms/{direct_room_id}/read": Own(
        says=lambda world, person: {"user_id": world.people[person].user.pk}
    ),
}


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """Built once: each request below is undone after its answer."""
    with django_db_blocker.unblock(), world_standing() as world:
        yield world


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    text: str

    @property
    def code(self) -> str:
        """The problem's code."""
        return str(json.loads(self.text)["code"])

    @property
    def marks(self) -> set[str]:
        """Everybody's marks that stand in it as words, in any letter case; a token counts as what it claims."""
        words = TOKEN.sub(lambda token: base64.urlsafe_b64decode(token[1] + "==").decode(), self.text)
        return {
            mark
            for marks in MARKS.values()
            for mark in marks
            if re.search(rf"(?<!\w){re.escape(mark)}(?!\w)", words, re.IGNORECASE)
        }


def send(world: World, operation: str, person: str, client: APIClient | None = None) -> Answer:
    """The answer to the valid request for `operation`, as `person` sends it."""
    method, path = operation.split(" ")
    call = call_of(operation)
    if call.prepare is not None:
        call.prepare(world, person)
    ids = {**world.ids, **(call.ids(world, person) if call.ids else {})}
    address = path.format_map(ids)
    if call.query is not None:
        address += "?" + call.query(world, person)
    sent: dict[str, Any] = {}
    if call.body is not None:
        sent = {"data": call.body(world, person), "format": "multipart" if call.form else "json"}
    if call.version:
        sent["headers"] = {"if-match": call.version}
    answer: Any = getattr(client or world.client(person), method.lower())(address, **sent)
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return Answer(status=answer.status_code, text=content.decode(errors="replace"))


def test_the_page_and_the_routes_name_the_same_operations_once() -> None:
    operations = {shape(operation): operation for route in ROUTES.values() for operation in route.operations}
    rows = {shape(operation): operation for operation in CELLS}
    assert len(operations) > 100
    assert sorted(operations[each] for each in set(operations) - set(rows)) == [], "operations without a row"
    assert sorted(rows[each] for each in set(rows) - set(operations)) == [], "rows without an operation"
    assert len(ROWS) == len(CELLS), "a row stands twice"


def test_no_request_is_left_over() -> None:
    assert sorted(set(CALLS) - set(CELLS)) == []
    assert sorted(set(OWN) - {operation for operation, cells in ROWS if "own" in cells.values()}) == []


@pytest.mark.parametrize("operation", list(CELLS))
def test_everybody_gets_what_the_page_says(world: World, operation: str) -> None:
    wrong = []
    for person, cell in CELLS[operation].items():
        writes_own = cell == "own" and not operation.startswith("GET ")
        with undone():
            before = world.others_belongings(person) if writes_own else {}
            answer = send(world, operation, person)
            if problem := disagreement(world, operation, person, cell, answer):
                wrong.append(f"{person}: {problem}")
            after = world.others_belongings(person) if writes_own else {}
            if changed := [kind for kind in before if before[kind] != after[kind]]:
                wrong.append(f"{person}: changed what belongs to others: {changed}")
    assert not wrong, "\n".join(["", *wrong])


def disagreement(world: World, operation: str, person: str, cell: str, answer: Answer) -> str:
    """What is wrong with an answer, or an empty string."""
    if cell in {"yes", "own"}:
        succeeds = call_of(operation).succeeds
        if answer.status != succeeds:
            return f"expected {succeeds}, came {answer.status} {answer.text}"
        return disowned(world, operation, person, answer) if cell == "own" else ""
    status, _, code = cell.partition(" ")
    if answer.status != int(status):
        return f"expected {cell}, came {answer.status} {answer.text}"
    code = code or {"401": "token_missing" if person == ANONYMOUS else "token_revoked", "403": "permission_denied"}.get(
        status, ""
    )
    return f"expected the code {code}, came {answer.code}" if code and answer.code != code else ""


def disowned(world: World, operation: str, person: str, answer: Answer) -> str:
    """What makes an answer not, or not only, the asking person's own, or an empty string."""
    own = OWN.get(operation, Own())
    if told := sorted(answer.marks - set(MARKS[person]) - set(own.names)):
        return f"the answer tells of others: {told}"
    if own.is_of is not None:
        return "" if own.is_of(world, person, answer.text) else f"it is not this person's: {answer.text}"
    if own.says is not None:
        expected = own.says(world, person)
        return "" if contains(json.loads(answer.text), expected) else f"expected {expected}, came {answer.text}"
    if answer.text and not answer.marks & set(MARKS[person]):
        return f"nothing in the answer shows whose it is: {answer.text}"
    return ""


def contains(given: Any, expected: Any) -> bool:
    """Whether a JSON value has all that is expected; objects may have more."""
    if isinstance(expected, Mapping):
        return all(key in given and contains(given[key], value) for key, value in expected.items())
    if isinstance(expected, list):
        return len(given) == len(expected) and all(map(contains, given, expected))
    return bool(given == expected)


@pytest.mark.parametrize("operation", PUBLIC)
@pytest.mark.parametrize("token", ["undefined", "x.y.z", ""])
def test_a_broken_token_does_not_break_a_public_operation(world: World, operation: str, token: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    with undone():
        answer = send(world, operation, ANONYMOUS, client)
    assert answer.status == call_of(operation).succeeds, answer.text


@pytest.mark.parametrize(("person", "code"), [(PENDING, "account_pending"), (ARCHIVED, "account_archived")])
def test_who_lost_access_is_told_why_only_with_the_right_password(world: World, person: str, code: str) -> None:
    username = world.people[person].user.username
    with undone():
        wrong = APIClient().post("/api/v1/auth/login", {"username": username, "password": "not this one either"})
        right = APIClient().post("/api/v1/auth/login", {"username": username, "password": PASSWORD})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "credentials_wrong")
    assert (right.status_code, right.json()["code"]) == (403, code)


@pytest.mark.parametrize("path", sorted(set(ROUTES) - {operation.split(" ")[1] for operation in PUBLIC}))
def test_a_stranger_does_not_even_learn_which_methods_a_path_has(world: World, client: Client, path: str) -> None:
    address = path.format_map(world.ids)
    for method in (*METHODS, "OPTIONS"):
        answer = client.generic(method, address)
        assert (answer.status_code, answer.json()["code"]) == (401, "token_missing"), (method, answer.content)


def test_every_parameter_names_a_row_of_the_world(world: World) -> None:
    """Otherwise a 404 in the page could mean that the test asked for nothing that exists."""
    assert sorted(PARAMETERS - set(world.ids)) == []
