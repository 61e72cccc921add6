"""The gate: evidence and policy in, KEEP, HOLD or ROLLBACK out.

    python -m load.gate decide SMOKE_JSON [LOAD_JSON | --no-load REASON] --out DIR
                               [--policy TOML] [--baseline FILE_OR_DIR]…
    python -m load.gate replay EVIDENCE_DIR… [--policy TOML] [--baseline FILE_OR_DIR]…
    python -m load.gate explain VERDICT_JSON

Exit codes: 0 KEEP, 10 HOLD, 20 ROLLBACK, 30 the harness itself failed, 2 wrong usage. In this module 0 means
KEEP and nothing else, so `replay` and `explain` end with the code of the (worst) verdict that they speak of.
"""

import argparse
import contextlib
import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from load.judgement import rollback_judge
from load.objectives import (
    Judgement,
    errors_numbers,
    failed_checks,
    load_judge,
    read_latency_numbers,
    residue_judge,
    smoke_judge,
    without_load,
)
from load.records import (
    RecordError,
    document_replace,
    json_document_read,
    record_plain,
    record_read,
    schema_require,
)
from load.report import markdown_write, say, show_what_can_be_shown, verdict_words
from load.results import (
    LOAD_SCHEMA,
    SMOKE_SCHEMA,
    CheckOutcome,
    LoadEvidence,
    Severity,
    SmokeEvidence,
    Target,
    load_evidence_read,
    smoke_evidence_read,
)
from load.slo import DEFAULT_POLICY, Policy, policy_fingerprint, policy_read
from load.soundness import agreement_findings, generator_faults, soundness_findings
from load.verdict import SCHEMA, Finding, Rollback, Verdict, Word

HARNESS_FAILED = 30
WRONG_USAGE = 2


