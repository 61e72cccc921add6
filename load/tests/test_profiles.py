import itertools
from collections import Counter
from pathlib import Path

import pytest

from load.bounds import most_bad_allowed
from load.generator.arrivals import arrivals
from load.profiles import (
    DEFAULT_PROFILES,
    Profile,
    UnknownProfileError,
    profile_select,
    profiles_read,
)
from load.records import RecordError

ACCOUNTS = ["admin", "training_staff", "cadet"]


@pytest.fixture
def quick() -> Profile:
    return profile_select(name="quick", file=profiles_read())


def reads(profile: Profile) -> list[str]:
    return [name for name, kind in profile.requests.items() if not kind.causes_event]


def test_quick_is_half_a_minute_at_forty_requests_a_second_or_more(quick: Profile) -> None:
    assert quick.table.duration_seconds == 30
    assert quick.rate_per_second(writes=False) >= 40
    assert all(share.why for share in quick.table.mix.values())


def test_quick_gives_every_objective_enough_to_decide(quick: Profile) -> None:
    seconds = quick.table.duration_seconds
    numbers = {name: round(share.per_second * seconds) for name, share in quick.table.mix.items()}

    def allowed(kinds: list[str], limit: float) -> int:
        bad = most_bad_allowed(total=sum(numbers[kind] for kind in kinds), limit=limit, confidence=0.95)
        return -1 if bad is None else bad

    cached = [name for name, kind in quick.requests.items() if kind.cached]
    writes = [name for name, kind in quick.requests.items() if kind.causes_event]
    simple = [name for name, kind in quick.requests.items() if kind.simple_read]
    assert allowed(list(numbers), 0.01) >= 6
    assert allowed(writes, 0.05) >= 1
    assert allowed(simple, 0.05) >= 1
    # Each write makes two cached answers stale: those misses are of our own making and must fit in.
    assert allowed(cached, 0.20) > 2 * sum(numbers[kind] for kind in writes) + 2 * len(ACCOUNTS)


def test_an_unknown_profile_is_refused_and_the_known_ones_are_listed() -> None:
    with pytest.raises(UnknownProfileError, match=r"unknown profile 'soke'; known are quick"):
        profile_select(name="soke", file=profiles_read())


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("per_second = 11.0", "per_second = 11.1", "not a whole number"),
        ("per_second = 11.0", "per_second = 0", "must be above 0"),
        ('method = "POST"', 'method = "DELETE"', "must be GET or POST"),
        ("causes_event = true", "", "a POST must cause an event"),
        ("[profiles.quick.mix.health]", "[profiles.quick.mix.helath]", "unknown requests helath"),
        ('accounts = ["admin"]', 'accounts = ["root"]', "unknown accounts root"),
        ("duration_seconds = 30", "duration_seconds = 0", "duration_seconds"),
    ],
)
def test_a_mistake_in_the_profiles_is_refused_and_named(before: str, after: str, message: str, tmp_path: Path) -> None:
    text = DEFAULT_PROFILES.read_text(encoding="utf-8")
    assert before in text
    file = tmp_path / "profiles.toml"
    file.write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(RecordError, match=message):
        profiles_read(file)


def test_each_slice_holds_each_kind_exactly_as_often_as_the_profile_says(quick: Profile) -> None:
    schedule = list(arrivals(profile=quick, kinds=reads(quick), accounts=ACCOUNTS))
    block = quick.table.block_seconds
    for start in range(0, quick.seconds, block):
        inside = Counter(one.kind for one in schedule if start <= one.due_seconds + 1e-9 < start + block)
        assert inside == {kind: round(quick.table.mix[kind].per_second * block) for kind in reads(quick)}


def test_requests_are_due_evenly_and_in_order(quick: Profile) -> None:
    due = [one.due_seconds for one in arrivals(profile=quick, kinds=reads(quick), accounts=ACCOUNTS)]
    gaps = {round(later - earlier, 9) for earlier, later in itertools.pairwise(due)}
    assert len(gaps) == 1
    assert due[0] == 0.0
    assert due[-1] < quick.seconds


def test_the_order_is_mixed_and_yet_the_same_in_every_run(quick: Profile) -> None:
    one, two = (
        [arrival.kind for arrival in arrivals(profile=quick, kinds=reads(quick), accounts=ACCOUNTS)] for _ in range(2)
    )
    assert one == two
    first, second = one[:234], one[234:468]
    assert Counter(first) == Counter(second)
    assert first != second


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_workers_share_one_schedule_without_gap_or_overlap(quick: Profile, parts: int) -> None:
    def schedule(part: int, parts: int) -> list[tuple[int, float, str, str | None]]:
        return [
            (one.number, one.due_seconds, one.kind, one.account)
            for one in arrivals(profile=quick, kinds=reads(quick), accounts=ACCOUNTS, part=part, parts=parts)
        ]

    split = sorted(one for part in range(parts) for one in schedule(part, parts))
    assert split == schedule(0, 1)


def test_accounts_take_turns_and_an_absent_one_is_left_out(quick: Profile) -> None:
    for present in (ACCOUNTS, ["admin", "cadet"]):
        turns = Counter(one.account for one in arrivals(profile=quick, kinds=["notifications_list"], accounts=present))
        assert set(turns) == set(present)
        assert max(turns.values()) - min(turns.values()) <= 1
    anonymous = {one.account for one in arrivals(profile=quick, kinds=["health"], accounts=ACCOUNTS)}
    assert anonymous == {None}
