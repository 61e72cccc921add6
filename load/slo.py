"""The policy of the gate, read from `slo.toml` and checked."""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from load.records import RecordError, record_read

SCHEMA = "rgms.slo/1"
DEFAULT_POLICY = Path(__file__).with_name("slo.toml")


def _require_share(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name} must lie between 0 and 1, not {value}")


def _require_positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} must be above 0, not {value}")


@dataclass(frozen=True, slots=True)
class Confidence:
    """One-sided confidence of a decision, as shares."""

    met: float
    rollback: float

    def __post_init__(self) -> None:
        for name in ("met", "rollback"):
            if not 0.5 < getattr(self, name) < 1.0:
                raise ValueError(f"{name} must lie between 0.5 and 1, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class SliceRule:
    """How widely spread over time the evidence of a breach must be."""

    seconds: int
    least_separate: int
    least_seconds: int

    def __post_init__(self) -> None:
        for name in ("seconds", "least_separate", "least_seconds"):
            _require_positive(name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class Coverage:
    least_share: float

    def __post_init__(self) -> None:
        _require_share("least_share", self.least_share)


@dataclass(frozen=True, slots=True)
class EarlyStop:
    """The CUSUM that ends a run during an outage, and the probes that confirm it."""

    good_share: float
    bad_share: float
    odds: float
    slow_ms: float
    probes: int
    probe_seconds: int

    def __post_init__(self) -> None:
        _require_share("good_share", self.good_share)
        _require_share("bad_share", self.bad_share)
        if self.good_share >= self.bad_share:
            raise ValueError("good_share must be below bad_share")
        if self.odds <= 1:
            raise ValueError(f"odds must be above 1, not {self.odds}")
        for name in ("slow_ms", "probes", "probe_seconds"):
            _require_positive(name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class GeneratorRule:
    """When the load generator itself was sound enough to judge anybody else."""

    least_achieved_share: float
    late_send_ms: float
    most_late_sends_share: float
    heartbeat_ms: float
    late_heartbeat_ms: float
    most_late_heartbeats_share: float
    most_cpu_share: float

    def __post_init__(self) -> None:
        for name in ("least_achieved_share", "most_late_sends_share", "most_late_heartbeats_share"):
            _require_share(name, getattr(self, name))
        for name in ("late_send_ms", "heartbeat_ms", "late_heartbeat_ms", "most_cpu_share"):
            _require_positive(name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class Rungs:
    """Ascending limits in milliseconds against which the generator counts; see `results.RequestCounts`."""

    latency_ms: list[float]
    database_ms: list[float]
    delivery_ms: list[float]
    lag_ms: list[float]

    def __post_init__(self) -> None:
        for name in ("latency_ms", "database_ms", "delivery_ms", "lag_ms"):
            rungs = getattr(self, name)
            if not rungs or rungs != sorted(set(rungs)) or rungs[0] <= 0:
                raise ValueError(f"{name} must be ascending and above 0, not {rungs}")


@dataclass(frozen=True, slots=True)
class SlowerThan:
    """The share of requests that take `limit_ms` or longer must stay below `share_below`."""

    limit_ms: float
    share_below: float

    def __post_init__(self) -> None:
        _require_positive("limit_ms", self.limit_ms)
        _require_share("share_below", self.share_below)


@dataclass(frozen=True, slots=True)
class RollbackIfSlower:
    limit_ms: float
    share_above: float

    def __post_init__(self) -> None:
        _require_positive("limit_ms", self.limit_ms)
        _require_share("share_above", self.share_above)


@dataclass(frozen=True, slots=True)
class ShareBelow:
    share_below: float

    def __post_init__(self) -> None:
        _require_share("share_below", self.share_below)


@dataclass(frozen=True, slots=True)
class RollbackAbove:
    share_above: float

    def __post_init__(self) -> None:
        _require_share("share_above", self.share_above)


@dataclass(frozen=True, slots=True)
class ReadLatencyObjective:
    title: str
    slo: SlowerThan
    rollback: RollbackIfSlower


@dataclass(frozen=True, slots=True)
class ErrorsObjective:
    title: str
    slo: ShareBelow
    rollback: RollbackAbove


@dataclass(frozen=True, slots=True)
class ShareObjective:
    title: str
    slo: ShareBelow


@dataclass(frozen=True, slots=True)
class TimeObjective:
    title: str
    slo: SlowerThan


@dataclass(frozen=True, slots=True)
class CountObjective:
    """A plain fact: at most `most` of something."""

    title: str
    most: int


@dataclass(frozen=True, slots=True)
class QueueObjective:
    title: str
    below: int
    least_answered_share: float

    def __post_init__(self) -> None:
        _require_positive("below", self.below)
        _require_share("least_answered_share", self.least_answered_share)


@dataclass(frozen=True, slots=True)
class IntegrityObjective:
    title: str
    rollback_if_unsound: bool


@dataclass(frozen=True, slots=True)
class SmokeObjective:
    title: str
    least_critical: int
    least_major: int
    least_minor: int
    minor_pass_share_above: float

    def __post_init__(self) -> None:
        if self.least_critical < 1:
            raise ValueError("least_critical must be 1 or more: an empty suite is never a pass")
        _require_share("minor_pass_share_above", self.minor_pass_share_above)


@dataclass(frozen=True, slots=True)
class Objectives:
    read_latency: ReadLatencyObjective
    errors: ErrorsObjective
    elsewhere: ShareObjective
    cache_misses: ShareObjective
    database_time: TimeObjective
    socket_delivery: TimeObjective
    socket_loss: CountObjective
    queue: QueueObjective
    integrity: IntegrityObjective
    smoke: SmokeObjective
    residue: CountObjective


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that `gate.decide` needs to know besides the evidence."""

    schema: str
    confidence: Confidence
    slices: SliceRule
    coverage: Coverage
    early_stop: EarlyStop
    generator: GeneratorRule
    rungs: Rungs
    objectives: Objectives

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema must be {SCHEMA!r}, not {self.schema!r}")
        objectives = self.objectives
        for place, limit, rungs in (
            ("read_latency.slo", objectives.read_latency.slo.limit_ms, self.rungs.latency_ms),
            ("read_latency.rollback", objectives.read_latency.rollback.limit_ms, self.rungs.latency_ms),
            ("database_time.slo", objectives.database_time.slo.limit_ms, self.rungs.database_ms),
            ("socket_delivery.slo", objectives.socket_delivery.slo.limit_ms, self.rungs.delivery_ms),
            ("generator.late_send_ms", self.generator.late_send_ms, self.rungs.lag_ms),
            ("generator.late_heartbeat_ms", self.generator.late_heartbeat_ms, self.rungs.lag_ms),
        ):
            if limit not in rungs:
                raise ValueError(f"{place}: {limit:g} ms is not among the rungs {rungs}, so nobody counts it")


def policy_parse(*, text: str, where: str) -> Policy:
    """Read a policy from TOML text.

    Raises:
        RecordError: on a syntax error, an unknown or missing key, or an impossible value, naming the place.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecordError(f"{where}: is not valid TOML: {error}") from error
    return record_read(Policy, document, where=where)


def policy_read(path: Path = DEFAULT_POLICY) -> Policy:
    """Read a policy file.

    Raises:
        RecordError: see `policy_parse`; also if the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: cannot be read: {error}") from error
    return policy_parse(text=text, where=path.name)


def policy_fingerprint(policy: Policy) -> str:
    """12 hexadecimal digits that tell two policies apart, whatever their comments and layout."""
    return hashlib.sha256(repr(policy).encode()).hexdigest()[:12]
