import datetime as dt
import os
import random
from typing import Any

from django.contrib.auth.hashers import make_password
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from apps.accounts import selectors, services
from apps.accounts.models import Role, Status, User
from apps.messaging.models import Notification
from core.clock import now
from core.errors import DomainError

DEMO_ACCOUNTS = (
    ("admin", Role.ADMIN, "DEMO_ADMIN_PASSWORD", "Amina", "Dimaporo"),
    ("staff", Role.TRAINING_STAFF, "DEMO_TRAINING_STAFF_PASSWORD", "Ramon", "Villanueva"),
    ("cadet", Role.CADET, "DEMO_CADET_PASSWORD", "Liza", "Macaraeg"),
)
_FIRST_NAMES = [
    "Aisha",
    "Alonzo",
    "Andrea",
    "Angelica",
    "Bea",
    "Carlo",
    "Christian",
    "Datu",
    "Dianne",
    "Ella",
    "Farhana",
    "Gabriel",
    "Hannah",
    "Ibrahim",
    "Jasmine",
    "Jericho",
    "Jomar",
    "Joy",
    "Kyla",
    "Lovely",
    "Mark",
    "Michelle",
    "Nadia",
    "Norhaya",
    "Omar",
    "Patricia",
    "Princess",
    "Rafael",
    "Rhea",
    "Rowena",
    "Sittie",
    "Vincent",
]
_LAST_NAMES = [
    "Abdullah",
    "Alonto",
    "Aquino",
    "Bautista",
    "Cabrera",
    "Castillo",
    "Cruz",
    "Dela-Cruz",
    "Dimakuta",
    "Domingo",
    "Fernandez",
    "Flores",
    "Garcia",
    "Gonzales",
    "Guro",
    "Hadji",
    "Lomondot",
    "Lucman",
    "Mangondato",
    "Mendoza",
    "Navarro",
    "Pangandaman",
    "Ramos",
    "Reyes",
    "Rivera",
    "Santos",
    "Sarip",
    "Torres",
    "Usman",
]
_NOTICES = (
    ("Training day on Saturday", "Formation at 07:00 on the parade ground. Bring your ID and water."),
    ("Uniform inspection", "Inspection before the flag ceremony. Haircut and nameplate are checked."),
    ("Change of venue", "The lecture on first aid moves to the gymnasium."),
    ("Excuse letters", "Letters for last Saturday are accepted until Wednesday noon."),
    ("Midterm examination", "The midterm covers map reading and basic leadership."),
)


class Command(BaseCommand):
    help = (
        "Fill an empty system with a demo: one account per role, whose passwords come from DEMO_ADMIN_PASSWORD, "
        "DEMO_TRAINING_STAFF_PASSWORD and DEMO_CADET_PASSWORD, and cadets with a history of notifications who cannot "
        "sign in. The same seed gives the same people. Running it again adds only what is missing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--cadets", type=int, default=300, help="how many cadets (default: 300, one real term)")
        parser.add_argument("--seed", type=int, default=2026)
        parser.add_argument("--reset-passwords", action="store_true", help="give existing demo accounts the passwords")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 <= options["cadets"] <= 30_000:
            raise CommandError("--cadets takes a whole number from 0 to 30000.")
        passwords = {variable: os.environ.get(variable, "") for _, _, variable, _, _ in DEMO_ACCOUNTS}
        if missing := [variable for variable, password in passwords.items() if not password]:
            raise CommandError(f"Set {', '.join(missing)}: the demo accounts get these passwords.")
        try:
            with transaction.atomic():
                for username, role, variable, first_name, last_name in DEMO_ACCOUNTS:
                    self._account(
                        username=username,
                        role=role,
                        password=passwords[variable],
                        first_name=first_name,
                        last_name=last_name,
                        reset=options["reset_passwords"],
                    )
                added = self._cadets(count=options["cadets"], seed=options["seed"])
        except DomainError as error:
            reasons = " ".join([error.detail, *(inner.detail for inner in error.errors)])
            raise CommandError(reasons) from error
        self.stdout.write(f"Demo data is in place: {len(DEMO_ACCOUNTS)} accounts, {added} cadets added.")

    @staticmethod
    def _account(*, username: str, role: Role, password: str, first_name: str, last_name: str, reset: bool) -> None:
        user = selectors.user_by_username(username)
        if user is None:
            services.user_create(
                actor_id=None,
                username=username,
                role=role,
                status=Status.APPROVED,
                password=password,
                email=f"{username}@rotc.example",
                first_name=first_name,
                last_name=last_name,
            )
        elif reset:
            services.user_set_password(actor_id=None, user=user, password=password)

    @staticmethod
    def _cadets(*, count: int, seed: int) -> int:
        chance = random.Random(seed)  # noqa: S311 - believable names, not secrets
        people = []
        for number in range(1, count + 1):
            first_name, last_name = chance.choice(_FIRST_NAMES), chance.choice(_LAST_NAMES).replace("-", " ")
            people.append(
                User(
                    username=f"2026-{number:05}",
                    first_name=first_name,
                    last_name=last_name,
                    email=f"2026-{number:05}@cadets.example",
                    role=Role.CADET,
                    status=Status.APPROVED,
                )
            )
        known = set(
            User.objects.filter(username__in=[person.username for person in people]).values_list("username", flat=True)
        )
        fresh = [person for person in people if person.username not in known]
        for person in fresh:
            person.password = make_password(None)
        User.objects.bulk_create(fresh, batch_size=1000)
        present = now()
        Notification.objects.bulk_create(
            (
                Notification(
                    recipient=person,
                    title=title,
                    body=body,
                    created_at=present - dt.timedelta(days=7 * week, minutes=chance.randrange(600)),
                    read_at=None if week < 2 else present - dt.timedelta(days=7 * week - 1),
                )
                for person in fresh
                for week, (title, body) in enumerate(_NOTICES, start=1)
            ),
            batch_size=2000,
        )
        return len(fresh)
