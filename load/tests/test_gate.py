from dataclasses import replace

import pytest

from load.gate import Baseline, Evidence, decide
from load.judgement import Proportion, rollback_judge
from load.records import RecordError
from load.results import (
    CheckOutcome,
    LoadEvidence,
    Outcome,
    QueueEvidence,
    Severity,
    SmokeEvidence,
    Target,
    TargetEvidence,
)
from load.slo import DEFAULT_POLICY, Policy, policy_parse
from load.tests.evidence import (
    BEFORE,
    NONE,
    POLICY,
    RELEASE,
    SLICES,
    check,
    counts,
    load_evidence,
    over,
    process,
    smoke_evidence,
    summary,
)
from load.verdict import Finding, ObjectiveResult, Rollback, Status, Verdict, Word

EVERY = (1,) * SLICES


def judge(
    load: LoadEvidence | None = None,
    smoke: SmokeEvidence | None = None,
    *,
    baseline: Baseline | None = None,
    policy: Policy = POLICY,
) -> Verdict:
    evidence = Evidence(
        smoke=smoke or smoke_evidence(),
        load=load or load_evidence(),
        baseline=baseline or Baseline(),
    )
    return decide(evidence=evidence, policy=policy)


def objective(verdict: Verdict, name: str) -> ObjectiveResult:
    (result,) = [one for one in verdict.objectives if one.name == name]
    return result


def findings(verdict: Verdict, name: str) -> list[Finding]:
    return [one for one in verdict.findings if one.objective == name]


# --- the lattice -----------------------------------------------------------------------------------------


def test_a_healthy_release_is_kept_and_every_objective_is_met() -> None:
    verdict = judge()
    assert (verdict.verdict, verdict.exit_code) == (Word.KEEP, 0)
    assert {one.status for one in verdict.objectives} == {Status.MET}
    assert {one.name for one in verdict.objectives} == {
        "smoke_critical", "smoke_major", "smoke_minor", "read_latency", "errors", "elsewhere", "cache_misses",
        "database_time", "socket_delivery", "socket_loss", "queue", "integrity", "residue",
    }  # fmt: skip


def test_the_same_evidence_gives_the_same_verdict() -> None:
    assert judge() == judge()


def test_every_breach_is_listed_and_a_rollback_comes_first() -> None:
    verdict = judge(
        load_evidence(
            broken=(30,) * SLICES,
            queue=QueueEvidence(polls=35, answered=35, maximum=100, slices=[100] * SLICES),
            lost=1,
        ),
        smoke_evidence(check("beats", Severity.MAJOR, CheckOutcome.FAILED)),
    )
    assert verdict.verdict is Word.ROLLBACK
    assert verdict.findings[0].effect is Word.ROLLBACK
    assert {one.objective for one in verdict.findings} >= {"errors", "queue", "socket_loss", "smoke_major"}
    for finding in verdict.findings:
        assert all((finding.what, finding.by_how_much, finding.how_sure, finding.next_step))


def test_an_empty_run_is_never_kept() -> None:
    nothing = load_evidence()
    for request in nothing.requests.values():
        request.slices = [counts(sent=0) for _ in range(SLICES)]
    nothing = replace(nothing, processes=[process(asked=0, sent=0)])
    verdict = judge(nothing)
    assert verdict.verdict is Word.HOLD
    assert objective(verdict, "read_latency").status is Status.NO_DATA
    assert objective(verdict, "errors").status is Status.NO_DATA


def test_without_load_evidence_the_reason_is_told_and_the_release_held() -> None:
    evidence = Evidence(smoke=smoke_evidence(), no_load_reason="the machine was busy")
    verdict = decide(evidence=evidence, policy=POLICY)
    assert verdict.verdict is Word.HOLD
    assert "the machine was busy" in findings(verdict, "load")[0].how_sure
    assert objective(verdict, "errors").status is Status.NO_DATA


def test_a_critical_failure_rolls_back_without_load() -> None:
    smoke = smoke_evidence(check("worker.heartbeat", outcome=CheckOutcome.FAILED))
    verdict = decide(evidence=Evidence(smoke=smoke, no_load_reason="smoke has decided"), policy=POLICY)
    assert (verdict.verdict, verdict.exit_code) == (Word.ROLLBACK, 20)


