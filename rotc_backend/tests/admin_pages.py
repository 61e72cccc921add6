"""The admin site as a browser gets it: what is registered, what a page costs, what a form would send."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from django.contrib import admin
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver, reverse

from apps.accounts.models import AuditEntry, User
from apps.events.models import Event

_NOT_COUNTED = re.compile(r"SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK|BEGIN|COMMIT")
_ = get_resolver().url_patterns  # config.urls decides what the site shows
SITE = admin.site
REGISTERED = {model._meta.label: model for model in SITE._registry}
OWN = {label: model for label, model in REGISTERED.items() if model.__module__.startswith("apps.")}


@dataclass(frozen=True)
class Page:
    """A page as a browser gets it, and the SQL that it cost."""

    answer: Any
    queries: list[str] = field(repr=False)

    @property
    def status(self) -> int:
        return int(self.answer.status_code)


class Visitor:
    """Somebody with a session of the site's sign-in."""

    def __init__(self, user: User | None) -> None:
        self.client = Client()
        if user is not None:
            self.client.force_login(user)

    def open(self, address: str, data: Mapping[str, Any] | None = None) -> Page:
        with CaptureQueriesContext(connection) as captured:
            answer: Any = self.client.get(address, data)
            if answer.streaming:
                b"".join(answer.streaming_content)
        return Page(answer, [query["sql"] for query in captured if not _NOT_COUNTED.match(query["sql"])])

    def send(self, address: str, data: Mapping[str, Any]) -> Page:
        return Page(self.client.post(address, data), [])


class Site:
    """The site as an administrator's browser uses it: forms sent as they are shown, with what somebody changes."""

    def __init__(self, user: User) -> None:
        self.client = Client()
        self.client.force_login(user)

    def page_of(self, row: models.Model) -> str:
        answer = self.client.get(address_of(type(row), "change", row.pk))
        assert answer.status_code == 200, answer.headers
        return answer.content.decode()

    def fields_of(self, row: models.Model) -> dict[str, Any]:
        """What the form of a row would send if nobody touched it."""
        return Form.of(self.page_of(row), f"{row._meta.model_name}_form")

    def change(self, row: models.Model, fields: Mapping[str, Any] | None = None, **changes: Any) -> Any:
        """Send the form of a row with `changes`; `fields` are those of a page that was opened before."""
        sent = {**(self.fields_of(row) if fields is None else fields), **changes, "_save": "Save"}
        return self.client.post(address_of(type(row), "change", row.pk), sent)

    def add(self, model: type[models.Model], **fields: Any) -> Any:
        return self.client.post(address_of(model, "add"), {**fields, "_save": "Save"})

    def act(self, action: str, *rows: models.Model, **given: Any) -> Any:
        """Choose an action for rows of the list and follow where it leads."""
        sent = {"action": action, "_selected_action": [row.pk for row in rows], "index": "0", **given}
        return self.client.post(address_of(type(rows[0]), "changelist"), sent, follow=True)

    def confirm(self, action: str, *rows: models.Model, **given: Any) -> Any:
        """Send the page with which an action asks."""
        return self.act(action, *rows, confirmed="1", **given)

    def list_of(self, model: type[models.Model], **query: Any) -> list[Any]:
        page = self.client.get(address_of(model, "changelist"), query)
        assert page.status_code == 200, page.headers
        return list(page.context["cl"].result_list)


def refusals(answer: Any) -> dict[str, list[str]]:
    """What a form that was sent back says, by field; "__all__" is about the whole."""
    assert answer.status_code == 200, answer.headers.get("Location")
    errors: dict[str, list[str]] = answer.context["adminform"].form.errors
    return errors


def saved(answer: Any) -> bool:
    return bool(answer.status_code == 302)


def said(answer: Any) -> str:
    """The messages on top of the page that an action leads to."""
    return " ".join(str(message) for message in answer.context["messages"])


NOTHING: tuple[list[str], list[str]] = ([], [])


def written() -> tuple[list[str], list[str]]:
    """Audited actions and types of events, in their order, without those of signing in."""
    audited = AuditEntry.objects.exclude(action__regex="^(site_session|session|user)[.]")
    return (
        list(audited.order_by("id").values_list("action", flat=True)),
        list(Event.objects.order_by("id").values_list("type", flat=True)),
    )


def address_of(model: type[models.Model], page: str, *arguments: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)


def rows_of(model: type[models.Model]) -> models.QuerySet[Any]:
    return model._default_manager.order_by("pk")


def queries_shown(address: str, queries: list[str]) -> str:
    numbered = (f"{place}. {sql[:300]}" for place, sql in enumerate(queries, start=1))
    return "\n".join([f"{address} takes {len(queries)} queries", *numbered])


class Form(HTMLParser):
    """What a browser would send of one form: its fields as they are shown."""

    def __init__(self, form_id: str) -> None:
        super().__init__()
        self.form_id, self.inside = form_id, False
        self.fields: dict[str, Any] = {}
        self.select: tuple[str, bool] | None = None
        self.text: str | None = None

    @classmethod
    def of(cls, page: str, form_id: str) -> dict[str, Any]:
        form = cls(form_id)
        form.feed(page)
        assert form.fields, f"no form {form_id}"
        return form.fields

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("name") or ""
        if tag == "form":
            self.inside = given.get("id") == self.form_id
        if not self.inside or "disabled" in given:
            return
        if tag == "input" and given.get("type") not in {"submit", "file", "button"}:
            if given.get("type") not in {"checkbox", "radio"}:
                self._add(name, given.get("value") or "", many=False)
            elif "checked" in given:
                self._add(name, given.get("value") or "on", many=given.get("type") == "checkbox")
        elif tag == "select":
            self.select = (name, "multiple" in given)
            if "multiple" not in given:
                self.fields.setdefault(name, "")
        elif tag == "option" and self.select is not None and "selected" in given:
            self._add(self.select[0], given.get("value") or "", many=self.select[1])
        elif tag == "textarea":
            self.text = name
            self.fields[name] = ""

    def handle_data(self, data: str) -> None:
        if self.text is not None:
            self.fields[self.text] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self.text is not None:
            # Browsers leave out the line break after the tag, and send line ends as CRLF.
            shown = self.fields[self.text].removeprefix("\r").removeprefix("\n")
            self.fields[self.text] = shown.replace("\r\n", "\n").replace("\n", "\r\n")
            self.text = None
        elif tag == "select":
            self.select = None
        elif tag == "form":
            self.inside = False

    def _add(self, name: str, value: str, *, many: bool) -> None:
        if many:
            self.fields.setdefault(name, []).append(value)
        elif name:
            self.fields[name] = value
