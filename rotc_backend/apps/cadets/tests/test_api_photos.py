import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from PIL import Image
from pytest_django import Settings

from apps.accounts.tests.factories import Person
from apps.cadets.tests import factories
from apps.cadets.tests.expectations import at_once, fields_of, recorded, refused, told
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from core.tests.cloudinary_stand_in import CloudinaryStandIn, cloudinary_running

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]

STAFF = ["role:admin", "role:training_staff"]
OWN = "/api/v1/cadets/me/photo"


def picture(form: str = "JPEG", colour: str = "red") -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    written = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(written, form, exif=exif)
    return written.getvalue()


def put(person: Person, path: str, content: bytes, name: str = "photo.jpg") -> Any:
    return person.client.put(path, {"file": SimpleUploadedFile(name, content, "image/jpeg")}, format="multipart")


def stored(media: Path) -> list[Path]:
    return [path for path in media.rglob("*") if path.is_file()]


def of(cadet: Any) -> str:
    return f"/api/v1/cadets/{cadet.pk}/photo"


def read(answer: Any) -> bytes:
    content = b"".join(answer.streaming_content)
    answer.close()
    return content


def test_an_administrator_sets_a_photo_that_staff_see(
    admin: Person, instructor: StaffPerson, liza: CadetPerson, media: Path
) -> None:
    answer = put(admin, of(liza.cadet), picture("PNG"))
    assert (answer.status_code, answer["ETag"]) == (200, '"v2"')
    assert answer.json()["photo_url"] == of(liza.cadet)
    shown = instructor.client.get(of(liza.cadet))
    assert (shown.status_code, shown["Content-Type"], shown["Cache-Control"]) == (200, "image/jpeg", "no-store")
    content = read(shown)
    assert Image.open(io.BytesIO(content)).format == "JPEG"
    assert b"SecretCamera" not in content
    assert len(stored(media)) == 1
    assert told() == [("cadet.changed", [*STAFF, f"user:{liza.user.pk}"])]
    assert recorded("cadet.") == ["cadet.set_photo"]
    row = next(row for row in admin.client.get("/api/v1/cadets").json()["results"] if row["id"] == liza.cadet.pk)
    assert row["photo_url"] == of(liza.cadet)


def test_cadets_set_see_and_remove_their_own(liza: CadetPerson, omar: CadetPerson, media: Path) -> None:
    answer = put(liza, OWN, picture())
    assert (answer.status_code, answer.json()["photo_url"]) == (200, OWN)
    assert read(liza.client.get(OWN)).startswith(b"\xff\xd8\xff")
    assert refused(omar.client.get(OWN)) == (404, "no_photo")
    assert refused(omar.client.get(of(liza.cadet))) == (403, "permission_denied")
    assert liza.client.delete(OWN).status_code == 204
    assert refused(liza.client.get(OWN)) == (404, "no_photo")
    assert stored(media) == []
    assert recorded("cadet.") == ["cadet.set_photo", "cadet.remove_photo"]


def test_a_client_may_ask_for_the_picture_by_its_type(liza: CadetPerson) -> None:
    put(liza, OWN, picture())
    shown = liza.client.get(OWN, headers={"accept": "image/jpeg"})
    assert (shown.status_code, shown["Content-Type"]) == (200, "image/jpeg")
    assert read(shown)
    liza.client.delete(OWN)
    missing = liza.client.get(OWN, headers={"accept": "image/jpeg"})
    assert (missing.status_code, missing["Content-Type"]) == (404, "application/problem+json")


def test_a_new_photo_replaces_the_file_of_the_one_before(admin: Person, liza: CadetPerson, media: Path) -> None:
    put(admin, of(liza.cadet), picture())
    (first,) = stored(media)
    put(admin, of(liza.cadet), picture(colour="blue"))
    (second,) = stored(media)
    assert first != second


def test_removing_what_is_not_there_does_nothing(admin: Person, liza: CadetPerson) -> None:
    assert admin.client.delete(of(liza.cadet)).status_code == 204
    assert told() == []
    assert recorded("cadet.") == []


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"GIF89a" + b"\x00" * 50, "file_type"),
        (b"<svg onload='alert(1)'/>", "file_type"),
        (picture()[:300], "file_malformed"),
        (b"", "empty"),
    ],
)
def test_what_is_no_photo_is_refused_and_not_stored(
    admin: Person, liza: CadetPerson, media: Path, content: bytes, code: str
) -> None:
    assert fields_of(put(admin, of(liza.cadet), content)) == {"file": code}
    assert stored(media) == []
    assert told() == []


