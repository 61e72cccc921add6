"""Decisions about accounts, in plain Python."""

import datetime as dt
from dataclasses import dataclass

ADMIN, TRAINING_STAFF, CADET = "admin", "training_staff", "cadet"

REUSE_GRACE = dt.timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who a verified access token speaks for. It is `request.user`, and costs no query.

    `version` and `generation` are compared with revocations; `session_id` is the sign-in that the token belongs to.
    """

    user_id: int
    username: str
    role: str
    session_id: str
    version: int
    generation: int
    expires_at: dt.datetime

    is_authenticated = True
    is_anonymous = False

    @property
    def pk(self) -> int:
        return self.user_id

    @property
    def is_admin(self) -> bool:
        return self.role == ADMIN

    @property
    def is_staff_member(self) -> bool:
        """Administrators may do what training staff may do."""
        return self.role in {ADMIN, TRAINING_STAFF}


@dataclass(frozen=True, kw_only=True)
class RevocationWindow:
    """All revocations that can still concern an unexpired access token.

    `sessions` are ended sign-ins; `least_version` gives, per user id, the oldest token version still accepted;
    `generation` is the oldest token generation accepted (it moves when a backup is restored).
    """

    sessions: frozenset[str]
    least_version: dict[int, int]
    generation: int

    def revokes(self, principal: Principal) -> bool:
        return (
            principal.session_id in self.sessions
            or principal.version < self.least_version.get(principal.user_id, 0)
            or principal.generation < self.generation
        )


def sign_in_refusal(*, approved: bool, archived: bool) -> str | None:
    """Why an account with the right password may not sign in, as a problem code, or None."""
    if archived:
        return "account_archived"
    if not approved:
        return "account_pending"
    return None


def reuse_is_theft(*, presented: str, previous: str, rotated_at: dt.datetime | None, now: dt.datetime) -> bool:
    """Whether a refresh token that is no longer the current one must end its session (RFC 9700, 4.14.2).

    A client whose answer got lost in a tunnel sends the token before the current one again within seconds; that alone
    is refused without ending the session.
    """
    return not (presented == previous and rotated_at is not None and now - rotated_at <= REUSE_GRACE)
