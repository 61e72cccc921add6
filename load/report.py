"""A verdict in words: for the terminal, and as Markdown that pastes into an incident."""

import contextlib
import io
import os
import sys
from collections.abc import Sequence

from load.judgement import percent
from load.results import LoadEvidence, RequestCounts, RequestEvidence
from load.verdict import Finding, Status, Verdict


def show_what_can_be_shown() -> None:
    """Let this process print a question mark for what its terminal cannot show, rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def say(text: str) -> None:
    """Print at once. A reader who has gone away, or a full disk behind the output, changes nothing."""
    try:
        print(text, flush=True)
    except (OSError, ValueError):
        # Python tries what is left once more when it ends, and would make another exit status of that.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def verdict_words(verdict: Verdict, *, every_objective: bool = False) -> str:
    """The verdict with its reasons as plain lines.

    Objectives that are met are one line together, unless `every_objective` asks for all.
    """
    lines = [verdict.summary]
    for number, finding in enumerate(verdict.findings, start=1):
        lines += _finding_lines(number, finding)
    met = [result for result in verdict.objectives if result.status is Status.MET]
    if every_objective:
        lines += [f"  {result.status:<9} {result.title}: {result.words}" for result in verdict.objectives]
    elif met:
        lines.append(f"  Met: {', '.join(result.title for result in met)}.")
    lines += [f"  Note: {note}" for note in verdict.notes]
    return "\n".join(lines)


def _finding_lines(number: int, finding: Finding) -> list[str]:
    return [
        f"  {number}. {finding.effect} [{finding.status}] {finding.what}",
        f"     how much: {finding.by_how_much}",
        f"     how sure: {finding.how_sure}",
        f"     next:     {finding.next_step}",
    ]


def markdown_write(*, verdict: Verdict, load: LoadEvidence | None) -> str:
    """`report.md`. Everything in it comes from the evidence, which holds no secret."""
    target = verdict.target.label if verdict.target is not None else "unknown release"
    lines = [
        f"# {verdict.verdict}",
        "",
        _text(verdict.summary),
        "",
        f"- Address: {_text(verdict.base_url)}",
        f"- Release: {_text(target)}",
        f"- Runs: smoke {_text(verdict.smoke_run_id)}, load {_text(verdict.load_run_id or 'none')}",
        f"- Policy: {verdict.policy_fingerprint}",
        "",
    ]
    if verdict.findings:
        lines += ["## Why", ""]
        for number, finding in enumerate(verdict.findings, start=1):
            lines += [
                f"{number}. **{finding.effect}** ({finding.status}): {_text(finding.what)}",
                f"   - How much: {_text(finding.by_how_much)}",
                f"   - How sure: {_text(finding.how_sure)}",
                f"   - Next step: {_text(finding.next_step)}",
            ]
        lines.append("")
    lines += [
        "## Objectives",
        "",
        "| objective | status | rollback rule | in words |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {_text(result.title)} | {result.status} | {result.rollback} | {_text(result.words)} |"
        for result in verdict.objectives
    ]
    lines.append("")
    if load is not None:
        lines += _load_lines(load)
    if verdict.notes:
        lines += ["## Notes", "", *(f"- {_text(note)}" for note in verdict.notes), ""]
    return "\n".join(lines)


def _load_lines(load: LoadEvidence) -> list[str]:
    profile = load.profile
    pace = (
        f"{profile.duration_seconds} s at {profile.rate_per_second:g} requests a second after "
        f"{profile.warm_up_seconds} s of warm-up. Open arrivals: latency counts from the time at which a "
        "request was due."
    )
    lines = [
        f"## Load: {_text(profile.name)}, {load.outcome.value}",
        "",
        pace,
        "",
        "| request | sent | failed: application | elsewhere | p50 | p95 | p99 | cache misses |",
        "| --- | ---: | ---: | ---: | --- | --- | --- | --- |",
    ]
    lines += [_request_row(name, request, load) for name, request in load.requests.items()]
    sockets = load.sockets.total()
    why = f" ({_text(load.sockets.unavailable)})" if load.sockets.unavailable else ""
    heard = f"{sockets.received} of {sockets.sent} events received{why}, {sockets.doubled} doubled"
    lines += [
        "",
        f"- Sockets: {load.sockets.listeners} listeners, {heard}",
        f"- Queue: {_depth(load)}",
        f"- Generator: {_generator(load)}",
    ]
    if load.failure_samples:
        lines += ["", "Failed requests to look up:", ""]
        lines += [
            f"- {sample.at_seconds:.1f} s {_text(sample.request)}: {_text(sample.kind)} ({sample.owner}), "
            f"request id {_text(sample.request_id or 'none')}"
            for sample in load.failure_samples
        ]
    return [*lines, ""]


def _request_row(name: str, request: RequestEvidence, load: LoadEvidence) -> str:
    counts = _whole(request)
    quantiles = [
        quantile_words(slower=counts.slower, total=counts.timed, rungs=load.rungs.latency_ms, quantile=quantile)
        for quantile in (0.50, 0.95, 0.99)
    ]
    misses = f"{counts.cache_missed} of {counts.cache_reported}" if request.cached else ""
    cells = [_text(name), counts.sent, counts.application, counts.failed_elsewhere, *quantiles, misses]
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def quantile_words(*, slower: Sequence[int], total: int, rungs: Sequence[float], quantile: float) -> str:
    """Between which rungs a quantile lies, e.g. `25-50 ms`: counters know no more, and pretend no more."""
    if total == 0:
        return "no data"
    low = 0.0
    for rung, count in zip(rungs, slower, strict=True):
        if count <= (1 - quantile) * total + 1e-9:
            return f"below {rung:g} ms" if low == 0.0 else f"{low:g}-{rung:g} ms"
        low = rung
    return f"{low:g} ms or more"


def _whole(request: RequestEvidence) -> RequestCounts:
    first, *rest = request.slices
    return sum(rest, first)


def _depth(load: LoadEvidence) -> str:
    queue = load.queue
    if queue.maximum is None:
        return f"unknown, none of {queue.polls} polls was answered"
    return f"at most {queue.maximum} tasks in {queue.answered} polls"


def _generator(load: LoadEvidence) -> str:
    asked = sum(process.asked for process in load.processes)
    sent = sum(process.sent for process in load.processes)
    told = [
        f"{process.role} {process.index}: {percent(process.cpu_seconds / process.wall_seconds)} of a core, "
        f"longest lag {process.longest_lag_ms:.0f} ms"
        for process in load.processes
        if process.wall_seconds > 0
    ]
    return f"{sent} of {asked} due requests sent" + (f"; {'; '.join(told)}" if told else "")


def _text(text: str) -> str:
    """One line, in which nothing that a server said can become markup."""
    line = " ".join(text.split())
    return "".join(f"\\{character}" if character in "\\`*_[]<>#|" else character for character in line)
