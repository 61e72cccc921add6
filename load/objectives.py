"""Each objective of the policy against the evidence. Pure functions."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from load.judgement import (
    Judged,
    Proportion,
    judged_words,
    percent,
    pooled,
    proportion_judge,
    rollback_judge,
)
from load.results import CheckOutcome, LoadEvidence, RequestCounts, Severity, SmokeCheck, SmokeEvidence
from load.slo import Policy
from load.verdict import Finding, ObjectiveResult, Rollback, Status, Word

LOAD_OBJECTIVES = (
    "read_latency",
    "errors",
    "elsewhere",
    "cache_misses",
    "database_time",
    "socket_delivery",
    "socket_loss",
    "queue",
    "integrity",
)

RUN_AGAIN = "Run the same profile again; if it stays undecided, run one that sends more requests."


@dataclass(frozen=True, slots=True)
class Judgement:
    """One objective's result and its reasons against KEEP."""

    result: ObjectiveResult
    findings: list[Finding]


@dataclass(frozen=True, slots=True)
class Numbers:
    """What one objective counts: a proportion per slice, after an early stop also of the probes.

    `unreadable` says why the headers that feed the objective do not cover enough answers, else None.
    """

    slices: list[Proportion]
    probes: Proportion | None
    unreadable: str | None = None


@dataclass(frozen=True, slots=True)
class ShareRule:
    """A proportion's rule in words; `what_if_missed` and `next_step` speak to the person on call.

    `bad` tells what the bad ones did, `required_for` what is counted.
    """

    name: str
    title: str
    words: str
    limit: float
    what_if_missed: str
    next_step: str
    required_for: str
    bad: str


def without_load(*, policy: Policy, reason: str) -> list[Judgement]:
    """Every objective that load would have fed, as NO-DATA; one finding for all of them."""
    titles = {name: getattr(policy.objectives, name).title for name in LOAD_OBJECTIVES}
    results = [
        ObjectiveResult(name, title, Status.NO_DATA, Rollback.NOT_JUDGED, "not judged", f"No data: {reason}")
        for name, title in titles.items()
    ]
    finding = Finding(
        objective="load",
        effect=Word.HOLD,
        status=Status.NO_DATA,
        what="There is no load evidence",
        by_how_much=f"{len(results)} objectives have no data ({', '.join(titles.values())})",
        how_sure=f"the run gave the reason: {reason}",
        next_step="Run the load once the reason is gone: scripts/verify URL --profile quick.",
    )
    return [Judgement(results[0], [finding]), *(Judgement(result, []) for result in results[1:])]


def load_judge(*, load: LoadEvidence, policy: Policy, unsound: bool) -> list[Judgement]:
    """All objectives fed by the load run. Proportions of an unsound generator are not judged."""
    return [
        read_latency_judge(load=load, policy=policy, unsound=unsound),
        errors_judge(load=load, policy=policy, unsound=unsound),
        elsewhere_judge(load=load, policy=policy, unsound=unsound),
        cache_judge(load=load, policy=policy, unsound=unsound),
        database_judge(load=load, policy=policy, unsound=unsound),
        delivery_judge(load=load, policy=policy, unsound=unsound),
        loss_judge(load=load, policy=policy),
        queue_judge(load=load, policy=policy),
        integrity_judge(load=load, policy=policy),
    ]


# --- proportions -----------------------------------------------------------------------------------------


def read_latency_numbers(load: LoadEvidence, limit_ms: float) -> Numbers:
    if limit_ms not in load.rungs.latency_ms:
        return Numbers([], None, unreadable=_not_counted(limit_ms))
    rung = load.rungs.latency_ms.index(limit_ms)
    reads = [request for request in load.requests.values() if request.read]

    def slow(counts: RequestCounts) -> Proportion:
        return Proportion(total=counts.timed, bad=counts.slower[rung])

    return Numbers(
        slices=_by_slice([request.slices for request in reads], slow),
        probes=slow(load.early_stop.probes) if load.early_stop else None,
    )


def errors_numbers(load: LoadEvidence, policy: Policy) -> Numbers:
    def failed(counts: RequestCounts) -> Proportion:
        return Proportion(total=counts.sent - counts.failed_elsewhere, bad=counts.application)

    requests = [request.slices for request in load.requests.values()]
    succeeded = sum(counts.succeeded for slices in requests for counts in slices)
    identified = sum(counts.identified for slices in requests for counts in slices)
    return Numbers(
        slices=_by_slice(requests, failed),
        probes=failed(load.early_stop.probes) if load.early_stop else None,
        unreadable=_uncovered(identified, succeeded, "X-Request-ID", policy),
    )


