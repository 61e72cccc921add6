"""Exact one-sided binomial bounds (Clopper and Pearson, Biometrika 26, 1934).

A rule "the share of bad requests is below L" is proven by `k` bad of `n` at confidence c exactly if
P(X <= k | n, L) < 1 - c: the tail is computed at the limit itself, so a decision needs no root finding.
The bounds are for the words of a report. Probabilities of single outcomes follow Loader (2000), "Fast and
accurate computation of binomial probabilities": no cancellation between large logarithms of factorials.
"""

import math
from collections.abc import Callable

# Terms below this share of the sum cannot change a double.
_NEGLIGIBLE = 1e-18


def probability_at_most(bad: int, total: int, share: float) -> float:
    """P(X <= bad) for X binomial over `total` requests with the true share `share`.

    Raises:
        ValueError: unless 0 <= bad <= total and 0 <= share <= 1.
    """
    _check(bad, total, share)
    if bad == total:
        return 1.0
    if bad <= total * share:
        return _sum_down(bad, total, share)
    return 1.0 - _sum_up(bad + 1, total, share)


def probability_at_least(bad: int, total: int, share: float) -> float:
    """P(X >= bad) for X binomial over `total` requests with the true share `share`.

    Raises:
        ValueError: unless 0 <= bad <= total and 0 <= share <= 1.
    """
    _check(bad, total, share)
    if bad == 0:
        return 1.0
    if bad >= total * share:
        return _sum_up(bad, total, share)
    return 1.0 - _sum_down(bad - 1, total, share)


def proven_below(*, bad: int, total: int, limit: float, confidence: float) -> bool:
    """Whether `bad` of `total` proves a true share below `limit`. No request proves nothing."""
    return total > 0 and probability_at_most(bad, total, limit) < 1.0 - confidence


def proven_above(*, bad: int, total: int, limit: float, confidence: float) -> bool:
    """Whether `bad` of `total` proves a true share above `limit`. No request proves nothing."""
    return total > 0 and probability_at_least(bad, total, limit) < 1.0 - confidence


def upper_bound(*, bad: int, total: int, confidence: float) -> float:
    """The share that the truth is below, with the given one-sided confidence; 1.0 without requests."""
    if total in (0, bad):
        return 1.0
    return _root(lambda share: probability_at_most(bad, total, share) < 1.0 - confidence)


def lower_bound(*, bad: int, total: int, confidence: float) -> float:
    """The share that the truth is above, with the given one-sided confidence; 0.0 without requests."""
    if total == 0 or bad == 0:
        return 0.0
    return _root(lambda share: probability_at_least(bad, total, share) >= 1.0 - confidence)


def good_requests_needed(*, bad: int, total: int, limit: float, confidence: float) -> int:
    """The least number of further requests, all of them good, that proves a share below `limit`.

    Fewer can never decide, so a report may say "at least"; more are needed if some of them are bad.

    Raises:
        ValueError: unless 0 < limit < 1.
    """
    if not 0.0 < limit < 1.0:
        raise ValueError(f"limit must lie between 0 and 1, not {limit}")
    if proven_below(bad=bad, total=total, limit=limit, confidence=confidence):
        return 0
    enough = 1
    while not proven_below(bad=bad, total=total + enough, limit=limit, confidence=confidence):
        enough *= 2
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        if proven_below(bad=bad, total=total + middle, limit=limit, confidence=confidence):
            enough = middle
        else:
            too_few = middle
    return enough


def most_bad_allowed(*, total: int, limit: float, confidence: float) -> int | None:
    """The greatest number of bad ones among `total` that still proves a share below `limit`.

    None if not even a run without one bad request proves it.
    """
    if not proven_below(bad=0, total=total, limit=limit, confidence=confidence):
        return None
    allowed, refused = 0, total
    while refused - allowed > 1:
        middle = (allowed + refused) // 2
        if proven_below(bad=middle, total=total, limit=limit, confidence=confidence):
            allowed = middle
        else:
            refused = middle
    return allowed


def least_bad_proving(*, total: int, limit: float, confidence: float) -> int | None:
    """The least number of bad ones among `total` that proves a share above `limit`, None if none does."""
    if not proven_above(bad=total, total=total, limit=limit, confidence=confidence):
        return None
    refused, proving = 0, total
    while proving - refused > 1:
        middle = (refused + proving) // 2
        if proven_above(bad=middle, total=total, limit=limit, confidence=confidence):
            proving = middle
        else:
            refused = middle
    return proving


def _check(bad: int, total: int, share: float) -> None:
    if not 0 <= bad <= total:
        raise ValueError(f"{bad} of {total} is not a count")
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"{share} is not a share")


def _root(above: Callable[[float], bool]) -> float:
    """Bisect [0, 1] for the point where `above` turns true, to the last bit of a double."""
    low, high = 0.0, 1.0
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return high
        if above(middle):
            high = middle
        else:
            low = middle


def _sum_down(start: int, total: int, share: float) -> float:
    if share >= 1.0:
        return 0.0
    term = _probability_of(start, total, share)
    odds_against = (1.0 - share) / share if share > 0.0 else 0.0
    terms = [term]
    index, reached = start, term
    while index > 0 and term > _NEGLIGIBLE * reached:
        term *= index / (total - index + 1) * odds_against
        index -= 1
        reached += term
        terms.append(term)
    return min(1.0, math.fsum(terms))


def _sum_up(start: int, total: int, share: float) -> float:
    if share <= 0.0:
        return 0.0
    term = _probability_of(start, total, share)
    odds = share / (1.0 - share) if share < 1.0 else 0.0
    terms = [term]
    index, reached = start, term
    while index < total and term > _NEGLIGIBLE * reached:
        term *= (total - index) / (index + 1) * odds
        index += 1
        reached += term
        terms.append(term)
    return min(1.0, math.fsum(terms))


def _probability_of(bad: int, total: int, share: float) -> float:
    if share in (0.0, 1.0):
        return 1.0 if bad == total * share else 0.0
    if bad == 0:
        return math.exp(total * math.log1p(-share))
    if bad == total:
        return math.exp(total * math.log(share))
    good = total - bad
    exponent = (
        _stirling_error(total)
        - _stirling_error(bad)
        - _stirling_error(good)
        - _deviance(bad, total * share)
        - _deviance(good, total * (1.0 - share))
    )
    return math.exp(exponent) * math.sqrt(total / (2.0 * math.pi * bad * good))


def _stirling_error(count: int) -> float:
    """ln(n!) minus Stirling's approximation of it."""
    if count < 16:
        return math.lgamma(count + 1.0) - ((count + 0.5) * math.log(count) - count + 0.5 * math.log(2.0 * math.pi))
    square = float(count) * count
    series = 1 / 1260 - (1 / 1680 - (1 / 1188 - 691 / 360360 / square) / square) / square
    return (1 / 12 - (1 / 360 - series / square) / square) / count


def _deviance(count: int, mean: float) -> float:
    """count * ln(count / mean) + mean - count, without cancellation when the two are close."""
    difference = count - mean
    if abs(difference) < 0.1 * (count + mean):
        ratio = difference / (count + mean)
        total = difference * ratio
        term = 2.0 * count * ratio
        square = ratio * ratio
        order = 1
        while True:
            term *= square
            improved = total + term / (2 * order + 1)
            if improved == total:
                return total
            total = improved
            order += 1
    return count * math.log(count / mean) + mean - count
