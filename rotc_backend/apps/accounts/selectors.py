"""What can be asked about accounts."""

import datetime as dt
import mmap
import os
import threading
import time
from dataclasses import dataclass

from django.db import DatabaseError, InterfaceError
from django.db.models import BigIntegerField, F, IntegerField, Q, QuerySet, UUIDField, Value
from django.db.models.functions import Cast, Lower

from apps.accounts.models import AuditEntry, MailPreferences, Revocation, Status, TokenGeneration, User
from apps.accounts.rules import Principal, RevocationWindow
from core.clock import now
from core.errors import NotFound, Unavailable

WINDOW = dt.timedelta(minutes=20)  # longer than an access token lives
FRESH_SECONDS = 2.0
USABLE_SECONDS = 5.0


def user_of_principal(principal: Principal) -> User:
    """The row of who is signed in. Raises NotFound if it is gone."""
    user = User.objects.filter(pk=principal.user_id).first()
    if user is None:
        raise NotFound("This account no longer exists. Sign in with another one.")
    return user


def mail_preferences(*, principal: Principal) -> MailPreferences:
    """What somebody wants to be told by e-mail; everything, until it was chosen otherwise. Not always a stored row.

    Raises NotFound.
    """
    user = User.objects.select_related("mail_preferences").filter(pk=principal.user_id).first()
    if user is None:
        raise NotFound("This account no longer exists. Sign in with another one.")
    return getattr(user, "mail_preferences", None) or MailPreferences(user=user)


def principal_of_user(user: User) -> Principal:
    """Who acts where no token speaks: in the admin site, whose cookie was judged, and in the worker.

    Whether the account may still be used is for the caller to ask (`is_active`); roles stand in the services.
    """
    return Principal(
        user_id=user.pk,
        username=user.username,
        role=user.role,
        session_id="",
        version=user.token_version,
        generation=0,
        expires_at=now(),
    )


def user_by_username(username: str) -> User | None:
    """The account of this name in any letter case."""
    return User.objects.named(username).first()


def user_by_id(user_id: int) -> User:
    """Raises NotFound."""
    user = User.objects.filter(pk=user_id).first()
    if user is None:
        raise NotFound("There is no account with this id.")
    return user


# What a list of accounts can be sorted by; the id makes each a total order.
USER_ORDERS = {
    "username": (Lower("username"), F("pk")),
    "last_name": (Lower("last_name"), Lower("first_name"), F("pk")),
    "created_at": (F("created_at"), F("pk")),
    "last_login": (F("last_login"), F("pk")),
}


def users(
    *,
    role: str | None = None,
    status: str | None = None,
    archived: bool | None = None,
    search: str = "",
    sort: str = "username",
) -> QuerySet[User]:
    """Accounts; `archived` None means both kinds, and every word of `search` stands in a name or the e-mail address.

    `sort` is a key of USER_ORDERS, with a minus before it for the reverse.
    """
    rows = User.objects.all()
    if role is not None:
        rows = rows.filter(role=role)
    if status is not None:
        rows = rows.filter(status=status)
    if archived is not None:
        rows = rows.filter(archived_at__isnull=not archived)
    for word in search.split():
        rows = rows.filter(
            Q(username__icontains=word)
            | Q(first_name__icontains=word)
            | Q(last_name__icontains=word)
            | Q(email__icontains=word)
        )
    columns = USER_ORDERS[sort.removeprefix("-")]
    if sort.startswith("-"):
        return rows.order_by(*(column.desc(nulls_last=True) for column in columns))
    return rows.order_by(*(column.asc(nulls_last=True) for column in columns))


LARGEST_RESETS = 5


def users_to_reset(identifier: str) -> list[User]:
    """The open accounts that a link for a new password can be e-mailed to: of this username or e-mail address."""
    name = User.normalize_username(identifier)
    rows = (
        User.objects.alias(lowered_name=Lower("username"), lowered_email=Lower("email"))
        .filter(Q(lowered_name=Lower(Value(name))) | Q(lowered_email=Lower(Value(identifier))))
        .filter(status=Status.APPROVED, archived_at=None)
        .exclude(email="")
    )
    return list(rows.order_by("pk")[:LARGEST_RESETS])


COUNTED_ENTRIES = 10_000


