"""Pages for people, opened in a real Chromium against the running services."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from scripts.stack.testing import RunningSystem
from tests.chromium import chromium_running, needs_chromium

pytestmark = [
    pytest.mark.browser,
    needs_chromium,
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium_running() as started:
        yield started


@dataclass(frozen=True)
class Tab:
    """A page and the errors that its console has shown."""

    page: Page
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self._console(message))  # noqa: PLW0108 - playwright marks what it is given
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} {message.location}")


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    context = browser.new_context()
    yield Tab(context.new_page())
    context.close()


def test_the_reference_shows_its_operations_without_an_error(running_system: RunningSystem, tab: Tab) -> None:
    page = tab.page
    page.goto(f"{running_system.web_url}/api/docs/")
    page.get_by_role("link", name="auth", exact=True).click(timeout=15_000)
    page.get_by_text("/api/v1/auth/login").first.wait_for(timeout=15_000)
    assert tab.errors == []


def test_an_administrator_signs_in_to_the_admin_site(running_system: RunningSystem, tab: Tab) -> None:
    page = tab.page
    username, password = running_system.account("admin")
    page.goto(f"{running_system.web_url}/admin/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Overview").wait_for(timeout=15_000)
    assert page.get_by_role("link", name="Users").is_visible()
    assert tab.errors == []


def test_a_page_of_a_foreign_origin_learns_the_close_code(running_system: RunningSystem, tab: Tab) -> None:
    page = tab.page
    # The origin of this page is web itself, which is not in CORS_ALLOWED_ORIGINS on this machine.
    page.goto(f"{running_system.web_url}/api/health/live/")
    closed = page.evaluate(
        """address => new Promise(done => {
            const socket = new WebSocket(address);
            socket.onclose = event => done([event.code, event.reason]);
        })""",
        f"{running_system.channels_url}/ws/notifications/?token=undefined",
    )
    assert closed[0] == 4403, json.dumps(closed)