def test_missing_load_evidence_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="a reason is due"):
        Evidence(smoke=smoke_evidence(), no_load_reason="  ")
    with pytest.raises(ValueError, match="no reason for its absence"):
        Evidence(smoke=smoke_evidence(), load=load_evidence(), no_load_reason="none")


def test_a_verdict_of_keep_cannot_be_made_with_an_unmet_objective() -> None:
    kept = judge()
    unmet = replace(kept.objectives[0], status=Status.NO_DATA)
    with pytest.raises(ValueError, match="KEEP needs every objective MET"):
        replace(kept, objectives=[unmet, *kept.objectives[1:]])
    with pytest.raises(ValueError, match="KEEP needs every objective MET"):
        replace(kept, objectives=[])


# --- errors ----------------------------------------------------------------------------------------------


def test_eight_errors_in_fifteen_hundred_are_kept_and_nine_are_undecided() -> None:
    eight = judge(load_evidence(broken=(2, 2, 1, 1, 1, 1)))
    assert eight.verdict is Word.KEEP
    nine = judge(load_evidence(broken=(2, 2, 2, 1, 1, 1)))
    assert nine.verdict is Word.HOLD
    result = objective(nine, "errors")
    assert (result.status, result.rollback) == (Status.UNDECIDED, Rollback.NOT_PROVEN)
    assert result.more_requests is not None
    assert f"t least {result.more_requests} more requests" in findings(nine, "errors")[0].next_step


def test_two_percent_errors_are_held_as_breached() -> None:
    verdict = judge(load_evidence(broken=(5,) * SLICES))
    assert verdict.verdict is Word.HOLD
    result = objective(verdict, "errors")
    assert (result.status, result.rollback, result.bad, result.total) == (
        Status.BREACHED, Rollback.NOT_PROVEN, 30, 1500,
    )  # fmt: skip


def test_ten_percent_errors_are_rolled_back() -> None:
    verdict = judge(load_evidence(broken=(25,) * SLICES))
    assert verdict.verdict is Word.ROLLBACK
    finding = findings(verdict, "errors")[0]
    assert finding.effect is Word.ROLLBACK
    assert "150 of 1500 (10 %)" in finding.by_how_much
    assert "99 % sure" in finding.how_sure


def test_six_percent_in_a_short_run_is_held_since_it_is_not_proven_above_five() -> None:
    verdict = judge(load_evidence(broken=(15,) * SLICES))
    assert verdict.verdict is Word.HOLD
    assert objective(verdict, "errors").rollback is Rollback.NOT_PROVEN


# --- whose failure ---------------------------------------------------------------------------------------


def test_failures_at_the_edge_hold_and_never_roll_back() -> None:
    verdict = judge(load_evidence(edge=(0, 100, 100, 100, 0, 0)))
    assert verdict.verdict is Word.HOLD
    assert objective(verdict, "errors").status is Status.MET
    assert "300 by the edge" in findings(verdict, "elsewhere")[0].what


def test_requests_that_never_reached_the_application_do_not_dilute_its_errors() -> None:
    verdict = judge(load_evidence(edge=(100,) * SLICES, broken=(15,) * SLICES))
    assert objective(verdict, "errors").total == 900


def test_throttled_requests_hold_as_not_the_releases_fault() -> None:
    verdict = judge(load_evidence(throttled=(20,) * SLICES))
    assert verdict.verdict is Word.HOLD
    assert [one.objective for one in verdict.findings] == ["elsewhere"]


def test_without_request_ids_failures_cannot_be_attributed() -> None:
    verdict = judge(load_evidence(unidentified=20))
    assert objective(verdict, "errors").status is Status.NO_DATA
    assert "X-Request-ID was on" in objective(verdict, "errors").words
    assert verdict.verdict is Word.HOLD


def test_missing_request_ids_do_not_protect_a_release_that_fails() -> None:
    assert judge(load_evidence(unidentified=20, broken=(40,) * SLICES)).verdict is Word.ROLLBACK