def read_latency_judge(*, load: LoadEvidence, policy: Policy, unsound: bool) -> Judgement:
    objective = policy.objectives.read_latency
    slo, rollback = objective.slo, objective.rollback
    rule = ShareRule(
        name="read_latency",
        title=objective.title,
        words=f"fewer than {percent(slo.share_below)} of the reads take {slo.limit_ms:g} ms or longer, "
        "from the time at which they were due",
        limit=slo.share_below,
        what_if_missed=f"Reads are slower than {slo.limit_ms:g} ms too often",
        next_step="Compare `Server-Timing` of slow reads: database, cache or the application itself; "
        "then the troubleshooting entries on database and Redis connections.",
        required_for="reads",
        bad=f"took {slo.limit_ms:g} ms or longer",
    )
    judgement = _share_judge(rule, read_latency_numbers(load, slo.limit_ms), policy, unsound)
    return _with_rollback(
        judgement,
        numbers=read_latency_numbers(load, rollback.limit_ms),
        limit=rollback.share_above,
        what=f"More than {percent(rollback.share_above)} of the reads take {rollback.limit_ms:g} ms or more",
        policy=policy,
        unsound=unsound,
    )


def errors_judge(*, load: LoadEvidence, policy: Policy, unsound: bool) -> Judgement:
    objective = policy.objectives.errors
    kinds = ", ".join(f"{count} x {kind}" for kind, count in sorted(load.failure_kinds.items()))
    rule = ShareRule(
        name="errors",
        title=objective.title,
        words=f"fewer than {percent(objective.slo.share_below)} of the requests fail in the application",
        limit=objective.slo.share_below,
        what_if_missed=f"Requests fail in the application too often{f' ({kinds})' if kinds else ''}",
        next_step="Look up the request ids of the failed samples in the service's log or in Sentry.",
        required_for="requests",
        bad="failed",
    )
    numbers = errors_numbers(load, policy)
    return _with_rollback(
        _share_judge(rule, numbers, policy, unsound),
        numbers=numbers,
        limit=objective.rollback.share_above,
        what=f"More than {percent(objective.rollback.share_above)} of the requests fail in the application"
        + (f" ({kinds})" if kinds else ""),
        policy=policy,
        unsound=unsound,
    )


def elsewhere_judge(*, load: LoadEvidence, policy: Policy, unsound: bool) -> Judgement:
    objective = policy.objectives.elsewhere

    def elsewhere(counts: RequestCounts) -> Proportion:
        return Proportion(total=counts.sent, bad=counts.failed_elsewhere)

    requests = [request.slices for request in load.requests.values()]
    owners = {
        owner: sum(getattr(counts, owner) for slices in requests for counts in slices)
        for owner in ("edge", "throttle", "client")
    }
    told = ", ".join(f"{count} by the {owner}" for owner, count in owners.items() if count)
    rule = ShareRule(
        name="elsewhere",
        title=objective.title,
        words=f"fewer than {percent(objective.slo.share_below)} of the requests fail at the edge, "
        "by throttling or in the client",
        limit=objective.slo.share_below,
        what_if_missed=f"Requests fail outside the application ({told or 'none'}): "
        "no fault of the release is shown, and none is excluded",
        next_step="Edge: see the platform's status page. Throttle: use a load account that is not limited. "
        "Client: see DNS, certificates and the machine that runs the load. Then run again.",
        required_for="requests",
        bad="failed elsewhere",
    )
    return _share_judge(rule, Numbers(_by_slice(requests, elsewhere), None), policy, unsound)


