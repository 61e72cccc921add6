"""What the gate says: `verdict.json` (`rgms.verdict/1`).

    {"schema": "rgms.verdict/1",
     "verdict": "KEEP" | "HOLD" | "ROLLBACK",
     "exit_code": 0 | 10 | 20,
     "summary": one sentence for a chat,
     "base_url", "target": {"version", "commit", "environment"} | null,
     "smoke_run_id", "load_run_id": str | null,
     "policy_fingerprint": 12 hexadecimal digits,
     "findings": [                          every reason against KEEP, the gravest first; empty for KEEP
        {"objective", "effect": "HOLD" | "ROLLBACK", "status", "what", "by_how_much", "how_sure",
         "next_step", "check": id of a smoke check | null}],
     "objectives": [
        {"name", "title", "status": "MET" | "BREACHED" | "UNDECIDED" | "NO-DATA",
         "rollback": "no rule" | "not proven" | "proven" | "one incident" | "pre-existing" | "not judged",
         "rule", "words", "total", "bad", "share", "upper_bound", "lower_bound", "more_requests"}],
     "notes": [str],                        what a reader should know and what did not decide
     "no_load_reason": why there was no load evidence | null,
     "baseline_run_ids": [str]}             of the evidence of the release before, if it was given

`total` and `bad` are counts of requests, events or checks; `share` and the bounds lie between 0 and 1 (bounds
at the policy's confidence for "met"); `more_requests` is the least number that could decide. Fields that do
not apply are null.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from load.results import Target

SCHEMA = "rgms.verdict/1"


class Word(StrEnum):
    KEEP = "KEEP"
    HOLD = "HOLD"
    ROLLBACK = "ROLLBACK"

    @property
    def exit_code(self) -> int:
        return {Word.KEEP: 0, Word.HOLD: 10, Word.ROLLBACK: 20}[self]


class Status(StrEnum):
    MET = "MET"
    BREACHED = "BREACHED"
    UNDECIDED = "UNDECIDED"
    NO_DATA = "NO-DATA"


class Rollback(StrEnum):
    """What became of an objective's rollback rule."""

    NO_RULE = "no rule"
    NOT_PROVEN = "not proven"
    PROVEN = "proven"
    ONE_INCIDENT = "one incident"
    PRE_EXISTING = "pre-existing"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True)
class ObjectiveResult:
    name: str
    title: str
    status: Status
    rollback: Rollback
    rule: str
    words: str
    total: int | None = None
    bad: int | None = None
    share: float | None = None
    upper_bound: float | None = None
    lower_bound: float | None = None
    more_requests: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason against KEEP, in words for the person on call."""

    objective: str
    effect: Word
    status: str
    what: str
    by_how_much: str
    how_sure: str
    next_step: str
    check: str | None = None

    def __post_init__(self) -> None:
        if self.effect is Word.KEEP:
            raise ValueError("a finding speaks against KEEP")
        for name in ("what", "by_how_much", "how_sure", "next_step"):
            if not getattr(self, name).strip():
                raise ValueError(f"a finding must say {name}")


@dataclass(frozen=True, slots=True)
class Verdict:
    schema: str
    verdict: Word
    exit_code: int
    summary: str
    base_url: str
    target: Target | None
    smoke_run_id: str
    load_run_id: str | None
    policy_fingerprint: str
    findings: list[Finding]
    objectives: list[ObjectiveResult]
    notes: list[str]
    no_load_reason: str | None = None
    baseline_run_ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema must be {SCHEMA!r}, not {self.schema!r}")
        if self.exit_code != self.verdict.exit_code:
            raise ValueError(f"exit_code {self.exit_code} does not belong to {self.verdict}")
        if (self.verdict is Word.KEEP) != (not self.findings):
            raise ValueError("KEEP must come exactly without findings")
        required_met = all(result.status is Status.MET for result in self.objectives)
        if self.verdict is Word.KEEP and not (self.objectives and required_met):
            raise ValueError("KEEP needs every objective MET")
