"""A bounded, seeded sample of what the gate does over many runs."""

import random

import pytest

from load.judgement import Proportion, proportion_judge, rollback_judge
from load.slo import policy_read
from load.verdict import Rollback, Status

POLICY = policy_read()
SLICES = 6
RUNS = 300


def draw(dice: random.Random, *, requests: int, share: float) -> list[Proportion]:
    """Counters of one run with independent requests."""
    per_slice = requests // SLICES
    return [
        Proportion(total=per_slice, bad=sum(dice.random() < share for _ in range(per_slice))) for _ in range(SLICES)
    ]


def rolled_back(slices: list[Proportion]) -> bool:
    return rollback_judge(slices=slices, probes=None, limit=0.05, policy=POLICY) is Rollback.PROVEN


@pytest.mark.parametrize("requests", [300, 1000])
def test_a_healthy_truth_is_never_rolled_back(requests: int) -> None:
    dice = random.Random(requests)
    assert not any(rolled_back(draw(dice, requests=requests, share=0.02)) for _ in range(RUNS))


def test_a_truth_of_ten_percent_is_rolled_back_at_a_thousand_requests() -> None:
    dice = random.Random(10)
    runs = [rolled_back(draw(dice, requests=1000, share=0.10)) for _ in range(RUNS)]
    assert sum(runs) >= 0.99 * RUNS


def test_a_truth_of_a_tenth_of_a_percent_is_kept_at_1200_requests() -> None:
    dice = random.Random(12)
    met = 0
    for _ in range(RUNS):
        whole = sum(draw(dice, requests=1200, share=0.001), Proportion(total=0, bad=0))
        met += proportion_judge(proportion=whole, limit=0.01, policy=POLICY).status is Status.MET
    assert met >= 0.95 * RUNS


@pytest.mark.parametrize("truth", [0.01, 0.02])
def test_a_truth_at_or_beyond_the_limit_is_seldom_called_met(truth: float) -> None:
    dice = random.Random(13)
    met = 0
    for _ in range(RUNS):
        whole = sum(draw(dice, requests=1200, share=truth), Proportion(total=0, bad=0))
        met += proportion_judge(proportion=whole, limit=0.01, policy=POLICY).status is Status.MET
    # The exact probability is 4.5 % at the limit; three standard deviations of 300 runs above it.
    assert met <= (0.045 + 3 * 0.012) * RUNS


@pytest.mark.parametrize("start", [0.0, 1.3, 4.0, 7.7])
def test_one_stall_of_six_seconds_never_rolls_back(start: float) -> None:
    # 50 requests a second, open arrivals: whoever is due in the stall waits until its end, and the backlog
    # then drains at twice the rate of arrivals.
    rate, stall = 50, 6.0
    slices = [Proportion(total=0, bad=0) for _ in range(SLICES)]
    free_at = 0.0
    for number in range(rate * 30):
        due = number / rate
        begin = max(due, free_at, start + stall if start <= due < start + stall else 0.0)
        free_at = begin + 0.5 / rate
        late = free_at - due >= 1.0
        index = int(due // 5)
        slices[index] += Proportion(total=1, bad=int(late))
    whole = sum(slices, Proportion(total=0, bad=0))
    assert whole.bad > 0.1 * whole.total
    assert rollback_judge(slices=slices, probes=None, limit=0.05, policy=POLICY) is Rollback.ONE_INCIDENT
