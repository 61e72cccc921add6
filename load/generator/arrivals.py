"""Open arrivals: which request is due when, decided before the first one is sent."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from load.profiles import Profile


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request, due `due_seconds` after the start of the warm-up."""

    number: int
    due_seconds: float
    kind: str
    account: str | None


def arrivals(
    *,
    profile: Profile,
    kinds: Sequence[str],
    accounts: Sequence[str],
    part: int = 0,
    parts: int = 1,
) -> Iterator[Arrival]:
    """The arrivals of `kinds` over the whole profile, evenly spaced, in the order in which they are due.

    Every block holds each kind exactly as often as the profile says, in an order shuffled from the profile's
    seed: all workers derive the same schedule, and worker `part` of `parts` takes every `parts`-th arrival.
    `accounts` are those that are signed in; a kind's accounts take turns.
    """
    table = profile.table
    counts = {kind: round(table.mix[kind].per_second * table.block_seconds) for kind in kinds}
    in_block = sum(counts.values())
    if in_block == 0:
        return
    turns: dict[str, list[str | None]] = {
        kind: [name for name in profile.requests[kind].accounts if name in accounts] or [None] for kind in kinds
    }
    taken = dict.fromkeys(kinds, 0)
    spacing = table.block_seconds / in_block
    number = 0
    while True:
        block = [kind for kind, count in counts.items() for _ in range(count)]
        # Reproducible on purpose: runs of two releases are compared, and nothing here is a secret.
        random.Random(f"{table.seed}:{number}").shuffle(block)  # noqa: S311
        for kind in block:
            due = number * spacing
            if due >= profile.seconds - spacing / 2:
                return
            account = turns[kind][taken[kind] % len(turns[kind])]
            taken[kind] += 1
            if number % parts == part:
                yield Arrival(number=number, due_seconds=due, kind=kind, account=account)
            number += 1
