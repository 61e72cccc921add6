import io
import json
import logging
import sys
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.logs import JsonFormatter, without_secrets
from core.measure import Measure, measuring

TOKEN = jwt.encode({"sub": "7", "role": "admin"}, "k" * 64, algorithm="HS512")


def logged(message: str, *arguments: Any, level: int = logging.INFO, **keywords: Any) -> dict[str, Any]:
    """The one line that a logger with our formatter writes, read as JSON."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("rgms.test")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        logger.log(level, message, *arguments, **keywords)
    finally:
        logger.removeHandler(handler)
    text = stream.getvalue()
    assert text.endswith("\n")
    assert text.count("\n") == 1
    entry: dict[str, Any] = json.loads(text)
    return entry


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"refused {TOKEN} of a client", TOKEN),
        (f"GET /ws/notifications/?token={TOKEN}&x=1", TOKEN),
        ("GET /ws/notifications/?x=1&token=opaque-value HTTP/1.1", "opaque-value"),
        ("GET /api/v1/report-files/WzcsMSwi:1vO:opaque-value 200", "opaque-value"),
        ("Authorization: Bearer opaque-value", "opaque-value"),
        ("authorization: bearer opaque-value, next", "opaque-value"),
        ('{"Authorization": "Bearer opaque-value"}', "opaque-value"),
        ("cannot reach redis://:hunter2@cache:6379/0", "hunter2"),
        ("cannot reach postgresql://rgms:hunter2@db/rgms?sslmode=require", "hunter2"),
        ("cannot reach postgresql://rgms:hun@ter2@db/rgms", "ter2"),
    ],
)
def test_secrets_are_removed_from_a_line_and_from_an_exceptions_text(text: str, secret: str) -> None:
    entry = logged("%s", text)
    assert secret not in json.dumps(entry)
    assert "[removed]" in entry["message"]
    try:
        raise RuntimeError(text)
    except RuntimeError:
        entry = logged("failed", exc_info=True, extra={"address": text})
    assert secret not in json.dumps(entry)
    assert "[removed]" in entry["exception"]
    assert "[removed]" in entry["address"]


@pytest.mark.parametrize(
    "text",
    ["GET /api/v1/notifications 200", "12:30:45 user@example.org", "https://front-end.example/a:b", "token=7 rows"],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert without_secrets(text) == text


def test_a_line_says_when_where_how_grave_and_for_which_request() -> None:
    with measuring(Measure(request_id="request-1234")):
        entry = logged("saved %d rows", 3, level=logging.WARNING, extra={"milliseconds": 1.5, "user_id": None})
    assert entry.pop("at").endswith("+00:00")
    assert entry == {
        "level": "WARNING",
        "logger": "rgms.test",
        "message": "saved 3 rows",
        "request_id": "request-1234",
        "milliseconds": 1.5,
        "user_id": None,
    }
    assert "request_id" not in logged("outside a request")


def test_an_exception_stays_on_its_line_with_its_traceback() -> None:
    try:
        raise ValueError('two\nlines and "quotes"')
    except ValueError:
        entry = logged("failed", exc_info=sys.exc_info())
    assert entry["exception"].startswith("Traceback")
    assert 'two\nlines and "quotes"' in entry["exception"]


def test_odd_extras_do_not_break_the_line_nor_take_the_place_of_its_facts() -> None:
    entry = logged(
        "odd",
        extra={
            "request": object(),
            "rows": [1, 2],
            "share": float("nan"),
            "limit": float("inf"),
            "half": "\ud800",
            "level": "NOTHING",
            "logger": "somebody else",
        },
    )
    assert "request" not in entry
    assert "rows" not in entry
    assert (entry["share"], entry["limit"], entry["half"]) == ("nan", "inf", "\ud800")
    assert (entry["level"], entry["logger"]) == ("INFO", "rgms.test")


def test_a_secret_at_the_edge_of_a_quotation_leaves_valid_json() -> None:
    # The pattern ran over the escaping backslash once, and the line could not be parsed.
    entry = logged("%s", 'sent "Bearer abc" and "?token=def"')
    assert entry["message"] == 'sent "Bearer [removed]" and "?token=[removed]"'


@given(text=st.text(max_size=200), prefix=st.sampled_from(["", "Bearer ", "?token=", "x://a:", "eyJabcde."]))
def test_whatever_is_logged_a_line_can_be_encoded_and_parsed(text: str, prefix: str) -> None:
    record = logging.makeLogRecord({"name": "n", "levelname": "INFO", "msg": prefix + text})
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert set(json.loads(line.encode())) == {"at", "level", "logger", "message"}
