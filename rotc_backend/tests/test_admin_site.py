"""Every page of every model in the admin site, over a seeded unit: it opens, it is cheap, and only for administrators.

What is registered is found from the site itself. What a page writes is the business of the tests beside it.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from pytest_django import DjangoDbBlocker

from apps.accounts.models import AuditEntry, Role, User
from apps.cadets.models import Cadet
from apps.messaging.models import AnnouncementPhoto
from apps.operations.services.demonstration import DEMO_ACCOUNTS, demonstration_fill
from apps.reports.models import Report
from apps.training.models import ExcuseLetter
from core.clock import now
from core.uploads import file_store
from tests.admin_pages import OWN, REGISTERED, SITE, Form, Visitor, address_of, queries_shown, rows_of
from tests.cast import ARCHIVED, CADET, PENDING, PRIVILEGED_STAFF, STAFF, undone
from tests.crowd import traces_leave

pytestmark = pytest.mark.django_db
CADETS = 300  # one real term
MOST_QUERIES = 29
# Models of ours that have no pages, and why.
WITHOUT_PAGES: Mapping[str, str] = {
    "accounts.TokenGeneration": "one number, which a restore of the database raises and nobody else",
    "events.EventHead": "how far the log is numbered, which health tells",
}
USUAL = re.compile(r".+_(?:changelist|add|history|delete|change)|index|login|logout|app_list|jsi18n|autocomplete")


@dataclass(frozen=True)
class Seeded:
    visitor: Visitor
    user: User

    def cheap(self, address: str, data: Mapping[str, Any] | None = None) -> Any:
        """The answer of a page that has to open within the budget."""
        page = self.visitor.open(address, data)
        assert page.status == 200, (address, page.status, page.answer.headers.get("Location"))
        assert len(page.queries) <= MOST_QUERIES, queries_shown(address, page.queries)
        return page.answer


@pytest.fixture(scope="module")
def seeded(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Seeded]:
    """The unit that seed_demo makes, with what its story leaves out; each test undoes what it does."""
    passwords = {account.username: f"Sunrise over Maigo, {account.username}" for account in DEMO_ACCOUNTS}
    with django_db_blocker.unblock(), undone():
        demonstration_fill(cadets=CADETS, passwords=passwords)
        user = User.objects.get(username="admin")
        traces_leave(user)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")  # nobody else sees rows that are not committed, so nobody else counts them
        yield Seeded(Visitor(user), user)


@pytest.fixture(autouse=True)
def taken_back(seeded: Seeded) -> Iterator[None]:
    with undone():
        yield


def request_of(seeded: Seeded) -> Any:
    """A request as the site's own methods take it."""
    return seeded.visitor.open(reverse("admin:index")).answer.wsgi_request


# --- What there is ----------------------------------------------------------------------------------------------------


def test_every_model_has_pages_or_a_reason_for_having_none() -> None:
    models_of_ours = {model._meta.label for model in apps.get_models() if model.__module__.startswith("apps.")}
    assert sorted(models_of_ours - set(OWN) - set(WITHOUT_PAGES)) == [], "neither registered nor exempt"
    assert sorted(set(WITHOUT_PAGES) & set(OWN)) == [], "registered: take the exemption away"
    assert sorted(set(WITHOUT_PAGES) - models_of_ours) == [], "exemptions of nothing"


def test_the_index_and_the_page_of_each_app_open(seeded: Seeded) -> None:
    seeded.cheap(reverse("admin:index"))
    for label in sorted({model._meta.app_label for model in SITE._registry}):
        seeded.cheap(reverse("admin:app_list", args=[label]))
    seeded.cheap(reverse("admin:jsi18n"))


