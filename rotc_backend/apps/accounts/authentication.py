"""Who is calling: password hashes, tokens of djangorestframework-simplejwt, and the permissions of roles."""

import datetime as dt
import secrets
import threading
from typing import TYPE_CHECKING, Any

import jwt
from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher, BCryptPasswordHasher
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework_simplejwt.state import token_backend

from apps.accounts import rules, selectors
from apps.accounts.models import Session
from apps.accounts.rules import ADMIN, CADET, TRAINING_STAFF, Principal
from core.clock import now
from core.errors import NotAuthenticated

if TYPE_CHECKING:
    from rest_framework.views import APIView  # it imports this module through its settings

ACCESS, REFRESH = "access", "refresh"
_DETAILS = {
    "token_missing": "Send the header Authorization: Bearer <access token> from POST /api/v1/auth/login.",
    "token_malformed": "This is not a token. Send the value of `access` from the sign-in, unchanged.",
    "token_expired": "The token has expired. Exchange the refresh token at POST /api/v1/auth/refresh.",
    "token_bad_signature": "The token was not signed by this system, or by one with another key.",
    "token_wrong_type": "This is the other kind of token: `access` opens requests, `refresh` only the exchange.",
    "token_revoked": "This session has ended. Sign in again.",
}


class LeanArgon2PasswordHasher(Argon2PasswordHasher):
    """Argon2id with OWASP's parameters of 19 MiB, two passes, one lane, and one hash at a time in a process.

    Django's default of 100 MiB in four lanes would take 800 MB with four workers of two threads; production has 512.
    """

    memory_cost = 19_456  # KiB
    time_cost = 2
    parallelism = 1
    _one_at_a_time = threading.Lock()

    def encode(self, password: str, salt: str) -> str:
        with self._one_at_a_time:
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with self._one_at_a_time:
            return super().verify(password, encoded)


class LegacyBcryptPasswordHasher(BCryptPasswordHasher):
    """The hashes of the system that this one replaces, stored as `bcrypt$` and the hash (`bcrypt$$2b$10$…`).

    Only ever verified: the sign-in that succeeds replaces the hash by the preferred one. That system cut passwords
    after 72 bytes, as bcrypt then did without a word; today's library refuses them instead. One hash at a time in a
    process, like the other hasher's.
    """

    def encode(self, password: str, salt: str) -> str:
        raise NotImplementedError("No new password is hashed by bcrypt.")

    def verify(self, password: str, encoded: str) -> bool:
        plain = rules.legacy_hash_of(encoded)
        if plain is None:  # cut off in the import, or of a cost that would hold this process for minutes
            return False
        bcrypt = self._load_library()  # type: ignore[attr-defined]  # of every hasher with a library
        with LeanArgon2PasswordHasher._one_at_a_time:
            try:
                found: bytes = bcrypt.hashpw(password.encode()[: rules.LEGACY_PASSWORD_BYTES], plain.encode())
            except ValueError:  # a NUL byte, which no password of that system could hold
                return False
        # Its `$2y$` and `$2a$` are written back as they came.
        return constant_time_compare(found.decode(), plain)

    def must_update(self, encoded: str) -> bool:
        return True

    def harden_runtime(self, password: str, encoded: str) -> None:
        """Nothing: `services.password_matches` evens the costs out."""


def client_address(request: HttpRequest) -> str | None:
    """The address that guesses are counted by, or None when no client can be told apart behind the proxies."""
    return rules.client_address(
        connection=request.META.get("REMOTE_ADDR", ""),
        forwarded_for=request.META.get("HTTP_X_FORWARDED_FOR", ""),
        proxies=settings.TRUSTED_PROXY_COUNT,
    )


def refused(code: str) -> NotAuthenticated:
    """The error for a token that is not accepted, with what its holder can do about it."""
    return NotAuthenticated(_DETAILS[code], code=code)


def token_pair(session: Session) -> tuple[str, str]:
    """(access, refresh) of a session. The refresh token is the session's current one."""
    user, present = session.user, now()
    claims = {
        "sub": str(user.pk),
        "sid": str(session.pk),
        "ver": user.token_version,
        "gen": selectors.token_generation(),
        "iat": int(present.timestamp()),
    }
    access = {
        **claims,
        "token_type": ACCESS,
        "jti": secrets.token_hex(16),
        "role": user.role,
        "name": user.username,
        "exp": int((present + dt.timedelta(minutes=settings.ACCESS_TOKEN_MINUTES)).timestamp()),
    }
    refresh = {
        **claims,
        "token_type": REFRESH,
        "jti": session.refresh_id,
        "exp": int(session.expires_at.timestamp()),
    }
    return token_backend.encode(access), token_backend.encode(refresh)


