from django.db.models import Prefetch, QuerySet

from apps.messaging.models import Announcement, AnnouncementPhoto
from core.errors import NotFound, PermissionRefused


def announcements_seen_by(
    *, is_staff_member: bool, archived: bool = False, kind: str | None = None
) -> QuerySet[Announcement]:
    """Announcements with their photos, newest first; with `archived` the archived ones instead.

    Raises PermissionRefused at once, not when the rows are read, for who is no staff member and asks for these.
    """
    if archived and not is_staff_member:
        raise PermissionRefused("Archived announcements are shown to training staff and administrators.")
    rows = Announcement.objects.filter(archived_at__isnull=not archived)
    if kind is not None:
        rows = rows.filter(kind=kind)
    return _with_photos(rows).order_by("-pk")


def announcement_seen_by(*, announcement_id: int, is_staff_member: bool) -> Announcement:
    """One announcement with its photos. Raises NotFound, for who is no staff member also when it is archived."""
    rows = _with_photos(Announcement.objects.filter(pk=announcement_id))
    if not is_staff_member:
        rows = rows.filter(archived_at=None)
    announcement = rows.first()
    if announcement is None:
        raise NotFound("There is no announcement with this id. It may have been archived.")
    return announcement


def photo_seen_by(*, announcement_id: int, photo_id: int, is_staff_member: bool) -> AnnouncementPhoto:
    """One photo of an announcement that may be seen. Raises NotFound."""
    rows = AnnouncementPhoto.objects.filter(pk=photo_id, announcement=announcement_id)
    if not is_staff_member:
        rows = rows.filter(announcement__archived_at=None)
    photo = rows.first()
    if photo is None:
        raise NotFound("This announcement has no photo with this id. It may have been removed.")
    return photo


def _with_photos(rows: QuerySet[Announcement]) -> QuerySet[Announcement]:
    return rows.prefetch_related(Prefetch("photos", queryset=AnnouncementPhoto.objects.order_by("pk")))
