"""The page that a link opens, in a real Chromium: from the link to the sign-in."""

import datetime as dt
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from playwright.sync_api import Browser, Page
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from apps.accounts import services
from apps.accounts.models import Invitation, Role, Status
from apps.accounts.tests import factories
from apps.accounts.tests.factories import Person
from tests.chromium import chromium_running, needs_chromium

NEW = "another long password"
in_a_browser = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    needs_chromium,
]


@pytest.fixture(autouse=True)
def page_mounted(settings: Settings) -> None:
    settings.ROOT_URLCONF = "apps.accounts.tests.urls"


def test_the_page_is_for_everybody_is_not_kept_and_runs_no_script_but_its_own() -> None:
    answer = Client().get("/invitation/")
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer["Cache-Control"] == "no-store"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert "script-src 'self'" in answer["Content-Security-Policy"]
    text = answer.content.decode()
    assert "<script>" not in text
    assert "style=" not in text
    assert finders.find("accounts/invitation.js")
    assert finders.find("accounts/invitation.css")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium_running() as started:
        yield started


@dataclass(frozen=True)
class Tab:
    page: Page
    errors: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        # A refusal of the API also shows in the console; that is not an error of the page.
        self.page.on("console", lambda line: self.errors.append(line.text) if "Content Security" in line.text else None)

    def choose(self, password: str, again: str | None = None) -> None:
        self.page.get_by_label("New password").fill(password)
        self.page.get_by_label("The same password again").fill(password if again is None else again)
        self.page.get_by_role("button", name="Save the password").click()

    def told(self, words: str) -> None:
        self.page.get_by_role("alert").filter(has_text=words).wait_for(timeout=10_000)


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    tab = Tab(context.new_page())
    yield tab
    context.close()
    assert tab.errors == []


@pytest.fixture
def amina(transactional_db: None) -> Person:
    return factories.signed_in(factories.user("Amina", role=Role.ADMIN))


def link_for(admin: Person, live_server: LiveServer) -> str:
    user = services.user_create(actor_id=None, username="Omar", role=Role.CADET, status=Status.APPROVED)
    issued = services.invitation_create(
        actor=admin.principal, user_id=user.pk, page=f"{live_server.url}/invitation/", send=False
    )
    return issued.link


class TestInABrowser:
    pytestmark = in_a_browser

    def test_a_link_leads_to_a_password_that_signs_in(self, amina: Person, live_server: LiveServer, tab: Tab) -> None:
        link = link_for(amina, live_server)
        tab.page.goto(link)
        # Gone from the address bar, and never sent to the server in an address.
        assert tab.page.url == f"{live_server.url}/invitation/"
        token = link.partition("#token=")[2]
        assert tab.page.get_by_label("New password").is_visible()
        _photograph(tab.page, "form")
        tab.choose(NEW, "something else")
        tab.told("The two passwords differ")
        tab.choose("short")
        tab.told("too short")
        _photograph(tab.page, "refused")
        tab.choose(NEW)
        tab.told("Your password is saved")
        _photograph(tab.page, "saved")
        assert not tab.page.get_by_label("New password").is_visible()
        assert services.session_open(username="Omar", password=NEW)
        assert not any(token in address for address in tab.asked)
        wide = tab.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert wide, "the page is wider than a phone"

    def test_a_link_that_was_used_says_so(self, amina: Person, live_server: LiveServer, tab: Tab) -> None:
        link = link_for(amina, live_server)
        services.invitation_accept(token=link.partition("#token=")[2], password=NEW)
        tab.page.goto(link)
        tab.choose("a third long password")
        tab.told("This link has been used already")
        assert not tab.page.get_by_label("New password").is_visible()

    def test_a_link_that_has_expired_says_so(self, amina: Person, live_server: LiveServer, tab: Tab) -> None:
        link = link_for(amina, live_server)
        Invitation.objects.update(expires_at=Invitation.objects.get().created_at - dt.timedelta(seconds=1))
        tab.page.goto(link)
        tab.choose(NEW)
        tab.told("This link has expired. Ask for a new one.")

    @pytest.mark.parametrize("fragment", ["", "#", "#token=", "#other=x"])
    def test_without_a_token_the_page_says_how_it_is_opened(
        self, amina: Person, live_server: LiveServer, tab: Tab, fragment: str
    ) -> None:
        tab.page.goto(f"{live_server.url}/invitation/{fragment}")
        tab.told("This page is opened by a link")
        assert not tab.page.get_by_role("button").is_visible()

    def test_a_token_that_is_markup_stays_text(self, amina: Person, live_server: LiveServer, tab: Tab) -> None:
        tab.page.goto(f"{live_server.url}/invitation/#token=<img src=x onerror=alert(1)>")
        tab.choose(NEW)
        tab.told("This link is incomplete or was never made")

    def test_what_is_typed_can_be_shown(self, amina: Person, live_server: LiveServer, tab: Tab) -> None:
        tab.page.goto(link_for(amina, live_server))
        tab.page.get_by_label("New password").fill(NEW)
        assert tab.page.get_by_label("New password").get_attribute("type") == "password"
        tab.page.get_by_label("Show what I type").check()
        assert tab.page.get_by_label("New password").get_attribute("type") == "text"


def _photograph(page: Page, name: str) -> None:
    """For whoever wants to look at it: SCREENSHOTS names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"invitation-{name}.png")
