"""The run as a tired person reads it: the cause first, then the groups, then one line that says it all."""

import contextlib
import io
import os
import sys
import textwrap
from collections.abc import Callable

from smoke.evidence import OUTCOMES, Evidence, Outcome, Record
from smoke.redaction import Redaction

RED, GREEN, YELLOW, BOLD, DIM = "31", "32", "33", "1", "2"
SIGNS: dict[Outcome, str] = {"passed": "✓", "failed": "✗", "blocked": "·", "skipped": "-", "flaky": "~"}
COLOURS: dict[Outcome, str] = {
    "passed": GREEN,
    "failed": RED,
    "blocked": DIM,
    "skipped": DIM,
    "flaky": YELLOW,
}
# The outcome that colours a group: the first of these that one of its checks has.
GRAVEST: tuple[Outcome, ...] = ("failed", "blocked", "flaky", "passed", "skipped")
WIDTH, LABEL, GROUP = 108, 11, 15
# More blocked checks than this are counted, not named: smoke.json has the list.
MOST_NAMED = 6

Paint = Callable[..., str]


def show_what_can_be_shown() -> None:
    """Let this process print a question mark for what its terminal cannot show, rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def say(text: str) -> None:
    """Print at once: somebody is watching. A reader who has gone away changes nothing."""
    try:
        print(text, flush=True)
    except (OSError, ValueError):
        # Python tries what is left once more when it ends, and would make another exit status of that.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def render(evidence: Evidence, *, redaction: Redaction, colour: bool) -> str:
    """The whole view, redacted; ANSI colours only if `colour`."""

    def paint(text: str, *codes: str) -> str:
        return f"\033[{';'.join(codes)}m{text}\033[0m" if colour else text

    lines = [f"Smoke of {evidence.base_url}{_version(evidence)}, run {evidence.run_id}", ""]
    for cause in evidence.causes:
        lines += [*_cause(cause, evidence=evidence, paint=paint), ""]
    for group in dict.fromkeys(record.group for record in evidence.checks):
        lines.append(_group(group, [one for one in evidence.checks if one.group == group], paint=paint))
    for record in evidence.checks:
        if record.outcome == "flaky":
            lines += ["", paint(f"~ FLAKY  {record.id}", YELLOW, BOLD) + f"  {record.title}", *_facts(record)]
    if evidence.residue:
        lines += ["", paint("Left behind on the deployment:", RED, BOLD)]
        lines += [f"  {location}" for location in evidence.residue]
    word = "INTERRUPTED" if evidence.interrupted else "PASSED" if evidence.sound else "FAILED"
    counts = ", ".join(
        f"{evidence.count(outcome)} {outcome}" for outcome in OUTCOMES if outcome == "passed" or evidence.count(outcome)
    )
    verdict = paint(word, BOLD, GREEN if evidence.sound else RED)
    lines += ["", f"{verdict}  {counts} in {evidence.duration_seconds:.1f} s"]
    return redaction.scrub("\n".join(lines))


def _cause(cause: Record, *, evidence: Evidence, paint: Paint) -> list[str]:
    lines = [paint(f"✗ {cause.severity.upper()}  {cause.id}", RED, BOLD) + f"  {cause.title}", *_facts(cause)]
    blocked = [record.id for record in evidence.checks if record.blocked_by == cause.id]
    if blocked:
        named = f": {', '.join(blocked)}" if len(blocked) <= MOST_NAMED else ""
        lines += _wrapped("blocks", f"{len(blocked)} that need it{named}")
    return lines


def _group(group: str, records: list[Record], *, paint: Paint) -> str:
    """One line per group. What passed or is blocked is folded into a count; the others are named."""
    worst = next(outcome for outcome in GRAVEST if any(record.outcome == outcome for record in records))
    parts: list[str] = []
    for outcome in OUTCOMES:
        those = [record for record in records if record.outcome == outcome]
        if not those:
            continue
        if outcome == "passed":
            parts.append(f"{len(those)} passed")
        elif outcome == "blocked":
            parts.append(paint(f"{len(those)} blocked", DIM))
        elif outcome == "skipped":
            reasons = "; ".join(dict.fromkeys(record.came or "" for record in those))
            parts.append(paint(f"skipped {', '.join(record.id for record in those)} ({reasons})", DIM))
        else:
            parts.append(paint(f"{outcome} {', '.join(record.id for record in those)}", COLOURS[outcome]))
    return f"  {paint(SIGNS[worst], COLOURS[worst])} {group:<{GROUP}}{', '.join(parts)}"


def _version(evidence: Evidence) -> str:
    if not evidence.target:
        return ""
    commit = evidence.target.get("commit")
    return f" (version {evidence.target.get('version')}{f', commit {commit[:12]}' if commit else ''})"


def _facts(record: Record) -> list[str]:
    lines: list[str] = []
    for label, text in (
        ("expected", record.expected),
        ("came", record.came),
        ("request id", record.request_id),
        ("next step", record.next_step),
    ):
        if text:
            lines += _wrapped(label, text)
    return lines


def _wrapped(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        width=WIDTH,
        initial_indent=f"  {label:<{LABEL}}",
        subsequent_indent=" " * (LABEL + 2),
        break_on_hyphens=False,
    )
