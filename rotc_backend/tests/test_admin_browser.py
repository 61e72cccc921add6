"""The admin site in a real Chromium, over a seeded unit: every list, one page and one form of every model.

SCREENSHOTS names a folder for pictures of some pages; those of docs/images come from there.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import RequestFactory
from playwright.sync_api import Browser, Page
from pytest_django.live_server_helper import LiveServer

from apps.accounts.models import User
from apps.cadets.models import Cadet, Company, Platoon
from apps.imports.models import ImportRun
from apps.imports.services.performing import run_claim, run_perform
from apps.operations.services.demonstration import DEMO_ACCOUNTS, demonstration_fill
from tests.admin_pages import OWN, REGISTERED, SITE, address_of, rows_of
from tests.chromium import chromium_running, needs_chromium
from tests.crowd import traces_leave

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    needs_chromium,
]
PASSWORD = "Sunrise over Maigo, in a browser"
CADETS = 60


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium_running() as started:
        yield started


@dataclass(frozen=True)
class Tab:
    """A page, and whatever went wrong in it: errors of scripts and of the console, requests without a good answer."""

    page: Page
    base: str
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.wrong.append(f"{self.page.url}: {error}"))
        self.page.on("console", lambda line: self._console(line))  # noqa: PLW0108 - playwright marks what it is given
        self.page.on("requestfailed", lambda request: self._failure(request))  # noqa: PLW0108
        self.page.on("response", lambda answer: self._answer(answer))  # noqa: PLW0108

    def _console(self, line: Any) -> None:
        if line.type == "error":
            self.wrong.append(f"{self.page.url}: {line.text}")

    def _failure(self, request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left before its last picture had come
            self.wrong.append(f"{request.url}: {request.failure}")

    def _answer(self, answer: Any) -> None:
        if answer.status >= 400:
            self.wrong.append(f"{answer.url}: {answer.status}")

    def open(self, address: str) -> None:
        answer = self.page.goto(self.base + address)
        assert answer is not None
        assert answer.status == 200, (address, answer.status)
        assert self.page.url.startswith(self.base + address.partition("?")[0]), f"{address} led to {self.page.url}"

    def photograph(self, name: str) -> None:
        if folder := os.environ.get("SCREENSHOTS"):
            self.page.screenshot(path=Path(folder) / f"admin-{name}.png")


@pytest.fixture
def tab(browser: Browser, live_server: LiveServer) -> Iterator[Tab]:
    """The administrator of a seeded unit, who has signed in."""
    for name in ("Alpha", "Bravo", "Charlie", "Delta", "HQSCOY"):  # which a flush has taken
        Company.objects.get_or_create(name=name)
    for name in ("1st Platoon", "2nd Platoon", "Medics"):
        Platoon.objects.get_or_create(name=name)
    demonstration_fill(cadets=CADETS, passwords={account.username: PASSWORD for account in DEMO_ACCOUNTS})
    traces_leave(User.objects.get(username="admin"))
    context = browser.new_context(viewport={"width": 1280, "height": 800}, timezone_id="Asia/Manila")
    tab = Tab(context.new_page(), live_server.url)
    tab.page.goto(f"{tab.base}/admin/")
    tab.page.get_by_label("Username").fill("admin")
    tab.page.get_by_label("Password").fill(PASSWORD)
    tab.page.get_by_role("button", name="Log in").click()
    tab.page.get_by_role("heading", name="Overview").wait_for()
    yield tab
    context.close()
    with connection.cursor() as cursor:  # out of the sight of Django's flush
        cursor.execute("DELETE FROM ops.scheduled_run")
    assert tab.wrong == []


def test_every_list_page_and_form_opens_without_an_error(tab: Tab) -> None:
    request: Any = RequestFactory().get("/admin/")
    request.user = User.objects.get(username="admin")
    assert len(OWN) > 25
    for model in REGISTERED.values():
        tab.open(address_of(model, "changelist"))
        row = rows_of(model).last()
        assert row is not None or model not in OWN.values()
        if row is not None:
            tab.open(address_of(model, "change", row.pk))
        if SITE._registry[model].has_add_permission(request):
            tab.open(address_of(model, "add"))
        assert tab.wrong == [], model


def test_daily_work_is_done_with_the_mouse(tab: Tab, tmp_path: Path) -> None:
    page = tab.page
    tab.photograph("overview")

    # Somebody is found, and a changed field is saved.
    tab.open("/admin/cadets/cadet/")
    page.locator("#searchbar").fill("macaraeg liza")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Macaraeg, Liza").first.click()
    page.get_by_label("Religion").fill("Islam")
    page.get_by_role("button", name="Save and continue editing").click()
    page.get_by_text("was changed successfully").wait_for()
    assert page.get_by_label("Religion").input_value() == "Islam"
    page.goto(page.url)
    tab.photograph("cadet")
    tab.open("/admin/cadets/cadet/")
    tab.photograph("cadets")

    # A field that is looked up while typing.
    page.goto(f"{tab.base}/admin/cadets/enrollment/add/")
    page.locator(".field-cadet .select2-selection").click()
    page.locator(".select2-search__field").fill("macaraeg")
    page.locator(".select2-results__option", has_text="Liza").first.click()
    assert page.locator("#id_cadet").input_value()

    # Accounts are approved.
    pending = User.objects.filter(status="pending").count()
    tab.open("/admin/accounts/user/?status__exact=pending")
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option("approve")
    tab.photograph("approve")
    page.get_by_role("button", name="Go").click()
    page.get_by_text(f"{pending} users approved.").wait_for()

    # A letter is decided, after a page that asks why.
    tab.open("/admin/training/excuseletter/?state__exact=pending")
    page.locator("input[name=_selected_action]").first.check()
    page.locator("select[name=action]").select_option("reject")
    page.get_by_role("button", name="Go").click()
    page.locator("form [name=confirmed]").wait_for(state="attached")
    tab.photograph("letter")

    # A file is sent, checked by the worker, and its preview shown.
    _import(tab, tmp_path)
    tab.photograph("import")
    page.get_by_role("button", name="Apply: write 3 rows").click()
    page.get_by_text("The worker applies it now.").wait_for()
    _work_as_the_worker(tab)
    assert Cadet.objects.filter(student_id__in=("2026-90001", "2026-90002")).count() == 2


def _import(tab: Tab, folder: Path) -> None:
    first, second = Cadet.objects.order_by("pk")[:2]
    file = folder / "first-years.csv"
    file.write_text(
        "Student ID,Last name,First name,Course\n"
        f"{first.student_id},{first.last_name},{first.first_name},BS Forestry\n"
        f"{second.student_id},{second.last_name},{second.first_name},{second.course}\n"
        "2026-90001,Dela Peña,Niño,BS Agriculture\n"
        "2026-90002,Macarambon,Aisha,BS Agriculture\n"
    )
    tab.open("/admin/imports/importrun/add/")
    tab.page.locator("input[type=file]").set_input_files(file)
    tab.page.get_by_role("button", name="Check the file").click()
    tab.page.get_by_role("status").wait_for()
    _work_as_the_worker(tab)
    tab.page.locator("#result_list").wait_for()


def _work_as_the_worker(tab: Tab) -> None:
    claim = run_claim(run_id=ImportRun.objects.latest("pk").pk)
    assert claim is not None
    run_perform(claim=claim)
    tab.page.goto(tab.page.url)