# --- latency and slices ----------------------------------------------------------------------------------


def test_slow_reads_between_the_limits_are_held() -> None:
    verdict = judge(load_evidence(slow=(40,) * SLICES, slow_ms=600))
    assert verdict.verdict is Word.HOLD
    result = objective(verdict, "read_latency")
    assert (result.status, result.rollback) == (Status.BREACHED, Rollback.NOT_PROVEN)


def test_reads_above_a_second_throughout_are_rolled_back() -> None:
    verdict = judge(load_evidence(slow=(40,) * SLICES))
    assert verdict.verdict is Word.ROLLBACK
    assert objective(verdict, "read_latency").rollback is Rollback.PROVEN


@pytest.mark.parametrize(
    ("slow", "rollback"),
    [
        ((150, 0, 0, 0, 0, 0), Rollback.ONE_INCIDENT),
        ((100, 100, 0, 0, 0, 0), Rollback.ONE_INCIDENT),
        ((80, 80, 80, 0, 0, 0), Rollback.ONE_INCIDENT),
        ((80, 0, 80, 80, 0, 0), Rollback.ONE_INCIDENT),
        ((80, 0, 80, 0, 80, 0), Rollback.PROVEN),
        ((80, 0, 80, 0, 0, 80), Rollback.PROVEN),
        ((60, 60, 60, 60, 0, 0), Rollback.PROVEN),
        # The share is proven, yet only two slices exceed it themselves; the others are merely not clean.
        ((120, 0, 120, 0, 5, 0), Rollback.ONE_INCIDENT),
    ],
)
def test_a_breach_must_show_in_slices_that_are_apart_or_in_twenty_seconds(
    slow: tuple[int, ...], rollback: Rollback
) -> None:
    verdict = judge(load_evidence(slow=slow))
    assert objective(verdict, "read_latency").rollback is rollback
    assert verdict.verdict is (Word.ROLLBACK if rollback is Rollback.PROVEN else Word.HOLD)
    if rollback is Rollback.ONE_INCIDENT:
        assert "one incident" in findings(verdict, "read_latency")[0].what


def test_health_does_not_flatter_the_latency_of_reads() -> None:
    # 4 of 250 requests in a slice are of health; reads are the 230 that are neither health nor a write.
    assert objective(judge(), "read_latency").total == 230 * SLICES


def test_a_request_without_an_answer_is_slower_than_any_limit() -> None:
    evidence = load_evidence(broken=(20,) * SLICES)
    for counted in evidence.requests["notifications_unread_count"].slices:
        counted.unanswered = 20
        counted.slower = [20] * len(counted.slower)
    verdict = judge(evidence)
    assert objective(verdict, "read_latency").bad == 120
    assert objective(verdict, "read_latency").rollback is Rollback.PROVEN


# --- headers ---------------------------------------------------------------------------------------------


def test_a_cold_cache_is_held() -> None:
    verdict = judge(load_evidence(missed=(100,) * SLICES))
    assert [one.objective for one in verdict.findings] == ["cache_misses"]
    assert objective(verdict, "cache_misses").status is Status.BREACHED


def test_an_absent_cache_header_is_no_miss_and_too_many_are_no_data() -> None:
    few = judge(load_evidence(cache_silent=10))
    assert few.verdict is Word.KEEP
    many = judge(load_evidence(cache_silent=20))
    assert objective(many, "cache_misses").status is Status.NO_DATA
    assert "Cache-Status was on" in objective(many, "cache_misses").words


def test_slow_database_is_held_and_silence_about_it_is_no_data() -> None:
    slow = judge(load_evidence(database_slow=(4,) * SLICES))
    assert objective(slow, "database_time").status is Status.BREACHED
    assert slow.verdict is Word.HOLD
    silent = judge(load_evidence(database_silent=2))
    assert objective(silent, "database_time").status is Status.NO_DATA


# --- sockets, queue, integrity, residue ------------------------------------------------------------------