@dataclass(frozen=True, slots=True)
class Baseline:
    """Stored evidence of the release before."""

    smoke: SmokeEvidence | None = None
    load: LoadEvidence | None = None

    @property
    def run_ids(self) -> list[str]:
        return [one.run_id for one in (self.smoke, self.load) if one is not None]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a verdict rests on. Without `load`, `no_load_reason` says why."""

    smoke: SmokeEvidence
    load: LoadEvidence | None = None
    no_load_reason: str | None = None
    baseline: Baseline = field(default_factory=Baseline)

    def __post_init__(self) -> None:
        if self.load is None and not (self.no_load_reason or "").strip():
            raise ValueError("without load evidence a reason is due")
        if self.load is not None and self.no_load_reason is not None:
            raise ValueError("there is load evidence, so there is no reason for its absence")
        _require_other_release(self)


def decide(*, evidence: Evidence, policy: Policy) -> Verdict:
    """Judge a release. Pure: the same evidence and policy give the same verdict.

    1. Smoke: facts by severity.             2. Load: is the run sound, and of the same release?
    3. Load: one judgement per objective.    4. Rules already broken in the baseline call for no rollback.
    5. ROLLBACK if a finding says so, HOLD if there is any finding, else KEEP. Every finding is listed: what
       calls for a rollback first, then the checks that failed, which name a cause.
    """
    smoke, load = evidence.smoke, evidence.load
    judgements = smoke_judge(smoke=smoke, policy=policy)
    general: list[Finding] = agreement_findings(smoke=smoke, load=load)
    if load is None:
        judgements += without_load(policy=policy, reason=evidence.no_load_reason or "unknown")
    else:
        general += soundness_findings(load=load, policy=policy)
        unsound = bool(generator_faults(load=load, policy=policy))
        judgements += load_judge(load=load, policy=policy, unsound=unsound)
    judgements.append(residue_judge(smoke=smoke, load=load, policy=policy))
    judgements = [_excuse_pre_existing(one, evidence.baseline, policy) for one in judgements]

    findings = [*(finding for one in judgements for finding in one.findings), *general]
    findings.sort(key=lambda finding: (finding.effect is not Word.ROLLBACK, finding.check is None))
    if any(finding.effect is Word.ROLLBACK for finding in findings):
        word = Word.ROLLBACK
    else:
        word = Word.HOLD if findings else Word.KEEP
    return Verdict(
        schema=SCHEMA,
        verdict=word,
        exit_code=word.exit_code,
        summary=_summary(word, findings),
        base_url=smoke.base_url,
        target=load.target.start if load is not None and load.target.start is not None else smoke.target,
        smoke_run_id=smoke.run_id,
        load_run_id=load.run_id if load is not None else None,
        policy_fingerprint=policy_fingerprint(policy),
        findings=findings,
        objectives=[one.result for one in judgements],
        notes=_notes(smoke, load),
        no_load_reason=evidence.no_load_reason,
        baseline_run_ids=evidence.baseline.run_ids,
    )


def _summary(word: Word, findings: Sequence[Finding]) -> str:
    if word is Word.KEEP:
        return "KEEP: every objective is met."
    gravest = [finding.what for finding in findings if finding.effect is word]
    more = f" (and {len(gravest) - 1} more)" if len(gravest) > 1 else ""
    return f"{word}: {gravest[0]}{more}."


def _notes(smoke: SmokeEvidence, load: LoadEvidence | None) -> list[str]:
    notes = [
        f"Smoke check {check.id} passed only on a retry (flaky)."
        for check in smoke.checks
        if check.outcome is CheckOutcome.FLAKY
    ]
    notes += [
        f"Smoke check {check.id} was skipped: {check.came or 'no reason was given'}."
        for check in smoke.checks
        if check.outcome is CheckOutcome.SKIPPED
    ]
    if load is not None:
        warm_up = [request.warm_up for request in load.requests.values()]
        notes.append(
            f"Warm-up, not judged: {sum(one.sent for one in warm_up)} requests, "
            f"{sum(one.failed for one in warm_up)} failed."
        )
        notes += [f"During the run: {incident}" for incident in load.incidents]
    return notes


# --- would a rollback help? ------------------------------------------------------------------------------


def _excuse_pre_existing(judgement: Judgement, baseline: Baseline, policy: Policy) -> Judgement:
    """Turn ROLLBACK into HOLD where the release before broke the same rule: a rollback would not help."""
    if not any(finding.effect is Word.ROLLBACK for finding in judgement.findings):
        return judgement
    findings = [
        _pre_existing(finding)
        if finding.effect is Word.ROLLBACK and _broken_before(judgement, finding, baseline, policy)
        else finding
        for finding in judgement.findings
    ]
    if any(finding.effect is Word.ROLLBACK for finding in findings):
        return Judgement(judgement.result, findings)
    return Judgement(replace(judgement.result, rollback=Rollback.PRE_EXISTING), findings)


def _broken_before(judgement: Judgement, finding: Finding, baseline: Baseline, policy: Policy) -> bool:
    name = judgement.result.name
    if name == "smoke_critical":
        return baseline.smoke is not None and finding.check in failed_checks(baseline.smoke, Severity.CRITICAL)
    if baseline.load is None:
        return False
    if name == "integrity":
        return baseline.load.integrity.sound is False
    sound = not generator_faults(load=baseline.load, policy=policy)
    return sound and _proven_before(name, baseline.load, policy)


def _proven_before(name: str, load: LoadEvidence, policy: Policy) -> bool:
    if name == "read_latency":
        slower = policy.objectives.read_latency.rollback
        numbers, limit = read_latency_numbers(load, slower.limit_ms), slower.share_above
    elif name == "errors":
        numbers, limit = errors_numbers(load, policy), policy.objectives.errors.rollback.share_above
    else:
        return False
    state = rollback_judge(slices=numbers.slices, probes=numbers.probes, limit=limit, policy=policy)
    return state is Rollback.PROVEN


def _pre_existing(finding: Finding) -> Finding:
    return replace(
        finding,
        effect=Word.HOLD,
        status=Rollback.PRE_EXISTING,
        what=f"{finding.what} (pre-existing)",
        how_sure=f"{finding.how_sure}; the evidence of the release before breaks the same rule",
        next_step="A rollback would not help: the release before did the same. Mend it, or go back further.",
    )


def _require_other_release(evidence: Evidence) -> None:
    now = Baseline(smoke=evidence.smoke, load=evidence.load)
    if set(now.run_ids) & set(evidence.baseline.run_ids):
        raise RecordError("the baseline is the evidence under judgement itself; it would excuse everything")
    for before in _targets(evidence.baseline):
        if any(_same_release(before, target) for target in _targets(now)):
            raise RecordError(f"the baseline is of the same release, {before.label}; give the one before")


def _targets(evidence: Baseline) -> list[Target]:
    smoke = evidence.smoke.target if evidence.smoke is not None else None
    load = evidence.load.target.start if evidence.load is not None else None
    return [target for target in (smoke, load) if target is not None]


def _same_release(one: Target, other: Target) -> bool:
    """By their commits; by their versions where one of them does not tell its commit."""
    if one.commit and other.commit:
        return one.commit == other.commit
    return one.version is not None and one.version == other.version


# --- command line ----------------------------------------------------------------------------------------


def baseline_read(paths: Sequence[Path]) -> Baseline:
    """Read stored evidence: files of either schema, or directories that hold smoke.json or load.json.

    Raises:
        RecordError: if a path holds neither, or two of the same kind are given.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = [path / name for name in ("smoke.json", "load.json") if (path / name).exists()]
            if not inside:
                raise RecordError(f"{path}: holds neither smoke.json nor load.json")
            files += inside
        else:
            files.append(path)
    baseline = Baseline()
    for file in files:
        schema = json_document_read(file).get("schema")
        if schema == LOAD_SCHEMA and baseline.load is None:
            baseline = replace(baseline, load=load_evidence_read(file))
        elif schema == SMOKE_SCHEMA and baseline.smoke is None:
            baseline = replace(baseline, smoke=smoke_evidence_read(file))
        else:
            raise RecordError(f"{file}: a baseline is one {LOAD_SCHEMA} and one {SMOKE_SCHEMA}, not {schema!r}")
    return baseline


