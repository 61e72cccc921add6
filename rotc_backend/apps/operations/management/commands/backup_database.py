from typing import Any

from django.core.management.base import CommandParser

from apps.operations.management.backups import BackupCommand
from apps.operations.rules import ASKED, PRE_DEPLOY, WEEKLY
from apps.operations.services.backups.asking import unset_variables
from apps.operations.services.backups.errors import Refused
from apps.operations.services.backups.writing import backup_create, nothing_to_back_up


class Command(BackupCommand):
    help = (
        "Store an encrypted backup of the whole database in BACKUP_URL, restore it on trial to see that it is good, "
        "and remove older ones. Services may run meanwhile."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        purpose = parser.add_mutually_exclusive_group()
        purpose.add_argument(
            "--before-deploy",
            action="store_true",
            help="the backup before a deploy: an empty database is fine, and so is one for which no backups are set "
            "up, which is said; a backup that fails stops the deploy",
        )
        purpose.add_argument(
            "--weekly",
            action="store_true",
            help="in place of a Sunday's backup that failed; counts as one of the eight",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        unset = unset_variables()
        with self.words():
            if options["before_deploy"] and unset:
                self.stderr.write(
                    f"WARNING: No backup is made before this deploy, because {' and '.join(unset)} are not set. "
                    "What a migration destroys cannot be brought back. docs/BACKUP_RESTORE.md says how to set them."
                )
                return
            if unset:
                raise Refused(
                    f"No backup was stored, because {' and '.join(unset)} are not set. docs/BACKUP_RESTORE.md says how."
                )
            if options["before_deploy"] and nothing_to_back_up():
                self.tell("The database is empty: there is nothing to back up before its first deploy.")
                return
            purpose = PRE_DEPLOY if options["before_deploy"] else WEEKLY if options["weekly"] else ASKED
            backup_create(purpose=purpose, tell=self.tell)