@pytest.mark.parametrize("loss", [{"lost": 1}, {"doubled": 1}, {"misdelivered": 1}])
def test_one_event_lost_doubled_or_misdelivered_is_held(loss: dict[str, int]) -> None:
    verdict = judge(load_evidence(**loss))  # type: ignore[arg-type]
    assert verdict.verdict is Word.HOLD
    assert [one.objective for one in verdict.findings] == ["socket_loss"]


def test_late_events_are_judged_as_a_proportion() -> None:
    assert judge(load_evidence(late_events=(1, 0, 0, 0, 0, 0))).verdict is Word.KEEP
    verdict = judge(load_evidence(late_events=(1, 1, 0, 0, 0, 0)))
    assert objective(verdict, "socket_delivery").status is Status.UNDECIDED
    assert verdict.verdict is Word.HOLD


def test_a_read_only_run_is_held_and_told_how_to_decide() -> None:
    verdict = judge(load_evidence(sockets_unavailable="a read-only run causes no events", read_only=True))
    assert verdict.verdict is Word.HOLD
    assert objective(verdict, "socket_delivery").status is Status.NO_DATA
    assert objective(verdict, "socket_loss").status is Status.NO_DATA
    assert all("--allow-writes" in one.next_step for one in verdict.findings)


@pytest.mark.parametrize(("depth", "word"), [(99, Word.KEEP), (100, Word.HOLD)])
def test_the_queue_must_stay_below_a_hundred(depth: int, word: Word) -> None:
    queue = QueueEvidence(polls=35, answered=35, maximum=depth, slices=[depth] * SLICES)
    assert judge(load_evidence(queue=queue)).verdict is word


@pytest.mark.parametrize(
    "queue",
    [
        QueueEvidence(),
        QueueEvidence(polls=35, answered=0, slices=[None] * SLICES),
        QueueEvidence(polls=35, answered=20, maximum=1, slices=[1] * SLICES),
    ],
)
def test_a_queue_that_was_not_read_is_no_data(queue: QueueEvidence) -> None:
    verdict = judge(load_evidence(queue=queue))
    assert objective(verdict, "queue").status is Status.NO_DATA
    assert verdict.verdict is Word.HOLD


def test_unsound_data_roll_back_and_an_unanswered_probe_holds() -> None:
    unsound = judge(load_evidence(sound=False))
    assert unsound.verdict is Word.ROLLBACK
    assert "orphans in accounts_user" in findings(unsound, "integrity")[0].by_how_much
    assert judge(load_evidence(sound=None)).verdict is Word.HOLD


@pytest.mark.parametrize(
    ("load", "smoke"), [({"residue": 1}, {}), ({"residue": None}, {}), ({}, {"residue": ["a room"]})]
)
def test_rows_left_behind_are_held(load: dict[str, object], smoke: dict[str, object]) -> None:
    verdict = judge(load_evidence(**load), smoke_evidence(**smoke))  # type: ignore[arg-type]
    assert verdict.verdict is Word.HOLD
    assert [one.objective for one in verdict.findings] == ["residue"]


# --- the run itself --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"asked": 1600, "dropped": 100},
        {"sent_later": over(POLICY.rungs.lag_ms, 100, 100)},
        {"heartbeats_later": over(POLICY.rungs.lag_ms, 100, 40)},
        {"heartbeats": 0},
        {"cpu_seconds": 33.0},
    ],
)
def test_an_unsound_generator_makes_the_run_invalid_and_never_rolls_back(changes: dict[str, object]) -> None:
    verdict = judge(load_evidence(broken=(60,) * SLICES, processes=[process(**changes)]))
    assert verdict.verdict is Word.HOLD
    assert [one.status for one in findings(verdict, "generator")] == ["INVALID"]
    assert "--processes" in findings(verdict, "generator")[0].next_step
    assert objective(verdict, "errors").status is Status.NO_DATA
    assert objective(verdict, "errors").rollback is Rollback.NOT_JUDGED


def test_a_worker_that_went_missing_makes_the_run_invalid() -> None:
    verdict = judge(load_evidence(processes_expected=3))
    assert verdict.verdict is Word.HOLD
    assert "1 of 3 processes" in findings(verdict, "generator")[0].by_how_much


