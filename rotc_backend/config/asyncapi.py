"""docs/api/asyncapi.yaml: what travels over the sockets and the event streams, read from the code that sends it.

event classes ──→ a schema and a message each      streams (`hears`) ──→ a channel each, with what it brings
CloseCode's table ──→ how a socket ends            _REQUESTS ──→ what a client may ask; tests hold it against the code
"""

import datetime as dt
import decimal
import re
import types
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

import yaml
from django.conf import settings
from django.utils.module_loading import autodiscover_modules

from apps.accounts.rules import ADMIN, CADET, TRAINING_STAFF
from apps.messaging import rules as messaging
from apps.messaging.consumers.chat import ChatStream
from apps.messaging.routing import DEFAULT_STREAMS, STREAMS, websocket_urlpatterns
from apps.realtime.hub import HEARTBEAT_SECONDS
from apps.realtime.rules import (
    ANSWER,
    BEARER_SUBPROTOCOL,
    CLOSED,
    ERROR,
    FRAMES_A_SECOND,
    FRAMES_AT_ONCE,
    HEARTBEAT,
    LARGEST_FRAME,
    LONGEST_REF,
    PONG,
    READY,
    RESYNC,
    CloseCode,
)
from apps.realtime.server_sent import PATH
from apps.realtime.streams import Stream
from config.client_types import declarations
from core.messages import Event
from core.version import VERSION

Schema = dict[str, Any]

DOCUMENT = settings.BASE_DIR.parent / "docs" / "api" / "asyncapi.yaml"
TYPES = settings.BASE_DIR.parent / "docs" / "clients" / "rgms-events.d.ts"

_PLACE = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9]+$"
_SCALARS: Mapping[type, Schema] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    dt.datetime: {"type": "string", "format": "date-time"},
    dt.date: {"type": "string", "format": "date"},
    decimal.Decimal: {"type": "string", "format": "decimal"},
    uuid.UUID: {"type": "string", "format": "uuid"},
}

# --- Python's types in the words of JSON Schema ----------------------------------------------------------------------


def schema_of(hint: Any) -> Schema:
    """The JSON Schema of what `core.messages.plain` makes of a value of this type. Raises TypeError for any other."""
    if hint in _SCALARS:
        return dict(_SCALARS[hint])
    if is_typeddict(hint):
        return _object({name: schema_of(inner) for name, inner in get_type_hints(hint).items()})
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {list, tuple}:
        return {"type": "array", "items": schema_of(arguments[0])}
    if origin in {dict, Mapping}:
        return {"type": "object", "additionalProperties": schema_of(arguments[1])}
    if origin in {Union, types.UnionType}:
        some = [one for one in arguments if one is not types.NoneType]
        if len(some) == 1:  # and None
            schema = schema_of(some[0])
            return {**schema, "type": [schema["type"], "null"]}
    raise TypeError(f"{hint!r} has no schema: give the event a field of a plainer type")


def event_classes() -> list[type[Event]]:
    """Every event that the service declares, by name. Those that tests declare are left out."""
    autodiscover_modules("events")
    named = (Event.registry[name] for name in sorted(Event.registry))
    return [event for event in named if re.fullmatch(r"apps\.\w+\.events", event.__module__)]


def _event_schema(event: type[Event]) -> Schema:
    hints = get_type_hints(event)
    names = [field.name for field in fields(event)]  # type: ignore[arg-type]
    schema = _object({name: schema_of(hints[name]) for name in names})
    return {"description": words, **schema} if (words := _words(event)) else schema


def _words(event: type[Event]) -> str:
    """The docstring of the class, or of the nearest that it is made from."""
    for cls in event.__mro__:
        # A dataclass without one is given its signature.
        if cls not in Event.__mro__ and cls.__doc__ and not cls.__doc__.startswith(f"{cls.__name__}("):
            return _unwrapped(cls.__doc__)
    return ""


def _unwrapped(text: str) -> str:
    return " ".join(text.split())


def _object(properties: Mapping[str, Schema], *, optional: tuple[str, ...] = (), **more: Any) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", **({"required": required} if required else {}), "properties": dict(properties), **more}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


