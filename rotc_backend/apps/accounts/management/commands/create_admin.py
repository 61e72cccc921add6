import os
import sys
from getpass import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts import selectors, services
from apps.accounts.models import Role, Status
from core.errors import DomainError


class Command(BaseCommand):
    help = (
        "Create an administrator, or do nothing if this one exists and can sign in. The password comes from "
        "ADMIN_PASSWORD or a prompt. It is also the rescue of an administrator who is locked out: one that is archived "
        "is restored, one that is locked after wrong passwords is unlocked, and with --reset-password it gets the new "
        "password and all its sessions end."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--username", default="admin")
        parser.add_argument("--email", default="")
        parser.add_argument("--reset-password", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        username = options["username"]
        user = selectors.user_by_username(username)
        if user is not None and (user.role != Role.ADMIN or user.status != Status.APPROVED):
            # Never been one, so there is nothing to rescue; to make somebody one takes another administrator.
            raise CommandError(
                f"{username} exists and is not an active administrator. Choose another name, or change the account "
                "in the admin site."
            )
        wants_password = user is None or options["reset_password"]
        password = (os.environ.get("ADMIN_PASSWORD") or self._asked()) if wants_password else None
        try:
            if user is None:
                services.user_create(
                    actor_id=None,
                    username=username,
                    role=Role.ADMIN,
                    status=Status.APPROVED,
                    password=password,
                    email=options["email"],
                )
                self.stdout.write(f"The administrator {username} was created.")
            else:
                done = services.user_rescue(user=user, password=password) or ["nothing was changed."]
                self.stdout.write(f"The administrator {user.username} exists; {' '.join(done)}")
        except DomainError as error:
            reasons = " ".join([error.detail, *(inner.detail for inner in error.errors)])
            raise CommandError(reasons) from error

    @staticmethod
    def _asked() -> str:
        if not sys.stdin.isatty():
            raise CommandError("Nobody can be asked for a password here. Set ADMIN_PASSWORD in the environment.")
        return getpass("Password of the administrator: ")
