"""docs/api/asyncapi.yaml and the client's types against the code, and what is really said against the document."""

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from pytest_django import DjangoDbBlocker

from apps.events.models import Event
from apps.messaging.consumers.chat import _ANSWERS, ChatStream
from apps.messaging.routing import STREAMS
from apps.realtime.hub import event_frame
from apps.realtime.rules import ClientFrame, CloseCode
from config import asyncapi
from core.errors import ValidationFailed
from core.messages import Event as DeclaredEvent
from tests.asyncapi_schemas import DOCUMENT, MESSAGES, SCHEMAS, valid
from tests.calls import CALLS
from tests.cast import ADMIN, CADET, PENDING, STAFF, World, undone, world_standing
from tests.test_permissions import CELLS, send

pytestmark = pytest.mark.django_db
# Told by the worker in the course of longer work, which no single request does.
BY_THE_WORKER = {"import.progress", "letter.file_changed", "report.progress", "report.ready"}


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    with django_db_blocker.unblock(), world_standing() as world:
        yield world


# --- The files and the code -------------------------------------------------------------------------------------------


def test_the_committed_document_and_types_are_what_the_code_describes() -> None:
    remedy = "run ./scripts/asyncapi and look at its diff"
    assert asyncapi.DOCUMENT.read_text() == asyncapi.document_text(), remedy
    assert asyncapi.TYPES.read_text() == asyncapi.types_text(), remedy


def test_every_event_is_described_and_heard_by_a_stream() -> None:
    """Nothing else can be published: `publish` takes only what is declared, wherever that is."""
    published = {name for name, event in DeclaredEvent.registry.items() if ".tests." not in event.__module__}
    assert len(published) > 40
    assert published == {event.type for event in asyncapi.event_classes()}
    heard = {message for name in STREAMS for message in DOCUMENT["channels"][name]["messages"]}
    assert published - heard == set()
    assert published - set(MESSAGES) == set()


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    for name, schema in SCHEMAS.items():
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
        assert schema.get("description", "").strip() == schema.get("description", ""), name
    references = set(re.findall(r"\$ref: '#/([^']+)'", asyncapi.document_text()))
    assert len(references) > 100
    for reference in references:
        target: Any = DOCUMENT
        for part in reference.split("/"):
            target = target[part]


def test_every_close_code_stands_in_the_document_with_its_reasons() -> None:
    codes = {one["code"]: one for one in asyncapi.close_codes()}
    assert set(codes) == {int(code) for code in CloseCode}
    assert codes[1013]["reasons"] == ["unavailable", "slow_reader"]
    assert codes[4401]["reasons"][-1] == "token_revoked"
    assert all(one["meaning"].endswith(".") and one["reasons"] for one in codes.values())


@pytest.mark.parametrize("hint", [set[int], int | str, bytes, Any])
def test_a_field_that_cannot_be_described_is_refused(hint: Any) -> None:
    with pytest.raises(TypeError, match="plainer"):
        asyncapi.schema_of(hint)


# --- What is really said ----------------------------------------------------------------------------------------------


def test_what_every_operation_tells_is_as_the_document_says(world: World) -> None:
    """Each write of the interface once, by somebody who may; each event that comes of it as a client would get it."""
    told: set[str] = set()
    pending = replace(world, ids={**world.ids, "user_id": world.people[PENDING].user.pk})
    for operation in CALLS:
        person = next(name for name in (CADET, STAFF, ADMIN) if CELLS[operation][name] in {"yes", "own"})
        with undone():
            last = max(Event.objects.values_list("pk", flat=True), default=0)
            if operation.endswith("/restore"):
                send(world, operation.replace("/restore", "/archive"), person)
            send(pending if operation.endswith("/approve") else world, operation, person)
            for event in Event.objects.filter(pk__gt=last):
                frame = event_frame(event, epoch=uuid.UUID(int=7))
                valid(MESSAGES[event.type]["payload"], json.loads(frame.text))
                told.add(event.type)
    assert {event.type for event in asyncapi.event_classes()} - told == BY_THE_WORKER


@pytest.mark.parametrize("request_type", list(asyncapi.REQUESTS))
def test_a_request_that_the_document_describes_is_understood_and_its_answer_is_as_described(
    world: World, request_type: str
) -> None:
    stream = ChatStream(world.people[CADET].principal, {"room_id": world.ids["room_id"]})
    message = {"message_id": world.ids["message_id"]}
    bodies: Mapping[str, Mapping[str, Any]] = {
        "message.send": {"client_id": "client-7", "body": "Present."},
        "message.edit": {**message, "body": "At half past six."},
        "message.delete": message,
        "read": message,
        "history": {"limit": 5},
        "typing": {},
    }
    data = bodies[request_type]
    name = asyncapi.request_name(request_type)
    valid(SCHEMAS[f"{name}Data"], data)
    with undone():
        answer = stream.answer(ClientFrame(type=request_type, data=data))
        valid(SCHEMAS[f"{name}Result"], answer.data)
        if answer.told is not None:
            valid(SCHEMAS["Typing"], answer.told.data)


@pytest.mark.parametrize("request_type", list(asyncapi.REQUESTS))
def test_a_request_takes_the_fields_that_the_document_names_and_no_other(world: World, request_type: str) -> None:
    schema = SCHEMAS[f"{asyncapi.request_name(request_type)}Data"]
    stream = ChatStream(world.people[CADET].principal, {"room_id": world.ids["room_id"]})
    with undone(), pytest.raises(ValidationFailed) as refused:
        stream.answer(ClientFrame(type=request_type, data={"surprise": 1}))
    required = {error.field for error in refused.value.errors if error.code == "required"}
    assert required == set(schema.get("required", ()))
    (unknown,) = (error.detail for error in refused.value.errors if error.code == "unknown_field")
    assert unknown.partition("it has ")[2] == f"{', '.join(schema['properties']) or 'none'}."


def test_the_document_names_every_request_that_a_chat_answers() -> None:
    assert set(asyncapi.REQUESTS) == set(_ANSWERS)


@pytest.mark.parametrize("name", list(STREAMS))
def test_a_welcome_holds_what_the_document_describes(world: World, name: str) -> None:
    stream = STREAMS[name](world.people[CADET].principal, {"room_id": world.ids["room_id"]})
    welcome = stream.welcome()
    ready = SCHEMAS["ConnectionReady"]
    valid({**ready, "required": []}, welcome)
    assert set(welcome) <= set(ready["properties"]) - set(ready["required"])
