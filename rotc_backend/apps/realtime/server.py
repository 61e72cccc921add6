import asyncio
import contextlib
import logging
import os
import signal
import sys
from typing import Any

from apps.realtime.hub import hub
from apps.realtime.threads import DatabaseThreads

logger = logging.getLogger("rgms.hub")

_stopping: set[asyncio.Task[None]] = set()


def start_with_daphne() -> None:
    """Start the hub with daphne's reactor, and let it close its sockets before daphne stops.

    Called once by config/asgi.py; does nothing in a process that is not daphne. daphne has no lifespan, so
    without this the hub would start with the first connection, and at SIGTERM daphne cancels its applications
    before any shutdown trigger runs: clients would see 1006, an accident, instead of 1012, a restart.
    """
    if "daphne.server" not in sys.modules:
        return
    from daphne import http_protocol
    from daphne.ws_protocol import WebSocketFactory
    from twisted.internet import reactor

    from apps.realtime.protocol import BoundedWebRequest, BoundedWebSocketProtocol

    WebSocketFactory.protocol = BoundedWebSocketProtocol
    http_protocol.WebRequest = BoundedWebRequest
    reactor.callWhenRunning(_begin, reactor)


def _begin(reactor: Any) -> None:
    hub.start(asyncio.get_event_loop())
    # Twisted installs its own handlers before it calls this.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: reactor.callFromThread(_stop, reactor))
    reactor.addSystemEventTrigger("after", "shutdown", _leave_stuck_threads)


def _stop(reactor: Any) -> None:
    if _stopping:  # asked a second time: at once
        _stop_reactor(reactor)
        return
    task = asyncio.get_event_loop().create_task(_say_goodbye(reactor))
    _stopping.add(task)


async def _say_goodbye(reactor: Any) -> None:
    try:
        await hub.stop()
    finally:
        _stop_reactor(reactor)


def _stop_reactor(reactor: Any) -> None:
    with contextlib.suppress(Exception):  # it is stopping already
        reactor.stop()


def _leave_stuck_threads() -> None:
    # The interpreter joins its threads at exit; one that waits for a frozen database would hold it until
    # SIGKILL.
    if DatabaseThreads.are_busy():
        logging.shutdown()
        os._exit(0)
