"""What scripts/benchmark-scans says about what it measured. The measuring itself is run by scripts/prove."""

import pytest

from benchmarks.scans import RECORDED, Answered, Phase, page_of, percentile


def phase(*outcomes: str, day: int = 1) -> Phase:
    answers = [Answered(training_day_id=day, seconds=0.02, outcome=outcome) for outcome in outcomes]
    return Phase(title="5/s", answers=answers, seconds=2.0, cpu_seconds=0.03)


def told(phases: list[Phase], stored: dict[int, int]) -> tuple[str, bool]:
    return page_of(phases, stored, cadets=3000, workers="4")


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(share: float, expected: float) -> None:
    assert percentile([float(value) for value in range(100, 0, -1)], share) == expected
    assert percentile([7.0], share) == 7


def test_a_morning_without_errors_whose_records_are_those_that_were_answered_is_sound() -> None:
    page, sound = told([phase(RECORDED, RECORDED), phase(RECORDED, day=2)], {1: 2, 2: 1})
    assert sound
    assert "| 5/s | 2 | 1.0 | 20.0 | 20.0 | 20.0 | 0 | 15.0 |" in page
    assert "Accepted: 3. Records: 3, the same on every day." in page


@pytest.mark.parametrize(
    ("outcomes", "stored"),
    [
        ((RECORDED, RECORDED), {1: 1}),
        ((RECORDED, RECORDED), {1: 1, 2: 1}),
        ((RECORDED, "503 unavailable"), {1: 1}),
        ((RECORDED, "TimeoutError"), {1: 1}),
        ((), {}),
    ],
    ids=["a record is missing", "a record is of another day", "refused", "no answer", "nothing was sent"],
)
def test_anything_else_is_not(outcomes: tuple[str, ...], stored: dict[int, int]) -> None:
    page, sound = told([phase(*outcomes)], stored)
    assert not sound
    for outcome in {*outcomes} - {RECORDED}:
        assert outcome in page