# --- What is no event of the log --------------------------------------------------------------------------------------

_ID = {"type": "integer", "minimum": 1}
_TEXT = {"type": "string"}
_TOLD = {"type": "array", "items": _ref("MessageCreated")}
_POSITION: Schema = {"type": "string", "pattern": _PLACE, "description": "`epoch:position`: a place in the event log."}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a client of a chat asks, and what the answer's `result` holds."""

    summary: str
    data: Schema
    result: Schema


REQUESTS: Mapping[str, Request] = {
    "message.send": Request(
        summary="Write in the room. The same client_id again is the same message: nothing is written twice.",
        data=_object(
            {
                "client_id": {"type": "string", "pattern": messaging.CLIENT_ID.replace(r"\Z", "$")},
                "body": {"type": "string", "minLength": 1, "maxLength": messaging.LONGEST_MESSAGE},
            }
        ),
        result=_object({"message": _ref("MessageCreated"), "is_new": {"type": "boolean"}}),
    ),
    "message.edit": Request(
        summary="Change one's own message.",
        data=_object({"message_id": _ID, "body": {**_TEXT, "minLength": 1, "maxLength": messaging.LONGEST_MESSAGE}}),
        result=_object({"message": _ref("MessageCreated")}),
    ),
    "message.delete": Request(
        summary="Blank one's own message, or as an administrator anybody's.",
        data=_object({"message_id": _ID}),
        result=_object({"message_id": _ID}),
    ),
    "read": Request(
        summary="Say that one has read up to and including a message. The mark never goes back.",
        data=_object({"message_id": _ID}),
        result=_object({"last_message_id": _ID, "read_at": schema_of(dt.datetime)}),
    ),
    "history": Request(
        summary="What was said before a message, newest first; `next_before` is null at the beginning.",
        data=_object(
            {
                "before": _ID,
                "limit": {**_ID, "maximum": messaging.LARGEST_HISTORY, "default": messaging.USUAL_HISTORY},
            },
            optional=("before", "limit"),
        ),
        result=_object({"messages": _TOLD, "next_before": {"type": ["integer", "null"]}}),
    ),
    "typing": Request(
        summary=f"Say that one is writing; told to the others at most every {messaging.TYPING_SECONDS:g} s.",
        data=_object({}),
        result=_object({"told": {"type": "boolean"}}),
    ),
}
_ABOUT: Mapping[str, Schema] = {
    "ref": {"type": ["string", "null"], "description": "That of the request."},
    "request": {"type": "string", "description": "The type of the request."},
}
_USER = _object({"id": _ID, "username": _TEXT, "role": {"type": "string", "enum": [ADMIN, TRAINING_STAFF, CADET]}})
_WELCOME: Mapping[str, Schema] = {
    "unread": {"type": "integer"},
    "room": _object({"id": _ID, "kind": _TEXT, "name": _TEXT}),
    "last_read_id": {"type": ["integer", "null"]},
    "last_message_id": {"type": ["integer", "null"]},
}


_READY: Mapping[str, Schema] = {
    "user": _USER,
    "version": _TEXT,
    "key_fingerprint": _TEXT,
    "position": {**_POSITION, "description": "Where this client stands; when it resumed, its own old place."},
    "resumed": {"type": "boolean", "description": "Whether what was missed follows."},
    **_WELCOME,
    "streams": {"type": "object", "additionalProperties": _ref("StreamWelcome")},
}
_REFUSAL: Mapping[str, Schema] = {
    **_ABOUT,
    "code": _TEXT,
    "detail": _TEXT,
    "errors": {"type": "array", "items": _ref("FieldError")},
    "retry_after": {"type": "integer", "description": "Seconds."},
}


@dataclass(frozen=True, kw_only=True)
class OwnFrame:
    """A frame of the service that tells no event; `name` is that of the schema of its `data`."""

    name: str
    summary: str
    data: Schema
    has_id: bool = False


