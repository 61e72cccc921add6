"""The least that could do the same: `websockets`, one Redis subscription, every message to every socket.

No token, no log, no resume, nobody is left out: what the service costs above this is the price of its promises.
"""

import asyncio
import sys

import redis.asyncio
from websockets.asyncio.server import ServerConnection, broadcast, serve

CHANNEL = "bare"


async def main(redis_url: str, port: int) -> None:
    sockets: set[ServerConnection] = set()

    async def hold(socket: ServerConnection) -> None:
        sockets.add(socket)
        try:
            await socket.wait_closed()
        finally:
            sockets.discard(socket)

    # Twenty seconds between two pings, like daphne's; no compression, which daphne does not offer.
    async with serve(hold, "127.0.0.1", port, compression=None, ping_interval=20):
        subscription = redis.asyncio.from_url(redis_url).pubsub(ignore_subscribe_messages=True)
        await subscription.subscribe(CHANNEL)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        async for message in subscription.listen():
            broadcast(sockets, message["data"].decode())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
