"""A client that keeps to the recipe of docs/WEBSOCKET_IMPLEMENTATION.md, on a bad network."""

import asyncio
import contextlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

LONGEST_CONNECTION = 3.0  # seconds before the tunnel comes
LONGEST_PAUSE = 0.3


@dataclass
class Folded:
    """What a page shows, made from events alone."""

    notifications: dict[int, tuple[str, bool]] = field(default_factory=dict)  # id → (title, read)
    unread: int = 0
    messages: dict[int, tuple[str, bool]] = field(default_factory=dict)  # id → (body, deleted)
    read_marks: dict[int, int] = field(default_factory=dict)
    announcements: dict[int, tuple[str, int]] = field(default_factory=dict)  # id → (title, version)

    def fold(self, event_type: str, data: Mapping[str, Any]) -> None:
        match event_type:
            case "notification.created":
                self.notifications[data["id"]] = (data["title"], False)
                self.unread = data["unread"]
            case "notification.read":
                self.notifications[data["id"]] = (self.notifications[data["id"]][0], True)
                self.unread = data["unread"]
            case "notification.removed":
                del self.notifications[data["id"]]
                self.unread = data["unread"]
            case "message.created":
                self.messages[data["id"]] = (data["body"], False)
            case "message.edited":
                self.messages[data["id"]] = (data["body"], False)
            case "message.deleted":
                self.messages[data["id"]] = ("", True)
            case "message.read":
                self.read_marks[data["user_id"]] = data["last_message_id"]
            case "announcement.published" | "announcement.changed":
                self.announcements[data["id"]] = (data["title"], data["version"])
            case "announcement.archived":
                del self.announcements[data["id"]]
            case _:
                raise AssertionError(f"an event that nobody asked for: {event_type}")


@dataclass
class Listener:
    path: str
    token: str
    addresses: Sequence[str]  # of the channels processes; each connection goes to any of them
    random: random.Random
    state: Folded = field(default_factory=Folded)
    began: int = 0  # the position of the first welcome
    welcomed: asyncio.Event = field(default_factory=asyncio.Event)
    last: str = ""  # epoch:position
    heard: list[int] = field(default_factory=list)
    connections: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def position(self) -> int:
        return int(self.last.rpartition(":")[2] or 0)

    async def listen(self, is_over: Callable[[int], bool]) -> None:
        """Until `is_over` of the position that has been reached."""
        while not is_over(self.position) and not self.faults:
            with contextlib.suppress(OSError, TimeoutError, WebSocketException, EOFError):
                await self._connect_once(is_over)
            await asyncio.sleep(self.random.uniform(0, LONGEST_PAUSE))

    async def _connect_once(self, is_over: Callable[[int], bool]) -> None:
        url = f"{self.random.choice(self.addresses)}{self.path}?token={self.token}"
        if self.last:
            url += f"&last_event_id={quote(self.last)}"
        options: dict[str, Any] = {"compression": None, "proxy": None, "open_timeout": 3, "ping_interval": None}
        async with connect(url, close_timeout=1, **options) as wire:
            self.connections += 1
            try:
                async with asyncio.timeout(self.random.uniform(0.2, LONGEST_CONNECTION)):
                    async for text in wire:
                        self._hear(json.loads(text))
                        if is_over(self.position):
                            return
            except TimeoutError:
                wire.transport.abort()  # a tunnel says no goodbye

    def _hear(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "connection.ready":
            if self.last and (not frame["data"]["resumed"] or frame["data"]["position"] != self.last):
                self.faults.append(f"came with {self.last} and was welcomed with {frame['data']}")
            self.last = frame["data"]["position"]
            if not self.welcomed.is_set():
                self.began = self.position
                self.welcomed.set()
            return
        if frame["id"] is None:
            return
        position = int(frame["id"].rpartition(":")[2])
        if frame["type"] == "heartbeat":
            if position < self.position:
                self.faults.append(f"a heartbeat went back from {self.position} to {position}")
        elif frame["type"] == "resync_required":
            self.faults.append(f"told to fetch again: {frame['data']}")
        elif position <= self.position:
            self.faults.append(f"{frame['type']} at {position} came after {self.position}")
        else:
            self.heard.append(position)
            self.state.fold(frame["type"], frame["data"])
        self.last = frame["id"]
