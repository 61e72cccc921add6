from typing import Any

import pytest

from apps.accounts.models import AuditEntry
from apps.accounts.tests import factories
from apps.accounts.tests.factories import Person
from apps.events.models import Event
from apps.messaging.models import Announcement, AnnouncementPhoto
from apps.messaging.tests.factories import fields_of, problem_of, queries_of

PATH = "/api/v1/announcements"
GIVEN = {"kind": "activity", "title": "Tree planting", "text": "Meet at the main gate.", "date": "2026-08-29"}
EVERYBODY = ["role:admin", "role:training_staff", "role:cadet"]


def published(person: Person, **change: str) -> dict[str, Any]:
    answer = person.client.post(PATH, {**GIVEN, **change})
    assert answer.status_code == 201
    return dict(answer.json())


def told() -> list[tuple[str, Any]]:
    events = Event.objects.order_by("id")
    assert all(event.recipients == EVERYBODY for event in events)
    return [(event.type, event.data["version"]) for event in events]


# --- Publish ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["admin", "instructor"])
def test_staff_and_administrators_publish_and_everybody_hears_it(
    request: pytest.FixtureRequest, cadet: Person, name: str
) -> None:
    person: Person = request.getfixturevalue(name)
    answer = person.client.post(PATH, GIVEN)
    assert (answer.status_code, answer["ETag"]) == (201, '"v1"')
    body = answer.json()
    assert body == {
        "id": body["id"],
        **GIVEN,
        "photos": [],
        "photos_processing": 0,
        "created_by": person.user.pk,
        "archived_at": None,
        "created_at": body["created_at"],
        "updated_at": body["created_at"],
        "version": 1,
    }
    seen = cadet.client.get(answer["Location"])
    assert (seen.json(), seen["ETag"]) == (body, '"v1"')
    event = Event.objects.get()
    assert (event.type, event.recipients) == ("announcement.published", EVERYBODY)
    assert event.data == {name: body[name] for name in ("id", "kind", "title", "date", "version")}
    entry = AuditEntry.objects.get(action="announcement.create")
    assert (entry.actor, entry.target, entry.after) == (person.user, f"announcement:{body['id']}", GIVEN)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"kind": "party"}, {"kind": "invalid_choice"}),
        ({"title": ""}, {"title": "blank"}),
        ({"title": "x" * 201}, {"title": "max_length"}),
        ({"text": "x" * 10_001}, {"text": "max_length"}),
        ({"text": "\x00"}, {"text": "null_characters_not_allowed"}),
        ({"date": "29.08.2026"}, {"date": "invalid"}),
        ({"date": "2026-02-30"}, {"date": "invalid"}),
        ({"created_by": 1}, {"created_by": "unknown_field"}),
    ],
)
def test_what_needs_correction_is_named_and_nothing_is_published(
    instructor: Person, change: dict[str, Any], errors: dict[str, str]
) -> None:
    assert fields_of(instructor.client.post(PATH, {**GIVEN, **change})) == errors
    assert not Announcement.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.django_db
def test_the_longest_announcement_is_published(instructor: Person) -> None:
    assert published(instructor, title="😀" * 200, text="😀" * 10_000)["text"] == "😀" * 10_000


@pytest.mark.django_db
def test_a_cadet_only_reads(cadet: Person, instructor: Person) -> None:
    own = f"{PATH}/{published(instructor)['id']}"
    Event.objects.all().delete()
    client = cadet.client
    answers = [
        client.post(PATH, GIVEN),
        client.patch(own, {"title": "x"}, headers={"If-Match": '"v1"'}),
        client.post(f"{own}/archive"),
        client.post(f"{own}/restore"),
        client.post(f"{own}/photos", {}, format="multipart"),
        client.delete(f"{own}/photos/1"),
        client.get(PATH, {"archived": "true"}),
    ]
    assert {problem_of(answer) for answer in answers} == {(403, "permission_denied")}
    assert Announcement.objects.get().version == 1
    assert not Event.objects.exists()


# --- Read -------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_list_comes_newest_first_in_pages_of_one_kind_or_both(cadet: Person, instructor: Person) -> None:
    ids = [published(instructor, kind=kind)["id"] for kind in ("activity", "announcement", "activity")]
    body = cadet.client.get(PATH).json()
    assert [row["id"] for row in body["results"]] == ids[::-1]
    page = cadet.client.get(PATH, {"page": 2, "page_size": 2}).json()
    assert ([row["id"] for row in page["results"]], page["count"]) == (ids[:1], 3)
    only = cadet.client.get(PATH, {"kind": "announcement"}).json()
    assert [row["id"] for row in only["results"]] == [ids[1]]
    assert fields_of(cadet.client.get(PATH, {"kind": "x"})) == {"kind": "invalid_choice"}
    assert fields_of(cadet.client.get(PATH, {"archived": "x"})) == {"archived": "invalid"}


@pytest.mark.django_db
def test_the_list_costs_the_same_queries_for_many_rows_and_photos(cadet: Person, instructor: Person) -> None:
    def cost() -> int:
        return queries_of(lambda: cadet.client.get(PATH))

    def fill(rows: int) -> None:
        for _ in range(rows):
            AnnouncementPhoto.objects.create(
                announcement_id=published(instructor)["id"], file="x.jpg", created_by=instructor.user
            )

    fill(1)
    few = cost()
    fill(5)
    from django.core.cache import cache

    cache.clear()
    assert cost() == few == 3


