"""Announcements, rooms and messages in the admin site."""

from pathlib import Path

import pytest
from django.urls import reverse
from pytest_django import Settings

from apps.accounts.models import AuditEntry
from apps.accounts.selectors import principal_of_user
from apps.events.models import Event
from apps.messaging.models import Announcement, AnnouncementPhoto, Message, Room
from apps.messaging.services import announcements, messages
from apps.messaging.tests import factories
from apps.messaging.tests.factories import Unit
from apps.pictures.tests.factories import pictures_worked
from tests.admin_pages import Site, refusals
from tests.admin_pages import said as messages_of

pytestmark = pytest.mark.django_db
MUSTER = {"kind": "announcement", "title": "Muster", "text": "At seven.\r\nBring water.", "date": "2026-09-05"}


@pytest.fixture
def site(unit: Unit) -> Site:
    return Site(unit.admin.user)


@pytest.fixture
def media(settings: Settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = str(tmp_path)
    return tmp_path


def recorded(prefix: str) -> list[str]:
    return list(AuditEntry.objects.filter(action__startswith=prefix).order_by("pk").values_list("action", flat=True))


def told(prefix: str) -> list[str]:
    return list(Event.objects.filter(type__startswith=prefix).order_by("pk").values_list("type", flat=True))


# --- Announcements ----------------------------------------------------------------------------------------------------


def test_an_announcement_is_published_changed_archived_and_restored(site: Site, unit: Unit) -> None:
    assert site.add(Announcement, **MUSTER).status_code == 302
    row = Announcement.objects.get()
    assert (row.text, row.created_by) == ("At seven.\nBring water.", unit.admin.user)
    opened = site.fields_of(row)
    assert site.change(row, opened).status_code == 302
    assert recorded("announcement") == ["announcement.create"]
    assert site.change(row, title="Formation").status_code == 302
    assert AuditEntry.objects.get(action="announcement.change").after == {"title": "Formation"}
    assert "Somebody has changed" in refusals(site.change(row, opened, title="X"))["__all__"][0]
    assert "1 announcement archived." in messages_of(site.act("archive", row))
    assert "archived. Restore it first" in refusals(site.change(row, title="X"))["__all__"][0]
    assert "Nothing to do" in messages_of(site.act("archive", row))
    assert "1 announcement restored." in messages_of(site.act("restore", row))
    assert recorded("announcement") == [f"announcement.{x}" for x in ("create", "change", "archive", "restore")]
    assert told("announcement") == [f"announcement.{x}" for x in ("published", "changed", "archived", "published")]


def test_an_announcement_without_words_is_refused(site: Site) -> None:
    answer = site.add(Announcement, **{**MUSTER, "title": " ", "date": "tomorrow"})
    assert set(refusals(answer)) == {"title", "date"}
    assert (recorded("announcement"), told("announcement")) == ([], [])


def test_photos_are_shown_and_removed(site: Site, unit: Unit, media: Path) -> None:
    site.add(Announcement, **MUSTER)
    row = Announcement.objects.get()
    photo = announcements.photo_add(actor=unit.admin.principal, announcement_id=row.pk, upload=factories.picture())
    address = reverse("admin:messaging_announcementphoto_picture", args=[row.pk, photo.pk])
    assert site.client.get(address).status_code == 404
    for shown in (row, photo):
        assert "Being prepared" in site.page_of(shown)
    assert pictures_worked() == ["done"]
    for shown in (row, photo):
        assert address in site.page_of(shown)
    answer = site.client.get(address)
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/jpeg")
    assert b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    assert site.client.get(reverse("admin:messaging_announcementphoto_picture", args=[row.pk, 999])).status_code == 404
    assert b"Remove photos for good" in site.act("remove", photo).content
    assert AnnouncementPhoto.objects.exists()
    assert "removed." in messages_of(site.confirm("remove", photo))
    assert not AnnouncementPhoto.objects.exists()
    assert recorded("announcement.photo") == [f"announcement.photo_{done}" for done in ("add", "ready", "remove")]


# --- Rooms and messages -----------------------------------------------------------------------------------------------


def test_a_room_shows_who_is_in_it(site: Site, unit: Unit) -> None:
    page = site.page_of(unit.room(unit.alpha))
    for person, is_there in ((unit.liza, True), (unit.instructor, True), (unit.admin, True), (unit.omar, False)):
        assert (reverse("admin:accounts_user_change", args=[person.user.pk]) in page) == is_there, person
    assert "4: " in page
    direct = site.page_of(unit.direct(unit.liza, unit.bea))
    assert "2: " in direct
    assert recorded("room.look") == []


def test_lists_and_searches_tell_nothing_of_what_was_said(site: Site, unit: Unit) -> None:
    room = unit.direct(unit.liza, unit.bea)
    message = factories.said(room, unit.liza, "a secret plan")
    factories.said(unit.room(unit.alpha), unit.bea, "06:30 at the oval")
    assert len(site.list_of(Message)) == 2
    for address in (
        reverse("admin:messaging_message_changelist"),
        reverse("admin:messaging_message_history", args=[message.pk]),
        reverse("admin:messaging_room_change", args=[room.pk]),
        reverse("admin:messaging_readmark_changelist"),
    ):
        text = site.client.get(address).content.decode()
        assert "secret" not in text
        assert "at the oval" not in text
    assert site.list_of(Message, q="secret") == []
    assert b"secret" not in site.act("remove", message).content
    assert recorded("room.look") == []


@pytest.mark.parametrize(
    ("page", "lookup"),
    [
        ("message", "body__contains"),
        ("room", "messages__body__contains"),
        ("readmark", "last_message__body__startswith"),
    ],
)
def test_words_cannot_be_guessed_by_filters_of_ones_own(site: Site, unit: Unit, page: str, lookup: str) -> None:
    factories.said(unit.direct(unit.liza, unit.bea), unit.liza, "a secret plan")
    answer = site.client.get(reverse(f"admin:messaging_{page}_changelist"), {lookup: "a secret"})
    assert answer.status_code == 400


def test_the_events_that_tell_of_a_message_do_not_show_its_words(site: Site, unit: Unit) -> None:
    room = unit.direct(unit.liza, unit.bea)
    author = principal_of_user(unit.liza.user)
    message, _ = messages.message_send(actor=author, room_id=room.pk, body="a secret plan", client_id="1")
    messages.message_edit(actor=author, message_id=message.pk, body="a better secret")
    rows = Event.objects.filter(type__in=["message.created", "message.edited"])
    assert len(rows) == 2
    for event in rows:
        page = site.page_of(event)
        assert "secret" not in page
        assert "characters)" in page
    for lookup in ("data__icontains", "data__body__startswith"):
        assert site.client.get(reverse("admin:events_event_changelist"), {lookup: "a"}).status_code == 400
    assert recorded("room.look") == []


def test_to_read_a_direct_message_of_two_others_leaves_the_trace_of_the_api(site: Site, unit: Unit) -> None:
    room = unit.direct(unit.liza, unit.bea)
    message = factories.said(room, unit.liza, "a secret plan")
    assert "a secret plan" in site.page_of(message)
    entry = AuditEntry.objects.get(action="room.look")
    assert (entry.actor, entry.target) == (unit.admin.user, f"room:{room.pk}")


def test_to_read_what_was_said_to_many_or_to_oneself_leaves_none(site: Site, unit: Unit) -> None:
    for room in (unit.room(unit.alpha), unit.direct(unit.liza, unit.admin)):
        assert "06:30" in site.page_of(factories.said(room, unit.liza))
    assert recorded("room.look") == []


def test_a_message_is_removed_by_an_administrator(site: Site, unit: Unit) -> None:
    message = factories.said(unit.room(unit.alpha), unit.bea, "rude")
    assert "1 message removed." in messages_of(site.confirm("remove", message))
    assert Message.objects.get(pk=message.pk).body == ""
    assert recorded("message") == ["message.moderate"]
    assert told("message") == ["message.deleted"]
    assert "Nothing to do" in messages_of(site.confirm("remove", message))
    assert "rude" not in site.page_of(Message.objects.get(pk=message.pk))


def test_nothing_that_was_said_is_written_or_changed_here(site: Site, unit: Unit) -> None:
    message = factories.said(unit.room(unit.alpha), unit.bea)
    for model, row in ((Message, message), (Room, message.room)):
        name = model._meta.model_name
        assert site.client.get(reverse(f"admin:messaging_{name}_add")).status_code == 403
        assert site.client.post(reverse(f"admin:messaging_{name}_change", args=[row.pk]), {}).status_code == 403