def audit_entries(
    *,
    actor: str | None = None,
    action: str | None = None,
    target: str | None = None,
    request_id: str | None = None,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
) -> QuerySet[AuditEntry]:
    """Entries in [since, until), newest first. `actor` is a username, in any letter case, or `system` for nobody."""
    rows = AuditEntry.objects.select_related("actor").order_by("-at", "-pk")
    if actor is not None:
        account = user_by_username(actor)
        # An account that is called system is found under its own name first.
        if account is None and actor != "system":
            return rows.none()
        rows = rows.filter(actor=account)
    if action is not None:
        rows = rows.filter(action=action)
    if target is not None:
        rows = rows.filter(target=target)
    if request_id is not None:
        rows = rows.filter(request_id=request_id)
    if since is not None:
        rows = rows.filter(at__gte=since)
    if until is not None:
        rows = rows.filter(at__lt=until)
    return rows


def audit_count(rows: QuerySet[AuditEntry]) -> int:
    """How many entries there are, COUNTED_ENTRIES at the most: the whole trail is not read to number its pages."""
    return rows.order_by()[:COUNTED_ENTRIES].count()


def token_generation() -> int:
    """The generation that new tokens carry; the first, until a restore has raised it."""
    return TokenGeneration.objects.values_list("generation", flat=True).filter(pk=1).first() or 1


def revocation_window() -> RevocationWindow:
    """Read the whole window from the database, in one query.

    By time and never by id: a transaction with a lower id can commit later, and its revocation would be lost.
    """
    sessions: set[str] = set()
    least_version: dict[int, int] = {}
    generation = 1
    nothing = Value(None, BigIntegerField())
    rows = Revocation.objects.filter(at__gt=now() - WINDOW).values_list(
        "session_id", "user_id", "least_version", nothing
    )
    generations = TokenGeneration.objects.values_list(
        Value(None, UUIDField()), nothing, Value(None, IntegerField()), Cast("generation", BigIntegerField())
    )
    for session_id, user_id, version, current in rows.union(generations, all=True):
        if session_id is not None:
            sessions.add(str(session_id))
        if user_id is not None and version is not None:
            least_version[user_id] = max(version, least_version.get(user_id, 0))
        if current is not None:
            generation = current
    return RevocationWindow(sessions=frozenset(sessions), least_version=least_version, generation=generation)


@dataclass(frozen=True, kw_only=True)
class _Held:
    """A window, when its reading began (seconds, monotonic), and the change that it followed."""

    window: RevocationWindow
    read_at: float
    seen: bytes


class _Copy:
    """This process's copy of the window, read again when it is older than two seconds.

    gunicorn preloads this module and forks, so `_change` is memory that all workers of an instance share: a revocation
    made by one of them makes the others read again at once. Other instances and services follow within two seconds.
    """

    def __init__(self) -> None:
        self._change = mmap.mmap(-1, 8)
        self._lock = threading.Lock()
        self._held: _Held | None = None
        os.register_at_fork(after_in_child=self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()  # the one inherited may have been held by another thread of the parent

    def announce(self) -> None:
        self._change[:8] = os.urandom(8)

    def window(self) -> RevocationWindow:
        change = self._change[:8]
        current = self._usable(change, seconds=FRESH_SECONDS)
        if current is not None:
            return current
        # Whoever holds the lock reads for all; who waits for a reader that hangs makes do with what is there.
        if not self._lock.acquire(timeout=FRESH_SECONDS):
            return self._usable_or_refused(change)
        try:
            change = self._change[:8]
            current = self._usable(change, seconds=FRESH_SECONDS)
            if current is not None:
                return current
            started = time.monotonic()
            window = revocation_window()
        except (DatabaseError, InterfaceError):
            return self._usable_or_refused(change)
        else:
            self._held = _Held(window=window, read_at=started, seen=change)
            return window
        finally:
            self._lock.release()

    def _usable(self, change: bytes, *, seconds: float) -> RevocationWindow | None:
        held = self._held  # read once: another thread may put a newer one in its place
        if held is None or held.seen != change or time.monotonic() - held.read_at > seconds:
            return None
        return held.window

    def _usable_or_refused(self, change: bytes) -> RevocationWindow:
        window = self._usable(change, seconds=USABLE_SECONDS)
        if window is None:
            raise Unavailable(
                "Whether this token is still valid cannot be read at the moment. Try again in a few seconds.",
                code="revocations_unreadable",
            )
        return window


_copy = _Copy()


def is_revoked(principal: Principal) -> bool:
    """Whether this principal's token was ended: by logout, archive, a changed role or password, or a restore.

    Raises Unavailable (`revocations_unreadable`) when the database has not answered for USABLE_SECONDS.
    """
    return _copy.window().revokes(principal)


def announce_revocation() -> None:
    """Make every worker of this instance read the revocations again; call after the commit that wrote one."""
    _copy.announce()
