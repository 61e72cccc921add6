"""Which deployment is judged, as whom, and whether anything may be written there."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

STATE = Path(__file__).resolve().parent.parent / ".local"
# Account of up.json → the word for it in its SMOKE_* variables.
ROLES = {"admin": "ADMIN", "training_staff": "STAFF", "cadet": "CADET"}
# Nothing here signs in as one of these; the load does, if it is given the account.
OPTIONAL_ROLES = frozenset({"training_staff"})
SHORTEST_COMMIT = 7
_COMMIT = re.compile(rf"[0-9a-f]{{{SHORTEST_COMMIT},40}}", re.IGNORECASE)
# The front end of the deployment guide; SMOKE_CORS_ORIGIN names another one.
FRONT_END_ORIGIN = "https://msu-snd-rgms-1.onrender.com"
WEB_SERVICE, CHANNELS_SERVICE = "rotc-django-web", "rotc-django-channels"
WORKER_SERVICE, BEAT_SERVICE = "rotc-celery-worker", "rotc-celery-beat"
SERVICES = (WEB_SERVICE, CHANNELS_SERVICE, WORKER_SERVICE, BEAT_SERVICE)


class WrongUsage(Exception):
    """The suite cannot start as it was called; the message says what to give it."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where and as whom. URLs have no trailing slash; `channels_url` has the scheme ws or wss."""

    base_url: str
    channels_url: str
    credentials: Mapping[str, Credentials]
    expected_version: str | None
    cors_origin: str
    read_only: bool
    allow_writes: tuple[str, ...]

    @property
    def why_not_write(self) -> str | None:
        """The reason why nothing may be written to this deployment, or None if it may."""
        if self.read_only:
            return "the run is read-only"
        host = host_of(self.base_url)
        if is_loopback(self.base_url) or host in self.allow_writes:
            return None
        return f"{host} is not listed with --allow-writes"


def normal_expectation(text: str) -> str:
    """Return what somebody expects to be released: a version, or the beginning of a commit in lower case.

    Raises WrongUsage for what no release could ever be called.
    """
    if "." in text:
        return text
    if _COMMIT.fullmatch(text) is None:
        raise WrongUsage(
            f"{text!r} is neither a version, which has a dot, nor {SHORTEST_COMMIT} to 40 hexadecimal digits "
            "of a commit"
        )
    return text.lower()


def is_expected(*, expected: str | None, version: object, commit: object) -> bool:
    """Whether a release with this version and commit is the one that `normal_expectation` gave; None expects any."""
    if expected is None:
        return True
    if "." in expected:
        return version == expected
    return isinstance(commit, str) and commit.lower().startswith(expected)


def host_of(url: str) -> str:
    return (urlsplit(url).hostname or "").lower()


def is_loopback(url: str) -> bool:
    host = host_of(url)
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def same_address(one: str, other: str) -> bool:
    """Whether two URLs reach the same listener; the loopback names are one host."""
    first, second = urlsplit(one), urlsplit(other)
    default_port = {"http": 80, "https": 443}
    same_port = (first.port or default_port.get(first.scheme)) == (second.port or default_port.get(second.scheme))
    same_host = host_of(one) == host_of(other) or (is_loopback(one) and is_loopback(other))
    return same_port and same_host


