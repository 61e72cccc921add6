"""Typed readers of environment variables that fail loudly.

A settings module asks for everything it needs and then calls `Environment.refuse()`: one start of a badly
configured process names every variable that is wrong, what is wrong with it and the remedy, instead of one at a time.
No value is ever repeated in a message: it may be a secret.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import dj_database_url

from core.keys import secret_problem

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
# scheme -> (usual port, STARTTLS, TLS from the first byte on)
_MAIL_SCHEMES = {"smtp": (25, False, False), "smtp+tls": (587, True, False), "smtps": (465, False, True)}


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One variable that stops the process."""

    variable: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.variable} {self.problem}. {self.remedy}"


class ConfigurationError(SystemExit):
    """The environment does not describe a system that can run. `problems` holds every reason.

    An exit and not an error: gunicorn, daphne, Celery and manage.py all end with exactly these words, without a
    traceback in front of them, and nothing that catches errors can go on with half a configuration.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"The configuration is refused:\n{lines}")


class Environment:
    """Reads one mapping of variables, collecting problems until `refuse` is called."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.problems: list[Problem] = []

    def blame(self, variable: str, problem: str, remedy: str) -> None:
        """Record that `variable` is wrong; `refuse` will raise."""
        self.problems.append(Problem(variable=variable, problem=problem, remedy=remedy))

    def refuse(self) -> None:
        """Raise ConfigurationError if anything read so far was wrong."""
        if self.problems:
            raise ConfigurationError(self.problems)

    def text(self, variable: str, *, default: str | None = None, remedy: str = "") -> str:
        """The value without surrounding white space; empty counts as not set. Required when there is no default."""
        value = self._variables.get(variable, "").strip()
        if value:
            return value
        if default is None:
            self.blame(variable, "is not set", remedy or "Set it in the service's environment.")
            return ""
        return default

    def flag(self, variable: str, *, default: bool) -> bool:
        value = self._variables.get(variable, "").strip().lower()
        if not value:
            return default
        if value not in _TRUE | _FALSE:
            self.blame(variable, "is neither true nor false", "Write True or False.")
            return default
        return value in _TRUE

    def whole(self, variable: str, *, default: int, least: int, most: int) -> int:
        """A whole number from `least` to `most`."""
        value = self._variables.get(variable, "").strip()
        if not value:
            return default
        try:
            number = int(value)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            self.blame(variable, "is out of range", f"Write a whole number from {least} to {most}.")
            return default
        return number

    def share(self, variable: str, *, default: float) -> float:
        """A number from 0 to 1."""
        value = self._variables.get(variable, "").strip()
        if not value:
            return default
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0.0 <= number <= 1.0:
            self.blame(variable, "is out of range", "Write a number from 0 to 1.")
            return default
        return number

    def choice(self, variable: str, *, options: Sequence[str], default: str | None = None, remedy: str = "") -> str:
        value = self.text(variable, default=default, remedy=remedy)
        if value and value not in options:
            self.blame(variable, "is not one of the known values", f"Write one of: {', '.join(options)}.")
            return default or ""
        return value

    def comma_list(self, variable: str) -> list[str]:
        """Comma-separated values; empty items are dropped."""
        return [item.strip() for item in self._variables.get(variable, "").split(",") if item.strip()]

    def origins(self, variable: str) -> list[str]:
        """Comma-separated web origins (scheme and host, no path), as browsers send them in `Origin`."""
        origins = [origin.lower() for origin in self.comma_list(variable)]  # as browsers write them
        for origin in origins:
            parts = _parts(origin)
            if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or _odd(parts.netloc):
                self.blame(variable, "holds something that is not an origin", "Write https://host, comma-separated.")
            elif parts.path or "?" in origin or "#" in origin or "*" in origin:
                self.blame(
                    variable,
                    "holds an origin with a path or a wildcard",
                    "Write scheme and host only, without a slash at the end: https://front-end.example.",
                )
        return origins

    def database(self, variable: str, *, remedy: str) -> dict[str, Any]:
        """Django's settings for one PostgreSQL database from its URL."""
        url = self.text(variable, remedy=remedy)
        if not url:
            return {}
        if _scheme(url) not in {"postgres", "postgresql"}:
            self.blame(
                variable, "is not a PostgreSQL URL", "It must start with postgresql:// (no other database works)."
            )
            return {}
        try:
            found = dict(dj_database_url.parse(url))
        except (dj_database_url.ParseError, dj_database_url.UnknownSchemeError, ValueError):
            found = {}
        # A bare # in a password cuts the rest off, and what is left can still be read as another address.
        if not found.get("NAME") or "#" in url:
            self.blame(variable, "cannot be parsed", "Copy the connection string again; escape special characters.")
            return {}
        return found

    def redis_url(self, variable: str, *, remedy: str) -> str:
        url = self.text(variable, remedy=remedy)
        if url and (_scheme(url) not in {"redis", "rediss"} or not getattr(_parts(url), "hostname", None)):
            self.blame(variable, "is not a Redis URL", "It must look like redis://host:6379 or rediss://… (TLS).")
            return ""
        return url

    def email_url(self, variable: str) -> dict[str, Any] | None:
        """Django's `EMAIL_…` settings of one SMTP server, or None when the variable is not set.

        `smtp://` sends in the clear, `smtp+tls://` begins TLS by STARTTLS, `smtps://` speaks TLS from the start; then
        `user:password@` (percent-encoded) where the server asks for it, host, and a port unless it is the usual one.
        """
        url = self.text(variable, default="")
        if not url:
            return None
        parts = _parts(url)
        scheme = _scheme(url)
        if parts is None or scheme not in _MAIL_SCHEMES or not parts.hostname or _odd(parts.netloc.rpartition("@")[2]):
            self.blame(
                variable,
                "is not the URL of a mail server",
                "Write smtp+tls://user:password@host:587, smtps://… or smtp://…; percent-encode special characters.",
            )
            return None
        if parts.path.strip("/") or "?" in url or "#" in url:
            # A bare # or / in a password cuts the rest off, and what is left can still be read as another address.
            self.blame(variable, "holds more than a server", "Percent-encode the user name and the password.")
            return None
        port, starts_tls, speaks_tls = _MAIL_SCHEMES[scheme]
        return {
            "EMAIL_HOST": parts.hostname,
            "EMAIL_PORT": parts.port or port,
            "EMAIL_HOST_USER": unquote(parts.username or ""),
            "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
            "EMAIL_USE_TLS": starts_tls,
            "EMAIL_USE_SSL": speaks_tls,
        }

    def mailbox(self, variable: str, *, default: str) -> str:
        """A sender, as e-mail writes one: `Name <name@host>` or the address alone."""
        value = self.text(variable, default=default)
        _, address = parseaddr(value)
        name, _, host = address.rpartition("@")
        if not name or not host or any(character.isspace() for character in address) or "\n" in value:
            self.blame(variable, "is not an e-mail address", "Write RGMS <rgms@your-domain.example>.")
            return default
        return value

    def web_address(self, variable: str, *, default: str) -> str:
        """The address of a page, without query and fragment; empty when neither it nor a default is set."""
        value = self.text(variable, default=default)
        parts = _parts(value)
        if value and (
            parts is None
            or parts.scheme not in {"http", "https"}
            or not parts.hostname
            or _odd(parts.netloc)
            or "?" in value
            or "#" in value
        ):
            self.blame(variable, "is not the address of a page", "Write https://host/path, without ? and #.")
            return default
        return value

    def backup_place(self, variable: str) -> dict[str, Any]:
        """Where backups are kept, by `kind`; empty when the variable is not set.

        file:///directory                                 file: path
        s3://ACCESS:SECRET@host/bucket/prefix?region=…    s3: endpoint, secure, access_key, secret_key, bucket, prefix,
                                                          region; s3+http:// speaks without TLS
        cloudinary://KEY:SECRET@cloud/folder              cloudinary: cloud_name, api_key, api_secret, prefix
        """
        url = self.text(variable, default="")
        readers = {"file": _file_place, "s3": _s3_place, "s3+http": _s3_place, "cloudinary": _cloudinary_place}
        parts, reader = _parts(url), readers.get(_scheme(url))
        if not url:
            return {}
        # A bare # or / in a secret cuts the rest off, and what is left can still be read as another address.
        place = reader(parts) if reader is not None and parts is not None and "#" not in url else None
        if place is None:
            self.blame(
                variable,
                "is not the address of a place for backups",
                "Write s3://ACCESS:SECRET@host/bucket?region=us-east-1, cloudinary://KEY:SECRET@cloud or "
                "file:///directory; percent-encode special characters in a secret.",
            )
        return place or {}

    def secrets(self, variable: str) -> list[str]:
        """Comma-separated secrets, each fit to derive keys from; empty when the variable is not set."""
        secrets = self.comma_list(variable)
        for number, secret in enumerate(secrets, start=1):
            if problem := secret_problem(secret):
                which = "" if len(secrets) == 1 else f"holds {len(secrets)} keys, of which number {number} "
                self.blame(
                    variable,
                    f"{which}{problem}",
                    'Generate one: python -c "import secrets; print(secrets.token_urlsafe(48))".',
                )
        return [] if any(secret_problem(secret) for secret in secrets) else secrets

    def dsn(self, variable: str) -> str:
        """The address that a Sentry project gives to its clients (https://key@host/number), or empty."""
        value = self.text(variable, default="")
        parts = _parts(value)
        if value and not (
            parts
            and parts.scheme in {"http", "https"}
            and parts.hostname
            and parts.username
            and parts.path.rpartition("/")[2].isdecimal()
        ):
            self.blame(variable, "is not a DSN", "Copy it from Sentry: Project settings → Client keys; or remove it.")
            return ""
        return value


