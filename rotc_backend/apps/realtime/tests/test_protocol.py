"""How much may wait for those who do not read, all of them together. One alone is tested over real connections."""

import asyncio
from typing import Any

import pytest

from apps.realtime import protocol
from apps.realtime.protocol import BoundedWebRequest


class Channel:
    is_aborted = False

    def abortConnection(self) -> None:  # noqa: N802 - Twisted's name
        self.is_aborted = True


def request() -> Any:
    """A request whose bytes go nowhere: daphne's part takes it for finished."""
    made: Any = BoundedWebRequest.__new__(BoundedWebRequest)
    made.channel, made.finished = Channel(), True
    return made


def send(to: Any, size: int) -> None:
    to.handle_reply({"type": "http.response.body", "body": b"x" * size, "more_body": True})


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "UNREAD_MOST", 100)
    monkeypatch.setattr(protocol, "UNREAD_MOST_TOGETHER", 150)


def test_who_leaves_too_much_unread_is_dropped_and_who_reads_is_not() -> None:
    silent, reading = request(), request()
    silent.pauseProducing()
    for _ in range(11):
        send(silent, 10)
        send(reading, 10)
    assert silent.channel.is_aborted
    assert not reading.channel.is_aborted
    assert BoundedWebRequest._together == 0


def test_of_those_who_leave_too_much_together_the_one_furthest_behind_is_dropped() -> None:
    waiting = [request() for _ in range(3)]
    for one, size in zip(waiting, (40, 70, 30), strict=True):
        one.pauseProducing()
        send(one, size)
    assert [one.channel.is_aborted for one in waiting] == [False, False, False]
    send(waiting[2], 20)
    assert [one.channel.is_aborted for one in waiting] == [False, True, False]
    for one in waiting:
        one.resumeProducing()
    assert BoundedWebRequest._together == 0


async def test_who_is_waited_for_is_told_when_all_is_read_or_the_connection_dropped() -> None:
    for ended in ("resumeProducing", "_drop"):
        one = request()
        one.pauseProducing()
        send(one, 50)
        read = asyncio.get_running_loop().create_future()
        one.handle_reply({"type": "rgms.read_down_to", "size": 10, "future": read})
        assert not read.done()
        getattr(one, ended)()
        assert read.done()
