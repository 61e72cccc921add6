import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from load.bounds import (
    good_requests_needed,
    least_bad_proving,
    lower_bound,
    most_bad_allowed,
    probability_at_least,
    probability_at_most,
    proven_above,
    proven_below,
    upper_bound,
)

SHARES = st.floats(min_value=0.0, max_value=1.0, allow_subnormal=False)


def exact_at_most(bad: int, total: int, share: float) -> Fraction:
    """The tail sum in rational arithmetic: the double `share` is a fraction too."""
    truth = Fraction(share)
    return sum(
        (math.comb(total, count) * truth**count * (1 - truth) ** (total - count) for count in range(bad + 1)),
        Fraction(0),
    )


@settings(max_examples=150, deadline=None)
@given(total=st.integers(1, 120), data=st.data(), share=SHARES)
def test_both_tails_agree_with_exact_rational_sums(total: int, data: st.DataObject, share: float) -> None:
    bad = data.draw(st.integers(0, total))
    at_most = exact_at_most(bad, total, share)
    at_least = 1 - (exact_at_most(bad - 1, total, share) if bad else Fraction(0))
    assert probability_at_most(bad, total, share) == pytest.approx(float(at_most), rel=1e-11, abs=1e-15)
    assert probability_at_least(bad, total, share) == pytest.approx(float(at_least), rel=1e-11, abs=1e-15)


@pytest.mark.parametrize(("bad", "total", "share"), [(6, 1200, 0.01), (8, 1500, 0.01), (68, 1000, 0.05)])
def test_the_tails_that_decide_are_exact_to_twelve_digits(bad: int, total: int, share: float) -> None:
    assert probability_at_most(bad, total, share) == pytest.approx(float(exact_at_most(bad, total, share)), rel=1e-12)


@pytest.mark.parametrize(
    ("bad", "total", "confidence", "lower", "upper"),
    [
        # Two-sided 95 % limits are one-sided ones at 97.5 %; values of published Clopper-Pearson tables.
        (1, 10, 0.975, 0.0025286, 0.4450161),
        (5, 10, 0.975, 0.1870860, 0.8129140),
        (2, 20, 0.975, 0.0123485, 0.3169827),
        (10, 100, 0.975, 0.0490047, 0.1762226),
    ],
)
def test_bounds_agree_with_published_tables(
    bad: int, total: int, confidence: float, lower: float, upper: float
) -> None:
    assert lower_bound(bad=bad, total=total, confidence=confidence) == pytest.approx(lower, abs=5e-8)
    assert upper_bound(bad=bad, total=total, confidence=confidence) == pytest.approx(upper, abs=5e-8)


