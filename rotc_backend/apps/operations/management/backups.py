"""What the two commands of backups have in common."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError

from apps.operations.services.backups.errors import BackupError, StoreAway

NOT_CONFIRMED = 7
EXIT_CODES = """
exit codes:
  0  done, or there was nothing to do
  1  failed, or the configuration is refused; the live data is as it was
  2  wrong arguments
  3  refused, since something does not fit; the words say what to do, or which option overrides it
  4  the backup is not what was once stored, or needs another key
  5  another backup or restore, or a transaction, is in the way; try again
  6  the tables are exchanged, but the work after it is not done: run the same command again
  7  nobody has confirmed
"""


class BackupCommand(BaseCommand):
    """Ends with words and an exit code, never with a traceback for what can be expected."""

    # They would open connections that the command does not need, and it has to run while a service cannot.
    requires_system_checks = ()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        import argparse

        parser: CommandParser = super().create_parser(
            prog_name, subcommand, epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs
        )
        return parser

    @contextmanager
    def words(self) -> Iterator[None]:
        try:
            yield
        except BackupError as error:
            raise CommandError(str(error), returncode=error.exit_code) from error
        except (psycopg.OperationalError, OperationalError, InterfaceError) as error:
            # Without its text, in which the server's address stands.
            raise CommandError(
                f"The database broke the work off ({type(error).__name__}). The live data is as it was, unless "
                "the tables were exchanged before: without options the command shows the present state.",
                returncode=StoreAway.exit_code,
            ) from error
        except KeyboardInterrupt:
            raise CommandError("Interrupted. Running the same command again is safe.", returncode=130) from None

    def tell(self, words: str) -> None:
        self.stdout.write(words)
        self.stdout.flush()

    def confirm(self, question: str, *, confirmed: bool) -> None:
        """Go on only if `confirmed`, or if somebody at the terminal types yes."""
        if confirmed:
            return
        if not sys.stdin.isatty():
            raise CommandError("Nobody is there to ask. Add --yes to go on.", returncode=NOT_CONFIRMED)
        self.stdout.write(f"{question} Type yes to go on: ", ending="")
        self.stdout.flush()
        if sys.stdin.readline().strip().lower() != "yes":
            raise CommandError("Nothing was done.", returncode=NOT_CONFIRMED)
