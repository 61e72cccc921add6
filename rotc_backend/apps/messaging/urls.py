from django.urls import path

from apps.messaging.api.views import announcements, messages, notifications, rooms

urlpatterns = [
    path("notifications", notifications.NotificationsView.as_view(), name="notifications"),
    path("notifications/unread-count", notifications.UnreadCountView.as_view(), name="notifications-unread-count"),
    path("notifications/<id:notification_id>", notifications.NotificationView.as_view(), name="notification"),
    path(
        "notifications/<id:notification_id>/read",
        notifications.NotificationReadView.as_view(),
        name="notification-read",
    ),
    path("rooms", rooms.RoomsView.as_view(), name="rooms"),
    path("rooms/direct", rooms.DirectRoomsView.as_view(), name="rooms-direct"),
    path("rooms/<id:room_id>", rooms.RoomView.as_view(), name="room"),
    path("rooms/<id:room_id>/messages", messages.RoomMessagesView.as_view(), name="room-messages"),
    path("rooms/<id:room_id>/read", rooms.RoomReadView.as_view(), name="room-read"),
    path("messages/<id:message_id>", messages.MessageView.as_view(), name="message"),
    path("announcements", announcements.AnnouncementsView.as_view(), name="announcements"),
    path("announcements/<id:announcement_id>", announcements.AnnouncementView.as_view(), name="announcement"),
    path(
        "announcements/<id:announcement_id>/archive",
        announcements.AnnouncementArchiveView.as_view(),
        name="announcement-archive",
    ),
    path(
        "announcements/<id:announcement_id>/restore",
        announcements.AnnouncementRestoreView.as_view(),
        name="announcement-restore",
    ),
    path(
        "announcements/<id:announcement_id>/photos",
        announcements.AnnouncementPhotosView.as_view(),
        name="announcement-photos",
    ),
    path(
        "announcements/<id:announcement_id>/photos/<id:photo_id>",
        announcements.AnnouncementPhotoView.as_view(),
        name="announcement-photo",
    ),
]