def test_without_a_bad_request_the_bound_is_the_closed_form() -> None:
    # (1 - p)^n = 0.05, of which "three over n" is the rule of thumb.
    assert upper_bound(bad=0, total=300, confidence=0.95) == pytest.approx(1 - 0.05 ** (1 / 300), rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(total=st.integers(1, 2000), data=st.data(), limit=st.floats(0.001, 0.999))
def test_a_decision_at_the_limit_agrees_with_the_bound(total: int, data: st.DataObject, limit: float) -> None:
    bad = data.draw(st.integers(0, total))
    upper = upper_bound(bad=bad, total=total, confidence=0.95)
    lower = lower_bound(bad=bad, total=total, confidence=0.99)
    if abs(upper - limit) > 1e-12:
        assert proven_below(bad=bad, total=total, limit=limit, confidence=0.95) == (upper < limit)
    if abs(lower - limit) > 1e-12:
        assert proven_above(bad=bad, total=total, limit=limit, confidence=0.99) == (lower > limit)


@settings(max_examples=60, deadline=None)
@given(total=st.integers(0, 3000), data=st.data(), limit=st.floats(0.005, 0.5))
def test_the_number_of_requests_that_are_missing_is_the_least_that_decides(
    total: int, data: st.DataObject, limit: float
) -> None:
    bad = data.draw(st.integers(0, min(total, 40)))
    needed = good_requests_needed(bad=bad, total=total, limit=limit, confidence=0.95)
    assert proven_below(bad=bad, total=total + needed, limit=limit, confidence=0.95)
    if needed:
        assert not proven_below(bad=bad, total=total + needed - 1, limit=limit, confidence=0.95)


def test_no_request_proves_nothing() -> None:
    assert not proven_below(bad=0, total=0, limit=0.999, confidence=0.95)
    assert not proven_above(bad=0, total=0, limit=0.001, confidence=0.99)
    assert (lower_bound(bad=0, total=0, confidence=0.95), upper_bound(bad=0, total=0, confidence=0.95)) == (0, 1)


def test_the_coverage_of_the_bounds_is_at_least_what_they_promise() -> None:
    # Clopper and Pearson are conservative: at every truth the bound fails in 5 % of the runs or fewer.
    for share in (0.004, 0.01, 0.05, 0.2):
        total = 400
        misses = sum(
            probability_at_most(bad, total, share) - (probability_at_most(bad - 1, total, share) if bad else 0)
            for bad in range(total + 1)
            if upper_bound(bad=bad, total=total, confidence=0.95) < share
        )
        assert misses <= 0.05


def test_impossible_counts_and_shares_are_refused() -> None:
    for bad, total, share in ((2, 1, 0.5), (-1, 1, 0.5), (0, 1, 1.5), (0, 1, -0.1)):
        with pytest.raises(ValueError, match="is not a"):
            probability_at_most(bad, total, share)
    with pytest.raises(ValueError, match="between 0 and 1"):
        good_requests_needed(bad=0, total=0, limit=1.0, confidence=0.95)


def test_a_million_requests_are_judged_at_once() -> None:
    # An hour-long soak must not make the gate slow or inexact: the normal approximation is near by then.
    upper = upper_bound(bad=10_000, total=1_000_000, confidence=0.95)
    assert upper == pytest.approx(0.01 + 1.645 * math.sqrt(0.01 * 0.99 / 1e6), rel=1e-3)


# --- the figures on which the profiles rest --------------------------------------------------------------


@pytest.mark.parametrize(("total", "tolerated"), [(1200, 6), (1500, 8), (750, 2), (299, 0), (298, None)])
def test_how_many_errors_a_run_tolerates_before_one_percent_is_unproven(total: int, tolerated: int | None) -> None:
    assert most_bad_allowed(total=total, limit=0.01, confidence=0.95) == tolerated


@pytest.mark.parametrize(("total", "power"), [(300, 0.856), (1000, 0.9998), (5000, 1.0)])
def test_ten_percent_errors_are_proven_above_five_as_often_as_promised(total: int, power: float) -> None:
    needed = least_bad_proving(total=total, limit=0.05, confidence=0.99)
    assert needed is not None
    assert probability_at_least(needed, total, 0.10) == pytest.approx(power, abs=5e-4)


@pytest.mark.parametrize(("total", "power"), [(300, 0.22), (1000, 0.44), (5000, 0.994)])
def test_half_a_percent_of_errors_is_proven_below_one_as_often_as_promised(total: int, power: float) -> None:
    allowed = most_bad_allowed(total=total, limit=0.01, confidence=0.95)
    assert allowed is not None
    assert probability_at_most(allowed, total, 0.005) == pytest.approx(power, abs=5e-3)


def test_a_tenth_of_a_percent_is_kept_in_nineteen_runs_of_twenty_at_1200() -> None:
    assert probability_at_most(6, 1200, 0.001) >= 0.95


def test_six_percent_need_twelve_thousand_requests() -> None:
    needed = least_bad_proving(total=12_000, limit=0.05, confidence=0.99)
    assert needed is not None
    assert probability_at_least(needed, 12_000, 0.06) >= 0.99


def test_at_exactly_a_limit_keep_comes_in_five_percent_at_most() -> None:
    for total in (300, 1200, 5000):
        allowed = most_bad_allowed(total=total, limit=0.01, confidence=0.95)
        assert allowed is not None
        assert probability_at_most(allowed, total, 0.01) <= 0.05


def test_a_point_estimate_would_roll_back_needlessly_where_a_bound_does_not() -> None:
    # 60 requests, of which 3.5 % truly exceed one second: the estimate is above 5 % in a fifth of the runs.
    point = probability_at_least(4, 60, 0.035)
    needed = least_bad_proving(total=60, limit=0.05, confidence=0.99)
    assert needed is not None
    assert point > 0.1
    assert probability_at_least(needed, 60, 0.035) < 0.01
