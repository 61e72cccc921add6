import io
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.events.models import Event
from apps.messaging.models import Announcement, AnnouncementKind, AnnouncementPhoto
from apps.messaging.services.announcements import photo_add
from apps.messaging.tests.factories import at_once, fields_of, picture, problem_of
from apps.pictures.models import Picture, PicturePart
from apps.pictures.tests.factories import pictures_worked
from core.clock import manila_date, now
from core.errors import Conflict

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = str(tmp_path)
    return tmp_path


@pytest.fixture
def announcement(instructor: Person) -> Announcement:
    return Announcement.objects.create(
        kind=AnnouncementKind.ACTIVITY,
        title="Tree planting",
        text="At the gate.",
        date=manila_date(now()),
        created_by=instructor.user,
    )


def path_of(announcement: Announcement) -> str:
    return f"/api/v1/announcements/{announcement.pk}/photos"


def sending(person: Person, announcement: Announcement, file: Any = None, **options: Any) -> Any:
    given = {"file": picture() if file is None else file}
    return person.client.post(path_of(announcement), given, format="multipart", **options)


def added(person: Person, announcement: Announcement) -> str:
    """The address of a new photo that the worker has prepared."""
    url: str = sending(person, announcement).json()["url"]
    assert pictures_worked() == ["done"]
    return url


def files(media: Path) -> list[Path]:
    return [path for path in media.rglob("*") if path.is_file()]


def test_a_photo_is_stored_anew_and_everybody_who_is_signed_in_sees_it(
    instructor: Person, cadet: Person, announcement: Announcement, media: Path
) -> None:
    answer = sending(instructor, announcement)
    assert answer.status_code == 201
    photo = AnnouncementPhoto.objects.get()
    body = answer.json()
    assert body == {
        "id": photo.pk,
        "url": f"{path_of(announcement)}/{photo.pk}",
        "state": "processing",
        "created_at": body["created_at"],
    }
    assert answer["Location"] == body["url"]
    shown = cadet.client.get(f"/api/v1/announcements/{announcement.pk}")
    assert (shown.json()["photos"], shown.json()["photos_processing"], shown["ETag"]) == ([], 1, '"v2"')
    assert problem_of(cadet.client.get(body["url"])) == (409, "file_processing")
    assert pictures_worked() == ["done"]
    body["state"] = "ready"
    shown = cadet.client.get(f"/api/v1/announcements/{announcement.pk}")
    assert (shown.json()["photos"], shown.json()["photos_processing"], shown["ETag"]) == ([body], 0, '"v3"')
    for accept in ("*/*", "image/jpeg", "application/json"):
        got = cadet.client.get(body["url"], headers={"Accept": accept})
        assert (got.status_code, got["Content-Type"], got["Cache-Control"]) == (200, "image/jpeg", "no-store")
        with Image.open(io.BytesIO(got.getvalue())) as image:
            assert (image.format, image.size) == ("JPEG", (64, 48))
    events = [(event.type, event.data["id"], event.data["version"]) for event in Event.objects.order_by("pk")]
    assert events == [("announcement.changed", announcement.pk, version) for version in (2, 3)]
    entry = AuditEntry.objects.get(action="announcement.photo_add")
    assert (entry.target, entry.after) == (f"announcement:{announcement.pk}", {"photo_id": photo.pk})
    assert len(files(media)) == 1


def test_the_list_shows_a_new_photo_at_once(instructor: Person, cadet: Person, announcement: Announcement) -> None:
    assert cadet.client.get("/api/v1/announcements").json()["results"][0]["photos"] == []
    url = added(instructor, announcement)
    assert [photo["url"] for photo in cadet.client.get("/api/v1/announcements").json()["results"][0]["photos"]] == [url]
    instructor.client.delete(url)
    assert cadet.client.get("/api/v1/announcements").json()["results"][0]["photos"] == []


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (SimpleUploadedFile("photo.jpg", b"<script>", content_type="image/jpeg"), "file_type"),
        (SimpleUploadedFile("photo.jpg", b"\xff\xd8\xff" + b"x" * 100, content_type="image/jpeg"), "file_malformed"),
        (SimpleUploadedFile("photo.jpg", b"", content_type="image/jpeg"), "empty"),
        ("just text", "invalid"),
    ],
)
def test_what_is_no_picture_is_refused_and_nothing_is_kept(
    instructor: Person, announcement: Announcement, media: Path, file: Any, code: str
) -> None:
    assert fields_of(sending(instructor, announcement, file)) == {"file": code}
    assert not AnnouncementPhoto.objects.exists()
    assert not Picture.objects.exists()
    assert not Event.objects.exists()
    assert files(media) == []


def test_without_a_file_the_field_is_named(instructor: Person, announcement: Announcement) -> None:
    answer = instructor.client.post(path_of(announcement), {}, format="multipart")
    assert fields_of(answer) == {"file": "required"}
    assert instructor.client.post(path_of(announcement), {"file": "x"}).status_code == 415


def test_a_file_beyond_ten_megabytes_is_too_large(instructor: Person, announcement: Announcement) -> None:
    large = SimpleUploadedFile("photo.jpg", b"\xff\xd8\xff" + b"x" * (10 * 1024 * 1024), content_type="image/jpeg")
    assert problem_of(sending(instructor, announcement, large)) == (413, "content_too_large")


