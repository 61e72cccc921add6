import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, transaction
from PIL import Image
from pytest_django import Settings

from apps.accounts.tests.factories import Person
from apps.cadets.tests import factories
from apps.cadets.tests.expectations import at_once, fields_of, recorded, refused, told
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.pictures.models import Picture, PicturePart
from apps.pictures.tasks import picture_process
from apps.pictures.tests.factories import pictures_worked
from core.retries import TryLater
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


def put_and_worked(person: Person, path: str, content: bytes) -> Any:
    answer = put(person, path, content)
    assert answer.status_code == 200
    pictures_worked()
    return answer


def state_of(person: Person, path: str = "/api/v1/cadets/me") -> tuple[str | None, str | None]:
    shown = person.client.get(path).json()
    return shown["photo_state"], shown["photo_url"]


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
    assert (answer.json()["photo_state"], answer.json()["photo_url"]) == ("processing", None)
    assert refused(instructor.client.get(of(liza.cadet))) == (409, "file_processing")
    assert stored(media) == []
    assert pictures_worked() == ["done"]
    after = admin.client.get(f"/api/v1/cadets/{liza.cadet.pk}")
    assert after["ETag"] == '"v3"'
    assert (after.json()["photo_state"], after.json()["photo_url"]) == ("ready", of(liza.cadet))
    shown = instructor.client.get(of(liza.cadet))
    assert (shown.status_code, shown["Content-Type"], shown["Cache-Control"]) == (200, "image/jpeg", "no-store")
    content = read(shown)
    assert Image.open(io.BytesIO(content)).format == "JPEG"
    assert b"SecretCamera" not in content
    assert len(stored(media)) == 1
    assert told() == [("cadet.changed", [*STAFF, f"user:{liza.user.pk}"])] * 2
    assert recorded("cadet.") == ["cadet.send_photo", "cadet.set_photo"]
    assert not PicturePart.objects.exists()
    row = next(row for row in admin.client.get("/api/v1/cadets").json()["results"] if row["id"] == liza.cadet.pk)
    assert row["photo_url"] == of(liza.cadet)


def test_cadets_set_see_and_remove_their_own(liza: CadetPerson, omar: CadetPerson, media: Path) -> None:
    put_and_worked(liza, OWN, picture())
    assert state_of(liza) == ("ready", OWN)
    assert read(liza.client.get(OWN)).startswith(b"\xff\xd8\xff")
    assert refused(omar.client.get(OWN)) == (404, "no_photo")
    assert refused(omar.client.get(of(liza.cadet))) == (403, "permission_denied")
    assert liza.client.delete(OWN).status_code == 204
    assert refused(liza.client.get(OWN)) == (404, "no_photo")
    assert stored(media) == []
    assert recorded("cadet.") == ["cadet.send_photo", "cadet.set_photo", "cadet.remove_photo"]


def test_a_client_may_ask_for_the_picture_by_its_type(liza: CadetPerson) -> None:
    put_and_worked(liza, OWN, picture())
    shown = liza.client.get(OWN, headers={"accept": "image/jpeg"})
    assert (shown.status_code, shown["Content-Type"]) == (200, "image/jpeg")
    assert read(shown)
    liza.client.delete(OWN)
    missing = liza.client.get(OWN, headers={"accept": "image/jpeg"})
    assert (missing.status_code, missing["Content-Type"]) == (404, "application/problem+json")


def test_a_new_photo_replaces_the_file_of_the_one_before(admin: Person, liza: CadetPerson, media: Path) -> None:
    put_and_worked(admin, of(liza.cadet), picture())
    (first,) = stored(media)
    put(admin, of(liza.cadet), picture(colour="blue"))
    assert stored(media) == [first]
    assert read(liza.client.get(OWN))  # the one before is shown until the new one is there
    assert state_of(liza) == ("processing", OWN)
    pictures_worked()
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
    assert not Picture.objects.exists()


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
    put_and_worked(admin, of(liza.cadet), picture())
    before = stored(media)
    put(admin, of(liza.cadet), picture(colour="blue"))
    with monkeypatch.context() as patched:
        patched.setattr("apps.events.services.publish_many", lambda _: (_ for _ in ()).throw(OperationalError))
        with pytest.raises(TryLater):
            pictures_worked()
    assert stored(media) == before
    assert read(liza.client.get(OWN))
    assert state_of(liza) == ("processing", OWN)
    assert pictures_worked() == ["done"]
    assert len(stored(media)) == 1


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

    put(admin, of(liza.cadet), picture())
    monkeypatch.setattr(photos, "cadet_apply", apply_and_stop)
    with pytest.raises(KeyboardInterrupt):
        picture_process(picture_id=Picture.objects.get().pk)
    liza.cadet.refresh_from_db()
    (only,) = stored(media)
    assert liza.cadet.photo
    assert str(only).endswith(liza.cadet.photo)