def _odd(netloc: str) -> bool:
    """Whether it holds what no host with a port does: somebody's name and password, or white space."""
    return "@" in netloc or any(character.isspace() for character in netloc)


def _file_place(parts: Any) -> dict[str, Any] | None:
    path = unquote(parts.path)
    return None if parts.netloc or parts.query or not path.strip("/") else {"kind": "file", "path": path}


def _s3_place(parts: Any) -> dict[str, Any] | None:
    account, query = _account(parts), dict(parse_qsl(parts.query, keep_blank_values=True))
    bucket, _, prefix = _folders(parts).partition("/")
    if account is None or not bucket or _leads_elsewhere(parts) or set(query) - {"region"}:
        return None
    return {
        "kind": "s3",
        "endpoint": account[2],
        "secure": parts.scheme == "s3",
        "access_key": account[0],
        "secret_key": account[1],
        "bucket": bucket,
        "prefix": prefix,
        "region": query.get("region") or "us-east-1",
    }


def _cloudinary_place(parts: Any) -> dict[str, Any] | None:
    account = _account(parts)
    if account is None or parts.query or parts.port or _leads_elsewhere(parts):
        return None
    return {
        "kind": "cloudinary",
        "cloud_name": account[2],
        "api_key": account[0],
        "api_secret": account[1],
        "prefix": _folders(parts),
    }


def _account(parts: Any) -> tuple[str, str, str] | None:
    """(user, secret, host with its port). The host as it was written: names of clouds have letters of both cases."""
    host = parts.netloc.rpartition("@")[2]
    if not (parts.username and parts.password and parts.hostname) or _odd(host):
        return None
    return unquote(parts.username), unquote(parts.password), host


def _folders(parts: Any) -> str:
    return unquote(parts.path).strip("/")


def _leads_elsewhere(parts: Any) -> bool:
    return bool({"", ".", ".."} & set(_folders(parts).split("/"))) and _folders(parts) != ""


def _parts(url: str) -> Any:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower()