def cache_judge(*, load: LoadEvidence, policy: Policy, unsound: bool) -> Judgement:
    objective = policy.objectives.cache_misses
    cached = [request.slices for request in load.requests.values() if request.cached]
    succeeded = sum(counts.succeeded for slices in cached for counts in slices)
    reported = sum(counts.cache_reported for slices in cached for counts in slices)

    def missed(counts: RequestCounts) -> Proportion:
        return Proportion(total=counts.cache_reported, bad=counts.cache_missed)

    rule = ShareRule(
        name="cache_misses",
        title=objective.title,
        words=f"more than {percent(1 - objective.slo.share_below)} of the frequently read data comes from "
        "the cache; the counts are of misses",
        limit=objective.slo.share_below,
        what_if_missed="Frequently read data is missed in the cache too often",
        next_step="See whether Redis is connected and not full, and whether writes invalidate more than they "
        "touch; a cache that is only cold recovers in a second run.",
        required_for="cached reads",
        bad="missed the cache",
    )
    unreadable = _uncovered(reported, succeeded, "Cache-Status", policy)
    return _share_judge(rule, Numbers(_by_slice(cached, missed), None, unreadable), policy, unsound)


def database_judge(*, load: LoadEvidence, policy: Policy, unsound: bool) -> Judgement:
    objective = policy.objectives.database_time
    simple = [request.slices for request in load.requests.values() if request.simple_read]
    succeeded = sum(counts.succeeded for slices in simple for counts in slices)
    reported = sum(counts.database_reported for slices in simple for counts in slices)
    limit_ms = objective.slo.limit_ms
    unreadable = _uncovered(reported, succeeded, "Server-Timing `db`", policy)
    slices: list[Proportion] = []
    if limit_ms not in load.rungs.database_ms:
        unreadable = _not_counted(limit_ms)
    else:
        rung = load.rungs.database_ms.index(limit_ms)

        def slow(counts: RequestCounts) -> Proportion:
            return Proportion(total=counts.database_reported, bad=counts.database_slower[rung])

        slices = _by_slice(simple, slow)
    rule = ShareRule(
        name="database_time",
        title=objective.title,
        words=f"fewer than {percent(objective.slo.share_below)} of the simple reads spend {limit_ms:g} ms "
        "or longer in the database",
        limit=objective.slo.share_below,
        what_if_missed=f"Simple reads spend {limit_ms:g} ms or longer in the database too often",
        next_step="See the database's load and slow queries, and whether a migration dropped an index.",
        required_for="simple reads",
        bad=f"spent {limit_ms:g} ms or longer there",
    )
    return _share_judge(rule, Numbers(slices, None, unreadable), policy, unsound)


def delivery_judge(*, load: LoadEvidence, policy: Policy, unsound: bool) -> Judgement:
    objective = policy.objectives.socket_delivery
    limit_ms = objective.slo.limit_ms
    sockets = load.sockets
    unreadable = sockets.unavailable
    slices: list[Proportion] = []
    if limit_ms not in load.rungs.delivery_ms:
        unreadable = _not_counted(limit_ms)
    elif unreadable is None:
        rung = load.rungs.delivery_ms.index(limit_ms)
        slices = [Proportion(total=one.received, bad=one.slower[rung]) for one in sockets.slices]
    rule = ShareRule(
        name="socket_delivery",
        title=objective.title,
        words=f"fewer than {percent(objective.slo.share_below)} of the events take {limit_ms:g} ms or longer "
        "from the HTTP request to the socket",
        limit=objective.slo.share_below,
        what_if_missed=f"Events take {limit_ms:g} ms or longer to reach a socket too often",
        next_step=_sockets_next_step(load),
        required_for="events",
        bad=f"took {limit_ms:g} ms or longer",
    )
    return _share_judge(rule, Numbers(slices, None, unreadable), policy, unsound)


# --- facts -----------------------------------------------------------------------------------------------


def loss_judge(*, load: LoadEvidence, policy: Policy) -> Judgement:
    objective = policy.objectives.socket_loss
    rule = f"at most {objective.most} events are lost, doubled or brought to somebody else"
    total = load.sockets.total()
    if load.sockets.unavailable is not None or total.sent == 0:
        reason = load.sockets.unavailable or "no event was caused"
        return _no_data("socket_loss", objective.title, rule, reason, _sockets_next_step(load))
    bad = total.lost + total.doubled + total.misdelivered
    much = (
        f"of {total.sent} events {total.lost} lost, {total.doubled} doubled, "
        f"{total.misdelivered} brought to somebody else"
    )
    return _fact(
        "socket_loss",
        objective.title,
        rule,
        met=bad <= objective.most,
        total=total.sent,
        bad=bad,
        what="Socket events do not arrive exactly once, at the right person",
        much=much,
        next_step="See the log of the channels service for restarts and closed sockets, and its Redis.",
    )


