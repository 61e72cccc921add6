"""Load profiles as data: kinds of requests, their rates, and durations."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from load.records import RecordError, record_read

SCHEMA = "rgms.profiles/1"
DEFAULT_PROFILES = Path(__file__).with_name("profiles.toml")

ACCOUNTS = ("admin", "training_staff", "cadet")


class UnknownProfileError(LookupError):
    """The message names the profile and lists the known ones."""


@dataclass(frozen=True, slots=True)
class RequestKind:
    """One kind of request and what its answer must be.

    `accounts` take turns in sending it; empty means anonymous. `expects` are keys of the JSON object in the
    answer. `read` counts towards read latency, `cached` towards cache hits, `simple_read` towards database
    time. `causes_event` marks the write whose event must arrive on a socket.
    """

    method: str
    path: str
    accounts: list[str]
    status: int
    expects: list[str]
    read: bool = False
    cached: bool = False
    simple_read: bool = False
    causes_event: bool = False

    def __post_init__(self) -> None:
        if self.method not in ("GET", "POST"):
            raise ValueError(f"method must be GET or POST, not {self.method!r}")
        if self.causes_event != (self.method == "POST"):
            raise ValueError("a POST must cause an event and nothing else may: other writes cannot be undone")
        if not self.path.startswith("/") or self.path.startswith("//"):
            raise ValueError(f"path must start with one slash, not {self.path!r}")
        strangers = sorted(set(self.accounts) - set(ACCOUNTS))
        if strangers:
            raise ValueError(f"unknown accounts {', '.join(strangers)}; known are {', '.join(ACCOUNTS)}")


@dataclass(frozen=True, slots=True)
class Share:
    """How often a kind of request comes, and the reason for the figure."""

    per_second: float
    why: str

    def __post_init__(self) -> None:
        if self.per_second <= 0:
            raise ValueError(f"per_second must be above 0, not {self.per_second}")
        if not self.why.strip():
            raise ValueError("why must give the reason for the figure")


@dataclass(frozen=True, slots=True)
class ProfileTable:
    """A profile as it stands in the file; durations in seconds."""

    title: str
    why: str
    warm_up_seconds: int
    duration_seconds: int
    block_seconds: int
    request_timeout_seconds: float
    delivery_grace_seconds: float
    queue_poll_seconds: float
    seed: int
    mix: dict[str, Share]

    def __post_init__(self) -> None:
        if self.duration_seconds < 1 or self.warm_up_seconds < 0 or self.block_seconds < 1:
            raise ValueError("duration_seconds and block_seconds must be 1 or more, warm_up_seconds 0 or more")
        for name in ("request_timeout_seconds", "delivery_grace_seconds", "queue_poll_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0")
        if not self.mix:
            raise ValueError("mix must name at least one kind of request: an empty run is never a pass")
        for name, share in self.mix.items():
            exact = share.per_second * self.block_seconds
            if abs(exact - round(exact)) > 1e-9 or round(exact) < 1:
                raise ValueError(
                    f"mix.{name}: {share.per_second:g} a second is not a whole number in {self.block_seconds} s"
                )


@dataclass(frozen=True, slots=True)
class ProfilesFile:
    schema: str
    requests: dict[str, RequestKind]
    profiles: dict[str, ProfileTable] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema must be {SCHEMA!r}, not {self.schema!r}")
        for name, profile in self.profiles.items():
            strangers = sorted(set(profile.mix) - set(self.requests))
            if strangers:
                known = ", ".join(sorted(self.requests))
                raise ValueError(f"profiles.{name}: unknown requests {', '.join(strangers)}; known are {known}")


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile with the kinds of requests that it uses."""

    name: str
    table: ProfileTable
    requests: dict[str, RequestKind]

    @property
    def seconds(self) -> int:
        """Warm-up and measured time together."""
        return self.table.warm_up_seconds + self.table.duration_seconds

    def rate_per_second(self, *, writes: bool) -> float:
        """Of all kinds of requests together; without `writes` only of those that cause no event."""
        shares = self.table.mix.items()
        return sum(share.per_second for kind, share in shares if writes or not self.requests[kind].causes_event)


def profiles_read(path: Path = DEFAULT_PROFILES) -> ProfilesFile:
    """Read a file of profiles.

    Raises:
        RecordError: on a syntax error, an unknown or missing key, or an impossible value, naming the place.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise RecordError(f"{path.name}: is not valid TOML: {error}") from error
    return record_read(ProfilesFile, document, where=path.name)


def profile_select(*, name: str, file: ProfilesFile) -> Profile:
    """The profile called `name`.

    Raises:
        UnknownProfileError: listing the known ones.
    """
    table = file.profiles.get(name)
    if table is None:
        known = ", ".join(sorted(file.profiles)) or "none"
        raise UnknownProfileError(f"unknown profile {name!r}; known are {known}")
    return Profile(name=name, table=table, requests={kind: file.requests[kind] for kind in table.mix})