def test_two_photos_at_once_leave_one_that_waits_and_the_file_that_the_row_names(
    admin: Person, liza: CadetPerson, media: Path
) -> None:
    answers = at_once(
        *[lambda colour=colour: put(admin, of(liza.cadet), picture(colour=colour)) for colour in ("red", "blue")]
    )
    assert [answer.status_code for answer in answers] == [200, 200]
    assert sorted(Picture.objects.values_list("state", flat=True)) == ["dropped", "queued"]
    pictures_worked()
    liza.cadet.refresh_from_db()
    (only,) = stored(media)
    assert str(only).endswith(liza.cadet.photo)


def test_of_two_photos_the_newest_counts_whichever_is_worked_on_first(liza: CadetPerson, media: Path) -> None:
    for colour in ("red", "blue"):
        put(liza, OWN, picture(colour=colour))
    older, newer = Picture.objects.order_by("pk").values_list("pk", flat=True)
    for picture_id in (newer, older, newer):
        picture_process(picture_id=picture_id)
    content = read(liza.client.get(OWN))
    red, _, blue = Image.open(io.BytesIO(content)).getpixel((5, 5))  # type: ignore[misc]
    assert blue > 200 > red
    assert len(stored(media)) == 1
    assert recorded("cadet.") == ["cadet.send_photo", "cadet.send_photo", "cadet.set_photo"]


def test_a_photo_removed_before_it_was_prepared_never_comes(liza: CadetPerson, media: Path) -> None:
    put(liza, OWN, picture())
    waiting = Picture.objects.get()
    assert liza.client.delete(OWN).status_code == 204
    picture_process(picture_id=waiting.pk)
    assert state_of(liza) == (None, None)
    assert stored(media) == []
    waiting.refresh_from_db()
    assert (waiting.state, waiting.parts.exists()) == ("dropped", False)


def test_a_cadet_archived_meanwhile_gets_no_photo_and_keeps_the_one_before(
    admin: Person, liza: CadetPerson, media: Path
) -> None:
    put_and_worked(admin, of(liza.cadet), picture())
    before = stored(media)
    put(admin, of(liza.cadet), picture(colour="blue"))
    assert admin.client.post(f"/api/v1/cadets/{liza.cadet.pk}/archive").status_code == 200
    assert pictures_worked() == ["dropped"]
    assert stored(media) == before
    assert state_of(admin, f"/api/v1/cadets/{liza.cadet.pk}") == ("ready", of(liza.cadet))
    put_and_worked(admin, of(liza.cadet), picture(colour="blue"))  # whoever sends one now knows of it
    assert stored(media) != before


def test_what_cannot_be_decoded_is_refused_in_words_and_the_photo_before_stays(
    admin: Person, liza: CadetPerson, media: Path
) -> None:
    put_and_worked(liza, OWN, picture())
    before = stored(media)
    noise = io.BytesIO()
    Image.effect_noise((200, 200), 60).save(noise, "JPEG")
    assert put(liza, OWN, noise.getvalue()[:9000]).status_code == 200
    assert pictures_worked() == ["refused"]
    assert state_of(liza) == ("refused", OWN)
    assert stored(media) == before
    (note,) = liza.client.get("/api/v1/notifications").json()["results"]
    assert note["title"] == "Picture not used"
    assert "Macaraeg" in note["body"]
    assert "damaged or was not sent whole" in note["body"]
    assert told()[-2:] == [
        ("cadet.changed", [*STAFF, f"user:{liza.user.pk}"]),
        ("notification.created", [f"user:{liza.user.pk}"]),
    ]
    assert recorded("cadet.")[-1] == "cadet.refuse_photo"
    sent = Picture.objects.latest("pk")
    assert (sent.problem_code, sent.parts.exists()) == ("file_malformed", False)
    put_and_worked(liza, OWN, picture(colour="blue"))
    assert state_of(liza) == ("ready", OWN)


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
    put_and_worked(liza, OWN, picture())
    answer = liza.client.get(OWN)
    assert answer.status_code == 302
    assert answer["Location"].startswith(cloud.url)
    ((kind, access, name), content) = next(iter(cloud.files.items()))
    assert (kind, access) == ("raw", "authenticated")
    assert b"SecretCamera" not in content
    assert name not in str(liza.client.get("/api/v1/cadets/me").json())
    assert liza.client.delete(OWN).status_code == 204
    assert cloud.files == {}


def test_while_the_storage_is_away_the_photo_waits_and_then_it_comes(
    liza: CadetPerson, cloud: CloudinaryStandIn
) -> None:
    cloud.fail_with = 500
    assert put(liza, OWN, picture()).status_code == 200
    for _ in range(5):
        with pytest.raises(TryLater):
            pictures_worked()
    assert state_of(liza) == ("processing", None)
    cloud.fail_with = None
    assert pictures_worked() == ["done"]
    assert state_of(liza) == ("ready", OWN)
    assert len(cloud.files) == 1


def test_a_cadet_without_photo_is_listed_so(admin: Person) -> None:
    cadet = factories.cadet()
    assert admin.client.get(f"/api/v1/cadets/{cadet.pk}").json()["photo_url"] is None
    assert refused(admin.client.get(of(cadet))) == (404, "no_photo")