OWN_FRAMES: Mapping[str, OwnFrame] = {
    READY: OwnFrame(
        name="ConnectionReady",
        summary="Always the first frame. Each stream adds what it has of StreamWelcome, an event stream in `streams`.",
        data=_object(_READY, optional=(*_WELCOME, "streams")),
    ),
    RESYNC: OwnFrame(
        name="ResyncRequired",
        summary="What was missed cannot be told any more: fetch everything that is shown. Live events follow.",
        data=_object({"reason": {**_TEXT, "enum": ["malformed", "epoch_changed", "unknown_position", "expired"]}}),
        has_id=True,
    ),
    HEARTBEAT: OwnFrame(
        name="Heartbeat",
        summary=f"Every {HEARTBEAT_SECONDS:g} s, and after a resumption: everything up to its id has been told.",
        data=_object({}),
        has_id=True,
    ),
    PONG: OwnFrame(name="Pong", summary="The `data` of a ping.", data={}),
    ANSWER: OwnFrame(
        name="Answer", summary="A request was done.", data=_object({**_ABOUT, "result": {"type": "object"}})
    ),
    ERROR: OwnFrame(
        name="RequestError",
        summary="A request was refused; the socket stays open. `code` is for programs, `detail` says what to do.",
        data=_object(_REFUSAL, optional=("retry_after",)),
    ),
    messaging.TYPING: OwnFrame(
        name="Typing",
        summary="Somebody is writing in this room. Told at once, never later, and lost while Redis is away.",
        data=_object({"room_id": _ID, "user_id": _ID, "username": _TEXT}),
    ),
    CLOSED: OwnFrame(
        name="ConnectionClosed",
        summary="The last event of a server-sent stream: what a socket's close frame would have said.",
        data=_object({"code": {"type": "integer", "enum": [int(code) for code in CloseCode]}, "reason": _TEXT}),
    ),
}


# --- The document -----------------------------------------------------------------------------------------------------


def asyncapi_document() -> Schema:
    """The whole document, for one's own YAML or JSON writer."""
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "RGMS: live events of MSU-SND's ROTC unit", "version": VERSION, "description": _ABOUT_ALL},
        "defaultContentType": "application/json",
        "servers": {"sockets": _server("wss"), "streams": _server("https")},
        "channels": {**{name: _channel(name, stream) for name, stream in STREAMS.items()}, "events": _event_stream()},
        "operations": dict(_operations()),
        "components": {
            "schemas": dict(_schemas()),
            "messages": dict(_messages()),
            "securitySchemes": {
                "subprotocol": {
                    "type": "httpApiKey",
                    "in": "header",
                    "name": "Sec-WebSocket-Protocol",
                    "description": f"`{BEARER_SUBPROTOCOL}, <access token>`: keeps the token out of addresses.",
                },
                "query": {"type": "httpApiKey", "in": "query", "name": "token"},
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
        "x-close-codes": close_codes(),
    }


_ABOUT_ALL = f"""\
Every frame of the service is `{{id, type, at, data}}`. `id` is `epoch:position` for what has a place in the event log,
else null. A client keeps the last id and the `position` of `{READY}`; with `?last_event_id=` it hears what it has
missed, once and in order, or `{RESYNC}`. Fields may be added to any `data`: leave out what you do not know.

A client's frame is `{{type, data, ref}}`; `{ANSWER}` and `{ERROR}` repeat `ref`. At most {LARGEST_FRAME} bytes a frame,
{FRAMES_AT_ONCE} frames at once and {FRAMES_A_SECOND:g} a second in the long run. Send a `ping` every now and then: who
says nothing for long is closed out. Why a socket ends stands in `x-close-codes`.
"""


def _server(protocol: str) -> Schema:
    schemes = ("subprotocol", "query") if protocol == "wss" else ("bearer", "query")
    return {
        "host": "rotc-django-channels.onrender.com",
        "protocol": protocol,
        "description": "The token of `POST /api/v1/auth/login`; a page's origin must be in CORS_ALLOWED_ORIGINS.",
        "security": [{"$ref": f"#/components/securitySchemes/{scheme}"} for scheme in schemes],
    }


def _heard(*streams: type[Stream]) -> list[str]:
    """The types of all frames that a client of these gets, events first."""
    types_ = [*(event.type for event in event_classes()), messaging.TYPING]
    return [name for name in types_ if any(stream.hears(name) for stream in streams)]


def _channel(name: str, stream: type[Stream]) -> Schema:
    told = [*_heard(stream), READY, RESYNC, HEARTBEAT, PONG, ANSWER, ERROR]
    asked = ["ping", "ack", *(REQUESTS if stream is ChatStream else ())]
    _, _, words = (stream.__doc__ or "").partition(":")
    channel = {
        "address": _address(stream),
        "title": name.capitalize(),
        "description": _unwrapped(words),
        "servers": [{"$ref": "#/servers/sockets"}],
        "messages": {
            **{one: {"$ref": f"#/components/messages/{one}"} for one in told},
            **{_asked(one): {"$ref": f"#/components/messages/{_asked(one)}"} for one in asked},
        },
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0", "query": _query()}},
    }
    if stream.argument is not None:
        channel["parameters"] = {stream.argument: {"description": "As `GET /api/v1/rooms` gives it."}}
    return channel


def _address(stream: type[Stream]) -> str:
    """Where the routes serve it, in the words of AsyncAPI."""
    for route in websocket_urlpatterns:
        if getattr(route.callback, "stream", None) is stream:
            path = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"{\1}", str(route.pattern))
            return "/" + path.removeprefix("^").removesuffix("$").replace("/?", "/")
    raise LookupError(f"No route serves {stream.__name__}")


