import json

import pytest

from apps.realtime.rules import (
    FRAMES_A_SECOND,
    FRAMES_AT_ONCE,
    LARGEST_FRAME,
    Allowance,
    ClientFrame,
    CloseCode,
    Frame,
    SocketRefused,
    client_frame,
    origin_is_allowed,
    resume_presented,
    token_presented,
)

ORIGIN = "https://front-end.example"


def test_who_names_no_origin_is_no_browser_and_may_connect() -> None:
    assert origin_is_allowed(None, allowed=[])


@pytest.mark.parametrize("origin", [ORIGIN, "HTTPS://Front-End.example", f"{ORIGIN}/"])
def test_a_listed_origin_may_connect(origin: str) -> None:
    assert origin_is_allowed(origin, allowed=[ORIGIN])


@pytest.mark.parametrize("origin", ["", "null", "http://front-end.example", f"{ORIGIN}:8443", f"{ORIGIN}.evil.example"])
def test_another_origin_may_not(origin: str) -> None:
    assert not origin_is_allowed(origin, allowed=[ORIGIN])


@pytest.mark.parametrize(
    ("query", "subprotocols", "token"),
    [
        ("token=a.b.c", [], "a.b.c"),
        ("x=1&token=a.b.c&token=other", [], "a.b.c"),
        ("", ["rgms.bearer", "a.b.c"], "a.b.c"),
        ("token=from-the-query", ["rgms.bearer", "a.b.c"], "a.b.c"),
        ("token=from-the-query", ["rgms.bearer"], "from-the-query"),
        ("", ["other", "rgms.bearer", "a.b.c"], "a.b.c"),
        ("", ["a.b.c"], ""),
        ("token=", [], ""),
        ("", [], ""),
    ],
)
def test_the_token_is_found_where_the_client_put_it(query: str, subprotocols: list[str], token: str) -> None:
    assert token_presented(query=query, subprotocols=subprotocols) == token


def test_a_frame_is_a_type_with_data_or_without() -> None:
    assert client_frame('{"type": "ping", "data": [1]}') == ClientFrame(type="ping", data=[1])
    assert client_frame('{"type": "ping"}') == ClientFrame(type="ping", data=None)


def test_the_size_of_a_frame_counts_in_bytes() -> None:
    text = '{"type": "' + "é" * (LARGEST_FRAME // 2 - 4) + '"}'
    assert len(text) < LARGEST_FRAME < len(text.encode())
    with pytest.raises(SocketRefused) as refusal:
        client_frame(text)
    assert refusal.value.code == CloseCode.FRAME_TOO_LARGE


def test_an_event_is_written_in_utf8_and_an_echo_survives_half_a_surrogate_pair() -> None:
    event = Frame(id="e:1", type="t", at="now", data="ñ", position=1)
    assert json.loads(event.text) == {"id": "e:1", "type": "t", "at": "now", "data": "ñ"}
    assert "ñ" in event.text
    echo = Frame(id=None, type="pong", at="now", data="\ud800").text
    assert echo.encode()
    assert json.loads(echo)["data"] == "\ud800"


def test_a_frame_is_one_event_of_a_stream_whatever_its_text_holds() -> None:
    frame = Frame(id="e:7", type="t", at="now", data={"body": "one\n\nid: e:8\r\ntwo\u2028"}, position=7)
    place, name, data, *rest = frame.event_stream.decode().split("\n")
    assert (place, name, rest) == ("id: e:7", "event: t", ["", ""])
    assert json.loads(data.removeprefix("data: "))["data"] == frame.data
    assert not Frame(id=None, type="pong", at="now", data=1).event_stream.startswith(b"id")


def test_the_last_event_id_is_found_in_the_address() -> None:
    assert resume_presented(query="token=a&last_event_id=e%3A7") == "e:7"
    assert resume_presented(query="token=a") is None
    assert not resume_presented(query="last_event_id=")


@pytest.mark.parametrize("ref", [1, ["a"], "x" * 65])
def test_a_ref_is_a_short_text(ref: object) -> None:
    with pytest.raises(SocketRefused) as refusal:
        client_frame(json.dumps({"type": "ping", "ref": ref}))
    assert refusal.value.code == CloseCode.FRAME_MALFORMED
    assert client_frame('{"type": "ping", "ref": "a"}').ref == "a"


def test_a_client_may_send_so_many_frames_at_once_and_then_as_fast_as_the_allowance_grows() -> None:
    allowance = Allowance(at=100.0)
    assert [allowance.takes(at=100.0) for _ in range(FRAMES_AT_ONCE + 1)] == [True] * FRAMES_AT_ONCE + [False]
    later = 100.0 + 1.5 / FRAMES_A_SECOND
    assert [allowance.takes(at=later) for _ in range(2)] == [True, False]
    assert [allowance.takes(at=1000.0) for _ in range(FRAMES_AT_ONCE + 1)].count(True) == FRAMES_AT_ONCE


def test_every_close_code_is_explained() -> None:
    table = CloseCode.__doc__ or ""
    assert all(str(int(code)) in table for code in CloseCode)