@pytest.mark.parametrize("label", sorted(REGISTERED))
def test_a_list_opens_with_every_filter_a_search_each_order_and_its_second_page(seeded: Seeded, label: str) -> None:
    model = REGISTERED[label]
    model_admin, address = SITE._registry[model], address_of(model, "changelist")
    shown = seeded.cheap(address).context["cl"]
    if label in OWN:
        assert shown.result_count > 0, "the seeded unit has none: nothing is proven"
        assert shown.list_per_page <= 100
        assert shown.show_full_result_count is False
        assert "delete_selected" not in model_admin.get_actions(request_of(seeded))
    addresses = {f"{address}?o={place}" for place in range(1, len(shown.list_display) + 1)}
    for filtered in shown.filter_specs:
        addresses |= {address + choice["query_string"] for choice in filtered.choices(shown)}
    if model_admin.search_fields:
        addresses |= {f"{address}?q=a", f"{address}?q=2025-00+reyes"}
    if shown.multi_page:
        addresses.add(f"{address}?p=2")
    if model_admin.date_hierarchy:
        newest = rows_of(model).exclude(**{model_admin.date_hierarchy: None}).last()
        when = getattr(newest, model_admin.date_hierarchy)
        parts = {"year": when.year, "month": when.month, "day": when.day}
        for depth in range(1, 4):
            chosen = list(parts.items())[:depth]
            addresses.add(
                f"{address}?" + "&".join(f"{model_admin.date_hierarchy}__{part}={value}" for part, value in chosen)
            )
    for one in sorted(addresses):
        seeded.cheap(one)


@pytest.mark.parametrize("label", sorted(REGISTERED))
def test_the_pages_of_a_row_open(seeded: Seeded, label: str) -> None:
    model = REGISTERED[label]
    rows = rows_of(model)
    for row in filter(None, {rows.first(), rows.last()}):
        seeded.cheap(address_of(model, "change", row.pk))
        seeded.cheap(address_of(model, "history", row.pk))
        if label in OWN:
            deletion = seeded.visitor.open(address_of(model, "delete", row.pk))
            assert deletion.status == 403, "rows are archived, never deleted"
    for unknown in ("0", "999999999999999999999", "x", "00000000-0000-4000-8000-000000000000"):
        page = seeded.visitor.open(address_of(model, "change", unknown))
        assert page.status in {302, 404}, (unknown, page.status)


@pytest.mark.parametrize("label", sorted(REGISTERED))
def test_the_page_for_a_new_row_opens_where_there_is_one_and_refuses_an_empty_form(seeded: Seeded, label: str) -> None:
    model, address = REGISTERED[label], address_of(REGISTERED[label], "add")
    if not SITE._registry[model].has_add_permission(request_of(seeded)):
        assert seeded.visitor.open(address).status == 403
        return
    seeded.cheap(address)
    before, audited = rows_of(model).count(), AuditEntry.objects.count()
    answer = seeded.visitor.send(address, {"_save": "Save"}).answer
    assert answer.status_code == 200, "an empty form was taken"
    assert "errornote" in answer.content.decode()
    assert (rows_of(model).count(), AuditEntry.objects.count()) == (before, audited)


@pytest.mark.parametrize("label", sorted(OWN))
def test_a_form_that_is_sent_as_it_was_shown_changes_nothing(seeded: Seeded, label: str) -> None:
    model = OWN[label]
    request = request_of(seeded)
    tried = 0
    for row in [*rows_of(model)[:2], *rows_of(model).reverse()[:2]]:
        if not SITE._registry[model].has_change_permission(request, row):
            continue
        tried += 1
        address = address_of(model, "change", row.pk)
        fields = Form.of(seeded.cheap(address).content.decode(), f"{model._meta.model_name}_form")
        stored = rows_of(model).filter(pk=row.pk).values().get()
        audited = AuditEntry.objects.count()
        answer = seeded.visitor.send(address, {**fields, "_save": "Save"}).answer
        problems = answer.context["errors"] if answer.status_code == 200 else ""
        assert answer.status_code == 302, f"{address}: {problems}"
        assert rows_of(model).filter(pk=row.pk).values().get() == stored
        assert AuditEntry.objects.count() == audited, "written into the audit trail, though nothing was changed"
    assert tried or not SITE._registry[model].has_change_permission(request)