def _query(**more: Schema) -> Schema:
    last = {**_TEXT, "description": "The last id that this client has heard, to be told what it has missed."}
    return {"type": "object", "properties": {"token": _TEXT, "last_event_id": last, **more}}


def _event_stream() -> Schema:
    told = [*_heard(*STREAMS.values()), READY, RESYNC, HEARTBEAT, CLOSED]
    return {
        "address": PATH,
        "title": "Server-sent events",
        "description": "The same over HTTP, for who only listens: each frame is the `data` of one event with its `id`.",
        "servers": [{"$ref": "#/servers/streams"}],
        "messages": {one: {"$ref": f"#/components/messages/{one}"} for one in told},
    }


def _stream_names() -> Iterator[str]:
    for name, stream in STREAMS.items():
        yield name if stream.argument is None else f"{name}:<{stream.argument}>"


def _operations() -> Iterator[tuple[str, Schema]]:
    for name, stream in STREAMS.items():
        told = [*_heard(stream), READY, RESYNC, HEARTBEAT]
        yield f"{name}.hear", _operation("send", name, told, summary="What comes without being asked for.")
        ping = _operation("receive", name, [_asked("ping")], summary="Is anybody there?")
        yield f"{name}.ping", {**ping, "reply": _reply(name, [PONG])}
        words = "That the client is there and where it stands; nothing comes back."
        yield f"{name}.ack", _operation("receive", name, [_asked("ack")], summary=words)
        if stream is ChatStream:
            asked = _operation("receive", name, [_asked(one) for one in REQUESTS], summary="What a client may ask.")
            yield f"{name}.ask", {**asked, "reply": _reply(name, [ANSWER, ERROR])}
    told = [*_heard(*STREAMS.values()), READY, RESYNC, HEARTBEAT, CLOSED]
    streams = {
        **_TEXT,
        "default": ",".join(DEFAULT_STREAMS),
        "description": f"Comma-separated: {', '.join(_stream_names())}. They come as one stream.",
    }
    binding = {"method": "GET", "query": _query(streams=streams), "bindingVersion": "0.3.0"}
    hear = _operation("send", "events", told, summary="What comes without being asked for.")
    yield "events.hear", {**hear, "bindings": {"http": binding}}


def _operation(action: str, channel: str, messages: list[str], *, summary: str) -> Schema:
    return {"action": action, "summary": summary, **_reply(channel, messages)}


def _reply(channel: str, messages: list[str]) -> Schema:
    return {
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"} for message in messages],
    }