@pytest.mark.django_db(transaction=True)
def test_the_second_reading_comes_from_the_cache_and_every_write_is_seen_at_once() -> None:
    instructor, cadet = factories.instructor(), factories.cadet()
    own = f"{PATH}/{published(instructor)['id']}"

    def read() -> tuple[str, Any]:
        answer = cadet.client.get(PATH)
        return answer["Cache-Status"], answer.json()

    assert read()[0] == "rgms; fwd=uri-miss; stored"
    assert read()[0] == "rgms; hit"
    instructor.client.patch(own, {"title": "Moved"}, headers={"If-Match": '"v1"'})
    status, body = read()
    assert (status, body["results"][0]["title"]) == ("rgms; fwd=stale; stored", "Moved")
    instructor.client.post(f"{own}/archive")
    assert read()[1]["count"] == 0
    instructor.client.post(f"{own}/restore")
    assert read()[1]["count"] == 1
    published(instructor)
    assert read()[1]["count"] == 2


@pytest.mark.django_db(transaction=True)
def test_what_was_cached_for_staff_is_not_given_to_a_cadet() -> None:
    instructor, cadet = factories.instructor(), factories.cadet()
    own = f"{PATH}/{published(instructor)['id']}"
    instructor.client.post(f"{own}/archive")
    for _ in range(2):
        assert instructor.client.get(PATH, {"archived": "true"}).json()["count"] == 1
        assert problem_of(cadet.client.get(PATH, {"archived": "true"})) == (403, "permission_denied")


# --- Change -----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_another_member_of_staff_changes_it_from_the_version_that_was_read(admin: Person, instructor: Person) -> None:
    own = f"{PATH}/{published(instructor)['id']}"
    answer = admin.client.patch(own, {"date": "2026-09-05", "title": GIVEN["title"]}, headers={"If-Match": '"v1"'})
    assert (answer.status_code, answer["ETag"], answer.json()["date"]) == (200, '"v2"', "2026-09-05")
    assert told() == [("announcement.published", 1), ("announcement.changed", 2)]
    entry = AuditEntry.objects.get(action="announcement.change")
    assert (entry.before, entry.after) == ({"date": "2026-08-29"}, {"date": "2026-09-05"})
    stale = instructor.client.patch(own, {"title": "Lost"}, headers={"If-Match": '"v1"'})
    assert problem_of(stale) == (412, "version_changed")
    assert Announcement.objects.get().title == GIVEN["title"]


@pytest.mark.django_db
def test_a_change_needs_the_version_and_one_that_changes_nothing_is_not_told(instructor: Person) -> None:
    own = f"{PATH}/{published(instructor)['id']}"
    assert problem_of(instructor.client.patch(own, {"title": "x"})) == (428, "if_match_missing")
    assert fields_of(instructor.client.patch(own, {}, headers={"If-Match": "*"})) == {"If-Match": "invalid"}
    for change in ({}, GIVEN):
        answer = instructor.client.patch(own, change, headers={"If-Match": '"v1"'})
        assert (answer.status_code, answer["ETag"]) == (200, '"v1"')
    assert told() == [("announcement.published", 1)]


# --- Archive and restore ----------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_archived_it_is_out_of_sight_for_cadets_and_comes_back(cadet: Person, instructor: Person) -> None:
    own = f"{PATH}/{published(instructor)['id']}"
    for _ in range(2):  # the second time there is nothing to do
        answer = instructor.client.post(f"{own}/archive")
        assert (answer.status_code, answer["ETag"]) == (200, '"v2"')
        assert answer.json()["archived_at"] is not None
    assert told() == [("announcement.published", 1), ("announcement.archived", 2)]
    assert problem_of(cadet.client.get(own)) == (404, "not_found")
    assert cadet.client.get(PATH).json()["count"] == 0
    assert instructor.client.get(own).status_code == 200
    assert instructor.client.get(PATH, {"archived": "true"}).json()["count"] == 1
    change = instructor.client.patch(own, {"title": "x"}, headers={"If-Match": '"v2"'})
    assert problem_of(change) == (409, "announcement_archived")
    for _ in range(2):
        answer = instructor.client.post(f"{own}/restore")
        assert (answer.status_code, answer["ETag"], answer.json()["archived_at"]) == (200, '"v3"', None)
    assert told()[2:] == [("announcement.published", 3)]
    assert cadet.client.get(own).status_code == 200
    actions = AuditEntry.objects.filter(action__startswith="announcement.").values_list("action", flat=True)
    assert sorted(actions) == ["announcement.archive", "announcement.create", "announcement.restore"]


@pytest.mark.django_db
def test_what_does_not_exist_is_not_found(instructor: Person) -> None:
    client = instructor.client
    for number in ("7", "9223372036854775808"):
        own = f"{PATH}/{number}"
        answers = [
            client.get(own),
            client.patch(own, {"title": "x"}, headers={"If-Match": '"v1"'}),
            client.post(f"{own}/archive"),
            client.post(f"{own}/restore"),
            client.get(f"{own}/photos/1"),
            client.delete(f"{own}/photos/1"),
        ]
        assert {problem_of(answer) for answer in answers} == {(404, "not_found")}