def verdict_read(path: Path) -> Verdict:
    """Read a stored verdict.

    Raises:
        RecordError: if it is missing, of another schema, or contradicts itself.
    """
    document = json_document_read(path)
    schema_require(document, SCHEMA, where=path.name)
    return record_read(Verdict, document, where=path.name)


def _decide(arguments: argparse.Namespace) -> int:
    out: Path = arguments.out
    # An old verdict must not be taken for this one if what follows fails.
    for name in ("verdict.json", "report.md"):
        (out / name).unlink(missing_ok=True)
    policy = policy_read(arguments.policy)
    load = load_evidence_read(arguments.load_json) if arguments.load_json is not None else None
    evidence = Evidence(
        smoke=smoke_evidence_read(arguments.smoke_json),
        load=load,
        no_load_reason=arguments.no_load,
        baseline=baseline_read(arguments.baseline),
    )
    verdict = decide(evidence=evidence, policy=policy)
    document_replace(out / "report.md", markdown_write(verdict=verdict, load=load))
    document_replace(out / "verdict.json", json.dumps(record_plain(verdict), indent=1, ensure_ascii=False) + "\n")
    say(verdict_words(verdict))
    return verdict.exit_code


def _replay(arguments: argparse.Namespace) -> int:
    policy = policy_read(arguments.policy)
    baseline = baseline_read(arguments.baseline)
    worst = Word.KEEP
    for directory in arguments.evidence:
        stored = directory / "verdict.json"
        before = verdict_read(stored) if stored.exists() else None
        load, no_load_reason = _load_of(directory, before)
        evidence = Evidence(
            smoke=smoke_evidence_read(directory / "smoke.json"),
            load=load,
            no_load_reason=no_load_reason,
            baseline=baseline,
        )
        verdict = decide(evidence=evidence, policy=policy)
        say(f"{directory}: {_comparison(before, verdict)}")
        if before is not None and before.baseline_run_ids != baseline.run_ids:
            was, now = (" and ".join(run_ids) or "none" for run_ids in (before.baseline_run_ids, baseline.run_ids))
            say(f"  Then its baseline was {was}, now it is {now}; --baseline gives one.")
        say(verdict_words(verdict))
        worst = max(worst, verdict.verdict, key=lambda word: word.exit_code)
    return worst.exit_code


