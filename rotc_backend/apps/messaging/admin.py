from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Length
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.accounts.rules import Principal
from apps.accounts.selectors import principal_of_user
from apps.messaging.api.serializers.announcements import AnnouncementInput
from apps.messaging.models import Announcement, AnnouncementPhoto, Message, Notification, ReadMark, Room
from apps.messaging.selectors import announcements as announcement_selectors
from apps.messaging.selectors import rooms as room_selectors
from apps.messaging.services import announcements, messages
from core.admin import (
    ArchivedFilter,
    Confirmation,
    InputForm,
    ReadOnlyAdmin,
    ServiceAdmin,
    archive_or_restore,
    link_to,
    list_link,
    presence_filter,
    side_by_side,
)
from core.errors import DomainError, NotFound
from core.uploads import file_answer


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    list_display = ("title", "recipient", "created_at", "read_at")
    list_select_related = ("recipient",)
    list_filter = (("read_at", presence_filter("reading", there="Read", missing="Unread")), "recipient__role")
    list_per_page = 50
    search_fields = ("title", "correlation_id", "recipient__username")
    search_help_text = "Title, correlation id, or account that received it"
    date_hierarchy = "created_at"
    ordering = ("-id",)


# --- Announcements ----------------------------------------------------------------------------------------------------


class AnnouncementForm(InputForm):
    input_class = AnnouncementInput


class PhotoInline(admin.TabularInline):
    """The photos of an announcement; each has a page of its own."""

    model = AnnouncementPhoto
    fields = ("picture", "created_by", "created_at")
    readonly_fields = ("picture", "created_by", "created_at")
    ordering = ("pk",)
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[AnnouncementPhoto]:
        return super().get_queryset(request).select_related("created_by")

    @admin.display(description="picture")
    def picture(self, photo: AnnouncementPhoto) -> SafeString | str:
        return _picture(photo)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Announcement)
class AnnouncementAdmin(ServiceAdmin):
    form = AnnouncementForm
    fields = ("kind", "title", "text", "date", "created_by", "created_at", "archived_at")
    readonly_fields = ("created_by", "created_at", "archived_at")
    list_display = ("title", "kind", "date", "created_by", "created_at", "archived_at")
    list_select_related = ("created_by",)
    list_filter = (ArchivedFilter, "kind")
    list_per_page = 50
    search_fields = ("title", "text")
    search_help_text = "Words of title or text"
    date_hierarchy = "date"
    ordering = ("-id",)
    inlines = (PhotoInline,)
    actions = ("archive", "restore")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        names = super().get_fields(request, obj)
        return names if obj is not None else [name for name in names if name not in self.readonly_fields]

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return super().get_inlines(request, obj) if obj is not None else ()

    def create_row(self, request: HttpRequest, fields: dict[str, Any]) -> Announcement:
        return announcements.announcement_create(actor=_actor(request), **fields)

    def change_row(
        self, request: HttpRequest, row: Announcement, changes: dict[str, Any], expected_version: int
    ) -> Announcement:
        return announcements.announcement_change(
            actor=_actor(request), announcement_id=row.pk, expected_version=expected_version, changes=changes
        )

    def row_actions(self, row: Announcement) -> Mapping[str, str]:
        return archive_or_restore(row)

    @admin.action(description="Archive: takes them out of everybody's sight")
    def archive(self, request: HttpRequest, queryset: QuerySet[Announcement]) -> None:
        actor = _actor(request)
        self.carry_out(
            request,
            queryset.filter(archived_at=None),
            act=lambda row: announcements.announcement_archive(actor=actor, announcement_id=row.pk),
            done="archived",
        )

    @admin.action(description="Restore: shows them again")
    def restore(self, request: HttpRequest, queryset: QuerySet[Announcement]) -> None:
        actor = _actor(request)
        self.carry_out(
            request,
            queryset.exclude(archived_at=None),
            act=lambda row: announcements.announcement_restore(actor=actor, announcement_id=row.pk),
            done="restored",
        )


@admin.register(AnnouncementPhoto)
class AnnouncementPhotoAdmin(ReadOnlyAdmin):
    list_display = ("picture", "announcement", "created_by", "created_at")
    list_select_related = ("announcement", "created_by")
    list_per_page = 50
    search_fields = ("announcement__title",)
    search_help_text = "Title of the announcement"
    date_hierarchy = "created_at"
    ordering = ("-id",)
    fields = ("picture", "announcement", "created_by", "created_at")
    actions = ("remove",)

    @admin.display(description="picture")
    def picture(self, photo: AnnouncementPhoto) -> SafeString | str:
        return _picture(photo)

    def row_actions(self, row: AnnouncementPhoto) -> Mapping[str, str]:
        return {"remove": "Remove this photo"}

    @admin.action(description="Remove the chosen photos")
    def remove(self, request: HttpRequest, queryset: QuerySet[AnnouncementPhoto]) -> HttpResponse | None:
        actor = _actor(request)
        return self.ask_and_carry_out(
            request,
            queryset,
            action="remove",
            title="Remove photos for good",
            form=Confirmation,
            act=lambda photo, _: announcements.photo_remove(
                actor=actor, announcement_id=photo.announcement_id, photo_id=photo.pk
            ),
            done="removed",
        )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.picture_view)
        return [
            path("<id:announcement_id>/<id:photo_id>/picture/", view, name="messaging_announcementphoto_picture"),
            *super().get_urls(),
        ]

    def picture_view(self, request: HttpRequest, announcement_id: int, photo_id: int) -> HttpResponseBase:
        try:
            photo = announcement_selectors.photo_seen_by(
                announcement_id=announcement_id, photo_id=photo_id, is_staff_member=True
            )
            if photo.file:
                return file_answer(name=photo.file, content_type="image/jpeg")
        except DomainError as error:
            raise Http404 from error
        raise Http404