def queue_judge(*, load: LoadEvidence, policy: Policy) -> Judgement:
    objective = policy.objectives.queue
    queue = load.queue
    rule = f"pending and unacknowledged tasks stay below {objective.below}"
    if queue.maximum is None or queue.polls == 0 or queue.answered < objective.least_answered_share * queue.polls:
        reason = f"only {queue.answered} of {queue.polls} polls of the queue's depth were answered"
        step = "Ask GET /api/v1/operations/queue as an admin; 503 means that the broker cannot be read."
        return _no_data("queue", objective.title, rule, reason, step)
    return _fact(
        "queue",
        objective.title,
        rule,
        met=queue.maximum < objective.below,
        total=queue.answered,
        bad=None,
        what="Tasks pile up",
        much=f"at most {queue.maximum} tasks waited or were unacknowledged, in {queue.answered} polls",
        next_step="See whether the worker runs: Troubleshooting, Celery tasks not processing.",
    )


def integrity_judge(*, load: LoadEvidence, policy: Policy) -> Judgement:
    objective = policy.objectives.integrity
    integrity = load.integrity
    rule = "the integrity probe finds no contradiction in the data"
    if integrity.sound is None:
        step = "Ask GET /api/v1/operations/integrity as an admin."
        return _no_data("integrity", objective.title, rule, str(integrity.unavailable), step)
    if integrity.sound and integrity.checks == 0:
        return _no_data(
            "integrity", objective.title, rule, "the probe made no check", "See why the probe checks nothing."
        )
    told = "; ".join(f"{one.check} in {one.table}" for one in integrity.findings[:5])
    judgement = _fact(
        "integrity",
        objective.title,
        rule,
        met=integrity.sound,
        total=integrity.checks,
        bad=len(integrity.findings),
        what="Data contradicts itself",
        much=f"{len(integrity.findings)} findings in {integrity.checks} checks{f': {told}' if told else ''}",
        next_step="Stop writes, read GET /api/v1/operations/integrity and follow the remedy of each finding; "
        "decide about a restore before anything is repaired by hand.",
        effect=Word.ROLLBACK if objective.rollback_if_unsound else Word.HOLD,
    )
    if not objective.rollback_if_unsound:
        return judgement
    state = Rollback.NOT_PROVEN if integrity.sound else Rollback.PROVEN
    return replace(judgement, result=replace(judgement.result, rollback=state))


def residue_judge(*, smoke: SmokeEvidence, load: LoadEvidence | None, policy: Policy) -> Judgement:
    """What the harness itself left on the target."""
    objective = policy.objectives.residue
    rule = f"at most {objective.most} rows of smoke and load remain"
    step = "Delete the notifications whose correlation id starts with `load-` or the run id of smoke."
    unknown = load is not None and load.residue is None
    left = len(smoke.residue) + ((load.residue or 0) if load else 0)
    if unknown and left <= objective.most:
        return _no_data("residue", objective.title, rule, "the load run could not look for its own rows", step)
    return _fact(
        "residue",
        objective.title,
        rule,
        met=left <= objective.most,
        total=None,
        bad=left,
        what="The harness left rows behind",
        much=f"{len(smoke.residue)} of smoke, {load.residue or 0 if load else 0} of load",
        next_step=step,
    )


# --- smoke -----------------------------------------------------------------------------------------------


def smoke_judge(*, smoke: SmokeEvidence, policy: Policy) -> list[Judgement]:
    """One judgement for each severity."""
    objective = policy.objectives.smoke
    judgements = [
        _all_pass(smoke, Severity.CRITICAL, objective.least_critical, objective.title, Word.ROLLBACK),
        _all_pass(smoke, Severity.MAJOR, objective.least_major, objective.title, Word.HOLD),
        _minor(smoke, policy),
    ]
    if not smoke.checks or not all(check.outcome is CheckOutcome.FAILED for check in smoke.checks):
        return judgements
    # The suite never came to ask: what stopped it is the finding, and not which severities it leaves empty.
    asked = {check.severity for check in smoke.checks}
    return [
        judgement if severity in asked else replace(judgement, findings=[])
        for severity, judgement in zip(Severity, judgements, strict=True)
    ]


def failed_checks(smoke: SmokeEvidence, severity: Severity) -> set[str]:
    """Ids of the checks whose failure speaks against the deployment."""
    return {check.id for check in _of(smoke, severity) if check.outcome is CheckOutcome.FAILED and not check.broken}


