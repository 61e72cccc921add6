"""Decisions about accounts, in plain Python."""

import datetime as dt
import ipaddress
import re
from collections.abc import Mapping
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


def admin_refusal(*, is_self: bool, other_active_admins: int) -> str | None:
    """Why an active administrator may not be archived or lose the role, as a problem code, or None."""
    if is_self:
        return "own_account"
    if other_active_admins < 1:
        return "last_admin"
    return None


# --- Invitations ------------------------------------------------------------------------------------------------------


def invitation_refusal(*, used: bool, replaced: bool, expired: bool, archived: bool) -> str | None:
    """Why a link that this system made does not set a password any more, as a problem code, or None."""
    if archived:
        return "account_archived"
    if used:
        return "invitation_used"
    if replaced:
        return "invitation_replaced"
    if expired:
        return "invitation_expired"
    return None


# --- Guesses ----------------------------------------------------------------------------------------------------------

ACCOUNT, ADDRESS, REGISTRATION, PASSWORD_RESET = "account", "address", "registration", "password_reset"
_SITE_PREFIX = 64  # an IPv6 customer holds at least so many bits, and could guess from an address each


@dataclass(frozen=True, kw_only=True)
class Guard:
    """What counts attempts: `limit` of them by one `key` within the window, then the key is locked."""

    kind: str
    key: str
    limit: int


def client_address(*, connection: str, forwarded_for: str, proxies: int) -> str | None:
    """Who sent a request, as its trusted proxies report it; None when that cannot be told.

    Every proxy appends the address that it was called from to X-Forwarded-For, so only the last `proxies` elements are
    our proxies' own words, and whatever a client has written stands further left. Hops inside the platform do not
    count: they have private addresses, and their number may change. Nor does a known edge in front of the proxies,
    whose address thousands of clients share; it has written the element before its own.

        X-Forwarded-For: forged, client, 104.22.17.40, 10.1.2.3     1 proxy, behind Cloudflare → client

    With fewer elements the request has not come through them: then nobody is told apart by a header that anybody can
    write, nor everybody counted together by the address of a proxy. Without proxies it is the connection's address.
    An IPv6 address stands for its /64.
    """
    if proxies == 0:
        return _site(connection)
    found = [_parsed(element) for element in forwarded_for.split(",")]
    public = [address for address in found if address is not None and not _within(address, _INTERNAL)]
    if public and _within(public[-1], _EDGES):
        public.pop()  # one and no more: a client may itself come from there, and what stands before it is its own word
    return _site(str(public[-proxies])) if len(public) >= proxies else None


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    bare = text.strip().strip('"')
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:  # some proxies add the port
        bare = bare.partition(":")[0]
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _networks(*texts: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


_INTERNAL = _networks(
    "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
    "::1/128", "fc00::/7", "fe80::/10",
)  # fmt: skip
# Cloudflare's, as it publishes them (www.cloudflare.com/ips): every request to Render comes through there.
_EDGES = _networks(
    "103.21.244.0/22", "103.22.200.0/22", "103.31.4.0/22", "104.16.0.0/13", "104.24.0.0/14", "108.162.192.0/18",
    "131.0.72.0/22", "141.101.64.0/18", "162.158.0.0/15", "172.64.0.0/13", "173.245.48.0/20", "188.114.96.0/20",
    "190.93.240.0/20", "197.234.240.0/22", "198.41.128.0/17",
    "2400:cb00::/32", "2405:8100::/32", "2405:b500::/32", "2606:4700::/32", "2803:f800::/32", "2a06:98c0::/29",
    "2c0f:f248::/32",
)  # fmt: skip


def _within(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...],
) -> bool:
    return any(address in network for network in networks)  # of another version is never in it


def _site(text: str) -> str | None:
    address = _parsed(text)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(address), _SITE_PREFIX), strict=False))
    return str(address) if address else None


# --- Passwords of the replaced system ---------------------------------------------------------------------------------

LEGACY_PASSWORD_BYTES = 72
LEGACY_PREFIX = "bcrypt$"
_LEGACY = re.compile(r"\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}")  # a cost of 14 takes a second


def legacy_hash_of(stored: str) -> str | None:
    """The plain bcrypt hash (`$2b$10$…`) in a stored password, with or without `bcrypt$` before it; None otherwise."""
    plain = stored.removeprefix(LEGACY_PREFIX)
    return plain if _LEGACY.fullmatch(plain) else None


# --- E-mail that events cause -----------------------------------------------------------------------------------------

# Kind of message (and name of its templates) -> the preference that declines it; what everybody must learn has none.
MAIL_KINDS: Mapping[str, str | None] = {
    "account_approved": None,
    "letter_decided": "excuse_letters",
    "grade_released": "grades",
    "daily_report": "daily_reports",
}
MAIL_ATTEMPTS = 8
_MAIL_FIRST_SECONDS, _MAIL_MOST_SECONDS = 60, 3600


def mail_delay_seconds(*, attempts: int) -> int:
    """Seconds after which a message is tried again that the server did not take: 1 minute, 2, 4 … one hour."""
    doubled: int = _MAIL_FIRST_SECONDS * 2 ** (attempts - 1)
    return min(doubled, _MAIL_MOST_SECONDS)


def mail_refusal(*, active: bool, address: str) -> str | None:
    """Why a message to an account is not to be sent, in words, or None."""
    if not active:
        return "The account is not open."
    return None if address else "The account has no e-mail address."
