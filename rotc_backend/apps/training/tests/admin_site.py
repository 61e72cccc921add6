"""The admin site as an administrator's browser uses it: forms sent as they are shown, with what somebody changes."""

from typing import Any

from django.db.models import Model
from django.test import Client
from django.urls import reverse

from apps.accounts.models import AuditEntry, User
from apps.events.models import Event
from tests.admin_pages import Form


def address_of(model: type[Model], page: str, *arguments: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)


class Site:
    def __init__(self, user: User) -> None:
        self.client = Client()
        self.client.force_login(user)

    def fields_of(self, row: Model) -> dict[str, Any]:
        """What the form of a row would send if nobody touched it."""
        page = self.client.get(address_of(type(row), "change", row.pk))
        return Form.of(page.content.decode(), f"{row._meta.model_name}_form")

    def change(self, row: Model, fields: dict[str, Any] | None = None, **changes: Any) -> Any:
        """Send the form of a row with `changes`; `fields` are those of a page that was opened before."""
        sent = {**(self.fields_of(row) if fields is None else fields), **changes, "_save": "Save"}
        return self.client.post(address_of(type(row), "change", row.pk), sent)

    def add(self, model: type[Model], **fields: Any) -> Any:
        return self.client.post(address_of(model, "add"), {**fields, "_save": "Save"})

    def act(self, action: str, *rows: Model, **given: Any) -> Any:
        """Choose an action for rows of the list; with `given`, also send the page that asks for it."""
        sent = {"action": action, "_selected_action": [row.pk for row in rows], "index": "0", **given}
        return self.client.post(address_of(type(rows[0]), "changelist"), sent, follow=True)

    def confirm(self, action: str, *rows: Model, **given: Any) -> Any:
        return self.act(action, *rows, confirmed="1", **given)

    def list_of(self, model: type[Model], **query: Any) -> list[Any]:
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


def written() -> tuple[list[str], list[str]]:
    """Audited actions and types of events, in their order, without those of signing in."""
    audited = AuditEntry.objects.exclude(action__regex="^(site_session|session|user)[.]")
    return (
        list(audited.order_by("id").values_list("action", flat=True)),
        list(Event.objects.order_by("id").values_list("type", flat=True)),
    )


NOTHING: tuple[list[str], list[str]] = ([], [])
