from typing import Any

import pytest

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.events.models import Event
from apps.messaging.models import Notification
from apps.messaging.services import notification_create
from apps.messaging.tests.factories import queries_of
from core.clock import now

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/notifications"
GIVEN = {"recipient": "liza", "title": "Formation", "body": "06:30 on the parade ground."}


def notify(person: Person, title: str = "Formation") -> int:
    return notification_create(actor_id=None, recipient_id=person.user.pk, title=title, body="06:30").pk


def fields_of(answer: Any) -> dict[str, str]:
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    return {error["field"]: error["code"] for error in answer.json()["errors"]}


# --- Create -------------------------------------------------------------------------------------------------


def test_an_administrator_notifies_a_person(admin: Person, cadet: Person) -> None:
    answer = admin.client.post(PATH, {**GIVEN, "correlation_id": "run-1"})
    assert answer.status_code == 201
    body = answer.json()
    notification = Notification.objects.get()
    assert notification.recipient == cadet.user
    assert body == {
        "id": notification.pk,
        "title": GIVEN["title"],
        "body": GIVEN["body"],
        "correlation_id": "run-1",
        "created_at": body["created_at"],
        "read_at": None,
    }
    assert body["created_at"].endswith("Z")
    assert cadet.client.get(answer["Location"]).json() == body
    assert admin.client.get(answer["Location"]).json() == body


def test_creating_leaves_an_audit_entry_and_one_event_for_the_recipient(admin: Person, cadet: Person) -> None:
    body = admin.client.post(PATH, GIVEN).json()
    entry = AuditEntry.objects.get(action="notification.create")
    assert (entry.actor, entry.target) == (admin.user, f"notification:{body['id']}")
    assert GIVEN["body"] not in str(entry.after)
    event = Event.objects.get()
    assert (event.type, event.recipients) == ("notification.created", [f"user:{cadet.user.pk}"])
    told = {name: body[name] for name in ("id", "title", "body", "correlation_id", "created_at")}
    assert event.data == {**told, "unread": 1}


def test_the_recipient_is_named_in_any_letter_case(admin: Person, cadet: Person) -> None:
    assert admin.client.post(PATH, {**GIVEN, "recipient": "LIZA"}).status_code == 201


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"recipient": "nobody-here"}, "recipient", "unknown_recipient"),
        ({"recipient": ""}, "recipient", "blank"),
        ({"title": ""}, "title", "blank"),
        ({"title": "x" * 201}, "title", "max_length"),
        ({"body": "x" * 4001}, "body", "max_length"),
        ({"correlation_id": "x" * 65}, "correlation_id", "max_length"),
        ({"corelation_id": "x"}, "corelation_id", "unknown_field"),
        ({"title": "nul \x00"}, "title", "null_characters_not_allowed"),
    ],
)
def test_a_field_that_needs_correction_is_named_and_nothing_is_written(
    admin: Person, cadet: Person, change: dict[str, str], field: str, code: str
) -> None:
    assert fields_of(admin.client.post(PATH, {**GIVEN, **change})) == {field: code}
    assert not Notification.objects.exists()
    assert not Event.objects.exists()
    assert not AuditEntry.objects.filter(action__startswith="notification.").exists()


def test_missing_fields_are_named_together(admin: Person) -> None:
    assert fields_of(admin.client.post(PATH, {})) == {
        "recipient": "required",
        "title": "required",
        "body": "required",
    }


def test_the_longest_fields_fit(admin: Person, cadet: Person) -> None:
    longest = {**GIVEN, "title": "😀" * 200, "body": "😀" * 4000, "correlation_id": "x" * 64}
    assert admin.client.post(PATH, longest).status_code == 201


def test_an_archived_account_cannot_be_notified(admin: Person, cadet: Person) -> None:
    type(cadet.user).objects.filter(pk=cadet.user.pk).update(archived_at=now())
    assert fields_of(admin.client.post(PATH, GIVEN)) == {"recipient": "unknown_recipient"}


def test_a_cadet_notifies_nobody(cadet: Person) -> None:
    answer = cadet.client.post(PATH, GIVEN)
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert not Notification.objects.exists()


# --- List and count -----------------------------------------------------------------------------------------


def test_ones_own_notifications_come_newest_first_and_nobody_elses(cadet: Person, stranger: Person) -> None:
    ids = [notify(cadet, str(number)) for number in range(3)]
    notify(stranger)
    body = cadet.client.get(PATH).json()
    assert [row["id"] for row in body["results"]] == ids[::-1]
    assert (body["count"], body["page"], body["page_size"]) == (3, 1, 50)