def _of(smoke: SmokeEvidence, severity: Severity) -> list[SmokeCheck]:
    return [check for check in smoke.checks if check.severity is severity]


def _all_pass(smoke: SmokeEvidence, severity: Severity, least: int, title: str, effect_of_failure: Word) -> Judgement:
    checks = _of(smoke, severity)
    name = f"smoke_{severity.value}"
    title = f"{title}, {severity.value}"
    rule = f"all {severity.value} checks pass"
    findings: list[Finding] = []
    if len(checks) < least:
        reason = f"{len(checks)} {severity.value} checks were made; fewer than {least} are no data"
        return _no_data(name, title, rule, reason, "See why the smoke suite made no checks.")
    broken = {check.id for check in smoke.checks if check.broken}
    for check in checks:
        if check.broken:
            findings.append(_broken_finding(name, check))
        elif check.outcome is CheckOutcome.FAILED:
            blocked = [one.id for one in smoke.checks if one.blocked_by == check.id]
            findings.append(_check_finding(name, check, effect_of_failure, blocked))
        elif check.outcome is CheckOutcome.BLOCKED and not _blocked_by_failure(smoke, check):
            findings.append(_unanswered_finding(name, check, "was blocked by a check that did not fail itself"))
        elif check.outcome is CheckOutcome.SKIPPED:
            findings.append(_unanswered_finding(name, check, "was skipped"))
    passed = sum(check.outcome in (CheckOutcome.PASSED, CheckOutcome.FLAKY) for check in checks)
    failed = len(failed_checks(smoke, severity))
    blocked_checks = [check for check in checks if check.outcome is CheckOutcome.BLOCKED]
    broke = sum(check.broken for check in checks)
    status = Status.MET if passed == len(checks) else Status.NO_DATA
    # What a broken check blocks is as unknown as what that check was to find out.
    if failed or any(check.blocked_by not in broken for check in blocked_checks):
        status = Status.BREACHED
    rollback = Rollback.NO_RULE
    if effect_of_failure is Word.ROLLBACK:
        rollback = Rollback.PROVEN if failed else Rollback.NOT_PROVEN
    result = ObjectiveResult(
        name,
        title,
        status,
        rollback,
        rule,
        f"{passed} of {len(checks)} passed, {failed} failed, {len(blocked_checks)} blocked by a failure"
        + (f", {broke} broke" if broke else ""),
        total=len(checks),
        bad=len(checks) - passed,
    )
    if blocked_checks and not findings:
        findings.append(
            Finding(
                objective=name,
                effect=Word.HOLD,
                status=status,
                what=f"{len(blocked_checks)} {severity.value} checks were blocked",
                by_how_much=_names(blocked_checks),
                how_sure="a plain fact",
                next_step="Mend the failed checks that block them; they are findings of their own.",
            )
        )
    return Judgement(result, findings)


def _minor(smoke: SmokeEvidence, policy: Policy) -> Judgement:
    objective = policy.objectives.smoke
    checks = _of(smoke, Severity.MINOR)
    name, title = "smoke_minor", f"{objective.title}, minor"
    broken = [check for check in checks if check.broken]
    asked = [check for check in checks if check.outcome is not CheckOutcome.SKIPPED and not check.broken]
    rule = f"more than {percent(objective.minor_pass_share_above)} of the minor checks pass"
    if len(checks) < objective.least_minor or (checks and not asked and not broken):
        reason = f"{len(asked)} of {len(checks)} minor checks were made; at least {objective.least_minor} are due"
        return _no_data(name, title, rule, reason, "See why the smoke suite made no minor checks.")
    passed = sum(check.outcome in (CheckOutcome.PASSED, CheckOutcome.FLAKY) for check in asked)
    missed = [check for check in asked if check.outcome in (CheckOutcome.FAILED, CheckOutcome.BLOCKED)]
    met = not asked or passed > objective.minor_pass_share_above * len(asked)
    judgement = _fact(
        name,
        title,
        rule,
        met=met,
        total=len(asked),
        bad=len(missed),
        what="Too many minor checks did not pass",
        much=f"{passed} of {len(asked)} passed" + (f"; not: {_names(missed)}" if missed else ""),
        next_step=next((c.next_step for c in missed if c.next_step), None) or "See smoke.json for each check.",
    )
    if not broken:
        return judgement
    status = Status.NO_DATA if met else Status.BREACHED
    words = f"{judgement.result.words}; {_names(broken)} broke"
    return Judgement(
        replace(judgement.result, status=status, words=words),
        [*judgement.findings, *(_broken_finding(name, check) for check in broken)],
    )