def test_the_sixth_photo_is_refused_and_another_comes_after_one_was_removed(
    instructor: Person, announcement: Announcement, media: Path
) -> None:
    urls = [sending(instructor, announcement).json()["url"] for _ in range(5)]
    assert problem_of(sending(instructor, announcement)) == (409, "photos_full")
    assert pictures_worked() == ["done"] * 5
    assert len(files(media)) == 5
    assert instructor.client.delete(urls[2]).status_code == 204
    assert len(files(media)) == 4
    assert sending(instructor, announcement).status_code == 201


def test_of_many_photos_at_once_five_are_taken_and_no_file_of_the_others_stays(
    instructor: Person, announcement: Announcement, media: Path
) -> None:
    for _ in range(3):
        sending(instructor, announcement)
    actor = instructor.principal
    results = at_once(*[lambda: photo_add(actor=actor, announcement_id=announcement.pk, upload=picture())] * 5)
    refused = [result for result in results if isinstance(result, Conflict)]
    assert [error.code for error in refused] == ["photos_full"] * 3
    assert AnnouncementPhoto.objects.filter(announcement=announcement).count() == 5
    pictures_worked()
    assert {str(media / name) for name in AnnouncementPhoto.objects.values_list("file", flat=True)} == {
        str(path) for path in files(media)
    }
    announcement.refresh_from_db()
    assert announcement.version == 11


def test_an_archived_announcement_takes_no_photo_and_shows_none_to_cadets(
    instructor: Person, cadet: Person, announcement: Announcement, media: Path
) -> None:
    url = added(instructor, announcement)
    instructor.client.post(f"/api/v1/announcements/{announcement.pk}/archive")
    assert problem_of(sending(instructor, announcement)) == (409, "announcement_archived")
    assert problem_of(cadet.client.get(url)) == (404, "not_found")
    shown = instructor.client.get(url)
    shown.close()
    assert shown.status_code == 200
    assert len(files(media)) == 1


def test_removing_a_photo_takes_its_file_with_it_and_is_told(
    instructor: Person, cadet: Person, announcement: Announcement, media: Path
) -> None:
    url = added(instructor, announcement)
    Event.objects.all().delete()
    assert problem_of(cadet.client.delete(url)) == (403, "permission_denied")
    assert len(files(media)) == 1
    assert instructor.client.delete(url).status_code == 204
    assert files(media) == []
    event = Event.objects.get()
    assert (event.type, event.data["version"]) == ("announcement.changed", 4)
    assert AuditEntry.objects.filter(action="announcement.photo_remove").count() == 1
    for answer in (instructor.client.delete(url), instructor.client.get(url)):
        assert problem_of(answer) == (404, "not_found")
    assert Event.objects.count() == 1


def test_a_photo_is_found_under_its_own_announcement_only(instructor: Person, announcement: Announcement) -> None:
    url = sending(instructor, announcement).json()["url"]
    other = Announcement.objects.create(
        kind="activity", title="x", text="y", date=announcement.date, created_by=instructor.user
    )
    foreign = url.replace(f"/{announcement.pk}/photos", f"/{other.pk}/photos")
    for answer in (instructor.client.get(foreign), instructor.client.delete(foreign)):
        assert problem_of(answer) == (404, "not_found")
    assert AnnouncementPhoto.objects.count() == 1


def test_a_file_that_is_gone_from_the_storage_is_told_as_such(instructor: Person, announcement: Announcement) -> None:
    url = added(instructor, announcement)
    default_storage.delete(AnnouncementPhoto.objects.get().file)
    answer = instructor.client.get(url, headers={"Accept": "image/jpeg"})
    assert problem_of(answer) == (404, "file_missing")


def test_a_photo_removed_before_it_was_prepared_leaves_nothing(
    instructor: Person, announcement: Announcement, media: Path
) -> None:
    url = sending(instructor, announcement).json()["url"]
    assert instructor.client.delete(url).status_code == 204
    assert pictures_worked() == []
    assert (files(media), PicturePart.objects.count()) == ([], 0)
    assert Picture.objects.get().state == "dropped"


def test_an_announcement_archived_meanwhile_gets_no_photo(
    instructor: Person, announcement: Announcement, media: Path
) -> None:
    sending(instructor, announcement)
    instructor.client.post(f"/api/v1/announcements/{announcement.pk}/archive")
    assert pictures_worked() == ["dropped"]
    assert files(media) == []
    assert not AnnouncementPhoto.objects.exists()
    assert AuditEntry.objects.filter(action="announcement.photo_drop").count() == 1


def test_a_photo_that_cannot_be_decoded_is_taken_away_and_its_sender_told_why(
    instructor: Person, cadet: Person, announcement: Announcement, media: Path
) -> None:
    noise = io.BytesIO()
    Image.effect_noise((200, 200), 60).save(noise, "JPEG")
    half = SimpleUploadedFile("photo.jpg", noise.getvalue()[:9000], content_type="image/jpeg")
    url = sending(instructor, announcement, half).json()["url"]
    assert pictures_worked() == ["refused"]
    assert problem_of(instructor.client.get(url)) == (404, "not_found")
    shown = cadet.client.get("/api/v1/announcements").json()["results"][0]
    assert (shown["photos"], shown["photos_processing"]) == ([], 0)
    (note,) = instructor.client.get("/api/v1/notifications").json()["results"]
    assert "Tree planting" in note["body"]
    assert "damaged" in note["body"]
    assert cadet.client.get("/api/v1/notifications").json()["results"] == []
    assert [event.type for event in Event.objects.order_by("pk")] == ["announcement.changed"] * 2 + [
        "notification.created"
    ]
    assert AuditEntry.objects.filter(action="announcement.photo_refuse").count() == 1
    assert files(media) == []