@pytest.mark.parametrize("label", sorted(OWN))
def test_each_action_can_be_begun(seeded: Seeded, label: str) -> None:
    model = OWN[label]
    row: Any = rows_of(model).last()
    for action in SITE._registry[model].get_actions(request_of(seeded)):
        with undone():
            chosen = {"action": action, "_selected_action": [str(row.pk)], "index": "0"}
            answer = seeded.visitor.send(address_of(model, "changelist"), chosen).answer
            assert answer.status_code in {200, 302}, (action, answer.status_code)


@pytest.mark.parametrize("label", sorted(REGISTERED))
def test_the_fields_that_are_looked_up_while_typing_find_rows(seeded: Seeded, label: str) -> None:
    model_admin, request = SITE._registry[REGISTERED[label]], request_of(seeded)
    inlines = model_admin.get_inline_instances(request)
    for shown in (model_admin, *inlines):
        for name in shown.get_autocomplete_fields(request):
            looked_up = {"app_label": shown.model._meta.app_label, "model_name": shown.model._meta.model_name}
            for term in ("", "a", "reyes 2025"):
                query = {**looked_up, "field_name": name, "term": term}
                found = seeded.cheap(reverse("admin:autocomplete"), query).json()
                assert term or found["results"], f"{name}: nothing is offered"


ODD_QUERIES = (
    *("q=%00", "q=%F0%9F%98%80%27%22%5C", "p=x", "p=-1", "o=x", "o=99.-99", "all=", "e=1"),
    *("id__exact=x", "id__exact=%00", "id__exact=99999999999999999999999", "term__id__exact=x", "status__exact=%00"),
    *("name__contains=%%0000", "type__contains=%%%000000", "file_name__contains=%%0000"),
    *("archived=%00", "company=99999999999999999999999", "nothing__here=1"),
    *("created_at__year=99999", "at__year=x", "date__day=99"),
)


@pytest.mark.parametrize("label", sorted(OWN))
def test_whatever_stands_in_an_address_gives_no_error_of_the_server(seeded: Seeded, label: str) -> None:
    address = address_of(OWN[label], "changelist")
    for query in ODD_QUERIES:
        with undone():
            assert seeded.visitor.open(f"{address}?{query}").status in {200, 302, 400}, query


@pytest.mark.parametrize("label", sorted(OWN))
def test_an_action_on_what_is_no_row_does_nothing(seeded: Seeded, label: str) -> None:
    audited = AuditEntry.objects.count()
    for action in SITE._registry[OWN[label]].get_actions(request_of(seeded)):
        for key in ("x", "", "\x00", "9" * 30):
            chosen = {"action": action, "_selected_action": [key], "index": "0", "confirmed": "1"}
            answer = seeded.visitor.send(address_of(OWN[label], "changelist"), chosen).answer
            assert answer.status_code in {200, 302}, (action, key)
    assert AuditEntry.objects.count() == audited


@pytest.mark.parametrize("term", ["%00", "%F0%9F%98%80", "%27%5C", "a" * 5000])
def test_whatever_is_looked_up_gives_no_error_of_the_server(seeded: Seeded, term: str) -> None:
    address = reverse("admin:autocomplete")
    for model, model_admin in SITE._registry.items():
        for name in model_admin.get_autocomplete_fields(request_of(seeded)):
            looked_up = f"app_label={model._meta.app_label}&model_name={model._meta.model_name}&field_name={name}"
            with undone():
                assert seeded.visitor.open(f"{address}?{looked_up}&term={term}").status in {200, 400}, (model, name)


# --- Pages beside the usual ones ----------------------------------------------------------------------------------

Opened = Callable[[Seeded], str]


def _a_ready_report() -> int:
    name = file_store(folder="tests", extension="pdf", content=b"%PDF-1.4")
    expires_at = now() + dt.timedelta(days=1)
    fields = {"kind": "daily", "title": "Daily report", "file_name": "daily.pdf"}
    return Report.objects.create(state="ready", file=name, expires_at=expires_at, **fields).pk


