"""Sockets that only listen, in a process of their own: counts what comes and how long it took.

Reads a JSON object from standard input: {"urls": […], "kind": "announcement.published", "welcomed": true}. Says "ready"
when all sockets are open, and have been welcomed by a first frame where the server sends one. At the next line it
ends, with one JSON object: {"received", "doubled", "unordered", "milliseconds": […]}. Each event has in `title` its
number and the second, of the clock that all processes share, at which it was caused.
"""

import asyncio
import json
import sys
import time
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

OPENED_AT_ONCE = 20


class Listener:
    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.lags: list[float] = []
        self.numbers: list[int] = []
        self.closed: str | None = None

    async def listen(self, socket: ClientConnection) -> None:
        try:
            async for text in socket:
                at = time.time()
                frame = json.loads(text)
                if frame["type"] == self.kind:
                    number, _, caused = frame["data"]["title"].partition(" ")
                    self.numbers.append(int(number))
                    self.lags.append((at - float(caused)) * 1000)
        except ConnectionClosed as error:
            self.closed = str(error)


async def main() -> None:
    asked: dict[str, Any] = json.loads(sys.stdin.readline())
    listeners = [Listener(asked["kind"]) for _ in asked["urls"]]
    gate = asyncio.Semaphore(OPENED_AT_ONCE)

    async def opened(url: str) -> ClientConnection:
        async with gate:
            socket = await connect(url, compression=None, ping_interval=None, open_timeout=30, proxy=None)
            if asked["welcomed"]:
                await socket.recv()
            return socket

    sockets = await asyncio.gather(*(opened(url) for url in asked["urls"]))
    tasks = [asyncio.create_task(one.listen(socket)) for one, socket in zip(listeners, sockets, strict=True)]
    _say("ready")
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)  # until told that all is sent
    for socket in sockets:
        await socket.close()
    await asyncio.gather(*tasks)
    _say(
        json.dumps(
            {
                "received": sum(len(one.numbers) for one in listeners),
                "doubled": sum(len(one.numbers) - len(set(one.numbers)) for one in listeners),
                "unordered": sum(one.numbers != sorted(one.numbers) for one in listeners),
                "milliseconds": sorted(lag for one in listeners for lag in one.lags),
            }
        )
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
