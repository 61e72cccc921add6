import datetime as dt
import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.operations.services.demonstration import DEFAULT_SEED, DEMO_ACCOUNTS, demonstration_fill
from core.errors import DomainError


class Command(BaseCommand):
    help = (
        "Fill an empty system with a demo: one account per role, whose passwords come from DEMO_ADMIN_PASSWORD, "
        "DEMO_TRAINING_STAFF_PASSWORD and DEMO_CADET_PASSWORD, the training staff, a closed term, and a current one "
        "past its middle with cadets who have attendance, letters, scores, merits and notifications. Only the three "
        "can sign in; the account `cadet` is one of the cadets. The same seed and day give the same demo. Running it "
        "again adds only what is missing; cadets that are added later do not enter the closed term."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--cadets", type=int, default=300, help="how many cadets (default: 300, one real term)")
        parser.add_argument("--seed", type=int, help=f"other people, another story (default: {DEFAULT_SEED})")
        parser.add_argument(
            "--today", type=dt.date.fromisoformat, metavar="YYYY-MM-DD", help="day of the story (default: Manila's)"
        )
        parser.add_argument("--reset-passwords", action="store_true", help="give existing demo accounts the passwords")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 <= options["cadets"] <= 30_000:
            raise CommandError("--cadets takes a whole number from 0 to 30000.")
        passwords = {account.username: os.environ.get(account.variable, "") for account in DEMO_ACCOUNTS}
        if missing := [account.variable for account in DEMO_ACCOUNTS if not passwords[account.username]]:
            raise CommandError(f"Set {', '.join(missing)}: the demo accounts get these passwords.")
        try:
            filled = demonstration_fill(
                cadets=options["cadets"],
                passwords=passwords,
                reset_passwords=options["reset_passwords"],
                seed=options["seed"],
                today=options["today"],
            )
        except DomainError as error:
            reasons = " ".join([error.detail, *(inner.detail for inner in error.errors)])
            raise CommandError(reasons) from error
        added = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in filled.added.items())
        self.stdout.write(f"Demo data is in place (day {filled.story.today}). Added: {added or 'nothing'}.")
