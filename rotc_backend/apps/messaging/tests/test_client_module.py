"""docs/clients/rgms-events.js: by itself under Node, and in a real Chromium against a running daphne."""

import contextlib
import datetime as dt
import functools
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from playwright.sync_api import Browser, Page

from apps.accounts.services import session_end
from apps.accounts.tests import factories
from apps.accounts.tests.factories import Person
from apps.events import services
from apps.events.models import Event
from apps.messaging.events import AnnouncementArchived
from apps.messaging.models import Message
from apps.messaging.tests.daphne_process import Daphne, Wire, daphne_running
from apps.messaging.tests.factories import Unit
from apps.messaging.tests.socket_clients import altered, notify, opened, receive
from core.clock import now
from tests.chromium import chromium_running, needs_chromium

MODULE = settings.BASE_DIR.parent / "docs" / "clients" / "rgms-events.js"
WAIT = 20_000  # ms


def node_is_new() -> bool:
    """Whether there is a Node that has timers to turn by hand: 20.4 and later."""
    if shutil.which("node") is None:
        return False
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    major, minor, *_ = (int(part) for part in version.strip().removeprefix("v").split("."))
    return (major, minor) >= (20, 4)


@pytest.mark.skipif(not node_is_new(), reason="Node 20.4 or later is not installed")
def test_the_module_by_itself() -> None:
    run = subprocess.run(
        ["node", "--test", "--test-reporter=spec", str(Path(__file__).with_name("rgms_events.test.mjs"))],
        env={**os.environ, "RGMS_EVENTS": MODULE.as_uri()},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "fail 0" in run.stdout


def test_the_module_is_small_and_needs_nothing_else() -> None:
    lines = MODULE.read_text().splitlines()
    assert len(lines) < 300
    assert not [line for line in lines if line.startswith("import ")]


@pytest.mark.skipif(not node_is_new(), reason="Node 20.4 or later is not installed")
def test_a_program_under_node_hears_what_happens(daphne: Daphne, cadet: Person) -> None:
    script = f"""
        const {{ RgmsEvents }} = await import({json.dumps(MODULE.as_uri())});
        const events = new RgmsEvents({{ url: process.env.ADDRESS, token: process.env.TOKEN, WebSocket }});
        events.onResync((reason) => console.log(reason));
        events.on("notification.created", ({{ id }}) => {{ console.log(id); events.close(); }});
        events.connect();
    """
    program = subprocess.Popen(
        ["node", "--experimental-websocket", "--no-warnings", "--input-type=module", "--eval", script],
        env={**os.environ, "ADDRESS": daphne.url(), "TOKEN": cadet.access},
        stdout=subprocess.PIPE,
        text=True,
    )
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == "first\n"
        expected = notify(cadet)
        assert program.stdout.read() == f"{expected}\n"
        assert program.wait(10) == 0, "close leaves something that keeps the program alive"


# --- In a browser -----------------------------------------------------------------------------------------------------


class Site(SimpleHTTPRequestHandler):
    """A page of a front end: empty, with the module beside it."""

    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>A front end</title>")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """Where the page is served."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Site, directory=str(MODULE.parent)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium_running() as started:
        yield started


def allowing(origin: str) -> dict[str, str]:
    """The environment of a daphne that lets pages of this origin in, as the testing settings do not."""
    return {
        "DJANGO_SETTINGS_MODULE": "config.settings.development",
        "CORS_ALLOWED_ORIGINS": origin,
        "DEBUG": "false",
    }


@pytest.fixture(scope="module")
def daphne_of_module(
    origin: str,
    django_db_setup: None,
    django_db_blocker: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Daphne]:
    """Instead of conftest.py's: the page's origin may come in."""
    with daphne_running(log=tmp_path_factory.mktemp("daphne") / "daphne.log", environment=allowing(origin)) as daphne:
        yield daphne


@pytest.fixture
def page_daphne(elsewhere: Callable[..., Any], origin: str) -> Callable[..., AbstractContextManager[Daphne]]:
    """A maker of daphnes of the test's own, on any port or on a given one."""
    return lambda port=0: elsewhere(options=["-p", str(port)], **allowing(origin))


@pytest.fixture
def wire(daphne: Daphne) -> Iterator[Wire]:
    """The network between the page and daphne."""
    wire = Wire(host="127.0.0.1", port=daphne.port)
    yield wire
    wire.close()


CONNECT = """async ([options, tokens]) => {
    const { RgmsEvents } = await import("/rgms-events.js");
    window.tokens = tokens;
    const refresh = async () => window.tokens.shift() ?? null;
    const events = new RgmsEvents({ refresh, ...options, ...window.more });
    Object.assign(window, { events, heard: [], states: [], resyncs: [], welcomes: [], typed: [] });
    events.on("*", frame => window.heard.push(frame));
    events.on("connection.ready", data => window.welcomes.push(data));
    events.on("announcement.archived", data => window.typed.push(data));
    events.onResync(reason => window.resyncs.push(reason));
    events.onState(({ name, code, reason, delay }) => window.states.push([name, code, reason, delay]));
    events.connect();
}"""


@dataclass
class Tab:
    """A page that has the module, and what it has seen."""

    page: Page
    errors: list[str] = field(default_factory=list)

    def connect(self, port: int, token: str, *, path: str = "/ws/notifications/", **options: Any) -> None:
        """Connect, and wait for the welcome. `tokens` is what refreshing brings, one after another."""
        tokens = options.pop("tokens", [])
        url = f"ws://127.0.0.1:{port}{path}"
        self.page.evaluate(CONNECT, [{"url": url, "token": token, **options}, tokens])
        self.wait("welcomes.length === 1")

    def wait(self, condition: str, *, seconds: float = WAIT / 1000) -> None:
        deadline = time.monotonic() + seconds
        while not self.page.evaluate(f"Boolean({condition})"):
            assert time.monotonic() < deadline, f"{condition} never came true: {self.value('[states, heard.length]')}"
            self.page.wait_for_timeout(20)

    def value(self, expression: str) -> Any:
        return self.page.evaluate(expression)

    def wait_heard(self, ids: list[int]) -> None:
        """What the page has heard is exactly the notifications of these ids, in this order."""
        self.wait(f"heard.length >= {len(ids)}")
        self.page.wait_for_timeout(300)  # for one too many
        assert self.value('heard.filter(({type}) => type === "notification.created").map(({data}) => data.id)') == ids

    def states(self) -> list[tuple[str, int | None, str]]:
        return [(name, code, reason) for name, code, reason, _ in self.value("states")]


@pytest.fixture
def tab(browser: Browser, origin: str) -> Iterator[Tab]:
    context = browser.new_context()
    tab = Tab(context.new_page())
    tab.page.on("pageerror", lambda error: tab.errors.append(str(error)))
    tab.page.goto(origin)
    yield tab
    context.close()
    assert tab.errors == []


@needs_chromium
@pytest.mark.browser
class TestInABrowser:
    def test_events_arrive_once_at_the_handlers_of_their_type(self, daphne: Daphne, tab: Tab, cadet: Person) -> None:
        tab.connect(daphne.port, cadet.access, path="/ws/updates/")
        event = AnnouncementArchived(id=7, version=2)
        with transaction.atomic():
            services.publish(event=event, recipients=[f"user:{cadet.user.pk}"])
        tab.wait("typed.length")
        tab.page.wait_for_timeout(300)
        assert tab.value("typed") == [event.data()]
        assert [frame["type"] for frame in tab.value("heard")] == ["announcement.archived"]
        assert tab.value("welcomes")[0]["user"]["username"] == "Liza"
        assert tab.value("events.position") == tab.value("heard[0].id")

    def test_a_page_of_another_origin_is_told_to_stop(
        self, elsewhere: Callable[..., Any], tab: Tab, cadet: Person
    ) -> None:
        with elsewhere(**allowing("https://somewhere.example")) as daphne:
            url = f"ws://127.0.0.1:{daphne.port}/ws/notifications/"
            tab.page.evaluate(CONNECT, [{"url": url, "token": cadet.access}, []])
            tab.wait('events.state.name === "stopped"')
        assert tab.states() == [("connecting", None, ""), ("stopped", 4403, "origin_not_allowed")]

    def test_nothing_is_lost_or_doubled_over_a_killed_service(
        self, page_daphne: Callable[..., Any], tab: Tab, cadet: Person
    ) -> None:
        with page_daphne() as daphne:
            tab.connect(daphne.port, cadet.access)
            ids = [notify(cadet, str(number)) for number in range(20)]
            tab.wait("heard.length")
            daphne.process.kill()  # while some of them are on their way
            daphne.process.wait()
            ids += [notify(cadet, str(number)) for number in range(200)]
        with page_daphne(port=daphne.port):
            tab.wait_heard(ids)
            ids.append(notify(cadet, "live again"))
            tab.wait_heard(ids)
        assert tab.value("welcomes[1].resumed") is True
        assert tab.value("resyncs") == ["first"]

    def test_a_restart_is_followed_at_once(self, page_daphne: Callable[..., Any], tab: Tab, cadet: Person) -> None:
        with page_daphne() as old, page_daphne() as new:
            wire = Wire(host="127.0.0.1", port=old.port)
            with contextlib.closing(wire):
                tab.connect(wire.address[1], cadet.access)
                ids = [notify(cadet)]
                tab.wait_heard(ids)
                wire.port = new.port  # as the platform's router does
                old.stop()
                ids.append(notify(cadet))
                tab.wait("welcomes.length === 2")
                tab.wait_heard(ids)
                waited = [state for state in tab.value("states") if state[0] == "waiting"]
                assert [state[1:3] for state in waited] == [[1012, "service_restart"]]
                assert waited[0][3] <= 1000
                tab.value("events.close()")

    def test_a_token_that_expires_is_exchanged_and_nothing_is_missed(
        self, daphne: Daphne, tab: Tab, cadet: Person
    ) -> None:
        brief = altered(cadet.access, exp=int(time.time()) + 5)
        tab.connect(daphne.port, brief, tokens=[cadet.access])
        ids = []
        while len(tab.value("welcomes")) < 2:
            ids.append(notify(cadet))
            tab.page.wait_for_timeout(100)
            assert len(ids) < 200
        tab.wait_heard(ids)
        assert ("waiting", 4401, "token_expired") in tab.states()
        assert tab.value("[tokens.length, welcomes[1].resumed]") == [0, True]

    def test_a_session_that_ends_stops_the_client_and_another_token_lets_it_go_on(
        self, daphne: Daphne, tab: Tab, cadet: Person
    ) -> None:
        again = factories.signed_in(cadet.user)
        tab.connect(daphne.port, cadet.access, tokens=[again.access])
        session_end(actor=cadet.principal)
        tab.wait('events.state.name === "stopped"')
        assert tab.states()[-1] == ("stopped", 4401, "token_revoked")
        assert tab.value("tokens.length") == 1, "the refresh token was used although its session has ended"
        missed = notify(cadet)
        tab.page.wait_for_timeout(2500)  # longer than a first back-off
        assert tab.value("[welcomes.length, heard.length]") == [1, 0]
        tab.page.evaluate("token => events.connect(token)", again.access)
        tab.wait_heard([missed])

    def test_who_was_away_for_longer_than_events_are_kept_is_told_to_fetch(
        self, daphne: Daphne, wire: Wire, tab: Tab, cadet: Person
    ) -> None:
        tab.connect(wire.address[1], cadet.access)
        wire.cut()
        tab.wait('events.state.name === "waiting"')
        with opened(daphne, cadet) as other:  # the hub has read what is about to be removed
            for _ in range(3):
                notify(cadet)
                receive(other)
        Event.objects.update(at=now() - dt.timedelta(days=8))
        assert services.events_expire(before=now() - dt.timedelta(days=7)) > 0
        wire.mend()
        tab.wait("resyncs.length === 2")
        assert tab.value("resyncs") == ["first", "expired"]
        tab.wait_heard([notify(cadet)])
        tab.value("events.close()")

    def test_a_page_that_is_loaded_again_goes_on_where_the_one_before_it_stood(
        self, daphne: Daphne, tab: Tab, origin: str, cadet: Person
    ) -> None:
        tab.connect(daphne.port, cadet.access)
        tab.wait_heard([notify(cadet)])
        position = tab.value("events.position")
        tab.page.goto(f"{origin}/rgms-events.d.ts")
        missed = [notify(cadet), notify(cadet)]
        tab.page.goto(origin)
        tab.connect(daphne.port, cadet.access, lastEventId=position)
        tab.wait_heard(missed)
        assert tab.value("resyncs") == []

    @pytest.mark.parametrize("how", ["cut", "frozen"])
    def test_a_network_that_goes_away_is_noticed_and_what_was_missed_comes(
        self, daphne: Daphne, wire: Wire, tab: Tab, cadet: Person, how: str
    ) -> None:
        tab.connect(wire.address[1], cadet.access, pingEvery=500, silence=2000)
        ids = [notify(cadet)]
        tab.wait_heard(ids)
        wire.is_frozen = how == "frozen"
        if how == "cut":
            wire.cut()
        tab.wait('events.state.name === "waiting"')
        assert tab.states()[-1] == ("waiting", 1006, "silent" if how == "frozen" else "")
        ids += [notify(cadet) for _ in range(10)]
        tab.page.wait_for_timeout(1500)  # attempts that come to nothing
        wire.is_frozen = False
        wire.mend()
        tab.wait_heard(ids)
        assert tab.value("resyncs") == ["first"]
        tab.value("events.close()")

    def test_a_client_that_only_listens_is_not_idle(
        self, elsewhere: Callable[..., Any], origin: str, tab: Tab, cadet: Person
    ) -> None:
        with elsewhere(SOCKET_IDLE_SECONDS="3", **allowing(origin)) as daphne:
            tab.connect(daphne.port, cadet.access, pingEvery=500)
            tab.page.wait_for_timeout(6500)
            assert tab.states() == [("connecting", None, ""), ("open", None, "")]
            tab.value("events.close()")


@needs_chromium
@pytest.mark.browser
class TestChatInABrowser:
    def test_a_request_is_answered_or_refused_with_the_services_words(
        self, daphne: Daphne, tab: Tab, unit: Unit
    ) -> None:
        room = unit.room(unit.alpha)
        tab.connect(daphne.port, unit.liza.access, path=f"/ws/chat/{room.pk}/")
        sent = tab.value('events.request("message.send", { body: "Present." })')
        assert (sent["is_new"], sent["message"]["body"]) == (True, "Present.")
        tab.wait("heard.length")
        assert tab.value("heard[0].data") == sent["message"]
        history = tab.value('events.request("history", { limit: 10 })')
        assert history == {"messages": [sent["message"]], "next_before": None}
        refused = tab.value(
            'events.request("message.edit", { message_id: 1 }).catch(({code, errors}) => ({code, errors}))'
        )
        assert (refused["code"], refused["errors"][0]["field"]) == ("validation_failed", "body")
        refused = tab.value('events.request("message.delete", { message_id: 999 }).catch(({code}) => code)')
        assert refused == "not_found"

    def test_a_message_whose_answer_was_lost_is_sent_again_and_written_once(
        self, daphne: Daphne, tab: Tab, unit: Unit
    ) -> None:
        room = unit.room(unit.alpha)
        tab.page.evaluate("""() => {
            window.more = { WebSocket: class extends WebSocket {
                set onmessage(handler) {
                    super.onmessage = event => {
                        const isLost = !window.lost && JSON.parse(event.data).type === "answer";
                        if (isLost) { window.lost = event.data; this.close(); } else handler(event);
                    };
                }
            } };
        }""")
        tab.connect(daphne.port, unit.liza.access, path=f"/ws/chat/{room.pk}/")
        answer = tab.value('events.request("message.send", { body: "Present." })')
        lost = json.loads(tab.value("lost"))["data"]["result"]
        assert (lost["is_new"], answer["is_new"]) == (True, False)
        assert answer["message"] == lost["message"]
        assert Message.objects.filter(room=room, author=unit.liza.user).count() == 1
        tab.wait("heard.length")
        tab.page.wait_for_timeout(300)
        assert tab.value("heard.map(({data}) => data.id)") == [answer["message"]["id"]]

    def test_who_is_no_member_is_told_to_stop(self, daphne: Daphne, tab: Tab, unit: Unit) -> None:
        url = f"ws://127.0.0.1:{daphne.port}/ws/chat/{unit.room(unit.bravo).pk}/"
        tab.page.evaluate(CONNECT, [{"url": url, "token": unit.liza.access}, []])
        tab.wait('events.state.name === "stopped"')
        assert tab.value("events.state.code") in {4403, 4404}
        assert tab.value("welcomes") == []