def test_a_dispatcher_that_died_half_way_makes_the_run_invalid() -> None:
    load = load_evidence()
    for request in load.requests.values():
        request.slices[3:] = [counts(sent=0) for _ in range(3)]
    # It sent all that it was asked for until then, on time.
    verdict = judge(replace(load, processes=[process(asked=750, sent=750)]))
    assert verdict.verdict is Word.HOLD
    (finding,) = findings(verdict, "generator")
    assert "750 of 1500 due requests were sent" in finding.by_how_much
    stopped = replace(
        load_evidence(probes=counts(sent=60)), requests=load.requests, processes=[process(asked=750, sent=750)]
    )
    assert findings(judge(stopped), "generator") == []


def test_unsound_data_roll_back_even_if_the_generator_was_unsound() -> None:
    assert judge(load_evidence(sound=False, processes=[process(cpu_seconds=34.9)])).verdict is Word.ROLLBACK


@pytest.mark.parametrize("outcome", [Outcome.NOT_STARTED, Outcome.INTERRUPTED])
def test_a_run_that_did_not_end_is_held_with_its_reason(outcome: Outcome) -> None:
    verdict = judge(load_evidence(outcome=outcome, incidents=["admin could not sign in: HTTP 503"]))
    assert verdict.verdict is Word.HOLD
    assert "HTTP 503" in findings(verdict, "run")[0].by_how_much


# --- early stop ------------------------------------------------------------------------------------------


def test_after_an_early_stop_failing_probes_roll_back_whatever_the_slices_say() -> None:
    verdict = judge(load_evidence(broken=(0, 0, 6, 0, 0, 0), probes=counts(sent=60, application=60)))
    assert verdict.verdict is Word.ROLLBACK
    assert objective(verdict, "errors").rollback is Rollback.PROVEN
    assert findings(verdict, "early_stop")[0].effect is Word.HOLD


@pytest.mark.parametrize(("failing", "word"), [(7, Word.HOLD), (8, Word.ROLLBACK)])
def test_the_probes_are_judged_by_the_same_bound(failing: int, word: Word) -> None:
    assert judge(load_evidence(probes=counts(sent=60, application=failing))).verdict is word


def test_after_an_early_stop_healthy_probes_hold_and_never_keep() -> None:
    verdict = judge(load_evidence(probes=counts(sent=60)))
    assert verdict.verdict is Word.HOLD
    assert [one.objective for one in verdict.findings] == ["early_stop"]


def test_after_an_early_stop_the_probes_decide_and_not_what_led_to_it() -> None:
    # 24 of 240 in four slices, then nothing more was sent: proven above 5 %.
    slices = [Proportion(total=10 * bad, bad=bad) for bad in (6, 6, 6, 6, 0, 0)]
    good = Proportion(total=60, bad=0)
    assert rollback_judge(slices=slices, probes=None, limit=0.05, policy=POLICY) is Rollback.PROVEN
    assert rollback_judge(slices=slices, probes=good, limit=0.05, policy=POLICY) is Rollback.NOT_PROVEN
    verdict = judge(load_evidence(broken=(60, 60, 60, 60, 0, 0), probes=counts(sent=60)))
    assert verdict.verdict is Word.HOLD
    assert objective(verdict, "errors").rollback is Rollback.NOT_PROVEN


def test_slow_probes_roll_back_by_latency() -> None:
    verdict = judge(load_evidence(probes=counts(sent=60, slow=30)))
    assert verdict.verdict is Word.ROLLBACK
    assert objective(verdict, "read_latency").rollback is Rollback.PROVEN


def test_probes_that_fail_at_the_edge_hold() -> None:
    assert judge(load_evidence(probes=counts(sent=60, edge=60))).verdict is Word.HOLD


# --- one release, one address ----------------------------------------------------------------------------


def test_a_release_that_changes_during_the_run_is_held() -> None:
    verdict = judge(load_evidence(target=TargetEvidence(start=BEFORE, end=RELEASE)))
    assert verdict.verdict is Word.HOLD
    assert any("changed during the run" in one.what for one in verdict.findings)


