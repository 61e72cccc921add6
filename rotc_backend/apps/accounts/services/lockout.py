"""Attempts are counted in PostgreSQL, by single statements: exact under parallel guesses, and also without Redis.

    before hashing   locked? refused, whatever the password is      lockout_check
    wrong            counted, unless a parallel guess has locked     attempt_count
    right            refused all the same if parallel wrong ones have locked meanwhile; else the count starts again

So of any number of parallel guesses exactly `limit` are answered by "wrong" and all others by "locked".
"""

import datetime as dt
import math
from collections.abc import Sequence

from django.conf import settings
from django.db import connection, transaction

from apps.accounts import rules
from apps.accounts.models import Attempts, User
from apps.accounts.rules import Guard, Principal
from apps.accounts.services.audit import audit_record
from core.clock import now
from core.errors import TooManyRequests

# The attempts that are still in the window are those since the lock that has ended, if there was one.
_COUNT = """
INSERT INTO accounts_attempts AS known (kind, key, at, last_at, locked_until)
VALUES (
    %(kind)s, %(key)s, ARRAY[%(now)s::timestamptz], %(now)s::timestamptz,
    CASE WHEN %(limit)s <= 1 THEN %(until)s::timestamptz END
)
ON CONFLICT (kind, key) DO UPDATE SET
    (at, last_at, locked_until) = (
        SELECT recent.at || excluded.at, excluded.last_at,
               CASE WHEN cardinality(recent.at) + 1 >= %(limit)s THEN %(until)s::timestamptz END
        FROM (
            SELECT coalesce(array_agg(attempt ORDER BY attempt), '{}') AS at FROM unnest(known.at) AS attempt
            WHERE attempt > %(since)s AND known.locked_until IS NULL
        ) AS recent
    )
WHERE known.locked_until IS NULL OR known.locked_until <= %(now)s
RETURNING locked_until
"""

_WORDS = {
    rules.ACCOUNT: ("account_locked", "Too many wrong passwords for this account. Wait, or ask an administrator."),
    rules.ADDRESS: ("address_locked", "Too many wrong passwords from this network address. Wait before the next try."),
    rules.REGISTRATION: ("address_locked", "Too many registrations from this network address. Wait before the next."),
    rules.PASSWORD_RESET: ("address_locked", "Too many requests from this network address. Wait before the next one."),
}


def account_guard(*, username: str) -> Guard:
    """The guard of an account, whether it exists or not: by its name in the form that is compared (one query)."""
    name = User.normalize_username(username)
    with connection.cursor() as cursor:
        # LOWER as the unique constraint has it: Python's differs, and would give one account two counts.
        cursor.execute("SELECT encode(sha256(convert_to(lower(%s), 'UTF8')), 'hex')", [name])
        key = cursor.fetchone()[0]
    return Guard(kind=rules.ACCOUNT, key=key, limit=settings.LOCKOUT_ACCOUNT_FAILURES)


def address_guards(address: str | None, *, kind: str = rules.ADDRESS) -> list[Guard]:
    """One guard, or none for an address that is not known."""
    limit = {
        rules.ADDRESS: settings.LOCKOUT_ADDRESS_FAILURES,
        rules.REGISTRATION: settings.REGISTRATIONS_PER_ADDRESS,
        rules.PASSWORD_RESET: settings.PASSWORD_RESETS_PER_ADDRESS,
    }[kind]
    return [Guard(kind=kind, key=address, limit=limit)] if address else []


def lockout_check(guards: Sequence[Guard]) -> None:
    """Raise TooManyRequests (`account_locked`, `address_locked`) if any of them is locked. At most one query."""
    if not guards:
        return
    present = now()
    kinds, keys = {guard.kind for guard in guards}, {guard.key for guard in guards}
    wanted = {(guard.kind, guard.key) for guard in guards}
    rows = Attempts.objects.filter(kind__in=kinds, key__in=keys, locked_until__gt=present)
    found = [row for row in rows.values_list("kind", "key", "locked_until") if row[:2] in wanted]
    if found:
        kind, _, until = max(found, key=lambda row: row[2] or present)
        raise _locked(kind, until or present)


def attempt_count(guard: Guard) -> None:
    """Count one attempt. Raises TooManyRequests when parallel ones have locked the key before it."""
    present, minutes = now(), dt.timedelta(minutes=settings.LOCKOUT_MINUTES)
    with connection.cursor() as cursor:
        cursor.execute(
            _COUNT,
            {
                "kind": guard.kind,
                "key": guard.key,
                "limit": guard.limit,
                "now": present,
                "since": present - minutes,
                "until": present + minutes,
            },
        )
        counted = cursor.fetchone() is not None
    if not counted:
        raise _locked(guard.kind, present + minutes)


def failure_count(guards: Sequence[Guard]) -> None:
    """Count one wrong guess against each, then raise TooManyRequests if one of them was locked before it."""
    refusal: TooManyRequests | None = None
    for guard in guards:
        try:
            attempt_count(guard)
        except TooManyRequests as error:
            refusal = refusal or error
    if refusal is not None:
        raise refusal


def attempts_forget(guard: Guard) -> bool:
    """Start the count again after a right password; a lock stays. False when there was nothing to forget."""
    deleted, _ = Attempts.objects.filter(kind=guard.kind, key=guard.key, locked_until=None).delete()
    return bool(deleted)


def lock_lift(guard: Guard) -> bool:
    """Forget the attempts together with the lock; whether there was one."""
    locked = Attempts.objects.filter(kind=guard.kind, key=guard.key, locked_until__gt=now()).exists()
    Attempts.objects.filter(kind=guard.kind, key=guard.key).delete()
    return locked


def attempts_unlock(*, actor: Principal, attempts_id: int) -> bool:
    """Lift a lock whose account or address is not known otherwise, and start its count again; whether there was one.

    For an account see `user_unlock`: here only the digest of its name is known.
    """
    with transaction.atomic():
        row = Attempts.objects.select_for_update().filter(pk=attempts_id, locked_until__gt=now()).first()
        if row is None:
            return False
        row.delete()
        audit_record(
            actor_id=actor.user_id,
            action="attempts.unlock",
            target=f"attempts:{row.kind}:{row.key}",
            before={"locked_until": row.locked_until},
        )
    return True


def attempts_cleanup() -> int:
    """Remove what no window and no lock can reach any more; return how many keys."""
    before = now() - 2 * dt.timedelta(minutes=settings.LOCKOUT_MINUTES)
    deleted, _ = Attempts.objects.filter(last_at__lt=before).delete()
    return deleted


def _locked(kind: str, until: dt.datetime) -> TooManyRequests:
    code, detail = _WORDS[kind]
    return TooManyRequests(detail, code=code, retry_after=max(1, math.ceil((until - now()).total_seconds())))
