"""Announcements and activities. Staff and administrators write them, everybody who is signed in reads them."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

from apps.accounts.rules import Principal
from apps.accounts.selectors import principal_of_user
from apps.accounts.services import audit_record
from apps.events.services import publish
from apps.messaging import rules
from apps.messaging.events import AnnouncementArchived, AnnouncementChanged, AnnouncementPublished
from apps.messaging.models import Announcement, AnnouncementPhoto
from apps.pictures.models import Picture
from apps.pictures.services import Use, picture_drop, picture_keep, picture_submit
from core import cache
from core.clock import now
from core.errors import Conflict, NotFound, PermissionRefused
from core.messages import Event
from core.models import apply_changes, lock_row
from core.uploads import LONGEST_SIDE, file_discard_on_commit, image_checked

_PURPOSE = "announcement_photo"
_MISSING = "There is no announcement with this id."


def announcement_create(*, actor: Principal, kind: str, title: str, text: str, date: dt.date) -> Announcement:
    """Publish an announcement or an activity. Raises PermissionRefused."""
    _refuse_cadets(actor)
    with transaction.atomic():
        announcement = Announcement.objects.create(
            kind=kind, title=title, text=text, date=date, created_by_id=actor.user_id
        )
        announcement.refresh_from_db(fields=["created_at", "updated_at"])
        after = {"kind": kind, "title": title, "text": text, "date": date}
        _record(actor, "announcement.create", announcement.pk, after=after)
        _tell(_published(announcement))
    return announcement


def announcement_change(
    *, actor: Principal, announcement_id: int, expected_version: int, changes: Mapping[str, Any]
) -> Announcement:
    """Change kind, title, text or date. What is already so changes nothing and is not told.

    Raises PermissionRefused, NotFound, PreconditionFailed, and Conflict (`announcement_archived`).
    """
    _refuse_cadets(actor)
    with transaction.atomic():
        announcement = _locked(announcement_id, expected_version=expected_version)
        _refuse_archived(announcement)
        before, after = apply_changes(announcement, changes)
        if after:
            _record(actor, "announcement.change", announcement_id, before=before, after=after)
            _tell(_changed(announcement))
    return announcement


def announcement_archive(*, actor: Principal, announcement_id: int) -> Announcement:
    """Take an announcement out of sight; its photos stay with it. Idempotent. Raises PermissionRefused, NotFound."""
    _refuse_cadets(actor)
    with transaction.atomic():
        announcement = _locked(announcement_id)
        if announcement.archived_at is None:
            before, after = apply_changes(announcement, {"archived_at": now()})
            _record(actor, "announcement.archive", announcement_id, before=before, after=after)
            _tell(AnnouncementArchived(id=announcement_id, version=announcement.version))
    return announcement


def announcement_restore(*, actor: Principal, announcement_id: int) -> Announcement:
    """Bring an archived announcement back. Idempotent. Raises PermissionRefused, NotFound."""
    _refuse_cadets(actor)
    with transaction.atomic():
        announcement = _locked(announcement_id)
        if announcement.archived_at is not None:
            before, after = apply_changes(announcement, {"archived_at": None})
            _record(actor, "announcement.restore", announcement_id, before=before, after=after)
            _tell(_published(announcement))
    return announcement


def photo_add(*, actor: Principal, announcement_id: int, upload: UploadedFile) -> AnnouncementPhoto:
    """Add a photo, which the worker prepares; the announcement's version counts up now and when it is ready, since its
    photos are part of it.

    Raises PermissionRefused, NotFound, Conflict (`announcement_archived`, `photos_full`), and what `image_checked`
    raises.
    """
    _refuse_cadets(actor)
    announcement = Announcement.objects.filter(pk=announcement_id).first()
    if announcement is None:
        raise NotFound(_MISSING)
    _refuse_photo(announcement)  # before the file is looked at; asked again below, under the lock
    image_checked(upload)
    with transaction.atomic():
        picture = picture_keep(actor=actor, purpose=_PURPOSE, upload=upload)
        announcement = _locked(announcement_id)
        _refuse_photo(announcement)
        photo = AnnouncementPhoto.objects.create(announcement=announcement, file="", created_by_id=actor.user_id)
        photo.refresh_from_db(fields=["created_at"])
        picture_submit(picture=picture, record_id=photo.pk)
        _photos_changed(announcement)
        _record(actor, "announcement.photo_add", announcement_id, after={"photo_id": photo.pk})
        _tell(_changed(announcement))
    return photo


def photo_remove(*, actor: Principal, announcement_id: int, photo_id: int) -> None:
    """Remove a photo, after the commit also its file. Raises PermissionRefused and NotFound."""
    _refuse_cadets(actor)
    with transaction.atomic():
        announcement = _locked(announcement_id)
        photo = AnnouncementPhoto.objects.filter(pk=photo_id, announcement=announcement).first()
        if photo is None:
            raise NotFound("This announcement has no photo with this id. It may have been removed.")
        picture_drop(purpose=_PURPOSE, record_id=photo_id)
        _photo_gone(actor, announcement, photo, action="announcement.photo_remove")


# --- When the worker has looked at a photo ----------------------------------------------------------------------------


def _place(picture: Picture, name: str) -> bool:
    held = _hold(picture)
    if held is None:
        return False
    announcement, photo = held
    actor = principal_of_user(picture.sent_by)
    if announcement.archived_at is not None:
        _photo_gone(actor, announcement, photo, action="announcement.photo_drop")
        return False
    photo.file = name
    photo.save(update_fields=["file"])
    _photos_changed(announcement)
    _record(actor, "announcement.photo_ready", announcement.pk, after={"photo_id": photo.pk})
    _tell(_changed(announcement))
    return True


def _refuse(picture: Picture) -> str | None:
    held = _hold(picture)
    if held is None:
        return None
    announcement, photo = held
    _photo_gone(principal_of_user(picture.sent_by), announcement, photo, action="announcement.photo_refuse")
    return f"a photo of “{announcement.title}”"


def _hold(picture: Picture) -> tuple[Announcement, AnnouncementPhoto] | None:
    """The announcement, locked, and the photo that waits for the picture; None if somebody has removed it."""
    photo = AnnouncementPhoto.objects.filter(pk=picture.target).first()
    if photo is None:
        return None
    announcement = _locked(photo.announcement_id)
    photo = AnnouncementPhoto.objects.filter(pk=picture.target).first()
    return None if photo is None else (announcement, photo)


PHOTO = Use(purpose=_PURPOSE, folder="announcements", longest_side=LONGEST_SIDE, place=_place, refuse=_refuse)


# --- Steps ------------------------------------------------------------------------------------------------------------


def _refuse_cadets(actor: Principal) -> None:
    if not actor.is_staff_member:
        raise PermissionRefused("Training staff and administrators write announcements.")


def _locked(announcement_id: int, *, expected_version: int | None = None) -> Announcement:
    rows = Announcement.objects.filter(pk=announcement_id)
    return lock_row(rows, expected_version=expected_version, missing=_MISSING)


def _refuse_archived(announcement: Announcement) -> None:
    if announcement.archived_at is not None:
        raise Conflict("This announcement is archived. Restore it first.", code="announcement_archived")


def _refuse_photo(announcement: Announcement) -> None:
    _refuse_archived(announcement)
    if AnnouncementPhoto.objects.filter(announcement=announcement).count() >= rules.MOST_PHOTOS:
        raise Conflict(
            f"An announcement has at most {rules.MOST_PHOTOS} photos. Remove one of them first.", code="photos_full"
        )


def _photo_gone(actor: Principal, announcement: Announcement, photo: AnnouncementPhoto, *, action: str) -> None:
    photo_id = photo.pk
    photo.delete()
    file_discard_on_commit(photo.file)
    _photos_changed(announcement)
    _record(actor, action, announcement.pk, before={"photo_id": photo_id})
    _tell(_changed(announcement))


def _photos_changed(announcement: Announcement) -> None:
    announcement.version += 1
    announcement.updated_at = now()
    announcement.save(update_fields=["version", "updated_at"])


def _record(
    actor: Principal,
    action: str,
    announcement_id: int,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    target = f"announcement:{announcement_id}"
    audit_record(actor_id=actor.user_id, action=action, target=target, before=before, after=after)


def _tell(event: Event) -> None:
    # The cache first: who is woken by the event fetches at once, and must not find what was cached before it.
    cache.touch(rules.announcements_version())
    publish(event=event, recipients=rules.EVERYBODY)


def _published(row: Announcement) -> AnnouncementPublished:
    return AnnouncementPublished(id=row.pk, kind=str(row.kind), title=row.title, date=row.date, version=row.version)


def _changed(row: Announcement) -> AnnouncementChanged:
    return AnnouncementChanged(id=row.pk, kind=str(row.kind), title=row.title, date=row.date, version=row.version)