@pytest.mark.parametrize(
    "target", [TargetEvidence(None, RELEASE), TargetEvidence(RELEASE, None), TargetEvidence(None, None)]
)
def test_a_release_that_does_not_tell_its_name_is_held(target: TargetEvidence) -> None:
    assert judge(load_evidence(target=target)).verdict is Word.HOLD


def test_smoke_and_load_must_have_met_the_same_release_at_the_same_address() -> None:
    assert judge(smoke=smoke_evidence(target=BEFORE)).verdict is Word.HOLD
    assert judge(smoke=smoke_evidence(base_url="http://elsewhere")).verdict is Word.HOLD
    assert judge(smoke=smoke_evidence(base_url="http://127.0.0.1:8000/")).verdict is Word.KEEP


# --- smoke -----------------------------------------------------------------------------------------------


def test_one_critical_failure_rolls_back_and_what_it_blocks_is_counted() -> None:
    blocked = [check(f"needs-{number}", outcome=CheckOutcome.BLOCKED, blocked_by="worker") for number in range(3)]
    verdict = judge(smoke=smoke_evidence(check("worker", outcome=CheckOutcome.FAILED), *blocked))
    assert verdict.verdict is Word.ROLLBACK
    (finding,) = findings(verdict, "smoke_critical")
    assert finding.check == "worker"
    assert "3 checks blocked by it" in finding.by_how_much
    assert finding.next_step == "Mend worker."


@pytest.mark.parametrize("severity", list(Severity))
def test_a_check_that_broke_is_no_data_and_never_a_rollback(severity: Severity) -> None:
    broken = check("own", severity, CheckOutcome.FAILED, broken=True, came="KeyError: 'x'")
    verdict = judge(smoke=smoke_evidence(broken, check("child", blocked_by="own", outcome=CheckOutcome.BLOCKED)))
    assert verdict.verdict is Word.HOLD
    (finding,) = findings(verdict, f"smoke_{severity}")[:1]
    assert "the check itself broke" in finding.what
    assert finding.by_how_much == "KeyError: 'x'"
    assert objective(verdict, f"smoke_{severity}").status is Status.NO_DATA
    # What it blocks is as unknown, and no breach either.
    assert objective(verdict, "smoke_critical").status is Status.NO_DATA
    assert objective(verdict, "smoke_critical").rollback is Rollback.NOT_PROVEN


def test_a_proper_failure_beside_a_broken_check_still_rolls_back() -> None:
    broken = check("own", outcome=CheckOutcome.FAILED, broken=True)
    verdict = judge(smoke=smoke_evidence(broken, check("worker", outcome=CheckOutcome.FAILED)))
    assert [one.effect for one in verdict.findings] == [Word.ROLLBACK, Word.HOLD]


def test_a_check_that_broke_before_excuses_no_failure_now() -> None:
    was = smoke_evidence(check("hosts", outcome=CheckOutcome.FAILED, broken=True), run_id="before", target=BEFORE)
    now = smoke_evidence(check("hosts", outcome=CheckOutcome.FAILED))
    assert judge(smoke=now, baseline=Baseline(smoke=was)).verdict is Word.ROLLBACK


@pytest.mark.parametrize(("severity", "word"), [(Severity.MAJOR, Word.HOLD), (Severity.CRITICAL, Word.ROLLBACK)])
def test_what_kept_the_suite_from_running_is_the_first_finding_and_empty_severities_are_none(
    severity: Severity, word: Word
) -> None:
    only = [check("wait.live", severity, CheckOutcome.FAILED)]
    smoke = smoke_evidence(checks=only, summary=summary(only))
    verdict = decide(evidence=Evidence(smoke=smoke, no_load_reason="not live yet"), policy=POLICY)
    assert verdict.verdict is word
    assert verdict.summary.startswith(f"{word}: Smoke check wait.live failed")
    assert [one.objective for one in verdict.findings] == [f"smoke_{severity}", "load"]
    assert objective(verdict, "smoke_minor").total == 0