def normal_url(*, url: str, schemes: tuple[str, ...], name: str) -> str:
    """Return `url` without trailing slashes.

    Raises WrongUsage unless it is absolute with one of `schemes`.
    """
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname:
        raise WrongUsage(f"{name} must be an address such as {schemes[0]}://host, and is {url!r}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise WrongUsage(f"{name} must not carry credentials, a query or a fragment")
    try:
        parts.port  # noqa: B018 - urlsplit judges the port only when asked
    except ValueError as error:
        raise WrongUsage(f"{name}: {error}") from error
    return url.rstrip("/")


def read_up(*, state: Path) -> tuple[dict[str, Any] | None, str]:
    """Read STATE/up.json, which scripts/up writes.

    Gives the facts, or None and the reason why there are none.
    """
    path = state / "up.json"
    try:
        facts = json.loads(path.read_text())
    except FileNotFoundError:
        return None, f"{path} does not exist"
    except (OSError, ValueError) as error:
        return None, f"{path} cannot be read: {error}"
    if not isinstance(facts, dict) or not isinstance(facts.get("web_url"), str):
        return None, f"{path} names no web_url"
    runner = facts.get("runner_pid")
    if isinstance(runner, int) and not _is_running(pid=runner):
        return None, f"{path} is left from a run that has ended"
    return facts, ""


def resolve_target(
    *,
    environment: Mapping[str, str],
    base_url: str | None = None,
    channels_url: str | None = None,
    expected_version: str | None = None,
    read_only: bool = False,
    allow_writes: tuple[str, ...] = (),
    state: Path = STATE,
) -> Target:
    """Complete what the caller gave from SMOKE_* variables, for a loopback address from the matching up.json.

    Raises WrongUsage naming everything that is missing.
    """
    facts, why_no_facts = read_up(state=state)
    base_url = base_url or environment.get("SMOKE_BASE_URL")
    if not base_url:
        if facts is None:
            raise WrongUsage(
                "no target: set SMOKE_BASE_URL (or give --base-url) to the address of the web service, "
                f"or start the system with scripts/up, which writes {state / 'up.json'} ({why_no_facts})"
            )
        base_url = str(facts["web_url"])
    base_url = normal_url(url=base_url, schemes=("https", "http"), name="the base URL")
    if facts is not None and not (is_loopback(base_url) and same_address(base_url, str(facts["web_url"]))):
        facts = None

    if expected_version is None:
        expected_version = environment.get("SMOKE_EXPECT_VERSION") or None
    credentials, missing = _resolve_credentials(environment=environment, facts=facts or {})
    channels_url = channels_url or environment.get("SMOKE_CHANNELS_URL") or (facts or {}).get("channels_url")
    channels_url = channels_url or _channels_beside(base_url)
    if not channels_url:
        missing.append("SMOKE_CHANNELS_URL (or --channels-url)")
    if missing:
        raise WrongUsage(f"missing for {base_url}: {', '.join(missing)}")
    assert channels_url
    if channels_url.startswith("http"):
        channels_url = "ws" + channels_url.removeprefix("http")
    return Target(
        base_url=base_url,
        channels_url=normal_url(url=channels_url, schemes=("wss", "ws"), name="the channels URL"),
        credentials=credentials,
        expected_version=None if expected_version is None else normal_expectation(expected_version),
        cors_origin=environment.get("SMOKE_CORS_ORIGIN") or FRONT_END_ORIGIN,
        read_only=read_only,
        allow_writes=tuple(host.lower() for host in allow_writes),
    )


def _resolve_credentials(
    *, environment: Mapping[str, str], facts: Mapping[str, Any]
) -> tuple[dict[str, Credentials], list[str]]:
    credentials: dict[str, Credentials] = {}
    missing: list[str] = []
    for role, word in ROLES.items():
        names = (f"SMOKE_{word}_USERNAME", f"SMOKE_{word}_PASSWORD")
        given = [environment.get(name, "") for name in names]
        # Both or neither: half an account from the environment and half from up.json would be nobody's
        # account.
        if not any(given):
            account = facts.get("accounts", {}).get(role, {})
            given = [str(account.get("username", "")), str(account.get("password", ""))]
        if role in OPTIONAL_ROLES and not any(given):
            continue
        missing += [name for name, value in zip(names, given, strict=True) if not value]
        credentials[role] = Credentials(username=given[0], password=given[1])
    return credentials, missing


def _channels_beside(base_url: str) -> str | None:
    """The channels address that render.yaml's names give, or None if the host has another name."""
    # Only the bare name: Render appends a suffix of its own to a name that is taken, another one per service.
    if host_of(base_url).partition(".")[0] != WEB_SERVICE:
        return None
    return base_url.replace("http", "ws", 1).replace(WEB_SERVICE, CHANNELS_SERVICE, 1)


def _is_running(*, pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
