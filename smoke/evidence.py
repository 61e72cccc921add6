"""What a run found, as data: the record of each check, smoke.json and junit.xml."""

import json
import os
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from smoke import SCHEMA
from smoke.check import Check, Severity
from smoke.redaction import Redaction

Outcome = Literal["passed", "failed", "blocked", "skipped", "flaky"]
OUTCOMES: tuple[Outcome, ...] = ("passed", "failed", "blocked", "skipped", "flaky")


@dataclass(kw_only=True)
class Record:
    """One check of one run.

    For a skipped check `came` is the reason; `broken` means that it failed through a fault of its own or of this
    machine, and so says nothing about the deployment.
    """

    id: str
    title: str
    severity: Severity
    outcome: Outcome
    needs: list[str]
    blocked_by: str | None = None
    expected: str | None = None
    came: str | None = None
    request_id: str | None = None
    next_step: str | None = None
    duration_ms: float = 0.0
    attempts: int = 1
    broken: bool = False

    @classmethod
    def of(cls, check: Check, *, outcome: Outcome) -> "Record":
        return cls(
            id=check.id,
            title=check.title,
            severity=check.severity,
            outcome=outcome,
            needs=list(check.needs),
        )

    @property
    def group(self) -> str:
        return self.id.partition(".")[0]


@dataclass(kw_only=True)
class Evidence:
    """One run: the contents of smoke.json."""

    run_id: str
    base_url: str
    channels_url: str
    read_only: bool
    expected_version: str | None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    finished_at: datetime | None = None
    target: dict[str, str | None] | None = None
    checks: list[Record] = field(default_factory=list)
    residue: list[str] = field(default_factory=list)
    interrupted: bool = False

    def count(self, outcome: Outcome) -> int:
        return sum(record.outcome == outcome for record in self.checks)

    def of(self, id: str) -> Record | None:  # noqa: A002 - the word that the reports use
        return next((record for record in self.checks if record.id == id), None)

    @property
    def causes(self) -> list[Record]:
        """Failed checks, the most severe first."""
        order = {"critical": 0, "major": 1, "minor": 2}
        return sorted(
            (record for record in self.checks if record.outcome == "failed"),
            key=lambda record: order[record.severity],
        )

    @property
    def only_broken(self) -> bool:
        """Something failed, and all of it through no fault of the deployment that anybody knows of."""
        return bool(self.causes) and all(record.broken for record in self.causes) and not self.residue

    @property
    def sound(self) -> bool:
        """Nothing failed, nothing was left behind, and the run came to its end."""
        return not self.causes and not self.residue and not self.interrupted

    @property
    def duration_seconds(self) -> float:
        return ((self.finished_at or datetime.now(UTC)) - self.started_at).total_seconds()

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "run_id": self.run_id,
            "base_url": self.base_url,
            "channels_url": self.channels_url,
            "started_at": _timestamp(self.started_at),
            "finished_at": _timestamp(self.finished_at or datetime.now(UTC)),
            "duration_seconds": round(self.duration_seconds, 3),
            "read_only": self.read_only,
            "expected_version": self.expected_version,
            "interrupted": self.interrupted,
            "target": self.target,
            "checks": [asdict(record) for record in self.checks],
            "summary": {outcome: self.count(outcome) for outcome in OUTCOMES},
            "residue": self.residue,
        }


def scrubbed(value: Any, *, redaction: Redaction) -> Any:
    """A copy of a JSON value in which every string, keys included, went through the redaction."""
    if isinstance(value, str):
        return redaction.scrub(value)
    if isinstance(value, Mapping):
        return {redaction.scrub(str(key)): scrubbed(item, redaction=redaction) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [scrubbed(item, redaction=redaction) for item in value]
    return value


def write_json(evidence: Evidence, *, path: Path, redaction: Redaction) -> None:
    _write(
        path,
        json.dumps(scrubbed(evidence.as_json(), redaction=redaction), indent=2, ensure_ascii=False) + "\n",
    )


def write_junit(evidence: Evidence, *, path: Path, redaction: Redaction) -> None:
    """JUnit XML as CI systems read it: BLOCKED is told as skipped, with the cause in its message."""
    clean = redaction.scrub
    suite = ET.Element(
        "testsuite",
        name="smoke",
        tests=str(len(evidence.checks)),
        failures=str(evidence.count("failed")),
        errors="0",
        skipped=str(evidence.count("blocked") + evidence.count("skipped")),
        time=f"{evidence.duration_seconds:.3f}",
        timestamp=_timestamp(evidence.started_at),
        hostname=clean(evidence.base_url),
    )
    for record in evidence.checks:
        case = ET.SubElement(
            suite,
            "testcase",
            classname=f"smoke.{record.group}",
            name=record.id,
            time=f"{record.duration_ms / 1000:.3f}",
        )
        properties = ET.SubElement(case, "properties")
        ET.SubElement(properties, "property", name="severity", value=record.severity)
        if record.outcome == "failed":
            failure = ET.SubElement(case, "failure", type=record.severity, message=_xml_text(clean(record.title)))
            failure.text = _xml_text(clean(describe(record)))
        elif record.outcome in {"blocked", "skipped"}:
            reason = f"BLOCKED by {record.blocked_by}" if record.outcome == "blocked" else record.came or ""
            ET.SubElement(case, "skipped", message=_xml_text(clean(reason)))
        elif record.outcome == "flaky":
            ET.SubElement(case, "system-out").text = _xml_text(clean(f"FLAKY\n{describe(record)}"))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    _write(path, ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n")


def describe(record: Record) -> str:
    """Expected, came, request id and next step, one per line; absent ones are left out."""
    lines = [
        ("expected", record.expected),
        ("came", record.came),
        ("request id", record.request_id),
        ("next step", record.next_step),
    ]
    return "\n".join(f"{name + ':':<12}{text}" for name, text in lines if text)


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _xml_text(text: str) -> str:
    """XML 1.0 has no way to write most control characters; a broken server may send any of them."""
    return "".join(
        char if char in "\t\n" or (char >= " " and char not in "\ufffe\uffff") else "\ufffd" for char in text
    )


def _write(path: Path, text: str) -> None:
    """Write completely or not at all: a reader must never take half a file for evidence."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