def test_a_failed_check_stands_before_findings_without_a_cause() -> None:
    beats = check("beats", Severity.MAJOR, CheckOutcome.FAILED)
    verdict = judge(smoke=smoke_evidence(check("writes", outcome=CheckOutcome.SKIPPED), beats))
    assert [one.check for one in verdict.findings] == ["beats", None]


def test_a_major_failure_is_held_even_if_it_blocks_critical_checks() -> None:
    verdict = judge(
        smoke=smoke_evidence(
            check("beats", Severity.MAJOR, CheckOutcome.FAILED),
            check("depends", Severity.CRITICAL, CheckOutcome.BLOCKED, blocked_by="beats"),
        )
    )
    assert verdict.verdict is Word.HOLD
    assert objective(verdict, "smoke_critical").status is Status.BREACHED
    assert objective(verdict, "smoke_critical").rollback is Rollback.NOT_PROVEN


@pytest.mark.parametrize(
    ("failed", "blocked", "word"), [(0, 0, Word.KEEP), (1, 0, Word.KEEP), (2, 0, Word.HOLD), (1, 1, Word.HOLD)]
)
def test_more_than_95_percent_of_the_minor_checks_must_pass_and_blocked_ones_did_not(
    failed: int, blocked: int, word: Word
) -> None:
    extra = [check(f"f{number}", Severity.MINOR, CheckOutcome.FAILED) for number in range(failed)]
    extra += [check(f"b{number}", Severity.MINOR, CheckOutcome.BLOCKED) for number in range(blocked)]
    assert judge(smoke=smoke_evidence(*extra)).verdict is word


def test_exactly_95_percent_of_the_minor_checks_are_not_more_than_95() -> None:
    checks = [
        check("health"),
        check("beat", Severity.MAJOR),
        *(check(f"m{number}", Severity.MINOR) for number in range(19)),
        check("odd", Severity.MINOR, CheckOutcome.FAILED),
    ]
    verdict = judge(smoke=replace(smoke_evidence(), checks=checks, summary=summary(checks)))
    assert objective(verdict, "smoke_minor").status is Status.BREACHED


@pytest.mark.parametrize("severity", [Severity.CRITICAL, Severity.MAJOR])
def test_a_skipped_check_is_neither_passed_nor_failed_and_is_named(severity: Severity) -> None:
    verdict = judge(smoke=smoke_evidence(check("writes", severity, CheckOutcome.SKIPPED)))
    assert verdict.verdict is Word.HOLD
    assert objective(verdict, f"smoke_{severity}").status is Status.NO_DATA
    assert any("writes was skipped" in one.what for one in verdict.findings)
    assert any("writes was skipped" in note for note in verdict.notes)


def test_a_flaky_check_is_kept_and_named() -> None:
    verdict = judge(smoke=smoke_evidence(check("wobbly", outcome=CheckOutcome.FLAKY)))
    assert verdict.verdict is Word.KEEP
    assert any("wobbly" in note for note in verdict.notes)


def test_a_smoke_run_without_checks_or_interrupted_is_no_data() -> None:
    empty = smoke_evidence(checks=[], summary=summary([]))
    assert judge(smoke=empty).verdict is Word.HOLD
    assert judge(smoke=smoke_evidence(interrupted=True)).verdict is Word.HOLD


# --- would a rollback help? ------------------------------------------------------------------------------


def old(load: LoadEvidence) -> LoadEvidence:
    return replace(load, run_id="load-before", target=TargetEvidence(BEFORE, BEFORE))


def test_a_rule_that_was_broken_before_holds_as_pre_existing() -> None:
    broken = load_evidence(broken=(30,) * SLICES)
    verdict = judge(broken, baseline=Baseline(load=old(broken)))
    assert verdict.verdict is Word.HOLD
    assert objective(verdict, "errors").rollback is Rollback.PRE_EXISTING
    assert "pre-existing" in findings(verdict, "errors")[0].what


def test_another_rule_broken_before_excuses_nothing() -> None:
    before = old(load_evidence(slow=(60,) * SLICES))
    assert judge(load_evidence(broken=(30,) * SLICES), baseline=Baseline(load=before)).verdict is Word.ROLLBACK


