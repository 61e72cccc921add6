"""What can go wrong in the domain, in plain Python. `core.http` turns each into a problem document (RFC 9457)."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FieldError:
    """One field that the caller has to correct. `field` is the path in the request body ("rows.3.status")."""

    field: str
    code: str
    detail: str


class DomainError(Exception):
    """Base of all errors that the caller can understand and act on.

    `code` is stable and meant for programs; `detail` tells a person what to do; neither ever holds a secret.
    """

    status = 400
    code = "domain_error"
    title = "The request could not be carried out"

    def __init__(self, detail: str, *, code: str | None = None, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.errors = tuple(errors)


class ValidationFailed(DomainError):
    status = 400
    code = "validation_failed"
    title = "Some fields need correction"


class NotAuthenticated(DomainError):
    """The caller is not known. `code` says truthfully why: missing, malformed, expired, bad signature, revoked."""

    status = 401
    code = "token_missing"
    title = "Sign in first"


class PermissionRefused(DomainError):
    status = 403
    code = "permission_denied"
    title = "Your role does not allow this"


class NotFound(DomainError):
    status = 404
    code = "not_found"
    title = "There is no such thing here"


class Conflict(DomainError):
    status = 409
    code = "conflict"
    title = "The present state does not allow this"


class PreconditionFailed(DomainError):
    """The entity tag in If-Match is no longer the row's."""

    status = 412
    code = "version_changed"
    title = "Somebody else was faster"


class ContentTooLarge(DomainError):
    status = 413
    code = "content_too_large"
    title = "The file is too large"


class PreconditionRequired(DomainError):
    """The change has to say from which version it was made (RFC 6585)."""

    status = 428
    code = "if_match_missing"
    title = "Say which version you have changed"


class TooManyRequests(DomainError):
    """`retry_after` is in whole seconds and becomes the Retry-After header."""

    status = 429
    code = "too_many_requests"
    title = "Too many requests"

    def __init__(self, detail: str, *, retry_after: int, code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.retry_after = retry_after


class Unavailable(DomainError):
    """A dependency that this operation cannot do without is away; the same request may succeed later."""

    status = 503
    code = "unavailable"
    title = "A part of the system is away"