def _blocked_by_failure(smoke: SmokeEvidence, check: SmokeCheck) -> bool:
    failed = {one.id for one in smoke.checks if one.outcome is CheckOutcome.FAILED}
    blockers = {one.id: one.blocked_by for one in smoke.checks}
    seen: set[str] = set()
    blocker = check.blocked_by
    while blocker is not None and blocker not in seen:
        if blocker in failed:
            return True
        seen.add(blocker)
        blocker = blockers.get(blocker)
    return False


def _check_finding(name: str, check: SmokeCheck, effect: Word, blocked: Sequence[str]) -> Finding:
    expected, came = check.expected or "to pass", check.came or "a failure without words"
    lookup = f"; request id {check.request_id}" if check.request_id else ""
    return Finding(
        objective=name,
        effect=effect,
        status=Status.BREACHED,
        what=f"Smoke check {check.id} failed: {check.title}",
        by_how_much=f"expected {expected}; came {came}{lookup}"
        + (f"; {len(blocked)} checks blocked by it" if blocked else ""),
        how_sure="a plain fact",
        next_step=check.next_step or "See the check in smoke.json.",
        check=check.id,
    )


def _broken_finding(name: str, check: SmokeCheck) -> Finding:
    return Finding(
        objective=name,
        effect=Word.HOLD,
        status=Status.NO_DATA,
        what=f"Smoke check {check.id} gave no answer, since the check itself broke: {check.title}",
        by_how_much=check.came or "a fault without words",
        how_sure="neither passed nor failed",
        next_step=check.next_step or "See the check in smoke.json.",
    )


def _unanswered_finding(name: str, check: SmokeCheck, why: str) -> Finding:
    return Finding(
        objective=name,
        effect=Word.HOLD,
        status=Status.NO_DATA,
        what=f"Smoke check {check.id} {why}: {check.title}",
        by_how_much=f"a {check.severity.value} check without an answer",
        how_sure="neither passed nor failed",
        next_step=check.next_step
        or "Run smoke where it may write (--allow-writes HOST), so that the check can decide.",
    )


def _names(checks: Iterable[SmokeCheck]) -> str:
    return ", ".join(check.id for check in checks)


# --- shared ----------------------------------------------------------------------------------------------


def _by_slice(
    requests: Sequence[Sequence[RequestCounts]], count: Callable[[RequestCounts], Proportion]
) -> list[Proportion]:
    return [pooled([count(counts) for counts in kinds]) for kinds in zip(*requests, strict=True)]


def _uncovered(reported: int, succeeded: int, header: str, policy: Policy) -> str | None:
    """Why a header covers too few answers, or None. Without a success there is nothing to cover."""
    least = policy.coverage.least_share
    if reported >= least * succeeded:
        return None
    return f"{header} was on {reported} of {succeeded} answers; {percent(least)} are needed"


def _not_counted(limit_ms: float) -> str:
    return f"this evidence was not counted against {limit_ms:g} ms"


def _share_judge(rule: ShareRule, numbers: Numbers, policy: Policy, unsound: bool) -> Judgement:
    proportion = pooled(numbers.slices)
    if unsound:
        # One finding about the generator says it all; the objective itself only has no data.
        result = ObjectiveResult(
            rule.name,
            rule.title,
            Status.NO_DATA,
            Rollback.NO_RULE,
            rule.words,
            f"Not judged, since the generator was not sound ({proportion.bad} of {proportion.total})",
            total=proportion.total,
            bad=proportion.bad,
            share=proportion.share,
        )
        return Judgement(result, [])
    if numbers.unreadable is not None:
        return _no_data(rule.name, rule.title, rule.words, numbers.unreadable, rule.next_step)
    if proportion.total == 0:
        reason = f"no {rule.required_for} were observed"
        return _no_data(rule.name, rule.title, rule.words, reason, RUN_AGAIN)
    judged = proportion_judge(proportion=proportion, limit=rule.limit, policy=policy)
    much, sure = judged_words(judged, what=rule.bad, policy=policy)
    result = _proportion_result(rule, judged, f"{much}; {sure}")
    if judged.status is Status.MET:
        return Judgement(result, [])
    undecided = judged.status is Status.UNDECIDED
    finding = Finding(
        objective=rule.name,
        effect=Word.HOLD,
        status=judged.status,
        what=f"{rule.title} is undecided" if undecided else rule.what_if_missed,
        by_how_much=much,
        how_sure=sure,
        next_step=f"At least {judged.more_requests} more {rule.required_for}. {RUN_AGAIN}"
        if undecided
        else rule.next_step,
    )
    return Judgement(result, [finding])


