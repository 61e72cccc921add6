"""The training staff, and the three accounts that people sign in to a demo with."""

from dataclasses import dataclass
from typing import NamedTuple

from apps.accounts.models import Role
from apps.cadets.models import StaffFunction, StaffRank
from apps.operations.services.demonstration.chance import stream
from apps.operations.services.demonstration.people import mail_name, name_draw

ADMIN_USERNAME, STAFF_USERNAME, CADET_USERNAME = "admin", "staff", "cadet"


class DemoAccount(NamedTuple):
    """An account with a password; `variable` of the environment holds it."""

    username: str
    role: Role
    variable: str
    first_name: str
    last_name: str


DEMO_ACCOUNTS = (
    DemoAccount(ADMIN_USERNAME, Role.ADMIN, "DEMO_ADMIN_PASSWORD", "Amina", "Dimaporo"),
    DemoAccount(STAFF_USERNAME, Role.TRAINING_STAFF, "DEMO_TRAINING_STAFF_PASSWORD", "Ramon", "Villanueva"),
    DemoAccount(CADET_USERNAME, Role.CADET, "DEMO_CADET_PASSWORD", "Liza", "Macaraeg"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Officer:
    """Somebody of the staff, with an account of the same name."""

    username: str
    rank: str
    first_name: str
    middle_name: str
    last_name: str
    suffix: str
    email: str
    function: StaffFunction
    afpsn: str
    contact_number: str


_OFFICERS = (
    (STAFF_USERNAME, StaffFunction.COMMANDANT, StaffRank.LTC),
    ("assistant.commandant", StaffFunction.ASSISTANT_COMMANDANT, StaffRank.CPT),
    ("nstp.director", StaffFunction.NSTP_DIRECTOR, ""),
    ("rotc.coordinator", StaffFunction.ROTC_COORDINATOR, ""),
    ("admin.nco", StaffFunction.ADMIN_NCO, StaffRank.MSG),
    (ADMIN_USERNAME, StaffFunction.ADMIN, ""),
    ("instructor.alpha", StaffFunction.INSTRUCTOR, StaffRank.TSG),
    ("instructor.bravo", StaffFunction.INSTRUCTOR, StaffRank.SSG),
    ("instructor.charlie", StaffFunction.INSTRUCTOR, StaffRank.SGT),
    ("instructor.delta", StaffFunction.INSTRUCTOR, StaffRank.SGT),
    ("instructor.hqscoy", StaffFunction.INSTRUCTOR, StaffRank.FIRST_LIEUTENANT),
    ("instructor.reserve", StaffFunction.INSTRUCTOR, StaffRank.CPL),
)
_COMMISSIONED = {StaffRank.FIRST_LIEUTENANT, StaffRank.CPT, StaffRank.LTC}
PENDING_REGISTRATIONS = 3


def officers_draw(*, seed: int) -> list[Officer]:
    named = {account.username: account for account in DEMO_ACCOUNTS}
    officers = []
    for username, function, rank in _OFFICERS:
        chance = stream(seed, "officer", username)
        name = name_draw(chance)
        account = named.get(username)
        serial = chance.randrange(10_000, 100_000)
        afpsn = "" if not rank else f"O-{serial}" if rank in _COMMISSIONED else f"8{serial}"
        officers.append(
            Officer(
                username=username,
                rank=rank,
                first_name=account.first_name if account else name.first,
                middle_name=name.middle,
                last_name=account.last_name if account else name.last,
                suffix="" if account else name.suffix,
                email=f"{username}@rotc.example",
                function=function,
                afpsn=afpsn,
                contact_number=f"0900 {chance.randrange(1000):03} {chance.randrange(10_000):04}",
            )
        )
    return officers


class Registration(NamedTuple):
    """Somebody who has registered and waits for approval."""

    username: str
    first_name: str
    last_name: str


def registrations_draw(*, seed: int) -> list[Registration]:
    registrations = []
    for number in range(PENDING_REGISTRATIONS):
        name = name_draw(stream(seed, "registration", number))
        registrations.append(Registration(f"{mail_name(name.first, name.last)}{number + 1}", name.first, name.last))
    return registrations
