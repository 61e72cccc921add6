"""The evidence that the gate judges: `load.json` (`rgms.load/1`) and `smoke.json` (`rgms.smoke/1`).

`load.json` holds integer counters and never percentiles, so that workers add up exactly and a changed
policy can be tried on old runs:

* `requests[kind]` has the counters of one kind of request: `warm_up` apart, then one entry in `slices` per
  `slice_seconds` of measured time, by the time at which a request was *due*.
* `slower[i]` of a counter is the number of observations of `rungs.…_ms[i]` milliseconds or longer, compared
  as raw floats. Latency has an observation for each success and each request that was never answered.
* `processes` tells for each process of the generator whether it was sound.

No names, tokens or texts of the service's users are in it.
"""

import itertools
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from load.records import json_document_read, record_read, schema_require
from load.slo import Rungs

LOAD_SCHEMA = "rgms.load/1"
SMOKE_SCHEMA = "rgms.smoke/1"

# A release that fails in a hundred ways must not make the evidence large.
MOST_FAILURE_KINDS = 20
MOST_FAILURE_SAMPLES = 10


class Owner(StrEnum):
    """Who is to blame for a failed request."""

    APPLICATION = "application"
    EDGE = "edge"
    THROTTLE = "throttle"
    CLIENT = "client"


class Outcome(StrEnum):
    """How the load run ended."""

    COMPLETED = "completed"
    STOPPED_EARLY = "stopped early"
    NOT_STARTED = "not started"
    INTERRUPTED = "interrupted"


def _require_counts(**counts: int) -> None:
    for name, value in counts.items():
        if value < 0:
            raise ValueError(f"{name} must not be negative, but is {value}")


def _require_descending(name: str, slower: list[int], most: int) -> None:
    if any(late > early for early, late in itertools.pairwise(slower)):
        raise ValueError(f"{name} must not rise from rung to rung: {slower}")
    if slower and (slower[0] > most or slower[-1] < 0):
        raise ValueError(f"{name} must lie between 0 and {most}: {slower}")


def slower_add(*, slower: list[int], rungs: list[float], milliseconds: float) -> None:
    """Count one observation against ascending rungs, in place. Compares the raw float."""
    for index, rung in enumerate(rungs):
        if milliseconds < rung:
            return
        slower[index] += 1


@dataclass(slots=True)
class RequestCounts:
    """Counters of one kind of request in one slice of time.

    `sent` = `succeeded` + the four failures. `unanswered` are those of `application` that had no answer
    within the time-out. `identified` successes carried X-Request-ID; `cache_reported` ones a Cache-Status of
    the service, `cache_missed` of them without a hit; `database_reported` ones a Server-Timing `db`.
    `slower` counts from the time at which a request was due, `slower_service` from when it was sent.
    """

    slower: list[int]
    slower_service: list[int]
    database_slower: list[int]
    sent: int = 0
    succeeded: int = 0
    application: int = 0
    edge: int = 0
    throttle: int = 0
    client: int = 0
    unanswered: int = 0
    identified: int = 0
    cache_reported: int = 0
    cache_missed: int = 0
    database_reported: int = 0

    def __post_init__(self) -> None:
        _require_counts(
            sent=self.sent,
            succeeded=self.succeeded,
            application=self.application,
            edge=self.edge,
            throttle=self.throttle,
            client=self.client,
            unanswered=self.unanswered,
            cache_missed=self.cache_missed,
        )
        if self.sent != self.succeeded + self.failed:
            raise ValueError(f"sent is {self.sent}, but {self.succeeded} succeeded and {self.failed} failed")
        if self.unanswered > self.application:
            raise ValueError("unanswered is part of application and cannot be more")
        for name in ("identified", "cache_reported", "database_reported"):
            if not 0 <= getattr(self, name) <= self.succeeded:
                raise ValueError(f"{name} must lie between 0 and the {self.succeeded} that succeeded")
        if self.cache_missed > self.cache_reported:
            raise ValueError("cache_missed is part of cache_reported and cannot be more")
        _require_descending("slower", self.slower, self.timed)
        _require_descending("slower_service", self.slower_service, self.timed)
        _require_descending("database_slower", self.database_slower, self.database_reported)

    @classmethod
    def empty(cls, *, rungs: Rungs) -> "RequestCounts":
        return cls(
            slower=[0] * len(rungs.latency_ms),
            slower_service=[0] * len(rungs.latency_ms),
            database_slower=[0] * len(rungs.database_ms),
        )

    @property
    def failed(self) -> int:
        return self.application + self.edge + self.throttle + self.client

    @property
    def failed_elsewhere(self) -> int:
        """Failures that are not the application's."""
        return self.edge + self.throttle + self.client

    @property
    def timed(self) -> int:
        """Observations of latency. A quick refusal is an error; as an observation it would flatter."""
        return self.succeeded + self.unanswered

    def __add__(self, other: "RequestCounts") -> "RequestCounts":
        return RequestCounts(
            slower=_add(self.slower, other.slower),
            slower_service=_add(self.slower_service, other.slower_service),
            database_slower=_add(self.database_slower, other.database_slower),
            sent=self.sent + other.sent,
            succeeded=self.succeeded + other.succeeded,
            application=self.application + other.application,
            edge=self.edge + other.edge,
            throttle=self.throttle + other.throttle,
            client=self.client + other.client,
            unanswered=self.unanswered + other.unanswered,
            identified=self.identified + other.identified,
            cache_reported=self.cache_reported + other.cache_reported,
            cache_missed=self.cache_missed + other.cache_missed,
            database_reported=self.database_reported + other.database_reported,
        )


