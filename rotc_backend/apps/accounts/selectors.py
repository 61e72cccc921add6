"""What can be asked about accounts."""

import datetime as dt
import mmap
import os
import threading
import time

from django.db import DatabaseError, InterfaceError

from apps.accounts.models import AuditEntry, Revocation, Session, TokenGeneration, User
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


def user_by_username(username: str) -> User | None:
    """The account of this name in any letter case."""
    return User.objects.named(username).first()


def activity_between(*, start: dt.datetime, end: dt.datetime) -> dict[str, int]:
    """Counts of sign-ins and of audited writes in [start, end)."""
    return {
        "sign_ins": Session.objects.filter(created_at__gte=start, created_at__lt=end).count(),
        "audit_entries": AuditEntry.objects.filter(at__gte=start, at__lt=end).count(),
    }


def token_generation() -> int:
    """The generation that new tokens carry; the first, until a restore has raised it."""
    return TokenGeneration.objects.values_list("generation", flat=True).filter(pk=1).first() or 1


def revocation_window() -> RevocationWindow:
    """Read the whole window from the database (two queries).

    By time and never by id: a transaction with a lower id can commit later, and its revocation would be lost.
    """
    sessions: set[str] = set()
    least_version: dict[int, int] = {}
    rows = Revocation.objects.filter(at__gt=now() - WINDOW)
    for session_id, user_id, version in rows.values_list("session_id", "user_id", "least_version"):
        if session_id is not None:
            sessions.add(str(session_id))
        if user_id is not None and version is not None:
            least_version[user_id] = max(version, least_version.get(user_id, 0))
    return RevocationWindow(sessions=frozenset(sessions), least_version=least_version, generation=token_generation())


class _Copy:
    """This process's copy of the window, read again when it is older than two seconds.

    gunicorn preloads this module and forks, so `_change` is memory that all workers of an instance share: a revocation
    made by one of them makes the others read again at once. Other instances and services follow within two seconds.
    """

    def __init__(self) -> None:
        self._change = mmap.mmap(-1, 8)
        self._lock = threading.Lock()
        self._window: RevocationWindow | None = None
        self._read_at = 0.0
        self._seen = b""
        os.register_at_fork(after_in_child=self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()  # the one inherited may have been held by another thread of the parent

    def announce(self) -> None:
        self._change[:8] = os.urandom(8)

    def window(self) -> RevocationWindow:
        with self._lock:
            change = self._change[:8]
            age = time.monotonic() - self._read_at
            if self._window is not None and change == self._seen and age <= FRESH_SECONDS:
                return self._window
            started = time.monotonic()
            try:
                window = revocation_window()
            except (DatabaseError, InterfaceError) as error:
                if self._window is not None and change == self._seen and age <= USABLE_SECONDS:
                    return self._window
                raise Unavailable(
                    "Whether this token is still valid cannot be read at the moment. Try again in a few seconds.",
                    code="revocations_unreadable",
                ) from error
            self._window, self._read_at, self._seen = window, started, change
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