# --- Rooms and what is said in them -----------------------------------------------------------------------------------


@admin.register(Room)
class RoomAdmin(ReadOnlyAdmin):
    """That a room is there and who is in it, which leaves no trace; what is said there does: see MessageAdmin."""

    list_display = ("name", "kind", "created_at", "said")
    list_filter = (
        "kind",
        ("company__archived_at", presence_filter("company", there="Of an archived company", missing="Others")),
    )
    list_select_related = ("company", "first_person", "second_person")
    list_per_page = 50
    search_fields = ("company__name", "first_person__username", "second_person__username")
    search_help_text = "Company, or username of one of the two people of a direct room"
    ordering = ("kind", "company__position", "company__name", "id")
    fields = ("name", "kind", "company", "created_at", "members", "said")

    @admin.display(description="room", ordering="company__name")
    def name(self, room: Room) -> str:
        return room_selectors.room_name(room)

    @admin.display(description="members")
    def members(self, room: Room) -> SafeString:
        people = room_selectors.members_of(room=room)
        shown = format_html_join(", ", "{}", ((link_to(person, person.get_full_name()),) for person in people))
        return format_html("{}: {}", len(people), shown)

    @admin.display(description="said there")
    def said(self, room: Room) -> SafeString:
        return side_by_side(
            [
                list_link(Message, room__id__exact=room.pk),
                list_link(ReadMark, "How far they have read", room__id__exact=room.pk),
            ]
        )


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    """Who wrote when and where. The words stand on a message's own page alone: to open that of a direct room of two
    others leaves the entry in the audit trail that the API makes. Nor can they be searched, which would tell them.
    """

    list_display = ("id", "created_at", "author", "place", "characters", "edited_at", "deleted_at")
    list_filter = (
        "room__kind",
        ("room__company", admin.RelatedOnlyFieldListFilter),
        ("deleted_at", presence_filter("removal", there="Removed", missing="There")),
    )
    list_select_related = ("author", "room__company", "room__first_person", "room__second_person")
    list_per_page = 50
    search_fields = ("author__username",)
    search_help_text = "Username of the author"
    date_hierarchy = "created_at"
    ordering = ("-id",)
    fields = ("author", "place", "created_at", "edited_at", "deleted_at", "words")
    actions = ("remove",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        found: QuerySet[Message] = super().get_queryset(request).defer("body")
        return found.annotate(length=Length("body")).select_related(*self.list_select_related)

    @admin.display(description="room")
    def place(self, message: Message) -> SafeString | str:
        return link_to(message.room, room_selectors.room_name(message.room))

    @admin.display(description="characters", ordering="length")
    def characters(self, message: Any) -> int:
        return int(message.length)

    @admin.display(description="words")
    def words(self, message: Message) -> SafeString | str:
        return format_html('<pre class="json">{}</pre>', message.body) if message.body else "-"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if object_id.isascii() and object_id.isdecimal() and len(object_id) < 19:
            try:
                messages.message_enter(actor=_actor(request), message_id=int(object_id))
            except NotFound as error:
                raise Http404 from error
        return super().change_view(request, object_id, form_url, extra_context)

    def row_actions(self, row: Message) -> Mapping[str, str]:
        return {"remove": "Remove this message"} if row.deleted_at is None else {}

    @admin.action(description="Remove the chosen messages")
    def remove(self, request: HttpRequest, queryset: QuerySet[Message]) -> HttpResponse | None:
        actor = _actor(request)
        return self.ask_and_carry_out(
            request,
            queryset.filter(deleted_at=None),
            action="remove",
            title="Remove messages: their places stay, empty",
            form=Confirmation,
            act=lambda message, _: messages.message_delete(actor=actor, message_id=message.pk),
            done="removed",
        )

    def name_of(self, row: Message) -> str:
        return f"{row.author} in {room_selectors.room_name(row.room)}, {row.length} characters"  # type: ignore[attr-defined]


@admin.register(ReadMark)
class ReadMarkAdmin(ReadOnlyAdmin):
    list_display = ("user", "place", "last_message_id", "read_at")
    list_filter = ("room__kind", ("room__company", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("user", "room__company", "room__first_person", "room__second_person")
    list_per_page = 50
    search_fields = ("user__username",)
    search_help_text = "Username"
    ordering = ("-read_at",)
    fields = ("user", "place", "last_message_id", "read_at")

    @admin.display(description="room")
    def place(self, mark: ReadMark) -> SafeString | str:
        return link_to(mark.room, room_selectors.room_name(mark.room))


def _actor(request: HttpRequest) -> Principal:
    return principal_of_user(request.user)  # type: ignore[arg-type]  # the site has let in an account of ours


def _picture(photo: AnnouncementPhoto) -> SafeString | str:
    if not photo.file:
        return "Being prepared; look again in some seconds."
    address = reverse("admin:messaging_announcementphoto_picture", args=[photo.announcement_id, photo.pk])
    return format_html('<img class="portrait" src="{}" alt="Photo {}" loading="lazy">', address, photo.pk)