def test_one_excused_rule_does_not_excuse_the_other() -> None:
    before = old(load_evidence(broken=(30,) * SLICES))
    now = load_evidence(broken=(30,) * SLICES, sound=False)
    assert judge(now, baseline=Baseline(load=before)).verdict is Word.ROLLBACK


def test_an_unsound_baseline_excuses_nothing() -> None:
    broken = load_evidence(broken=(30,) * SLICES)
    before = replace(old(broken), processes=[process(cpu_seconds=34.9)])
    assert judge(broken, baseline=Baseline(load=before)).verdict is Word.ROLLBACK


def test_a_check_that_failed_before_is_pre_existing_and_a_new_one_is_not() -> None:
    def failing(*names: str) -> SmokeEvidence:
        return smoke_evidence(*(check(name, outcome=CheckOutcome.FAILED) for name in names))

    before = Baseline(smoke=replace(failing("hosts"), run_id="smoke-before", target=BEFORE))
    assert judge(smoke=failing("hosts"), baseline=before).verdict is Word.HOLD
    both = judge(smoke=failing("hosts", "hosts.other"), baseline=before)
    assert both.verdict is Word.ROLLBACK
    assert [one.effect for one in findings(both, "smoke_critical")] == [Word.ROLLBACK, Word.HOLD]


def test_evidence_cannot_be_its_own_baseline() -> None:
    load = load_evidence()
    with pytest.raises(RecordError, match="under judgement itself"):
        Evidence(smoke=smoke_evidence(), load=load, baseline=Baseline(load=load))
    same_release = replace(old(load), target=TargetEvidence(RELEASE, RELEASE))
    with pytest.raises(RecordError, match="same release"):
        Evidence(smoke=smoke_evidence(), load=load, baseline=Baseline(load=same_release))


def test_without_commits_an_equal_version_is_the_same_release() -> None:
    nameless = replace(RELEASE, commit=None)
    before = replace(old(load_evidence()), target=TargetEvidence(nameless, nameless))
    with pytest.raises(RecordError, match="same release"):
        judge(baseline=Baseline(load=before))


def test_a_baseline_without_commits_of_another_version_is_taken_at_its_word() -> None:
    unknown = TargetEvidence(*(Target(version="1", commit=None, environment=None),) * 2)
    broken = load_evidence(broken=(30,) * SLICES)
    before = replace(broken, run_id="load-before", target=unknown)
    assert judge(broken, baseline=Baseline(load=before)).verdict is Word.HOLD


# --- another policy --------------------------------------------------------------------------------------


def test_a_changed_policy_is_judged_from_the_same_counters() -> None:
    text = DEFAULT_POLICY.read_text(encoding="utf-8")
    strict = policy_parse(text=text.replace("slo = { limit_ms = 500", "slo = { limit_ms = 300", 1), where="t")
    load = load_evidence(slow=(30,) * SLICES, slow_ms=400)
    assert judge(load).verdict is Word.KEEP
    assert judge(load, policy=strict).verdict is Word.HOLD


def test_a_limit_that_the_evidence_was_not_counted_against_is_no_data() -> None:
    text = DEFAULT_POLICY.read_text(encoding="utf-8")
    text = text.replace("slo = { limit_ms = 500", "slo = { limit_ms = 450", 1).replace("400, 500,", "400, 450, 500,")
    verdict = judge(policy=policy_parse(text=text, where="t"))
    assert objective(verdict, "read_latency").status is Status.NO_DATA
    assert verdict.verdict is Word.HOLD


def test_nothing_wrong_in_a_slice_does_not_hide_behind_the_warm_up() -> None:
    load = load_evidence(broken=NONE)
    request = load.requests["auth_me"]
    request.warm_up = counts(sent=10, application=10)
    load = replace(load, processes=[process(asked=1510, sent=1510)])
    verdict = judge(load)
    assert verdict.verdict is Word.KEEP
    assert any("10 requests, 10 failed" in note for note in verdict.notes)


def test_every_slice_counts_once() -> None:
    assert objective(judge(load_evidence(broken=EVERY)), "errors").bad == SLICES