def _load_of(directory: Path, before: Verdict | None) -> tuple[LoadEvidence | None, str | None]:
    """The load evidence that the stored verdict rests on, or the reason why there is none."""
    if before is not None and before.load_run_id is None:
        return None, before.no_load_reason or "the stored verdict used none"
    path = directory / "load.json"
    if not path.exists():
        return None, "it was not stored with the evidence"
    load = load_evidence_read(path)
    if before is not None and load.run_id != before.load_run_id:
        return None, f"load.json is of run {load.run_id}; the stored verdict used {before.load_run_id}"
    return load, None


def _comparison(before: Verdict | None, now: Verdict) -> str:
    if before is None:
        return f"{now.verdict}, no stored verdict to compare with"
    if before.verdict is not now.verdict:
        policies = "" if before.policy_fingerprint == now.policy_fingerprint else " under another policy"
        return f"was {before.verdict}, would be {now.verdict}{policies}"
    was = {result.name: result.status for result in before.objectives}
    changed = [
        f"{result.name} {was[result.name]} -> {result.status}"
        for result in now.objectives
        if result.name in was and was[result.name] is not result.status
    ]
    return f"{now.verdict}, as before" + (f"; {', '.join(changed)}" if changed else "")


def _explain(arguments: argparse.Namespace) -> int:
    verdict = verdict_read(arguments.verdict_json)
    say(verdict_words(verdict, every_objective=True))
    return verdict.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m load.gate", description="KEEP, HOLD or ROLLBACK.")
    commands = parser.add_subparsers(dest="command", required=True)

    deciding = commands.add_parser("decide", help="judge the evidence of one run")
    deciding.add_argument("smoke_json", type=Path)
    deciding.add_argument("load_json", type=Path, nargs="?")
    deciding.add_argument("--no-load", metavar="REASON", help="why there is no load.json")
    deciding.add_argument("--policy", type=Path, default=DEFAULT_POLICY)
    deciding.add_argument("--baseline", type=Path, action="append", default=[], metavar="FILE_OR_DIR")
    deciding.add_argument("--out", type=Path, required=True, metavar="DIR")
    deciding.set_defaults(run=_decide)

    replaying = commands.add_parser("replay", help="judge stored evidence again, perhaps by another policy")
    replaying.add_argument("evidence", type=Path, nargs="+", metavar="EVIDENCE_DIR")
    replaying.add_argument("--policy", type=Path, default=DEFAULT_POLICY)
    replaying.add_argument("--baseline", type=Path, action="append", default=[], metavar="FILE_OR_DIR")
    replaying.set_defaults(run=_replay)

    explaining = commands.add_parser("explain", help="a stored verdict in words")
    explaining.add_argument("verdict_json", type=Path)
    explaining.set_defaults(run=_explain)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    show_what_can_be_shown()
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command == "decide":
        if (arguments.load_json is None) == (arguments.no_load is None):
            parser.error("give either LOAD_JSON or --no-load REASON")
        if arguments.no_load is not None and not arguments.no_load.strip():
            parser.error("--no-load needs a reason")
    try:
        return int(arguments.run(arguments))
    except RecordError as error:
        print(f"gate: {error}", file=sys.stderr)
    except Exception:  # noqa: BLE001 - whatever breaks in here, it must never look like a verdict
        with contextlib.suppress(Exception):
            traceback.print_exc()
    return HARNESS_FAILED


if __name__ == "__main__":
    sys.exit(main())
