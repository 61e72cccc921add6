"""The interface keeps to docs/api/openapi.yaml whatever it is sent: Schemathesis makes the requests from the document.

Each request goes through the whole service in this process, with the token of one of the roles or without one, and is
undone after its answer. So no operation has to be left out: a sign-out or a new password ends no session for longer
than the request takes. `scripts/fuzz` runs the same for longer.
"""

import os
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import yaml
from django.conf import settings
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, strategies
from pytest_django import DjangoDbBlocker

from scripts.endpoints import METHODS
from tests.calls import CALLS, Call
from tests.cast import ADMIN, ANONYMOUS, ARCHIVED, CADET, PRIVILEGED_STAFF, STAFF, World, undone, world_standing

if TYPE_CHECKING:
    from schemathesis import APIOperation, Case
    from schemathesis.specs.openapi.schemas import OpenApiSchema

pytestmark = pytest.mark.django_db
DOCUMENT: Mapping[str, Any] = yaml.safe_load(settings.OPENAPI_FILE.read_text())
OPERATIONS = [
    f"{method.upper()} {path}" for path, item in DOCUMENT["paths"].items() for method in METHODS if method in item
]
# scripts/fuzz sets both: seconds for all operations together, and where the random requests begin.
SECONDS, SEED = float(os.environ.get("FUZZ_SECONDS", "0")), int(os.environ.get("FUZZ_SEED", "2026"))
EXAMPLES = 10  # requests to an operation for each seed
CALLERS = (ADMIN, ADMIN, CADET, STAFF, PRIVILEGED_STAFF, ANONYMOUS, ARCHIVED)


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    with django_db_blocker.unblock(), world_standing() as world:
        yield world


@pytest.fixture(scope="module")
def schema() -> "OpenApiSchema":
    # Imported here: whoever runs other tests of this folder does not wait for it.
    import schemathesis

    return schemathesis.openapi.from_wsgi("/api/schema/", _within_transaction(get_wsgi_application()))


def _within_transaction(service: Any) -> Any:
    """The service, which leaves the connection open after a request: with it the world's transaction would end.

    Django's test client does the same. Answers are read and closed as a server would, so that no file stays open.
    """
    signals = (request_started, request_finished)

    def answer(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        for signal in signals:
            signal.disconnect(close_old_connections)
        try:
            response = service(environ, start_response)
            try:
                return [b"".join(response)]
            finally:
                response.close()
        finally:
            for signal in signals:
                signal.connect(close_old_connections)

    return answer


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_answers_as_documented(world: World, schema: "OpenApiSchema", operation: str) -> None:
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    method, path = operation.split(" ")
    described = schema[path][method]
    kept = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
    ]
    until, seed = time.monotonic() + SECONDS / len(OPERATIONS), SEED
    _ask(world, described, kept, seed=seed)
    while time.monotonic() < until:
        seed += 1
        _ask(world, described, kept, seed=seed)


def _ask(world: World, described: "APIOperation", kept: list[Any], *, seed: int) -> None:
    """Send EXAMPLES requests to an operation and check each answer; the same ones for the same seed."""
    from schemathesis import GenerationMode

    valid = CALLS.get(described.label)

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @hypothesis.given(
        case=strategies.one_of(
            described.as_strategy(generation_mode=GenerationMode.POSITIVE),
            described.as_strategy(generation_mode=GenerationMode.NEGATIVE),
        ),
        caller=strategies.sampled_from(CALLERS),
        choice=strategies.integers(min_value=0, max_value=11),
    )
    def ask(case: "Case", caller: str, choice: int) -> None:
        headers = {} if caller == ANONYMOUS else {"Authorization": f"Bearer {world.people[caller].access}"}
        with undone():
            if choice % 4:  # three of four requests are for something that there is
                given = case.path_parameters or {}
                known = {**world.ids, **(valid.ids(world, caller) if valid is not None and valid.ids else {})}
                case.path_parameters = {name: known.get(name, value) for name, value in given.items()}
            if choice % 3 and valid is not None:
                _make_nearly_valid(case, valid, world, caller, choice)
            case.validate_response(case.call(headers=headers), checks=kept)

    ask()


def _make_nearly_valid(case: "Case", valid: Call, world: World, caller: str, choice: int) -> None:
    """Leave one field as it was made: with several most requests would be refused for the first of them."""
    if valid.body is not None and not valid.form and isinstance(case.body, dict):
        fields = dict(valid.body(world, caller))
        names = sorted(set(case.body) & set(fields))
        kept = {name: case.body[name] for name in names[choice % len(names) :][:1]} if names else {}
        case.body = {**fields, **kept}
    if valid.version:
        case.headers["If-Match"] = valid.version