def test_pages_are_cut_as_asked(cadet: Person) -> None:
    ids = [notify(cadet) for _ in range(5)]
    body = cadet.client.get(PATH, {"page": 2, "page_size": 2}).json()
    assert [row["id"] for row in body["results"]] == [ids[2], ids[1]]
    assert (body["count"], body["page"], body["page_size"]) == (5, 2, 2)
    assert fields_of(cadet.client.get(PATH, {"page_size": 0})) == {"page_size": "out_of_range"}


def test_the_second_reading_comes_from_the_cache_and_a_write_is_seen_at_once(
    admin: Person, cadet: Person, stranger: Person
) -> None:
    notify(cadet)
    for path in (PATH, f"{PATH}/unread-count"):
        assert cadet.client.get(path)["Cache-Status"] == "rgms; fwd=uri-miss; stored"
        assert cadet.client.get(path)["Cache-Status"] == "rgms; hit"
    stranger.client.get(PATH)
    second = admin.client.post(PATH, GIVEN).json()["id"]
    assert cadet.client.get(PATH).json()["results"][0]["id"] == second
    assert cadet.client.get(f"{PATH}/unread-count").json() == {"unread": 2}
    assert stranger.client.get(PATH)["Cache-Status"] == "rgms; hit"  # another's write does not concern it
    cadet.client.post(f"{PATH}/{second}/read")
    assert cadet.client.get(f"{PATH}/unread-count").json() == {"unread": 1}
    assert cadet.client.get(PATH).json()["results"][0]["read_at"] is not None
    cadet.client.delete(f"{PATH}/{second}")
    assert cadet.client.get(PATH).json()["count"] == 1


@pytest.mark.parametrize("path", [PATH, f"{PATH}/unread-count"])
def test_a_hit_needs_no_query(cadet: Person, path: str) -> None:
    assert queries_of(lambda: cadet.client.get(path)) > 0
    assert queries_of(lambda: cadet.client.get(path)) == 0


@pytest.mark.parametrize("path", [PATH, f"{PATH}/unread-count", f"{PATH}/1"])
def test_nobody_reads_without_a_token(path: str, client: Any) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")


# --- Read ---------------------------------------------------------------------------------------------------


def test_reading_is_told_once_and_stays(cadet: Person) -> None:
    first, _ = notify(cadet), notify(cadet)
    Event.objects.all().delete()
    answer = cadet.client.post(f"{PATH}/{first}/read")
    assert answer.status_code == 200
    read_at = answer.json()["read_at"]
    assert Event.objects.get().data == {"id": first, "read_at": read_at, "unread": 1}
    assert cadet.client.post(f"{PATH}/{first}/read").json()["read_at"] == read_at
    assert Event.objects.count() == 1
    assert AuditEntry.objects.filter(action="notification.read").count() == 1


def test_nobody_reads_for_another(admin: Person, cadet: Person, stranger: Person) -> None:
    own = notify(cadet)
    Event.objects.all().delete()
    for person in (stranger, admin):
        answer = person.client.post(f"{PATH}/{own}/read")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert Notification.objects.get().read_at is None
    assert not Event.objects.exists()


# --- Look at one and remove ---------------------------------------------------------------------------------


def test_the_recipient_and_an_administrator_remove(admin: Person, cadet: Person) -> None:
    for person in (cadet, admin):
        own = notify(cadet)
        Event.objects.all().delete()
        assert person.client.delete(f"{PATH}/{own}").status_code == 204
        event = Event.objects.get()
        assert (event.type, event.recipients) == ("notification.removed", [f"user:{cadet.user.pk}"])
        assert event.data == {"id": own, "unread": 0}
        assert AuditEntry.objects.get(action="notification.delete", target=f"notification:{own}").actor == person.user
        assert person.client.delete(f"{PATH}/{own}").status_code == 404
        assert Event.objects.count() == 1


def test_anothers_notification_is_not_found(cadet: Person, stranger: Person) -> None:
    own = notify(cadet)
    Event.objects.all().delete()
    for ask in (stranger.client.get, stranger.client.delete):
        answer = ask(f"{PATH}/{own}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert Notification.objects.filter(pk=own).exists()
    assert not Event.objects.exists()


def test_an_id_beyond_every_id_is_not_found(cadet: Person) -> None:
    for path in (f"{PATH}/99999999999999999999999", f"{PATH}/99999999999999999999999/read"):
        assert cadet.client.post(path).status_code in {404, 405}
        assert cadet.client.delete(path).status_code in {404, 405}


def test_without_redis_the_database_answers(cadet: Person, settings: Any) -> None:
    from core import cache

    own = notify(cadet)
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"},
    }
    answer = cadet.client.get(PATH)
    assert [row["id"] for row in answer.json()["results"]] == [own]
    assert answer["Cache-Status"] == "rgms; fwd=bypass; detail=redis-away"
    cache.forget_failures()
