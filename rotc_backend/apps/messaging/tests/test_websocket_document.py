"""The two clients in docs/WEBSOCKET_IMPLEMENTATION.md: their token expires, they come back, and they miss nothing."""

import json
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from apps.accounts.tests.factories import Person
from apps.messaging.tests.daphne_process import Daphne
from apps.messaging.tests.socket_clients import altered, notify

TEXT = (Path(settings.BASE_DIR).parent / "docs" / "WEBSOCKET_IMPLEMENTATION.md").read_text()
NODE = shutil.which("node")
BRIEF = 2  # seconds until the first token expires
WRITTEN = 12

# What the page's client hears, one JSON line each; the tokens come as arguments, of which the last is given for ever.
_LISTENER = """
const [address, ...tokens] = process.argv.slice(2);
follow(address, {
  token: async () => (tokens.length > 1 ? tokens.shift() : tokens[0]),
  refetch: () => console.log(JSON.stringify(["refetch"])),
  fold: (type, data) => console.log(JSON.stringify([type, data.id])),
});
"""


def client_in(language: str) -> str:
    """The last block of code in this language."""
    return str(re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)[-1])


class Done(Exception):
    pass


def writing(person: Person, ids: list[int]) -> threading.Thread:
    """A thread that notifies somebody before, while and after the first token expires."""

    def write() -> None:
        from django.db import connection

        try:
            for number in range(WRITTEN):
                ids.append(notify(person, str(number)))
                time.sleep(2 * BRIEF / WRITTEN)
        finally:
            connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def test_the_client_in_python_hears_everything_once(daphne: Daphne, cadet: Person) -> None:
    tokens = [altered(cadet.access, exp=int(time.time()) + BRIEF)]
    heard: list[int] = []
    written: list[int] = []
    threads: list[threading.Thread] = []
    refetched: list[None] = []

    def refetch() -> None:
        refetched.append(None)
        threads.append(writing(cadet, written))

    def fold(event_type: str, data: dict[str, Any]) -> None:
        assert event_type == "notification.created"
        heard.append(data["id"])
        if len(heard) == WRITTEN:
            raise Done

    namespace: dict[str, Any] = {}
    exec(compile(client_in("python"), "WEBSOCKET_IMPLEMENTATION.md", "exec"), namespace)  # noqa: S102 - our own page
    with pytest.raises(Done):
        namespace["follow"](
            daphne.url(), token=lambda: tokens.pop() if tokens else cadet.access, refetch=refetch, fold=fold
        )
    threads[0].join()
    assert heard == written
    assert tokens == [], "the first token has expired in between"
    assert len(refetched) == 1


@pytest.mark.skipif(NODE is None, reason="there is no node on this machine")
def test_the_client_in_javascript_hears_everything_once(
    daphne: Daphne, cadet: Person, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    script = tmp_path / "listener.mjs"
    script.write_text(client_in("javascript") + _LISTENER)
    brief = altered(cadet.access, exp=int(time.time()) + BRIEF + 1)
    assert NODE is not None
    with subprocess.Popen(
        [NODE, "--experimental-websocket", str(script), daphne.url(), brief, cadet.access],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        request.addfinalizer(process.kill)
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == ["refetch"]
        written: list[int] = []
        thread = writing(cadet, written)
        heard = [json.loads(process.stdout.readline()) for _ in range(WRITTEN)]
        thread.join()
        watchdog.cancel()
        process.kill()
    assert heard == [["notification.created", notification_id] for notification_id in written]
