from django.apps import AppConfig


class CadetsConfig(AppConfig):
    name = "apps.cadets"
    verbose_name = "People and companies"

    def ready(self) -> None:
        from apps.accounts.services import account_checked
        from apps.cadets.services.links import account_check
        from apps.cadets.services.photos import PHOTO
        from apps.pictures.services import use_register

        # A signal, since accounts stands below this app and cannot ask it which records are linked.
        account_checked.connect(account_check)
        use_register(PHOTO)
