import datetime as dt
import threading
from typing import Any

import pytest
from django.db import connection

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.events.models import Event
from apps.messaging.models import Notification
from apps.messaging.services import notification_create, notification_read, notifications_expire
from core import after_commit
from core.clock import now
from core.errors import NotFound

pytestmark = pytest.mark.django_db(transaction=True)


def notify(person: Person) -> int:
    return notification_create(actor_id=None, recipient_id=person.user.pk, title="Formation", body="06:30").pk


@pytest.mark.django_db  # in a transaction that stays open, so that the callbacks of the commit can be run one by one
def test_who_is_woken_by_an_event_no_longer_finds_what_was_cached_before_it(
    cadet: Person, django_capture_on_commit_callbacks: Any
) -> None:
    address = "/api/v1/notifications/unread-count"
    assert [cadet.client.get(address).json()["unread"] for _ in range(2)] == [0, 0]
    with django_capture_on_commit_callbacks() as callbacks:
        notify(cadet)
    before_waking = callbacks[: callbacks.index(after_commit._wake)]
    for callback in before_waking:
        callback()
    assert cadet.client.get(address).json()["unread"] == 1


def test_an_unknown_recipient_is_not_found_and_nothing_is_written() -> None:
    with pytest.raises(NotFound):
        notification_create(actor_id=None, recipient_id=2**40, title="x", body="y")
    assert not Notification.objects.exists()
    assert not Event.objects.exists()
    assert not AuditEntry.objects.exists()


def test_notifications_read_long_ago_are_removed_and_told(cadet: Person, stranger: Person) -> None:
    month = now() - dt.timedelta(days=30)
    old = [notify(cadet), notify(cadet), notify(stranger)]
    recent, unread = notify(cadet), notify(cadet)
    Notification.objects.filter(pk__in=old).update(read_at=month - dt.timedelta(seconds=1))
    Notification.objects.filter(pk=recent).update(read_at=month)
    Event.objects.all().delete()
    assert notifications_expire(read_before=month) == 3
    assert set(Notification.objects.values_list("pk", flat=True)) == {recent, unread}
    told = {event.data["id"]: (event.type, event.recipients, event.data["unread"]) for event in Event.objects.all()}
    own, other = f"user:{cadet.user.pk}", f"user:{stranger.user.pk}"
    assert told == {
        old[0]: ("notification.removed", [own], 1),
        old[1]: ("notification.removed", [own], 1),
        old[2]: ("notification.removed", [other], 0),
    }
    assert AuditEntry.objects.filter(action="notification.expire").count() == 2
    assert notifications_expire(read_before=month) == 0
    assert Event.objects.count() == 3


def test_the_count_that_events_carry_is_exact_when_many_write_at_once(cadet: Person) -> None:
    def write() -> None:
        try:
            for _ in range(10):
                own = notify(cadet)
                notification_read(actor=cadet.principal, notification_id=own)
                notify(cadet)
        finally:
            connection.close()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    unread = 0
    for event in Event.objects.order_by("id"):
        unread += {"notification.created": 1, "notification.read": -1}[event.type]
        assert event.data["unread"] == unread  # a client that counts by itself stands where the event says
    assert unread == 40 == Notification.objects.filter(read_at=None).count()


def test_a_client_that_folds_the_events_holds_what_it_would_fetch(cadet: Person) -> None:
    from apps.messaging.services import notification_delete

    ids = [notify(cadet) for _ in range(6)]
    for own in ids[::2]:
        notification_read(actor=cadet.principal, notification_id=own)
    for own in ids[1:4]:
        notification_delete(actor=cadet.principal, notification_id=own)
    state: dict[int, dict[str, object]] = {}
    for event in Event.objects.order_by("id"):
        data = dict(event.data)
        unread = data.pop("unread")
        match event.type:
            case "notification.created":
                state[data["id"]] = {**data, "read_at": None}
            case "notification.read":
                state[data["id"]].update(data)
            case "notification.removed":
                del state[data["id"]]
    fetched = cadet.client.get("/api/v1/notifications").json()["results"]
    assert sorted(state.values(), key=lambda row: -int(str(row["id"]))) == fetched
    assert unread == cadet.client.get("/api/v1/notifications/unread-count").json()["unread"]