def _add(left: list[int], right: list[int]) -> list[int]:
    return [one + two for one, two in zip(left, right, strict=True)]


@dataclass(slots=True)
class RequestEvidence:
    """Counters of one kind of request, and which objectives it feeds."""

    read: bool
    cached: bool
    simple_read: bool
    warm_up: RequestCounts
    slices: list[RequestCounts]

    def __add__(self, other: "RequestEvidence") -> "RequestEvidence":
        return RequestEvidence(
            read=self.read,
            cached=self.cached,
            simple_read=self.simple_read,
            warm_up=self.warm_up + other.warm_up,
            slices=[one + two for one, two in zip(self.slices, other.slices, strict=True)],
        )


@dataclass(slots=True)
class SocketCounts:
    """Deliveries in one slice of time, by when the causing request was sent.

    `sent` events were confirmed by HTTP. Each is received or lost; `slower` counts the received ones.
    """

    slower: list[int]
    sent: int = 0
    received: int = 0
    lost: int = 0
    doubled: int = 0
    misdelivered: int = 0

    def __post_init__(self) -> None:
        _require_counts(
            sent=self.sent,
            received=self.received,
            lost=self.lost,
            doubled=self.doubled,
            misdelivered=self.misdelivered,
        )
        if self.sent != self.received + self.lost:
            raise ValueError(f"sent is {self.sent}, but {self.received} received and {self.lost} lost")
        _require_descending("slower", self.slower, self.received)

    @classmethod
    def empty(cls, *, rungs: Rungs) -> "SocketCounts":
        return cls(slower=[0] * len(rungs.delivery_ms))

    def __add__(self, other: "SocketCounts") -> "SocketCounts":
        return SocketCounts(
            slower=_add(self.slower, other.slower),
            sent=self.sent + other.sent,
            received=self.received + other.received,
            lost=self.lost + other.lost,
            doubled=self.doubled + other.doubled,
            misdelivered=self.misdelivered + other.misdelivered,
        )


@dataclass(frozen=True, slots=True)
class SocketEvidence:
    """What the listeners saw. `unavailable` says in words why there is no data, else it is null."""

    unavailable: str | None
    listeners: int
    reconnects: int
    warm_up: SocketCounts
    slices: list[SocketCounts]

    def total(self) -> SocketCounts:
        """Warm-up included: a listener was ready before the first event was caused."""
        total = self.warm_up
        for counts in self.slices:
            total = total + counts
        return total


