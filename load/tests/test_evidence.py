import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from load.records import RecordError, json_document_read, record_plain
from load.results import RequestCounts, load_evidence_read, slower_add, smoke_evidence_read
from load.tests.evidence import POLICY, counts, load_evidence, smoke_evidence

Document = dict[str, Any]


def stored(document: Document, directory: Path, name: str) -> Path:
    path = directory / name
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_evidence_survives_the_way_through_the_file(tmp_path: Path) -> None:
    load, smoke = load_evidence(broken=(1, 2, 3, 0, 0, 0)), smoke_evidence()
    assert load_evidence_read(stored(record_plain(load), tmp_path, "load.json")) == load
    assert smoke_evidence_read(stored(record_plain(smoke), tmp_path, "smoke.json")) == smoke


def first_slice(document: Document) -> Document:
    slices: list[Document] = document["requests"]["auth_me"]["slices"]
    return slices[0]


CORRUPTIONS: dict[str, tuple[Callable[[Document], object], str]] = {
    "another schema": (lambda d: d.update(schema="rgms.load/2"), "schema must be"),
    "an unknown key": (lambda d: d.update(extra=1), "unknown extra"),
    "a missing key": (lambda d: d.pop("queue"), "missing queue"),
    "a count as text": (lambda d: first_slice(d).update(sent="21"), r"auth_me\.slices\[0\]\.sent: expected int"),
    "a count that is true": (lambda d: first_slice(d).update(edge=True), "expected int, not bool"),
    "a negative count": (lambda d: first_slice(d).update(edge=-1, succeeded=22), "must not be negative"),
    "a sum that is wrong": (lambda d: first_slice(d).update(sent=22), "sent is 22"),
    "more misses than reports": (lambda d: first_slice(d).update(cache_missed=1), "cache_missed"),
    "counters that rise": (lambda d: first_slice(d)["slower"].__setitem__(3, 1), "must not rise"),
    "a rung too few": (lambda d: first_slice(d)["slower"].pop(), "counters for"),
    "a slice too few": (lambda d: d["requests"]["auth_me"]["slices"].pop(), "5 slices where 6 are due"),
    "processes that sent another number": (lambda d: d["processes"][0].update(sent=1, asked=1), "add up to"),
    "an early stop without probes": (lambda d: d.update(outcome="stopped early"), "early_stop must be there"),
    "an unknown outcome": (lambda d: d.update(outcome="fine"), "is none of"),
    "a lost event that is not counted": (lambda d: d["sockets"]["slices"][0].update(lost=1), "and 1 lost"),
    "sound data with findings": (
        lambda d: d["integrity"].update(findings=[{"check": "c", "table": "t", "remedy": "r"}]),
        "sound contradicts",
    ),
    "a queue deeper than its maximum": (lambda d: d["queue"]["slices"].__setitem__(0, 9), "maximum must be"),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_evidence_that_contradicts_itself_is_refused(name: str, tmp_path: Path) -> None:
    corrupt, message = CORRUPTIONS[name]
    document = copy.deepcopy(record_plain(load_evidence()))
    corrupt(document)
    with pytest.raises(RecordError, match=message):
        load_evidence_read(stored(document, tmp_path, "load.json"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": None}, "schema must be"),
        ({"checks": []}, "summary tells of 22 passed"),
        ({"summary": {}}, "missing blocked"),
        ({"residue": None}, "expected a list"),
    ],
)
def test_smoke_evidence_that_contradicts_itself_is_refused(change: Document, message: str, tmp_path: Path) -> None:
    document = record_plain(smoke_evidence()) | change
    with pytest.raises(RecordError, match=message):
        smoke_evidence_read(stored(document, tmp_path, "smoke.json"))


def test_a_check_that_is_told_twice_is_refused(tmp_path: Path) -> None:
    document = record_plain(smoke_evidence())
    document["checks"][1]["id"] = document["checks"][0]["id"]
    with pytest.raises(RecordError, match="repeated checks health"):
        smoke_evidence_read(stored(document, tmp_path, "smoke.json"))


def test_a_check_that_passed_cannot_be_broken(tmp_path: Path) -> None:
    document = record_plain(smoke_evidence())
    document["checks"][0]["broken"] = True
    with pytest.raises(RecordError, match="broken says why a check failed"):
        smoke_evidence_read(stored(document, tmp_path, "smoke.json"))


def test_what_only_the_smoke_suite_knows_is_ignored(tmp_path: Path) -> None:
    document = record_plain(smoke_evidence()) | {"duration_seconds": 3.0, "residue": [{"id": 4}]}
    document["checks"][0]["duration_ms"] = 12
    assert len(smoke_evidence_read(stored(document, tmp_path, "smoke.json")).residue) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("[]", "must be a JSON object"),
        ("{", "is not valid JSON"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": 1, "a": 2}', "repeated keys a"),
        ("[" * 100_000, "is not valid JSON"),
    ],
)
def test_a_file_that_is_not_one_json_object_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecordError, match=message):
        json_document_read(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be read"):
        load_evidence_read(tmp_path / "load.json")


def test_counters_add_up_field_by_field() -> None:
    one = counts(sent=10, application=2, slow=3, cache=(8, 4))
    two = counts(sent=5, edge=1, slow=1, cache=(4, 0))
    both = one + two
    assert (both.sent, both.succeeded, both.failed, both.failed_elsewhere) == (15, 12, 3, 1)
    assert (both.cache_reported, both.cache_missed) == (12, 4)
    assert both.slower == [a + b for a, b in zip(one.slower, two.slower, strict=True)]
    zero = RequestCounts.empty(rungs=POLICY.rungs)
    assert one + zero == one


@pytest.mark.parametrize(
    ("milliseconds", "counted"),
    [(499.9999, 0), (500.0, 1), (500.0001, 1), (504.9, 1), (float("inf"), 1)],
)
def test_raw_floats_are_compared_before_anything_is_rounded(milliseconds: float, counted: int) -> None:
    rungs = [100.0, 500.0]
    slower = [0, 0]
    slower_add(slower=slower, rungs=rungs, milliseconds=milliseconds)
    assert slower == [1, counted]
