"""Chance that comes out the same each time: every person and every matter has a stream of its own.

So the first thirty of three thousand people are the thirty people of a smaller demo, and a matter that is added later
leaves all others as they were.
"""

import random
from collections.abc import Mapping
from itertools import accumulate
from typing import Generic, TypeVar

_T = TypeVar("_T")


def stream(seed: int, *matter: str | int) -> random.Random:
    """Random numbers of one matter, for example (seed, "attendance", 17)."""
    # Seeded with text, which is hashed: neighbouring numbers give streams that have nothing in common.
    return random.Random(":".join(map(str, (seed, *matter))))  # noqa: S311 - believable people, not secrets


class Weighted(Generic[_T]):
    """A choice between things of different weight."""

    def __init__(self, weights: Mapping[_T, float]) -> None:
        self._things = list(weights)
        self._cumulated = list(accumulate(weights.values()))

    def pick(self, chance: random.Random) -> _T:
        return chance.choices(self._things, cum_weights=self._cumulated)[0]
