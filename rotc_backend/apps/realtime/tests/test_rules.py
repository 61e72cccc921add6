import json

import pytest

from apps.realtime.rules import (
    LARGEST_FRAME,
    ClientFrame,
    CloseCode,
    SocketRefused,
    client_frame,
    frame,
    origin_is_allowed,
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
    assert "ñ" in frame(id="e:1", type="t", at="now", data="ñ")
    echo = frame(id=None, type="pong", at="now", data="\ud800")
    assert echo.encode()
    assert json.loads(echo)["data"] == "\ud800"


def test_every_close_code_is_explained() -> None:
    table = CloseCode.__doc__ or ""
    assert all(str(int(code)) in table for code in CloseCode)
