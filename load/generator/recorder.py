"""The counters of one process of the generator, and how those of several become one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from load.generator.headers import cache_hit, server_timing_ms
from load.profiles import Profile
from load.records import record_plain, record_read
from load.results import (
    MOST_FAILURE_KINDS,
    MOST_FAILURE_SAMPLES,
    FailureSample,
    Owner,
    ProcessEvidence,
    RequestCounts,
    RequestEvidence,
    slices_of,
    slower_add,
)
from load.slo import Policy

OTHER_KINDS = "other failures"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request failed. `unanswered`: there was no answer within the time-out."""

    owner: Owner
    kind: str
    request_id: str | None = None
    unanswered: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """One request that has ended; times are seconds since the start of the warm-up."""

    kind: str
    due: float
    sent: float
    ended: float
    failure: Failure | None
    headers: Mapping[str, str]


@dataclass(slots=True)
class Snapshot:
    """Everything that one process counted so far. `final` once it has nothing under way and sends no more."""

    final: bool
    requests: dict[str, RequestEvidence]
    failure_kinds: dict[str, int]
    failure_samples: list[FailureSample]
    process: ProcessEvidence


def counts_add(*, counts: RequestCounts, ended: Ended, policy: Policy) -> None:
    """Count one ended request, in place."""
    counts.sent += 1
    failure = ended.failure
    if failure is not None:
        owner = failure.owner.value
        setattr(counts, owner, getattr(counts, owner) + 1)
        counts.unanswered += failure.unanswered
        if not failure.unanswered:
            return
    else:
        counts.succeeded += 1
        counts.identified += bool(ended.headers.get("x-request-id"))
        hit = cache_hit(ended.headers.get("cache-status"))
        if hit is not None:
            counts.cache_reported += 1
            counts.cache_missed += not hit
        database = server_timing_ms(ended.headers.get("server-timing"), "db")
        if database is not None:
            counts.database_reported += 1
            slower_add(slower=counts.database_slower, rungs=policy.rungs.database_ms, milliseconds=database)
    rungs = policy.rungs.latency_ms
    # No answer is slower than any limit, however short the time-out.
    never = float("inf")
    due_ms = never if failure is not None else (ended.ended - ended.due) * 1000
    service_ms = never if failure is not None else (ended.ended - ended.sent) * 1000
    slower_add(slower=counts.slower, rungs=rungs, milliseconds=due_ms)
    slower_add(slower=counts.slower_service, rungs=rungs, milliseconds=service_ms)


class Recorder:
    """Counts by kind of request and slice of time; integers only."""

    def __init__(self, *, profile: Profile, policy: Policy) -> None:
        self._policy = policy
        self._warm_up_seconds = profile.table.warm_up_seconds
        self._slices = slices_of(duration_seconds=profile.table.duration_seconds, seconds=policy.slices.seconds)
        self.requests = {
            name: RequestEvidence(
                read=kind.read,
                cached=kind.cached,
                simple_read=kind.simple_read,
                warm_up=RequestCounts.empty(rungs=policy.rungs),
                slices=[RequestCounts.empty(rungs=policy.rungs) for _ in range(self._slices)],
            )
            for name, kind in profile.requests.items()
        }
        self.failure_kinds: dict[str, int] = {}
        self.failure_samples: list[FailureSample] = []
        self.asked = 0
        self.sent = 0
        self.dropped = 0
        self.sent_later = [0] * len(policy.rungs.lag_ms)

    def slice_of(self, due: float) -> int | None:
        """The slice in which a request was due (seconds since the start of the warm-up); None is warm-up."""
        measured = due - self._warm_up_seconds
        if measured < 0:
            return None
        return min(self._slices - 1, int(measured // self._policy.slices.seconds))

    def drop(self) -> None:
        """A request was due and never sent."""
        self.asked += 1
        self.dropped += 1

    def end(self, ended: Ended) -> None:
        """A request was sent and has ended."""
        self.asked += 1
        self.sent += 1
        slower_add(
            slower=self.sent_later,
            rungs=self._policy.rungs.lag_ms,
            milliseconds=(ended.sent - ended.due) * 1000,
        )
        request = self.requests[ended.kind]
        index = self.slice_of(ended.due)
        counts = request.warm_up if index is None else request.slices[index]
        counts_add(counts=counts, ended=ended, policy=self._policy)
        if ended.failure is not None:
            self._note(ended, ended.failure)

    def _note(self, ended: Ended, failure: Failure) -> None:
        kind = f"{failure.owner}: {failure.kind}"
        if kind not in self.failure_kinds and len(self.failure_kinds) >= MOST_FAILURE_KINDS:
            kind = OTHER_KINDS
        self.failure_kinds[kind] = self.failure_kinds.get(kind, 0) + 1
        if len(self.failure_samples) < MOST_FAILURE_SAMPLES:
            self.failure_samples.append(
                FailureSample(
                    at_seconds=round(ended.sent, 3),
                    request=ended.kind,
                    owner=failure.owner,
                    kind=failure.kind,
                    request_id=failure.request_id,
                )
            )


def snapshot_pack(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as plain data, for the way from a worker to the master."""
    return record_plain(snapshot)


def snapshot_unpack(data: object) -> Snapshot:
    """The inverse of `snapshot_pack`.

    Raises:
        RecordError: if a worker of another version sent something else.
    """
    return record_read(Snapshot, data, where="worker report")


@dataclass(frozen=True, slots=True)
class Sum:
    """The counters of all processes together."""

    requests: dict[str, RequestEvidence]
    failure_kinds: dict[str, int]
    failure_samples: list[FailureSample]
    processes: list[ProcessEvidence]


def snapshots_add(snapshots: Iterable[Snapshot]) -> Sum:
    """Add up the last snapshot of each process. Integers, so the sum is exact in any order."""
    requests: dict[str, RequestEvidence] = {}
    kinds: dict[str, int] = {}
    samples: list[FailureSample] = []
    processes: list[ProcessEvidence] = []
    for snapshot in snapshots:
        for name, request in snapshot.requests.items():
            requests[name] = requests[name] + request if name in requests else request
        for kind, count in snapshot.failure_kinds.items():
            known = kind in kinds or len(kinds) < MOST_FAILURE_KINDS
            kinds[kind if known else OTHER_KINDS] = kinds.get(kind if known else OTHER_KINDS, 0) + count
        samples += snapshot.failure_samples
        processes.append(snapshot.process)
    samples.sort(key=lambda sample: sample.at_seconds)
    processes.sort(key=lambda process: (process.role, process.index))
    return Sum(requests, kinds, samples[:MOST_FAILURE_SAMPLES], processes)
