import json
import threading
from collections.abc import Callable, Iterator

import pytest
from websockets.sync.server import ServerConnection, serve

from smoke.expectation import Mismatch
from smoke.redaction import Redaction
from smoke.sockets import Sockets

Play = Callable[[ServerConnection], None]


def frame(type: str, **data: object) -> str:  # noqa: A002 - the protocol's word
    return json.dumps({"type": type, "data": data})


@pytest.fixture
def sockets() -> Iterator[Callable[[Play], Sockets]]:
    """Sockets to a real server that plays the given part on every connection."""
    opened: list[Sockets] = []
    running: list[Callable[[], None]] = []

    def start(play: Play) -> Sockets:
        server = serve(play, "127.0.0.1", 0)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        running.extend((thread.join, server.shutdown))
        port = server.socket.getsockname()[1]
        opened.append(Sockets(channels_url=f"ws://127.0.0.1:{port}", redaction=Redaction(), run_id="smoke-test"))
        return opened[-1]

    yield start
    for one in opened:
        one.close()
    for stop in reversed(running):
        stop()


def test_the_handshake_carries_token_origin_and_what_renders_proxy_adds(
    sockets: Callable[[Play], Sockets],
) -> None:
    def tell(connection: ServerConnection) -> None:
        request = connection.request
        assert request is not None
        headers = {name: request.headers.get(name) for name in ("Origin", "X-Forwarded-Proto", "User-Agent")}
        connection.send(frame("told", path=request.path, **headers))

    socket = sockets(tell).open(token="a/b+c", origin="https://front.example")
    assert socket.expect_frame(type="told")["data"] == {
        "path": "/ws/notifications/?token=a%2Fb%2Bc",
        "Origin": "https://front.example",
        "X-Forwarded-Proto": "https",
        "User-Agent": "rgms-smoke (smoke-test)",
    }


def test_other_frames_are_passed_over_and_kept(sockets: Callable[[Play], Sockets]) -> None:
    def talk(connection: ServerConnection) -> None:
        for number in (1, 2, 2):
            connection.send(frame("event", number=number))
        connection.recv()

    socket = sockets(talk).open(token="token")
    assert socket.expect_frame(type="event", where=lambda data: data["number"] == 2)["data"] == {"number": 2}
    assert [one["data"]["number"] for one in socket.listen(seconds=0.3)] == [1, 2, 2]


def test_a_frame_that_does_not_come_is_told_with_what_came_instead(sockets: Callable[[Play], Sockets]) -> None:
    def talk(connection: ServerConnection) -> None:
        connection.send(frame("other"))
        connection.recv()

    socket = sockets(talk).open(token="token")
    with pytest.raises(Mismatch) as caught:
        socket.expect_frame(type="wanted", within_seconds=0.3)
    assert caught.value.came == "other frames only: other"


def test_a_socket_that_is_closed_instead_is_told_with_code_and_reason(
    sockets: Callable[[Play], Sockets],
) -> None:
    socket = sockets(lambda connection: connection.close(4401, "token_expired")).open(token="token")
    with pytest.raises(Mismatch) as caught:
        socket.expect_frame(type="wanted")
    assert caught.value.came == "the socket was closed with 4401 token_expired"


def test_the_expected_close_is_that_code_and_that_reason(sockets: Callable[[Play], Sockets]) -> None:
    closing = sockets(lambda connection: connection.close(4401, "token_expired"))
    closing.open(token="token").expect_close(code=4401, reason="token_expired")
    for wanted in ({"code": 4403}, {"code": 4401, "reason": "token_malformed"}):
        with pytest.raises(Mismatch):
            closing.open(token="token").expect_close(**wanted)


def test_a_socket_that_is_served_was_not_closed(sockets: Callable[[Play], Sockets]) -> None:
    def welcome(connection: ServerConnection) -> None:
        connection.send(frame("connection.ready"))
        connection.recv()

    with pytest.raises(Mismatch, match="it was served"):
        sockets(welcome).open(token="token").expect_close(code=4401)


def test_a_socket_that_stays_open_was_not_closed(sockets: Callable[[Play], Sockets]) -> None:
    def stay(connection: ServerConnection) -> None:
        connection.recv()

    with pytest.raises(Mismatch, match="still open"):
        sockets(stay).open(token="token").expect_close(code=4401, within_seconds=0.2)


def test_what_is_no_json_object_is_told_as_such(sockets: Callable[[Play], Sockets]) -> None:
    with pytest.raises(Mismatch, match="JSON objects"):
        sockets(lambda connection: connection.send("[]")).open(token="token").expect_frame(type="wanted")


def test_where_nothing_listens_there_is_no_handshake() -> None:
    nowhere = Sockets(channels_url="ws://127.0.0.1:9", redaction=Redaction(), run_id="smoke-test")
    with pytest.raises(Mismatch, match="refused"):
        nowhere.open(token="token")
