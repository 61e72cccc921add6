from pathlib import Path

import pytest

from load.records import RecordError
from load.slo import DEFAULT_POLICY, policy_fingerprint, policy_parse, policy_read

TEXT = DEFAULT_POLICY.read_text(encoding="utf-8")


def test_the_policy_holds_the_numbers_of_the_objectives() -> None:
    policy = policy_read()
    objectives = policy.objectives
    assert (objectives.read_latency.slo.limit_ms, objectives.read_latency.slo.share_below) == (500, 0.05)
    assert (objectives.read_latency.rollback.limit_ms, objectives.read_latency.rollback.share_above) == (1000, 0.05)
    assert (objectives.errors.slo.share_below, objectives.errors.rollback.share_above) == (0.01, 0.05)
    assert objectives.cache_misses.slo.share_below == 0.20
    assert (objectives.database_time.slo.limit_ms, objectives.database_time.slo.share_below) == (100, 0.05)
    assert (objectives.socket_delivery.slo.limit_ms, objectives.socket_loss.most) == (500, 0)
    assert objectives.queue.below == 100
    assert objectives.smoke.minor_pass_share_above == 0.95
    assert (policy.confidence.met, policy.confidence.rollback) == (0.95, 0.99)
    assert (policy.slices.seconds, policy.slices.least_separate, policy.slices.least_seconds) == (5, 3, 20)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("rollback = 0.99", "rollback = 0.99\nrollbck = 0.9", r"confidence: unknown rollbck"),
        ("met = 0.95", "", r"confidence: missing met"),
        ("met = 0.95", "met = 95", r"met must lie between"),
        ("below = 100", 'below = "100"', r"objectives\.queue\.below: expected int, not str"),
        ("below = 100", "below = true", r"expected int, not bool"),
        ("limit_ms = 500, share_below = 0.05", "limit_ms = 450, share_below = 0.05", r"450 ms is not among the rungs"),
        ("least_critical = 1", "least_critical = 0", r"empty suite is never a pass"),
        ("good_share = 0.05", "good_share = 0.5", r"good_share must be below bad_share"),
        ('schema = "rgms.slo/1"', 'schema = "rgms.slo/2"', r"schema must be 'rgms.slo/1'"),
        ("[confidence]", "[confidence", r"is not valid TOML"),
        ("[10, 25,", "[25, 10,", r"latency_ms must be ascending"),
        ("odds = 1_000_000", "odds = inf", r"not a finite number"),
    ],
)
def test_a_mistake_in_the_policy_is_refused_and_named(before: str, after: str, message: str) -> None:
    assert before in TEXT
    with pytest.raises(RecordError, match=message):
        policy_parse(text=TEXT.replace(before, after, 1), where="slo.toml")


def test_a_missing_policy_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"absent\.toml"):
        policy_read(tmp_path / "absent.toml")


def test_the_fingerprint_changes_with_a_number_and_not_with_a_comment() -> None:
    plain = policy_fingerprint(policy_read())
    assert policy_fingerprint(policy_parse(text=TEXT + "\n# a remark\n", where="slo.toml")) == plain
    changed = policy_parse(text=TEXT.replace("below = 100", "below = 99", 1), where="slo.toml")
    assert policy_fingerprint(changed) != plain