@dataclass(slots=True)
class QueueEvidence:
    """Polls of the depth of the task queue (pending and unacknowledged); null where none was answered."""

    polls: int = 0
    answered: int = 0
    maximum: int | None = None
    slices: list[int | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        _require_counts(polls=self.polls, answered=self.answered, maximum=self.maximum or 0)
        if self.answered > self.polls:
            raise ValueError("answered is part of polls and cannot be more")
        if (self.maximum is None) != (self.answered == 0):
            raise ValueError("maximum must be null exactly if no poll was answered")
        if any(depth is not None and (self.maximum is None or depth > self.maximum) for depth in self.slices):
            raise ValueError("maximum must be the greatest of slices")


@dataclass(frozen=True, slots=True)
class IntegrityFinding:
    """One row that contradicts another, named without its contents."""

    check: str
    table: str
    remedy: str


@dataclass(frozen=True, slots=True)
class IntegrityEvidence:
    """The answer of the integrity probe; `sound` is null if there was none, and `unavailable` says why."""

    sound: bool | None
    checks: int
    findings: list[IntegrityFinding]
    unavailable: str | None

    def __post_init__(self) -> None:
        if self.sound is None and not self.unavailable:
            raise ValueError("unavailable must say why there is no answer")
        if self.sound and self.findings:
            raise ValueError("sound contradicts the findings")


@dataclass(frozen=True, slots=True)
class Target:
    """Which release answered, from its health endpoint."""

    version: str | None
    commit: str | None
    environment: str | None
    extra_keys_allowed: ClassVar[bool] = True

    @property
    def label(self) -> str:
        commit = self.commit[:12] if self.commit else "unknown commit"
        return f"{self.version or 'unknown version'} ({commit})"


@dataclass(frozen=True, slots=True)
class TargetEvidence:
    start: Target | None
    end: Target | None


@dataclass(slots=True)
class ProcessEvidence:
    """The health of one process of the generator.

    `asked` requests were due while it was sending; `sent_later` counts those that left late against
    `rungs.lag_ms`, `dropped` those that were never sent. `heartbeats_later` likewise for wake-ups.
    """

    role: str
    index: int
    asked: int
    sent: int
    dropped: int
    sent_later: list[int]
    heartbeats: int
    heartbeats_later: list[int]
    longest_lag_ms: float
    cpu_seconds: float
    wall_seconds: float

    def __post_init__(self) -> None:
        _require_counts(asked=self.asked, sent=self.sent, dropped=self.dropped, heartbeats=self.heartbeats)
        if self.asked != self.sent + self.dropped:
            raise ValueError(f"asked is {self.asked}, but {self.sent} sent and {self.dropped} dropped")
        _require_descending("sent_later", self.sent_later, self.sent)
        _require_descending("heartbeats_later", self.heartbeats_later, self.heartbeats)


@dataclass(frozen=True, slots=True)
class FailureSample:
    """One failed request that somebody may look up in the service's log."""

    at_seconds: float
    request: str
    owner: Owner
    kind: str
    request_id: str | None


@dataclass(frozen=True, slots=True)
class EarlyStopEvidence:
    """Why and when the load stopped, and the probes after it (counted like any request)."""

    at_seconds: float
    bad: int
    watched: int
    probes: RequestCounts


@dataclass(frozen=True, slots=True)
class ProfileEvidence:
    """`rate_per_second` is what the run was to send: without the writes that a read-only run leaves out."""

    name: str
    warm_up_seconds: int
    duration_seconds: int
    rate_per_second: float
    slice_seconds: int


@dataclass(frozen=True, slots=True)
class MachineEvidence:
    """Where the load came from; no host name."""

    cpus: int
    python: str
    system: str


@dataclass(frozen=True, slots=True)
class LoadEvidence:
    """`load.json`; times are ISO 8601 in UTC, durations seconds."""

    schema: str
    run_id: str
    started_at: str
    finished_at: str
    base_url: str
    channels_url: str | None
    read_only: bool
    outcome: Outcome
    incidents: list[str]
    profile: ProfileEvidence
    rungs: Rungs
    target: TargetEvidence
    requests: dict[str, RequestEvidence]
    failure_kinds: dict[str, int]
    failure_samples: list[FailureSample]
    early_stop: EarlyStopEvidence | None
    sockets: SocketEvidence
    queue: QueueEvidence
    integrity: IntegrityEvidence
    processes_expected: int
    processes: list[ProcessEvidence]
    residue: int | None
    machine: MachineEvidence

    def __post_init__(self) -> None:
        slices = slices_of(duration_seconds=self.profile.duration_seconds, seconds=self.profile.slice_seconds)
        latency, database = len(self.rungs.latency_ms), len(self.rungs.database_ms)
        for name, request in self.requests.items():
            if len(request.slices) != slices:
                raise ValueError(f"requests.{name}: {len(request.slices)} slices where {slices} are due")
            for counts in (request.warm_up, *request.slices):
                _require_rungs(f"requests.{name}.slower", counts.slower, latency)
                _require_rungs(f"requests.{name}.slower_service", counts.slower_service, latency)
                _require_rungs(f"requests.{name}.database_slower", counts.database_slower, database)
        if len(self.sockets.slices) != slices:
            raise ValueError(f"sockets: {len(self.sockets.slices)} slices where {slices} are due")
        for delivered in (self.sockets.warm_up, *self.sockets.slices):
            _require_rungs("sockets.slower", delivered.slower, len(self.rungs.delivery_ms))
        for process in self.processes:
            _require_rungs("processes.sent_later", process.sent_later, len(self.rungs.lag_ms))
            _require_rungs("processes.heartbeats_later", process.heartbeats_later, len(self.rungs.lag_ms))
        if (self.outcome is Outcome.STOPPED_EARLY) != (self.early_stop is not None):
            raise ValueError("early_stop must be there exactly if the outcome is 'stopped early'")
        if self.early_stop is not None:
            _require_rungs("early_stop.probes.slower", self.early_stop.probes.slower, latency)
        self._require_sums()

    def _require_sums(self) -> None:
        counted = sum(
            counts.sent for request in self.requests.values() for counts in (request.warm_up, *request.slices)
        )
        sent = sum(process.sent for process in self.processes)
        if counted != sent:
            raise ValueError(f"requests add up to {counted}, but the processes sent {sent}")


def _require_rungs(name: str, slower: list[int], expected: int) -> None:
    if len(slower) != expected:
        raise ValueError(f"{name} has {len(slower)} counters for {expected} rungs")


def slices_of(*, duration_seconds: int, seconds: int) -> int:
    """How many slices of `seconds` the measured time has; the last one may be shorter."""
    return -(-duration_seconds // seconds)


class Severity(StrEnum):
    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"


class CheckOutcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    BLOCKED = "blocked"
    SKIPPED = "skipped"
    FLAKY = "flaky"


@dataclass(frozen=True, slots=True)
class SmokeCheck:
    """One check of the smoke suite, in the words of the suite.

    `broken`: it failed through a fault of its own or of the machine that ran it, and so says nothing.
    """

    id: str
    title: str
    severity: Severity
    outcome: CheckOutcome
    needs: list[str] = field(default_factory=list)
    blocked_by: str | None = None
    expected: str | None = None
    came: str | None = None
    request_id: str | None = None
    next_step: str | None = None
    broken: bool = False
    extra_keys_allowed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("id must not be empty")
        if self.broken and self.outcome is not CheckOutcome.FAILED:
            raise ValueError("broken says why a check failed, and this one did not")


@dataclass(frozen=True, slots=True)
class SmokeSummary:
    passed: int
    failed: int
    blocked: int
    skipped: int
    flaky: int
    extra_keys_allowed: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class SmokeEvidence:
    """`smoke.json`; keys that the gate does not judge are the smoke suite's own business."""

    schema: str
    run_id: str
    base_url: str
    read_only: bool
    checks: list[SmokeCheck]
    summary: SmokeSummary
    residue: list[str]
    target: Target | None = None
    channels_url: str | None = None
    expected_version: str | None = None
    interrupted: bool = False
    extra_keys_allowed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        ids = [check.id for check in self.checks]
        repeated = sorted({name for name in ids if ids.count(name) > 1})
        if repeated:
            raise ValueError(f"repeated checks {', '.join(repeated)}")
        for outcome in CheckOutcome:
            counted = sum(check.outcome is outcome for check in self.checks)
            told = getattr(self.summary, outcome.value)
            if counted != told:
                raise ValueError(f"summary tells of {told} {outcome.value}, but checks has {counted}")


def load_evidence_read(path: Path) -> LoadEvidence:
    """Read and check `load.json`.

    Raises:
        RecordError: if it is missing, empty, of another schema, or contradicts itself.
    """
    document = json_document_read(path)
    schema_require(document, LOAD_SCHEMA, where=path.name)
    return record_read(LoadEvidence, document, where=path.name)


def smoke_evidence_read(path: Path) -> SmokeEvidence:
    """Read and check `smoke.json`.

    Raises:
        RecordError: if it is missing, empty, of another schema, or contradicts itself.
    """
    document = json_document_read(path)
    schema_require(document, SMOKE_SCHEMA, where=path.name)
    # What could not be removed may be listed as a text or as a journal entry; only how many matters here.
    residue = document.get("residue")
    if isinstance(residue, list):
        document["residue"] = [item if isinstance(item, str) else str(item) for item in residue]
    return record_read(SmokeEvidence, document, where=path.name)