def claims_of(token: str, *, kind: str) -> dict[str, Any]:
    """The claims of a token that this system signed and that has not expired. Raises NotAuthenticated, truthfully."""
    if not token:
        raise refused("token_missing")
    try:
        # Not by simplejwt's own decode, which refuses a token whose `iat` lies ahead: where the clocks of two services
        # differ by a second, that would call a fresh token malformed.
        claims: dict[str, Any] = jwt.decode(
            token,
            settings.TOKEN_KEY,
            algorithms=[token_backend.algorithm],
            options={"verify_iat": False},
        )
    except (jwt.InvalidTokenError, UnicodeError) as error:
        raise refused(_code_of(error)) from None
    if claims.get("token_type") != kind:
        raise refused("token_wrong_type" if claims.get("token_type") in {ACCESS, REFRESH} else "token_malformed")
    return claims


def refresh_claims_of(token: str) -> dict[str, Any]:
    """The claims of a refresh token that no restore of the database has outdated. Raises as `claims_of` does."""
    claims = claims_of(token, kind=REFRESH)
    generation = claims.get("gen")
    if not isinstance(generation, int) or generation < selectors.token_generation():
        raise refused("token_revoked")
    return claims


def _code_of(cause: Exception) -> str:
    if isinstance(cause, jwt.ExpiredSignatureError):
        return "token_expired"
    if isinstance(cause, jwt.InvalidSignatureError | jwt.InvalidAlgorithmError):
        return "token_bad_signature"
    return "token_malformed"


def principal_of(token: str) -> Principal:
    """Who an access token speaks for, if it still does.

    Reads the database at most every two seconds per process. Raises NotAuthenticated with the true reason, or
    Unavailable (`revocations_unreadable`).
    """
    claims = claims_of(token, kind=ACCESS)
    try:
        principal = Principal(
            user_id=int(claims["sub"]),
            username=str(claims["name"]),
            role=str(claims["role"]),
            session_id=str(claims["sid"]),
            version=int(claims["ver"]),
            generation=int(claims["gen"]),
            expires_at=dt.datetime.fromtimestamp(claims["exp"], tz=dt.UTC),
        )
    except (KeyError, TypeError, ValueError):
        raise refused("token_malformed") from None
    if selectors.is_revoked(principal):
        raise refused("token_revoked")
    return principal


def bearer_token(authorization: str) -> str:
    """The token in a header Authorization. Raises NotAuthenticated for every other scheme."""
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise refused("token_malformed")
    return token.strip()


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <access token>`. Public views do without it, so a stale token never breaks them."""

    def authenticate(self, request: Request) -> tuple[Principal, None] | None:
        authorization = request.headers.get("Authorization", "").strip()
        return (principal_of(bearer_token(authorization)), None) if authorization else None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="rgms"'


def caller_of(request: Request) -> Principal:
    """Who sent a request that one of the permissions below has let through."""
    caller = _caller(request)
    if caller is None:
        raise refused("token_missing")
    return caller


def _caller(request: Request) -> Principal | None:
    user: object = request.user  # Django's stubs know only its own User
    return user if isinstance(user, Principal) else None


class SignedIn(BasePermission):
    roles = (ADMIN, TRAINING_STAFF, CADET)

    def has_permission(self, request: Request, view: "APIView") -> bool:
        return _caller(request) is not None


class AdminOnly(BasePermission):
    roles = (ADMIN,)

    def has_permission(self, request: Request, view: "APIView") -> bool:
        caller = _caller(request)
        return caller is not None and caller.is_admin


class StaffOnly(BasePermission):
    """Training staff and administrators."""

    roles = (ADMIN, TRAINING_STAFF)

    def has_permission(self, request: Request, view: "APIView") -> bool:
        caller = _caller(request)
        return caller is not None and caller.is_staff_member


class CadetOnly(BasePermission):
    """Cadets, for what only they have: an own standing, an own history, an own excuse letter."""

    roles = (CADET,)

    def has_permission(self, request: Request, view: "APIView") -> bool:
        caller = _caller(request)
        return caller is not None and caller.role == CADET