# By the name of the address: where it is opened over the seeded unit, or why it is not.
OTHER_PAGES: Mapping[str, Opened | str] = {
    "cadets_cadet_photo": lambda _: reverse(
        "admin:cadets_cadet_photo", args=rows_of(Cadet).exclude(photo="").values_list("pk").first()
    ),
    "imports_importrun_apply": "pressed, never opened",
    "imports_importrun_cancel": "pressed, never opened",
    "imports_importrun_template": lambda _: reverse("admin:imports_importrun_template", args=["scores", "csv"]),
    "messaging_announcementphoto_picture": lambda _: reverse(
        "admin:messaging_announcementphoto_picture",
        args=rows_of(AnnouncementPhoto).values_list("announcement", "pk").first(),
    ),
    "reports_report_file": lambda _: reverse("admin:reports_report_file", args=[_a_ready_report()]),
    "password_change_done": lambda _: reverse("admin:password_change_done"),
    "view_on_site": "nothing of ours has a page outside the admin site",
    "training_excuseletter_file": lambda _: reverse(
        "admin:training_excuseletter_file", args=rows_of(ExcuseLetter).exclude(file="").values_list("pk").first()
    ),
}


def _entries(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _entries(entry, path)
        elif path.startswith("admin/"):
            yield path, entry


def _addresses() -> dict[str, str]:
    """Every address of the site with 1 for each parameter, by the name of the address or itself."""
    found: dict[str, str] = {}
    for path, entry in _entries(get_resolver()):
        if entry.name in {"login", "app_list"}:
            continue  # the way in, and the one below, which has one address for each app
        filled = "/" + re.sub(r"\(\?P<\w+>\.\*\)\$", "nothing/here", re.sub(r"<(?:\w+:)?\w+>", "1", path))
        found[filled] = entry.name or ""
    for label in {model._meta.app_label for model in SITE._registry}:
        found[reverse("admin:app_list", args=[label])] = "app_list"
    return found


ADDRESSES = _addresses()


def test_every_other_page_is_opened_too(seeded: Seeded) -> None:
    others = {name for name in ADDRESSES.values() if name and not USUAL.fullmatch(name)}
    assert sorted(others - set(OTHER_PAGES)) == [], "say in OTHER_PAGES where it opens"
    assert sorted(set(OTHER_PAGES) - others) == []
    for where in OTHER_PAGES.values():
        if not isinstance(where, str):
            seeded.cheap(where(seeded))


# --- Who may come in --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("person", ["nobody", CADET, STAFF, PRIVILEGED_STAFF, PENDING, ARCHIVED])
def test_nobody_but_an_administrator_gets_to_see_anything(seeded: Seeded, person: str) -> None:
    """Whoever is pending or archived here is an administrator who was closed while signed in."""
    user = None
    if person != "nobody":
        role = {CADET: Role.CADET, PENDING: Role.ADMIN, ARCHIVED: Role.ADMIN}.get(person, Role.TRAINING_STAFF)
        user = User.objects.filter(role=role).exclude(pk=seeded.user.pk).first() or _another_administrator()
    visitor = Visitor(user)
    if user is not None and person in {PENDING, ARCHIVED}:
        closed = {"status": "pending"} if person == PENDING else {"archived_at": user.created_at}
        User.objects.filter(pk=user.pk).update(**closed)
    audited = AuditEntry.objects.count()
    assert len(ADDRESSES) > 100
    for address in ADDRESSES:
        for answer in (visitor.client.get(address), visitor.client.post(address, {"_save": "Save"})):
            sent_away = answer.status_code == 302 and "/login/" in answer.headers["Location"]
            left = address.endswith("/logout/") and answer.status_code in {302, 405}
            assert sent_away or left or answer.status_code == 403, (address, answer.status_code, answer.headers)
            assert b"Macaraeg" not in answer.content
    assert AuditEntry.objects.count() == audited


def _another_administrator() -> User:
    return User.objects.create(username="closed", password="!", role=Role.ADMIN, status="approved")
