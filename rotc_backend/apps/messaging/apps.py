from django.apps import AppConfig


class MessagingConfig(AppConfig):
    name = "apps.messaging"
    verbose_name = "Announcements and messages"

    def ready(self) -> None:
        from apps.messaging.services.announcements import PHOTO
        from apps.messaging.services.notifications import picture_refused
        from apps.pictures.services import refusals_told_by, use_register

        use_register(PHOTO)
        refusals_told_by(picture_refused)  # of every use: who is below this app cannot notify anybody
