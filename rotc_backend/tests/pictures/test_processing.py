"""What becomes of a picture in the worker, where nothing goes as it should."""

import datetime as dt
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connections

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets.tests.factories import CadetPerson
from apps.events.models import Event, OutboxJob
from apps.messaging.models import Notification
from apps.pictures.models import Picture, PicturePart, State
from apps.pictures.rules import ATTEMPTS, KEPT_DAYS, PART_BYTES, WAIT_HOURS
from apps.pictures.services import pictures_expire, pictures_resume, processing
from apps.pictures.tasks import picture_process
from apps.pictures.tests.factories import pictures_worked
from core.clock import now
from core.leases import LeaseLost, RowHeld
from core.retries import TryLater
from tests.pictures.factories import files, photo_sent

pytestmark = pytest.mark.django_db(transaction=True)


def shown(person: CadetPerson) -> tuple[str | None, bool]:
    """(photo_state, whether there is a photo)."""
    body = person.client.get("/api/v1/cadets/me").json()
    return body["photo_state"], body["photo_url"] is not None


def claimed(picture: Picture) -> Any:
    claim = processing.picture_claim(picture_id=picture.pk)
    assert claim is not None
    return claim


def lease_ended(picture: Picture) -> None:
    Picture.objects.filter(pk=picture.pk).update(lease_until=now() - dt.timedelta(seconds=1))


# --- What is kept -----------------------------------------------------------------------------------------------------


def test_what_was_sent_is_kept_in_parts_with_its_job_and_goes_when_it_was_worked_on(
    liza: CadetPerson, media: Path
) -> None:
    padding = b"\x00" * (2 * PART_BYTES)
    picture = photo_sent(liza)
    sent = b"".join(bytes(part.content) for part in picture.parts.order_by("number"))
    picture = photo_sent(liza, content=sent + padding)
    parts = list(picture.parts.order_by("number"))
    assert [len(part.content) for part in parts] == [PART_BYTES, PART_BYTES, len(sent)]
    assert b"".join(bytes(part.content) for part in parts) == sent + padding
    assert OutboxJob.objects.filter(arguments={"picture_id": picture.pk}).count() == 1
    assert pictures_worked() == ["done"]
    assert not PicturePart.objects.exists()
    picture.refresh_from_db()
    assert (picture.name, picture.owner, picture.finished_at is None) == ("", None, False)


def test_a_write_that_is_taken_back_keeps_neither_picture_nor_job(
    liza: CadetPerson, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.events.rules import EventRefused

    monkeypatch.setattr("apps.events.services.LARGEST_EVENT", 10)
    with pytest.raises(EventRefused):
        photo_sent(liza)
    assert (Picture.objects.count(), PicturePart.objects.count(), OutboxJob.objects.count()) == (0, 0, 0)
    assert shown(liza) == (None, False)


# --- Once -------------------------------------------------------------------------------------------------------------


def test_a_message_that_comes_twice_does_nothing_more(liza: CadetPerson, media: Path) -> None:
    picture = photo_sent(liza)
    picture_process(picture_id=picture.pk)
    before = (files(media), AuditEntry.objects.count(), Event.objects.count())
    picture_process(picture_id=picture.pk)
    picture_process(picture_id=999_999)
    assert (files(media), AuditEntry.objects.count(), Event.objects.count()) == before


def test_of_two_workers_one_has_the_picture(liza: CadetPerson, media: Path) -> None:
    picture = photo_sent(liza)
    found: list[Any] = []

    def claim() -> None:
        try:
            found.append(processing.picture_claim(picture_id=picture.pk))
        except RowHeld as held:
            found.append(held)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=claim) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(one).__name__ for one in found) == ["Claim", *["RowHeld"] * 4]


def test_a_worker_that_was_taken_for_dead_changes_nothing_any_more(liza: CadetPerson, media: Path) -> None:
    picture = photo_sent(liza)
    slow = claimed(picture)
    lease_ended(picture)
    picture_process(picture_id=picture.pk)
    stored = files(media)
    with pytest.raises(LeaseLost):
        processing.picture_perform(claim=slow)
    assert files(media) == stored
    assert shown(liza) == ("ready", True)