def test_a_form_without_file_and_a_body_that_is_no_form_are_refused(admin: Person, liza: CadetPerson) -> None:
    path = of(liza.cadet)
    assert fields_of(admin.client.put(path, {}, format="multipart")) == {"file": "required"}
    assert fields_of(admin.client.put(path, {"file": "text"}, format="multipart")) == {"file": "invalid"}
    assert admin.client.put(path, {"file": "x"}, format="json").status_code == 415


def test_a_photo_beyond_ten_megabytes_is_refused(admin: Person, liza: CadetPerson, media: Path) -> None:
    content = picture() + b"\x00" * (10 * 1024 * 1024)
    assert refused(put(admin, of(liza.cadet), content)) == (413, "content_too_large")
    assert refused(put(admin, of(liza.cadet), content + b"\x00" * 100_000)) == (413, "content_too_large")
    assert stored(media) == []


def test_a_photo_of_nobody_is_not_stored(admin: Person, media: Path) -> None:
    assert refused(put(admin, "/api/v1/cadets/999/photo", picture())) == (404, "not_found")
    assert stored(media) == []
    assert refused(admin.client.get("/api/v1/cadets/999/photo")) == (404, "not_found")


def test_when_the_last_step_fails_neither_row_nor_file_is_left(
    admin: Person, liza: CadetPerson, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.cadets.services.photos import cadet_photo_set
    from apps.events.rules import EventRefused

    put(admin, of(liza.cadet), picture())
    before, principal = stored(media), admin.principal
    upload: Any = SimpleUploadedFile("photo.jpg", picture(colour="blue"), "image/jpeg")
    monkeypatch.setattr("apps.events.services.LARGEST_EVENT", 10)
    with pytest.raises(EventRefused):
        cadet_photo_set(actor=principal, cadet_id=liza.cadet.pk, upload=upload)
    assert stored(media) == before
    assert read(liza.client.get(OWN))


def test_when_something_fails_after_the_commit_the_file_stays(
    admin: Person, liza: CadetPerson, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.cadets.services import photos

    apply = photos.cadet_apply

    def stop() -> None:
        raise KeyboardInterrupt

    def apply_and_stop(*args: Any, **given: Any) -> Any:
        transaction.on_commit(stop)
        return apply(*args, **given)

    monkeypatch.setattr(photos, "cadet_apply", apply_and_stop)
    upload: Any = SimpleUploadedFile("photo.jpg", picture(), "image/jpeg")
    with pytest.raises(KeyboardInterrupt):
        photos.cadet_photo_set(actor=admin.principal, cadet_id=liza.cadet.pk, upload=upload)
    liza.cadet.refresh_from_db()
    (only,) = stored(media)
    assert liza.cadet.photo
    assert str(only).endswith(liza.cadet.photo)


def test_two_photos_at_once_leave_the_file_that_the_row_names(admin: Person, liza: CadetPerson, media: Path) -> None:
    answers = at_once(
        *[lambda colour=colour: put(admin, of(liza.cadet), picture(colour=colour)) for colour in ("red", "blue")]
    )
    assert [answer.status_code for answer in answers] == [200, 200]
    liza.cadet.refresh_from_db()
    (only,) = stored(media)
    assert str(only).endswith(liza.cadet.photo)


@pytest.fixture
def cloud(settings: Settings) -> Iterator[CloudinaryStandIn]:
    with cloudinary_running() as account:
        settings.CLOUDINARY = {
            "cloud_name": account.cloud_name,
            "api_key": account.api_key,
            "api_secret": account.api_secret,
            "upload_prefix": account.url,
        }
        settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": "core.storage.CloudinaryStorage"}}
        yield account


def test_in_production_the_photo_is_a_signed_link(liza: CadetPerson, cloud: CloudinaryStandIn) -> None:
    assert put(liza, OWN, picture()).status_code == 200
    answer = liza.client.get(OWN)
    assert answer.status_code == 302
    assert answer["Location"].startswith(cloud.url)
    assert liza.client.delete(OWN).status_code == 204
    assert cloud.files == {}


def test_when_the_storage_is_away_nothing_is_saved(liza: CadetPerson, cloud: CloudinaryStandIn) -> None:
    cloud.fail_with = 500
    assert refused(put(liza, OWN, picture())) == (503, "storage_unavailable")
    liza.cadet.refresh_from_db()
    assert (liza.cadet.photo, liza.cadet.version) == ("", 1)
    assert told() == []


def test_a_cadet_without_photo_is_listed_so(admin: Person) -> None:
    cadet = factories.cadet()
    assert admin.client.get(f"/api/v1/cadets/{cadet.pk}").json()["photo_url"] is None
    assert refused(admin.client.get(of(cadet))) == (404, "no_photo")
