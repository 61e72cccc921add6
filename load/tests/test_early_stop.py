import random

import pytest

from load.generator.early_stop import Cusum, OutageWatch
from load.slo import policy_read

RULE = policy_read().early_stop


def test_six_bad_in_a_row_stop_and_five_do_not() -> None:
    cusum = Cusum(rule=RULE)
    assert [cusum.observe(bad=True) for _ in range(6)] == [False] * 5 + [True]


def test_six_bad_in_a_row_stop_late_in_a_long_healthy_run_too() -> None:
    cusum = Cusum(rule=RULE)
    for _ in range(50_000):
        cusum.observe(bad=False)
    assert [cusum.observe(bad=True) for _ in range(6)][-1]


def test_once_fired_it_stays_fired() -> None:
    cusum = Cusum(rule=RULE)
    for _ in range(6):
        cusum.observe(bad=True)
    assert all(cusum.observe(bad=False) for _ in range(100))
    assert cusum.watched == 6


def test_half_of_the_requests_bad_stop_within_a_hundred() -> None:
    dice = random.Random(11)
    for _ in range(100):
        cusum = Cusum(rule=RULE)
        assert any(cusum.observe(bad=dice.random() < 0.5) for _ in range(100))


def test_five_percent_bad_never_stop_a_long_run() -> None:
    # Seeded and bounded: 60 runs of 12,000 requests; the level rises only on bad ones, so skip to them.
    dice = random.Random(20260801)
    for _ in range(60):
        cusum = Cusum(rule=RULE)
        for _ in range(12_000):
            cusum.observe(bad=dice.random() < RULE.good_share)
        assert not cusum.fired


def test_a_request_without_an_answer_counts_after_one_second_and_only_once() -> None:
    watch = OutageWatch(rule=RULE)
    for number in range(6):
        watch.sent(number=number, at=number * 0.02)
    assert not watch.look(at=1.0)
    assert (watch.bad, watch.watched) == (1, 1)
    assert watch.look(at=1.11)
    for number in range(6):
        watch.ended(number=number, at=9.0, failed=True)
    assert (watch.bad, watch.watched) == (6, 6)


def test_an_answer_after_the_second_is_bad_even_if_nobody_looked_meanwhile() -> None:
    watch = OutageWatch(rule=RULE)
    watch.sent(number=1, at=0.0)
    watch.ended(number=1, at=1.2, failed=False)
    assert (watch.bad, watch.watched) == (1, 1)


def test_quick_answers_are_good_and_failures_are_bad() -> None:
    watch = OutageWatch(rule=RULE)
    for number, failed in enumerate((False, True, False)):
        watch.sent(number=number, at=0.0)
        watch.ended(number=number, at=0.01, failed=failed)
    assert (watch.bad, watch.watched, watch.fired) == (1, 3, False)


@pytest.mark.parametrize("good_between", [4, 5, 10])
def test_isolated_failures_are_forgotten(good_between: int) -> None:
    cusum = Cusum(rule=RULE)
    for _ in range(1000):
        cusum.observe(bad=True)
        for _ in range(good_between):
            cusum.observe(bad=False)
    assert not cusum.fired
