from dataclasses import replace

import pytest

from load.gate import Evidence, decide
from load.report import markdown_write, quantile_words, verdict_words
from load.results import CheckOutcome, FailureSample, Owner
from load.tests.evidence import POLICY, SLICES, check, load_evidence, smoke_evidence


def test_a_report_has_the_verdict_first_then_every_reason_with_its_four_parts() -> None:
    load = load_evidence(broken=(30,) * SLICES, failure_kinds={"application: HTTP 500": 180})
    smoke = smoke_evidence(check("hosts", outcome=CheckOutcome.FAILED))
    verdict = decide(evidence=Evidence(smoke=smoke, load=load), policy=POLICY)
    report = markdown_write(verdict=verdict, load=load)
    assert report.splitlines()[0] == "# ROLLBACK"
    for finding in verdict.findings:
        assert report.count("How much:") == report.count("How sure:") == len(verdict.findings)
        assert finding.what.split(":")[0].replace("_", "\\_") in report
    assert "180 x application: HTTP 500" in report


def test_what_a_server_said_cannot_become_markup() -> None:
    nasty = check(
        "x", outcome=CheckOutcome.FAILED, came="<script>alert(1)</script> | `a`\n# KEEP\n[click](http://evil)"
    )
    sample = FailureSample(1.0, "auth_me", Owner.APPLICATION, "HTTP 500", "<b>|\n# KEEP")
    load = load_evidence(failure_samples=[sample])
    verdict = decide(evidence=Evidence(smoke=smoke_evidence(nasty), load=load), policy=POLICY)
    report = markdown_write(verdict=verdict, load=load)
    assert "<script>" not in report.replace("\\<", "")
    assert "\n# KEEP" not in report
    assert "[click]" not in report
    assert "<b>" not in report.replace("\\<", "")


def test_a_kept_release_needs_few_words() -> None:
    verdict = decide(evidence=Evidence(smoke=smoke_evidence(), load=load_evidence()), policy=POLICY)
    words = verdict_words(verdict)
    assert words.startswith("KEEP: every objective is met.")
    assert "how much" not in words


def test_a_report_without_load_stands_alone() -> None:
    verdict = decide(
        evidence=Evidence(smoke=replace(smoke_evidence(), target=None), no_load_reason="it crashed"),
        policy=POLICY,
    )
    report = markdown_write(verdict=verdict, load=None)
    assert "it crashed" in report
    assert "unknown release" in report


@pytest.mark.parametrize(
    ("slower", "words"),
    [
        ([0, 0, 0], "below 10 ms"),
        ([100, 5, 0], "10-100 ms"),
        ([100, 6, 0], "100-500 ms"),
        ([100, 50, 20], "500 ms or more"),
    ],
)
def test_a_quantile_is_told_as_the_rungs_between_which_it_lies(slower: list[int], words: str) -> None:
    assert quantile_words(slower=slower, total=100, rungs=[10, 100, 500], quantile=0.95) == words


def test_a_quantile_of_nothing_is_no_data() -> None:
    assert quantile_words(slower=[0], total=0, rungs=[10], quantile=0.95) == "no data"
