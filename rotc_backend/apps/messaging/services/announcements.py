"""Announcements and activities. Staff and administrators write them, everybody who is signed in reads them."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

from apps.accounts.rules import Principal
from apps.accounts.services import audit_record
from apps.events.services import publish
from apps.messaging import rules
from apps.messaging.events import AnnouncementArchived, AnnouncementChanged, AnnouncementPublished
from apps.messaging.models import Announcement, AnnouncementPhoto
from core import cache
from core.clock import now
from core.errors import Conflict, NotFound, PermissionRefused
from core.messages import Event
from core.models import apply_changes, lock_row
from core.uploads import file_discard_on_commit, file_kept_by_commit, file_store, image_reencoded

_FOLDER = "announcements"
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
    """Add a photo; the announcement's version counts up, since its photos are part of it.

    Raises PermissionRefused, NotFound, Conflict (`announcement_archived`, `photos_full`), and what `image_reencoded`
    and `file_store` raise.
    """
    _refuse_cadets(actor)
    announcement = Announcement.objects.filter(pk=announcement_id).first()
    if announcement is None:
        raise NotFound(_MISSING)
    _refuse_photo(announcement)  # before the work of decoding it; asked again below, under the lock
    # Outside the transaction: neither a processor nor another service may hold its locks.
    name = file_store(folder=_FOLDER, extension="jpg", content=image_reencoded(upload))
    with file_kept_by_commit(name):
        announcement = _locked(announcement_id)
        _refuse_photo(announcement)
        photo = AnnouncementPhoto.objects.create(announcement=announcement, file=name, created_by_id=actor.user_id)
        photo.refresh_from_db(fields=["created_at"])
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
        photo.delete()
        file_discard_on_commit(photo.file)
        _photos_changed(announcement)
        _record(actor, "announcement.photo_remove", announcement_id, before={"photo_id": photo_id})
        _tell(_changed(announcement))


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