def _asked(request: str) -> str:
    """The name of a client's frame among the messages; `typing` is one of the service's as well."""
    return f"ask.{request}"


def _schemas() -> Iterator[tuple[str, Schema]]:
    for event in event_classes():
        yield event.__name__, _event_schema(event)
    for frame in OWN_FRAMES.values():
        yield frame.name, {"description": frame.summary, **frame.data}
    for request, declared in REQUESTS.items():
        name = request_name(request)
        yield f"{name}Data", {"description": declared.summary, **declared.data}
        yield f"{name}Result", declared.result
    words = "`unread` comes with notifications and chats, the rest with chats."
    yield "StreamWelcome", {"description": words, **_object(_WELCOME, optional=tuple(_WELCOME))}
    yield "FieldError", _object({"field": _TEXT, "code": _TEXT, "detail": _TEXT})


def request_name(request: str) -> str:
    """`message.send` → `MessageSend`."""
    return "".join(part.capitalize() for part in request.split("."))


def _messages() -> Iterator[tuple[str, Schema]]:
    for event in event_classes():
        yield event.type, _message(event.type, event.__name__, has_id=True)
    for frame_type, frame in OWN_FRAMES.items():
        yield frame_type, {"summary": frame.summary, **_message(frame_type, frame.name, has_id=frame.has_id)}
    yield _asked("ping"), _client_message("ping", {}, "Answered by a pong with the same data.")
    yield _asked("ack"), _client_message("ack", {}, "Not answered.")
    for request, declared in REQUESTS.items():
        data = _ref(f"{request_name(request)}Data")
        yield _asked(request), _client_message(request, data, declared.summary)


def _message(frame_type: str, schema: str, *, has_id: bool) -> Schema:
    place = _POSITION if has_id else {"type": "null"}
    at = {"type": "string", "format": "date-time"}
    frame = {"id": place, "type": {"type": "string", "const": frame_type}, "at": at, "data": _ref(schema)}
    return {"name": frame_type, "payload": _object(frame)}


def _client_message(frame_type: str, data: Schema, summary: str) -> Schema:
    frame = {
        "type": {"type": "string", "const": frame_type},
        "data": data,
        "ref": {"type": ["string", "null"], "maxLength": LONGEST_REF},
    }
    optional = ("ref",) if data.get("$ref") else ("data", "ref")
    return {"name": frame_type, "summary": summary, "payload": _object(frame, optional=optional)}


def close_codes() -> list[Schema]:
    """The table of CloseCode, whose columns its rulers set."""
    lines = (CloseCode.__doc__ or "").splitlines()
    ruler = next(line for line in lines if line.strip().startswith("==="))
    starts = [found.start() for found in re.finditer("=+", ruler)]
    columns = [slice(*edges) for edges in zip(starts, [*starts[1:], None], strict=True)]
    codes: list[Schema] = []
    for line in lines:
        code, reason, meaning = (line[column].strip() for column in columns)
        if code.isdigit():
            codes.append({"code": int(code), "name": CloseCode(int(code)).name.lower(), "reasons": [], "meaning": ""})
        if codes and not code.startswith("="):
            codes[-1]["reasons"] += [reason] if reason else []
            codes[-1]["meaning"] = f"{codes[-1]['meaning']} {meaning}".strip()
    return codes


# --- The files --------------------------------------------------------------------------------------------------------


class _Dumper(yaml.SafeDumper):
    """Repeats what is shared instead of naming it, and leaves the lines of a text as they are."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def document_text() -> str:
    document = asyncapi_document()
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return f"# Generated by ./scripts/asyncapi from the event classes and streams; a test compares.\n{text}"


def types_text() -> str:
    events = {event.type: event.__name__ for event in event_classes()}
    return declarations(
        schemas=dict(_schemas()),
        heard={**events, **{name: OWN_FRAMES[name].name for name in (messaging.TYPING, READY)}},
        requests={request: request_name(request) for request in REQUESTS},
    )


def files_write() -> None:
    DOCUMENT.write_text(document_text())
    TYPES.write_text(types_text())