def test_a_worker_whose_picture_is_replaced_while_it_decodes_leaves_no_file(
    liza: CadetPerson, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = photo_sent(liza)
    store = processing.file_store_as

    def stored_late(**given: Any) -> None:
        store(**given)
        photo_sent(liza, size=(80, 60))

    monkeypatch.setattr(processing, "file_store_as", stored_late)
    picture_process(picture_id=older.pk)
    assert files(media) == []
    older.refresh_from_db()
    assert older.state == State.DROPPED
    monkeypatch.setattr(processing, "file_store_as", store)
    assert pictures_worked() == ["done"]
    assert len(files(media)) == 1


# --- Attempts ---------------------------------------------------------------------------------------------------------


def test_the_file_of_an_attempt_that_died_is_removed_by_the_next_one(
    liza: CadetPerson, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = photo_sent(liza)
    store = processing.file_store_as

    def died(**given: Any) -> None:
        store(**given)
        raise SystemExit

    monkeypatch.setattr(processing, "file_store_as", died)
    with pytest.raises(SystemExit):
        picture_process(picture_id=picture.pk)
    monkeypatch.setattr(processing, "file_store_as", store)
    (left,) = files(media)
    lease_ended(picture)
    picture_process(picture_id=picture.pk)
    (stored,) = files(media)
    liza.cadet.refresh_from_db()
    assert (stored, stored == left) == (liza.cadet.photo, False)


def test_the_file_of_an_attempt_that_died_goes_also_when_the_photo_is_removed(liza: CadetPerson, media: Path) -> None:
    picture = photo_sent(liza)
    claimed(picture)
    default_storage.save("cadets/left.jpg", ContentFile(b"abc"))
    Picture.objects.update(name="cadets/left.jpg")
    assert liza.client.delete("/api/v1/cadets/me/photo").status_code == 204
    assert files(media) == []


def test_while_the_storage_is_away_no_attempt_is_counted_and_nothing_is_decoded_a_second_time(
    liza: CadetPerson, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = photo_sent(liza)
    decoded: list[str] = []
    reencode = processing.image_reencoded

    def counted(*args: Any, **given: Any) -> bytes:
        decoded.append(picture.purpose)
        return reencode(*args, **given)

    monkeypatch.setattr(processing, "image_reencoded", counted)
    with monkeypatch.context() as away:
        away.setattr(default_storage, "save", _away)
        away.setattr(default_storage, "delete", _away)
        for _ in range(3 * ATTEMPTS):
            with pytest.raises(TryLater) as caught:
                picture_process(picture_id=picture.pk)
            assert 15 <= caught.value.seconds <= 30
    assert len(decoded) == 1
    picture.refresh_from_db()
    assert (picture.state, picture.attempt) == (State.QUEUED, 0)
    assert pictures_worked() == ["done"]
    assert len(files(media)) == 1


def _away(*_: Any, **__: Any) -> None:
    raise OSError("no route to the storage")


def test_after_its_attempts_died_the_picture_is_refused_in_words(liza: CadetPerson, media: Path) -> None:
    picture = photo_sent(liza)
    for _ in range(ATTEMPTS):
        claimed(picture)
        lease_ended(picture)
    picture_process(picture_id=picture.pk)
    picture.refresh_from_db()
    assert (picture.state, picture.problem_code) == (State.REFUSED, "attempts_exhausted")
    assert shown(liza) == ("refused", False)
    assert Notification.objects.filter(recipient=liza.user).count() == 1
    assert not PicturePart.objects.exists()


def test_an_error_of_ours_is_told_as_such_and_quotes_nothing(
    liza: CadetPerson, media: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    photo_sent(liza)

    def broken(*_: Any, **__: Any) -> bytes:
        raise RuntimeError("Macaraeg")

    monkeypatch.setattr(processing, "image_reencoded", broken)
    assert pictures_worked() == ["refused"]
    assert Picture.objects.get().problem_code == "unexpected"
    assert "Macaraeg" not in caplog.text
    assert "RuntimeError" in caplog.text


# --- The sweep and the cleanup ----------------------------------------------------------------------------------------


def test_what_lost_its_message_or_its_worker_is_asked_for_again(liza: CadetPerson, media: Path) -> None:
    picture = photo_sent(liza)
    assert pictures_resume() == 0
    Picture.objects.update(queued_at=now() - dt.timedelta(minutes=6))
    assert pictures_resume() == 1
    claimed(picture)
    assert pictures_resume() == 0
    lease_ended(picture)
    assert pictures_resume() == 1
    assert OutboxJob.objects.filter(arguments={"picture_id": picture.pk}).count() == 3
    assert pictures_worked() == ["done"]
    assert pictures_resume() == 0


def test_what_waits_for_too_long_is_refused_and_old_rows_go(liza: CadetPerson, media: Path) -> None:
    photo_sent(liza)
    assert pictures_expire() == 0
    Picture.objects.update(sent_at=now() - dt.timedelta(hours=WAIT_HOURS + 1))
    assert pictures_expire() == 1
    picture = Picture.objects.get()
    assert (picture.state, picture.problem_code, picture.parts.exists()) == (State.REFUSED, "waited_too_long", False)
    assert shown(liza) == ("refused", False)
    assert "Send it again" in Notification.objects.get(recipient=liza.user).body
    assert pictures_expire() == 0
    Picture.objects.update(finished_at=now() - dt.timedelta(days=KEPT_DAYS + 1))
    assert pictures_expire() == 1
    assert not Picture.objects.exists()
    assert shown(liza) == ("refused", False)


def test_administrators_see_what_became_of_pictures_and_not_what_is_in_them(
    admin: Person, liza: CadetPerson, media: Path, client: Any
) -> None:
    picture = photo_sent(liza)
    client.force_login(admin.user)
    for page in (f"/admin/pictures/picture/{picture.pk}/change/", "/admin/pictures/picturepart/"):
        answer = client.get(page)
        assert answer.status_code == 200
        assert b"JFIF" not in answer.content
        assert b"FFD8FF".lower() not in answer.content.lower()
    assert client.post(f"/admin/pictures/picture/{picture.pk}/delete/", {"post": "yes"}).status_code == 403
