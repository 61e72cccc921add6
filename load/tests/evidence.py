"""Evidence as the generator and the smoke suite would write it, with chosen faults."""

from collections.abc import Sequence
from dataclasses import replace

from load.results import (
    LOAD_SCHEMA,
    SMOKE_SCHEMA,
    CheckOutcome,
    EarlyStopEvidence,
    IntegrityEvidence,
    IntegrityFinding,
    LoadEvidence,
    MachineEvidence,
    Outcome,
    ProcessEvidence,
    ProfileEvidence,
    QueueEvidence,
    RequestCounts,
    RequestEvidence,
    Severity,
    SmokeCheck,
    SmokeEvidence,
    SmokeSummary,
    SocketCounts,
    SocketEvidence,
    Target,
    TargetEvidence,
)
from load.slo import Policy, policy_read

POLICY = policy_read()
RELEASE = Target(version="1.0.0", commit="b" * 40, environment="production")
BEFORE = Target(version="0.9.0", commit="a" * 40, environment="production")

# Requests of each kind in a slice of five seconds, as in the profile `quick`.
PER_SLICE = {
    "notifications_unread_count": 154,
    "notifications_list": 55,
    "auth_me": 21,
    "health": 4,
    "notification_create": 16,
}
SLICES = 6
NONE = (0,) * SLICES


def over(rungs: Sequence[float], limit: float, count: int) -> list[int]:
    """Counters of `count` observations that take exactly `limit`, the rest taking no time."""
    return [count if rung <= limit else 0 for rung in rungs]


def counts(
    *,
    sent: int,
    application: int = 0,
    edge: int = 0,
    throttle: int = 0,
    client: int = 0,
    slow: int = 0,
    slow_ms: float = 1000,
    identified: int | None = None,
    cache: tuple[int, int] = (0, 0),
    database: tuple[int, int] = (0, 0),
    database_ms: float = 100,
    policy: Policy = POLICY,
) -> RequestCounts:
    """`cache` is (reported, missed), `database` (reported, slow)."""
    succeeded = sent - application - edge - throttle - client
    slower = over(policy.rungs.latency_ms, slow_ms, slow)
    return RequestCounts(
        slower=slower,
        slower_service=list(slower),
        database_slower=over(policy.rungs.database_ms, database_ms, database[1]),
        sent=sent,
        succeeded=succeeded,
        application=application,
        edge=edge,
        throttle=throttle,
        client=client,
        identified=succeeded if identified is None else identified,
        cache_reported=cache[0],
        cache_missed=cache[1],
        database_reported=database[0],
    )


def process(**changes: object) -> ProcessEvidence:
    asked = sum(PER_SLICE.values()) * SLICES
    sound = ProcessEvidence(
        role="local",
        index=0,
        asked=asked,
        sent=asked,
        dropped=0,
        sent_later=[0] * len(POLICY.rungs.lag_ms),
        heartbeats=700,
        heartbeats_later=[0] * len(POLICY.rungs.lag_ms),
        longest_lag_ms=12.0,
        cpu_seconds=4.0,
        wall_seconds=35.0,
    )
    return replace(sound, **changes)  # type: ignore[arg-type]


