"""Whether a load run says anything about the service at all. Pure functions of evidence and policy."""

from load.judgement import percent
from load.results import LoadEvidence, Outcome, ProcessEvidence, ProfileEvidence, SmokeEvidence, Target
from load.slo import Policy
from load.verdict import Finding, Status, Word


def generator_faults(*, load: LoadEvidence, policy: Policy) -> list[str]:
    """Every reason why the generator was not sound, in words; empty if it was."""
    faults: list[str] = []
    if len(load.processes) != load.processes_expected:
        faults.append(f"{len(load.processes)} of {load.processes_expected} processes reported to the end")
    for process in load.processes:
        faults.extend(_process_faults(process, load, policy))
    due = sum(process.asked for process in load.processes)
    if load.outcome is Outcome.COMPLETED:
        # A process whose dispatcher died half-way was asked for little, and sent all of it.
        due = max(due, _planned(load.profile))
    sent = sum(process.sent for process in load.processes)
    least = policy.generator.least_achieved_share
    if sent < least * due:
        faults.append(f"{sent} of {due} due requests were sent; {percent(least)} are needed")
    return faults


def _planned(profile: ProfileEvidence) -> int:
    return round(profile.rate_per_second * (profile.warm_up_seconds + profile.duration_seconds))


def _process_faults(process: ProcessEvidence, load: LoadEvidence, policy: Policy) -> list[str]:
    rule = policy.generator
    lags = load.rungs.lag_ms
    name = f"{process.role} {process.index}"
    if rule.late_send_ms not in lags or rule.late_heartbeat_ms not in lags:
        return [f"{name}: lateness was not counted against the policy's limits"]
    faults = []
    late = process.sent_later[lags.index(rule.late_send_ms)]
    if process.sent and late > rule.most_late_sends_share * process.sent:
        faults.append(f"{name}: {late} of {process.sent} requests left {rule.late_send_ms:g} ms late or later")
    late = process.heartbeats_later[lags.index(rule.late_heartbeat_ms)]
    if process.heartbeats == 0:
        faults.append(f"{name}: its event loop was never measured")
    elif late > rule.most_late_heartbeats_share * process.heartbeats:
        faults.append(
            f"{name}: its event loop lagged {rule.late_heartbeat_ms:g} ms or more in {late} of "
            f"{process.heartbeats} heartbeats (longest {process.longest_lag_ms:.0f} ms)"
        )
    if process.wall_seconds > 0 and process.cpu_seconds > rule.most_cpu_share * process.wall_seconds:
        share = process.cpu_seconds / process.wall_seconds
        faults.append(f"{name}: it used {percent(share)} of a core; {percent(rule.most_cpu_share)} is the most")
    return faults


def soundness_findings(*, load: LoadEvidence, policy: Policy) -> list[Finding]:
    """The run itself: did it come to its end, and was the generator sound?"""
    findings = []
    faults = generator_faults(load=load, policy=policy)
    if faults and load.outcome is not Outcome.NOT_STARTED:
        findings.append(
            Finding(
                objective="generator",
                effect=Word.HOLD,
                status="INVALID",
                what="The load generator was not sound, so its numbers do not speak about the service",
                by_how_much="; ".join(faults),
                how_sure="a plain fact",
                next_step=f"Run again with --processes {max(2, 2 * len(load.processes))} on a machine with "
                "idle cores, or spread Locust over more machines.",
            )
        )
    if load.outcome is Outcome.STOPPED_EARLY and load.early_stop is not None:
        stop = load.early_stop
        probes = stop.probes
        findings.append(
            Finding(
                objective="early_stop",
                effect=Word.HOLD,
                status="STOPPED EARLY",
                what="The load stopped by itself, since requests failed or hung as in an outage",
                by_how_much=f"after {stop.at_seconds:.1f} s, with {stop.bad} bad of {stop.watched} watched; "
                f"of {probes.sent} probes afterwards {probes.failed} failed",
                how_sure=f"an outage was {policy.early_stop.odds:,.0f} times likelier than "
                f"{percent(policy.early_stop.good_share)} bad requests",
                next_step="See the service's log at that time; run again before a release is kept.",
            )
        )
    if load.outcome in (Outcome.NOT_STARTED, Outcome.INTERRUPTED):
        findings.append(
            Finding(
                objective="run",
                effect=Word.HOLD,
                status=Status.NO_DATA,
                what=f"The load run was {load.outcome.value}",
                by_how_much="; ".join(load.incidents) or "no reason was recorded",
                how_sure="a plain fact",
                next_step="Remove the reason and run again.",
            )
        )
    return findings


def agreement_findings(*, smoke: SmokeEvidence, load: LoadEvidence | None) -> list[Finding]:
    """Whether all evidence is of one release at one address, from the first to the last request."""
    findings = []
    if smoke.interrupted:
        findings.append(
            Finding(
                objective="smoke",
                effect=Word.HOLD,
                status=Status.NO_DATA,
                what="The smoke run was interrupted",
                by_how_much=f"{len(smoke.checks)} checks were made before",
                how_sure="a plain fact",
                next_step="Run it again.",
            )
        )
    if load is None:
        return findings
    if smoke.base_url.rstrip("/") != load.base_url.rstrip("/"):
        findings.append(
            _disagreement("Smoke and load asked different addresses", f"{smoke.base_url} and {load.base_url}")
        )
    start, end = load.target.start, load.target.end
    if load.outcome is Outcome.COMPLETED and (start is None or end is None):
        when = "start" if start is None else "end"
        findings.append(
            _disagreement("The release under load is not known", f"health did not tell it at the {when} of the run")
        )
    if start is not None and end is not None and not _same(start, end):
        findings.append(_disagreement("The release changed during the run", f"from {start.label} to {end.label}"))
    if start is not None and smoke.target is not None and not _same(start, smoke.target):
        findings.append(
            _disagreement("Smoke and load met different releases", f"{smoke.target.label} and {start.label}")
        )
    return findings


def _same(one: Target, two: Target) -> bool:
    return (one.version, one.commit) == (two.version, two.commit)


def _disagreement(what: str, much: str) -> Finding:
    return Finding(
        objective="target",
        effect=Word.HOLD,
        status="INVALID",
        what=what,
        by_how_much=much,
        how_sure="a plain fact",
        next_step="Wait until one release answers steadily, then run the whole pipeline again.",
    )
