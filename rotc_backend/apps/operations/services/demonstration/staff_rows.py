"""Accounts and profiles of the staff as rows of the database; those that exist are left as they are."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

from django.contrib.auth.hashers import make_password
from django.db.models.functions import Lower

from apps.accounts.models import Role, Status, User
from apps.accounts.services import user_create, user_set_password
from apps.cadets.models import StaffProfile
from apps.operations.services.demonstration.cadet_rows import insert
from apps.operations.services.demonstration.chance import Weighted, stream
from apps.operations.services.demonstration.staff import DEMO_ACCOUNTS, Officer, officers_draw, registrations_draw
from apps.operations.services.demonstration.terms import at
from apps.training.models import AttendanceSource, AttendanceStatus, StaffAttendanceRecord

_STAFF_STATUSES = Weighted(
    {
        AttendanceStatus.PRESENT: 90,
        AttendanceStatus.LATE: 5,
        AttendanceStatus.EXCUSED: 4,
        AttendanceStatus.ABSENT: 1,
    }
)
_DAYS_IN_SERVICE = 400  # of the accounts of the staff


def demo_accounts_write(*, passwords: Mapping[str, str], reset_passwords: bool) -> int:
    """The accounts that people sign in with; `passwords` are by user name. Returns how many are new.

    Raises ValidationFailed for a password that the policy refuses.
    """
    known = users_named(account.username for account in DEMO_ACCOUNTS)
    for account in DEMO_ACCOUNTS:
        password = passwords[account.username]
        user = known.get(account.username)
        if user is None:
            user_create(
                actor_id=None,
                username=account.username,
                role=account.role,
                status=Status.APPROVED,
                password=password,
                email=f"{account.username}@rotc.example",
                first_name=account.first_name,
                last_name=account.last_name,
            )
        elif reset_passwords:
            user_set_password(actor_id=None, user=user, password=password)
    return len(DEMO_ACCOUNTS) - len(known)


def staff_write(*, seed: int, today: dt.date) -> dict[str, int]:
    """Officers with their accounts, and registrations that wait; returns how many rows of what."""
    officers, registrations = officers_draw(seed=seed), registrations_draw(seed=seed)
    known = users_named([*(one.username for one in officers), *(one.username for one in registrations)])
    since = at(today - dt.timedelta(days=_DAYS_IN_SERVICE), 9 * 60)
    users = [
        User(
            username=one.username,
            password=make_password(None),
            first_name=one.first_name,
            last_name=one.last_name,
            email=one.email,
            role=Role.TRAINING_STAFF,
            status=Status.APPROVED,
            created_at=since,
            updated_at=since,
        )
        for one in officers
        if one.username not in known
    ]
    for turn, registration in enumerate(registrations, start=1):
        registered_at = at(today - dt.timedelta(days=turn), -100 * turn)
        if registration.username not in known:
            users.append(
                User(
                    username=registration.username,
                    password=make_password(None),
                    first_name=registration.first_name,
                    last_name=registration.last_name,
                    email=f"{registration.username}@students.example",
                    role=Role.CADET,
                    status=Status.PENDING,
                    created_at=registered_at,
                    updated_at=registered_at,
                )
            )
    known.update({user.username.lower(): user for user in User.objects.bulk_create(users)})
    taken = set(StaffProfile.objects.values_list(Lower("email"), flat=True))
    with_profile = set(StaffProfile.objects.exclude(user=None).values_list("user_id", flat=True))
    profiles = [
        _profile(one, known[one.username], since=since, has_account=known[one.username].pk not in with_profile)
        for one in officers
        if one.email not in taken
    ]
    return {"accounts": len(users), "staff_profiles": insert(StaffProfile, profiles)}


def _profile(officer: Officer, user: User, *, since: dt.datetime, has_account: bool) -> StaffProfile:
    return StaffProfile(
        rank=officer.rank,
        last_name=officer.last_name,
        first_name=officer.first_name,
        middle_name=officer.middle_name,
        suffix=officer.suffix,
        email=officer.email,
        function=officer.function,
        afpsn=officer.afpsn,
        contact_number=officer.contact_number,
        user=user if has_account and user.role != Role.CADET else None,
        created_at=since,
        updated_at=since,
    )


def staff_attendance_write(*, seed: int, days: Sequence[tuple[int, dt.date]], recorded_by: int) -> int:
    """What the staff's attendance on held days (id, date) was; those of rank come to the field. Returns the rows."""
    profiles = StaffProfile.objects.exclude(rank="").order_by("email")
    rows = []
    for profile in profiles:
        for day_id, date in days:
            chance = stream(seed, "duty", profile.email, date.toordinal())
            status = _STAFF_STATUSES.pick(chance)
            comes = {AttendanceStatus.PRESENT: (330, 405), AttendanceStatus.LATE: (425, 480)}.get(status)
            time_in = at(date, chance.randint(*comes)) if comes else None
            noted_at = time_in or at(date, 8 * 60)
            rows.append(
                StaffAttendanceRecord(
                    training_day_id=day_id,
                    staff_profile=profile,
                    status=status,
                    time_in=time_in,
                    time_out=at(date, chance.randint(700, 790)) if comes else None,
                    source=AttendanceSource.MANUAL,
                    recorded_by_id=recorded_by,
                    created_at=noted_at,
                    updated_at=noted_at,
                )
            )
    return insert(StaffAttendanceRecord, rows)


def users_named(usernames: Iterable[str]) -> dict[str, User]:
    """The accounts of these names in any letter case, by lowered name."""
    names = [name.lower() for name in usernames]
    users = User.objects.alias(lowered=Lower("username")).filter(lowered__in=names)
    return {user.username.lower(): user for user in users}