def load_evidence(
    *,
    broken: Sequence[int] = NONE,
    edge: Sequence[int] = NONE,
    throttled: Sequence[int] = NONE,
    slow: Sequence[int] = NONE,
    slow_ms: float = 1000,
    missed: Sequence[int] = (20,) * SLICES,
    cache_silent: int = 0,
    unidentified: int = 0,
    database_slow: Sequence[int] = NONE,
    database_silent: int = 0,
    late_events: Sequence[int] = NONE,
    lost: int = 0,
    doubled: int = 0,
    misdelivered: int = 0,
    sockets_unavailable: str | None = None,
    queue: QueueEvidence | None = None,
    sound: bool | None = True,
    target: TargetEvidence | None = None,
    probes: RequestCounts | None = None,
    processes: list[ProcessEvidence] | None = None,
    **changes: object,
) -> LoadEvidence:
    """A run of `quick`. Faults per slice befall the reads of the unread count; everything else is sound."""
    requests: dict[str, RequestEvidence] = {}
    for kind, per_slice in PER_SLICE.items():
        cached, simple = kind.startswith("notifications_"), kind == "auth_me"
        slices = []
        for index in range(SLICES):
            faulty = kind == "notifications_unread_count"
            failed = (broken[index] + edge[index] + throttled[index]) if faulty else 0
            answered = per_slice - failed
            slices.append(
                counts(
                    sent=per_slice,
                    application=broken[index] if faulty else 0,
                    edge=edge[index] if faulty else 0,
                    throttle=throttled[index] if faulty else 0,
                    slow=slow[index] if faulty else 0,
                    slow_ms=slow_ms,
                    identified=answered - (unidentified if faulty else 0),
                    cache=(answered - (cache_silent if faulty else 0), missed[index] if faulty else 0)
                    if cached
                    else (0, 0),
                    database=(answered - database_silent, database_slow[index]) if simple else (0, 0),
                )
            )
        requests[kind] = RequestEvidence(
            read=cached or simple,
            cached=cached,
            simple_read=simple,
            warm_up=counts(sent=0),
            slices=slices,
        )
    events = PER_SLICE["notification_create"]
    heard = []
    for index in range(SLICES):
        gone = lost if index == 0 else 0
        heard.append(
            SocketCounts(
                slower=over(POLICY.rungs.delivery_ms, 500, late_events[index]),
                sent=events,
                received=events - gone,
                lost=gone,
                doubled=doubled if index == 0 else 0,
                misdelivered=misdelivered if index == 0 else 0,
            )
        )
    if sockets_unavailable is not None:
        heard = [SocketCounts.empty(rungs=POLICY.rungs) for _ in range(SLICES)]
    finding = IntegrityFinding(check="orphans", table="accounts_user", remedy="look")
    evidence = LoadEvidence(
        schema=LOAD_SCHEMA,
        run_id="load-now",
        started_at="2026-01-01T00:00:00.000Z",
        finished_at="2026-01-01T00:00:40.000Z",
        base_url="http://127.0.0.1:8000",
        channels_url="ws://127.0.0.1:8001",
        read_only=False,
        outcome=Outcome.COMPLETED if probes is None else Outcome.STOPPED_EARLY,
        incidents=[],
        profile=ProfileEvidence("quick", 0, 30, 50.0, 5),
        rungs=POLICY.rungs,
        target=target or TargetEvidence(start=RELEASE, end=RELEASE),
        requests=requests,
        failure_kinds={},
        failure_samples=[],
        early_stop=None if probes is None else EarlyStopEvidence(12.0, 6, 400, probes),
        sockets=SocketEvidence(sockets_unavailable, 3, 0, SocketCounts.empty(rungs=POLICY.rungs), heard),
        queue=queue or QueueEvidence(polls=35, answered=35, maximum=3, slices=[3] * SLICES),
        integrity=IntegrityEvidence(
            sound,
            0 if sound is None else 7,
            [finding] if sound is False else [],
            "it did not answer" if sound is None else None,
        ),
        processes_expected=1,
        processes=[process()] if processes is None else processes,
        residue=0,
        machine=MachineEvidence(2, "3.11.14", "Linux x86_64"),
    )
    return replace(evidence, **changes)  # type: ignore[arg-type]


def check(
    name: str,
    severity: Severity = Severity.CRITICAL,
    outcome: CheckOutcome = CheckOutcome.PASSED,
    **changes: object,
) -> SmokeCheck:
    plain = SmokeCheck(
        id=name,
        title=f"The {name} check",
        severity=severity,
        outcome=outcome,
        expected="it to work" if outcome is CheckOutcome.FAILED else None,
        came="it did not" if outcome is CheckOutcome.FAILED else None,
        next_step=f"Mend {name}." if outcome is CheckOutcome.FAILED else None,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def smoke_evidence(*checks: SmokeCheck, **changes: object) -> SmokeEvidence:
    """A smoke run in which a critical, a major and twenty minor checks pass, and `checks` besides."""
    ordinary = [
        check("health"),
        check("beat", Severity.MAJOR),
        *(check(f"minor-{number}", Severity.MINOR) for number in range(20)),
    ]
    made = [*ordinary, *checks]
    evidence = SmokeEvidence(
        schema=SMOKE_SCHEMA,
        run_id="smoke-now",
        base_url="http://127.0.0.1:8000",
        read_only=False,
        checks=made,
        summary=summary(made),
        residue=[],
        target=RELEASE,
    )
    return replace(evidence, **changes)  # type: ignore[arg-type]


def summary(checks: Sequence[SmokeCheck]) -> SmokeSummary:
    return SmokeSummary(**{outcome.value: sum(one.outcome is outcome for one in checks) for outcome in CheckOutcome})