def _proportion_result(rule: ShareRule, judged: Judged, words: str) -> ObjectiveResult:
    return ObjectiveResult(
        rule.name,
        rule.title,
        judged.status,
        Rollback.NO_RULE,
        rule.words,
        words,
        total=judged.proportion.total,
        bad=judged.proportion.bad,
        share=judged.proportion.share,
        upper_bound=judged.upper,
        lower_bound=judged.lower,
        more_requests=judged.more_requests,
    )


def _with_rollback(
    judgement: Judgement, *, numbers: Numbers, limit: float, what: str, policy: Policy, unsound: bool
) -> Judgement:
    """Add the rollback rule of an objective to its judgement."""
    # Failures of the application are seen without any header, so missing ones do not protect a release.
    if unsound or not numbers.slices:
        return replace(judgement, result=replace(judgement.result, rollback=Rollback.NOT_JUDGED))
    state = rollback_judge(slices=numbers.slices, probes=numbers.probes, limit=limit, policy=policy)
    judgement = replace(judgement, result=replace(judgement.result, rollback=state))
    if state not in (Rollback.PROVEN, Rollback.ONE_INCIDENT):
        return judgement
    whole = pooled(numbers.slices)
    much = f"{whole.bad} of {whole.total} ({percent(whole.share or 0.0)})"
    if numbers.probes is not None:
        much += f"; of the probes after the early stop {numbers.probes.bad} of {numbers.probes.total}"
    sure = percent(policy.confidence.rollback)
    if state is Rollback.PROVEN:
        finding = Finding(
            objective=judgement.result.name,
            effect=Word.ROLLBACK,
            status=Status.BREACHED,
            what=what,
            by_how_much=f"{much}; a rollback is called for above {percent(limit)}",
            how_sure=f"{sure} sure that the truth is above {percent(limit)}",
            next_step="Roll back to the release before: docs, Rollback Procedure.",
        )
    else:
        finding = Finding(
            objective=judgement.result.name,
            effect=Word.HOLD,
            status=Rollback.ONE_INCIDENT,
            what=f"{what}, but in one incident",
            by_how_much=much,
            how_sure=f"{sure} sure of the share, yet requests of one stall are not independent: it shows in "
            f"fewer than {policy.slices.least_separate} separate slices and {policy.slices.least_seconds} s",
            next_step="See what happened then; run again. A second incident speaks against the release.",
        )
    return replace(judgement, findings=[finding, *judgement.findings])


def _no_data(name: str, title: str, rule: str, reason: str, next_step: str) -> Judgement:
    result = ObjectiveResult(name, title, Status.NO_DATA, Rollback.NO_RULE, rule, f"No data: {reason}")
    finding = Finding(
        objective=name,
        effect=Word.HOLD,
        status=Status.NO_DATA,
        what=f"{title} has no data",
        by_how_much=reason,
        how_sure="nothing can be said",
        next_step=next_step,
    )
    return Judgement(result, [finding])


def _fact(
    name: str,
    title: str,
    rule: str,
    *,
    met: bool,
    total: int | None,
    bad: int | None,
    what: str,
    much: str,
    next_step: str,
    effect: Word = Word.HOLD,
) -> Judgement:
    status = Status.MET if met else Status.BREACHED
    result = ObjectiveResult(name, title, status, Rollback.NO_RULE, rule, much, total=total, bad=bad)
    if met:
        return Judgement(result, [])
    finding = Finding(
        objective=name,
        effect=effect,
        status=Status.BREACHED,
        what=what,
        by_how_much=f"{much}; the rule: {rule}",
        how_sure="a plain fact",
        next_step=next_step,
    )
    return Judgement(result, [finding])


def _sockets_next_step(load: LoadEvidence) -> str:
    if load.read_only:
        return "The run was not allowed to write. Run again with --allow-writes HOST to decide."
    if load.channels_url is None:
        return "Give --channels-url and run again."
    return "See whether channels runs and takes the token: Troubleshooting, WebSocket connection fails."
