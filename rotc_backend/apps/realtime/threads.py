import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ClassVar, TypeVar

from django.db import DatabaseError, InterfaceError, close_old_connections, connection

Result = TypeVar("Result")


class DatabaseThreads:
    """A few threads that wait for the database in the event loop's stead.

    Not asgiref's one thread for all: behind a database that hangs, everything else would queue there. `size`
    bounds the connections, one per thread. With `renew`, a connection that died while nothing was asked is
    replaced before use, at the price of a round trip; without, the caller asks so often that it notices.
    """

    _running: ClassVar[set[Future[Any]]] = set()

    def __init__(self, *, name: str, size: int, renew: bool) -> None:
        self._executor = ThreadPoolExecutor(max_workers=size, thread_name_prefix=name)
        self._renew = renew

    @classmethod
    def are_busy(cls) -> bool:
        """Whether any call is running, perhaps for ever: a frozen database ignores its own time-outs."""
        return bool(cls._running)

    async def run(self, function: Callable[..., Result], *arguments: object) -> Result:
        """`function(*arguments)` in one of the threads.

        Bound the wait with asyncio.timeout; a call that has begun goes on in its thread.
        """
        future = self._executor.submit(self._call, function, *arguments)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return await asyncio.wrap_future(future)

    def _call(self, function: Callable[..., Result], *arguments: object) -> Result:
        try:
            if self._renew:
                close_old_connections()
            return function(*arguments)
        except (DatabaseError, InterfaceError):
            connection.close()  # the next call opens a new one
            raise
