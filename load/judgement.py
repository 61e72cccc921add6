"""Judging one proportion: bounds, slices and words. Pure functions of counters and policy."""

from collections.abc import Sequence
from dataclasses import dataclass

from load.bounds import good_requests_needed, lower_bound, proven_above, proven_below, upper_bound
from load.slo import Policy
from load.verdict import Rollback, Status


@dataclass(frozen=True, slots=True)
class Proportion:
    """`bad` of `total` observations."""

    total: int
    bad: int

    @property
    def share(self) -> float | None:
        return self.bad / self.total if self.total else None

    def __add__(self, other: "Proportion") -> "Proportion":
        return Proportion(total=self.total + other.total, bad=self.bad + other.bad)


@dataclass(frozen=True, slots=True)
class Judged:
    """A proportion against "its share must be below `limit`"."""

    status: Status
    proportion: Proportion
    limit: float
    upper: float | None
    lower: float | None
    more_requests: int | None


def percent(share: float) -> str:
    """A share as a person reads it: `0.42 %`, `7 %`, `100 %`."""
    hundredths = share * 100
    digits = 0 if abs(hundredths - round(hundredths)) < 0.005 else 2
    return f"{hundredths:.{digits}f} %"


def pooled(slices: Sequence[Proportion]) -> Proportion:
    return sum(slices, Proportion(total=0, bad=0))


def proportion_judge(*, proportion: Proportion, limit: float, policy: Policy) -> Judged:
    """MET and BREACHED are proven at the policy's confidence for "met"; in between is UNDECIDED."""
    confidence = policy.confidence.met
    bad, total = proportion.bad, proportion.total
    if total == 0:
        return Judged(Status.NO_DATA, proportion, limit, None, None, None)
    if proven_below(bad=bad, total=total, limit=limit, confidence=confidence):
        status, more = Status.MET, None
    elif proven_above(bad=bad, total=total, limit=limit, confidence=confidence):
        status, more = Status.BREACHED, None
    else:
        status = Status.UNDECIDED
        more = good_requests_needed(bad=bad, total=total, limit=limit, confidence=confidence)
    return Judged(
        status,
        proportion,
        limit,
        upper_bound(bad=bad, total=total, confidence=confidence),
        lower_bound(bad=bad, total=total, confidence=confidence),
        more,
    )


def judged_words(judged: Judged, *, what: str, policy: Policy) -> tuple[str, str]:
    """How much, and how sure, in words; `what` tells what the bad ones did, e.g. `failed`."""
    proportion = judged.proportion
    share = proportion.share
    if share is None or judged.upper is None or judged.lower is None:
        return "nothing was observed", "nothing can be said"
    much = f"{proportion.bad} of {proportion.total} {what} ({percent(share)})"
    much += f"; allowed is below {percent(judged.limit)}"
    sure = percent(policy.confidence.met)
    if judged.status is Status.MET:
        return much, f"{sure} sure that the truth is below {percent(judged.upper)}"
    if judged.status is Status.BREACHED:
        return much, f"{sure} sure that the truth is above {percent(judged.lower)}"
    return much, (
        f"undecided: the truth lies between {percent(judged.lower)} and {percent(judged.upper)} "
        f"({sure} sure of each side); at least {judged.more_requests} more would decide, if all are good"
    )


def slices_spread(counting: Sequence[int], *, policy: Policy) -> bool:
    """Whether the slices with these ascending indexes are enough to be more than one incident."""
    rule = policy.slices
    if len(counting) * rule.seconds >= rule.least_seconds:
        return True
    separate, last = 0, -2
    for index in counting:
        if index - last > 1:
            separate, last = separate + 1, index
    return separate >= rule.least_separate


def rollback_judge(
    *, slices: Sequence[Proportion], probes: Proportion | None, limit: float, policy: Policy
) -> Rollback:
    """Whether the share is proven to be above `limit`.

    The measured slices prove it if the bound does and the breach is spread over time. After an early stop
    the probes decide alone: they come once the backlog is gone, no slice rule applies to them, and what the
    slices saw before may have been the one stall that ended the run.
    """
    confidence = policy.confidence.rollback
    if probes is not None:
        proven = proven_above(bad=probes.bad, total=probes.total, limit=limit, confidence=confidence)
        return Rollback.PROVEN if proven else Rollback.NOT_PROVEN
    whole = pooled(slices)
    if not proven_above(bad=whole.bad, total=whole.total, limit=limit, confidence=confidence):
        return Rollback.NOT_PROVEN
    counting = [index for index, one in enumerate(slices) if one.bad > limit * one.total]
    return Rollback.PROVEN if slices_spread(counting, policy=policy) else Rollback.ONE_INCIDENT
