from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in, user_logged_out


class AccountsConfig(AppConfig):
    name = "apps.accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        from apps.accounts import signals

        # Signals, since the admin site signs in and out by Django's own views: no service of ours is on that way.
        user_logged_in.connect(signals.site_session_opened)
        user_logged_out.connect(signals.site_session_ended)
