"""Judge a release end to end: wait, smoke, load, gate. `scripts/verify --help` tells how to call it."""

import argparse
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import httpx

from load.__main__ import process_count
from load.profiles import profiles_read
from scripts.release.stages import REPOSITORY, TIMED_OUT, run_stage
from scripts.release.wait import PATIENCE_WITH_OBSTACLE_SECONDS, Outcome, Waited, obstacle_to, wait_for
from smoke.evidence import Evidence, Record, write_json
from smoke.redaction import Redaction
from smoke.target import (
    ROLES,
    STATE,
    Target,
    WrongUsage,
    is_loopback,
    normal_expectation,
    normal_url,
    resolve_target,
)
from smoke.view import say as tell
from smoke.view import show_what_can_be_shown

KEEP, HOLD, ROLLBACK, HARNESS_FAILED, WRONG_USAGE, INTERRUPTED = 0, 10, 20, 30, 2, 130
WORDS = {KEEP: "KEEP", HOLD: "HOLD", ROLLBACK: "ROLLBACK"}
SMOKE_PASSED, SMOKE_FAILED, SMOKE_BROKE = 0, 1, 3
WAIT_SECONDS = 60.0
# A healthy deployment takes a few seconds; a suite that is still busy after this hangs.
SMOKE_LIMIT_SECONDS = 180.0
GATE_LIMIT_SECONDS = 120.0
POLICY = REPOSITORY / "load" / "slo.toml"


class HarnessFailure(Exception):
    """The harness could not do its work; nothing is said about the release."""


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Where one verification leaves its evidence."""

    out: Path

    @property
    def smoke(self) -> Path:
        return self.out / "smoke.json"

    @property
    def junit(self) -> Path:
        return self.out / "junit.xml"

    @property
    def load(self) -> Path:
        return self.out / "load.json"

    @property
    def verdict(self) -> Path:
        return self.out / "verdict.json"

    @property
    def report(self) -> Path:
        return self.out / "report.md"

    def clear(self) -> None:
        """Remove what an earlier verification left here: it must not be taken for this one's, whatever fails."""
        for path in (self.smoke, self.junit, self.load, self.verdict, self.report):
            path.unlink(missing_ok=True)


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/verify",
        description="Judge a deployed release: KEEP (exit 0), HOLD (10) or ROLLBACK (20).",
        epilog=(
            "Exit 30 means that the harness itself failed and says nothing about the release, 2 wrong usage. "
            "Accounts come from SMOKE_ADMIN_USERNAME, SMOKE_ADMIN_PASSWORD, SMOKE_CADET_USERNAME and "
            "SMOKE_CADET_PASSWORD, for the load also SMOKE_STAFF_USERNAME and SMOKE_STAFF_PASSWORD, which may be "
            "left out; for a system that scripts/up runs here, from its up.json. No proxy is used, whatever HTTP_PROXY "
            "says: every stage must see the same network."
        ),
    )
    parser.add_argument("url", metavar="URL", help="address of the web service")
    parser.add_argument("--channels-url", metavar="WSS", help="address of the channels service, ws:// or wss://")
    parser.add_argument(
        "--expect-version",
        type=_expectation,
        metavar="SHA|VERSION",
        help="7 to 40 hexadecimal digits of a commit, or a version with a dot",
    )
    parser.add_argument(
        "--profile",
        choices=tuple(profiles_read().profiles),
        default="quick",
        help="what load to send (default: quick)",
    )
    parser.add_argument(
        "--processes", type=process_count, default=1, metavar="N", help="processes that send the load (default: 1)"
    )
    parser.add_argument("--read-only", action="store_true", help="change nothing on the deployment")
    parser.add_argument(
        "--allow-writes",
        action="append",
        default=[],
        metavar="HOST",
        help="host where run-tagged notifications may be created and removed (loopback always may; repeatable)",
    )
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=WAIT_SECONDS,
        metavar="SECONDS",
        help=f"how long the release may take to answer (default: {WAIT_SECONDS:.0f})",
    )
    parser.add_argument(
        "--baseline",
        type=Path,
        metavar="FILE_OR_DIR",
        help="evidence of the release before: its smoke.json or load.json, or the --out of its verification",
    )
    parser.add_argument("--state", type=Path, default=STATE, metavar="DIR", help="state directory of scripts/up")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where evidence and report go (default: STATE/verify/<time>)"
    )
    options = parser.parse_args(arguments)
    options.state = options.state.absolute()
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    options.out = (options.out or options.state / "verify" / f"{moment}-{os.getpid()}").absolute()
    if options.baseline is not None:
        options.baseline = options.baseline.absolute()
        before = Paths(out=options.baseline)
        if not (options.baseline.is_file() or before.smoke.is_file() or before.load.is_file()):
            parser.error(f"--baseline {options.baseline} is no file, and no directory with smoke.json or load.json")
        if options.out.resolve() in {options.baseline.resolve(), options.baseline.resolve().parent}:
            parser.error(f"--baseline {options.baseline} lies in --out, where this verification begins anew")
    return options


def main(arguments: list[str]) -> int:
    show_what_can_be_shown()
    try:
        options = parse(arguments)
        signal.signal(signal.SIGTERM, _stop)
        return _guarded(options)
    except Exception:  # noqa: BLE001 - Python's own exit status for it, 1, would mean nothing to anybody
        traceback.print_exc()
        return HARNESS_FAILED


def _guarded(options: argparse.Namespace) -> int:
    try:
        return verify(options)
    except WrongUsage as error:
        sys.stderr.write(f"verify: {error}\n")
        return WRONG_USAGE
    except HarnessFailure as error:
        tell(f"\nHARNESS FAILED  {error}\n  Nothing is said about the release. Evidence so far: {options.out}")
        return HARNESS_FAILED
    except KeyboardInterrupt:
        tell(f"\nINTERRUPTED  no verdict. Evidence so far: {options.out}")
        return INTERRUPTED


def verify(options: argparse.Namespace) -> int:
    """Run the four stages; gives the exit code. Raises WrongUsage or HarnessFailure."""
    started = time.monotonic()
    base_url = normal_url(url=options.url, schemes=("https", "http"), name="URL")
    target: Target | None = None
    try:
        target = _target(options, base_url=base_url)
    except WrongUsage:
        # An address on this machine where nothing runs has no up.json; that nothing answers is the finding
        # then.
        if not is_loopback(base_url):
            raise
    paths = Paths(out=options.out)
    try:
        paths.out.mkdir(parents=True, exist_ok=True)
        paths.clear()
    except OSError as error:
        raise WrongUsage(f"--out {paths.out} cannot be made ready: {error}") from error

    tell(f"[1/4] wait   at most {options.wait:.0f} s for {options.expect_version or 'an answer'} at {base_url}")
    waited = wait_for(
        base_url=base_url,
        expected=options.expect_version,
        seconds=options.wait,
        report=lambda text: tell(f"             {text}"),
    )
    _write(paths.out / "wait.json", asdict(waited))
    tell(f"             {waited.detail} ({waited.attempts} attempts, {waited.seconds:.1f} s)")
    if waited.outcome is Outcome.NOT_REACHABLE:
        raise HarnessFailure(f"{waited.outcome}: {waited.detail}")
    if waited.outcome in {Outcome.NEVER_ANSWERED, Outcome.OLD_VERSION}:
        write_evidence_of_wait(waited, base_url=base_url, options=options, paths=paths)
        no_load: str | None = waited.detail
        environment: Mapping[str, str] = os.environ
    else:
        # Only now can a missing account matter on this machine: something answers.
        target = target or _target(options, base_url=base_url)
        _require_way_to_channels(target, seconds=min(PATIENCE_WITH_OBSTACLE_SECONDS, options.wait))
        environment = environment_of(target)
        no_load = _smoke_and_load(waited, options=options, target=target, environment=environment, paths=paths)
    return _decide(options=options, environment=environment, paths=paths, no_load=no_load, started=started)


def _smoke_and_load(
    waited: Waited,
    *,
    options: argparse.Namespace,
    target: Target,
    environment: Mapping[str, str],
    paths: Paths,
) -> str | None:
    """Gather the evidence; gives the reason why there is none of a load, or None if there is."""
    permissions = [argument for host in target.allow_writes for argument in ("--allow-writes", host)]
    permissions += ["--read-only"] if target.read_only else []
    place = ["--base-url", target.base_url, "--channels-url", target.channels_url]

    tell("[2/4] smoke  every way in which a deployment is broken, told apart")
    status = run_stage(
        module="smoke",
        arguments=[*place, *permissions, "--state", str(options.state), "--out", str(paths.out)],
        environment=environment,
        limit_seconds=SMOKE_LIMIT_SECONDS,
    )
    _require_stage("smoke", status, good={SMOKE_PASSED, SMOKE_FAILED, SMOKE_BROKE}, limit_seconds=SMOKE_LIMIT_SECONDS)
    require_agreement(status, path=paths.smoke)
    if waited.outcome is Outcome.UNSTEADY:
        add_to_evidence(_record_of_wait(waited), path=paths.smoke)
    failed = failed_critical(paths.smoke)
    if failed:
        tell(f"[3/4] load   not needed: {', '.join(failed)} failed, and that decides")
        return f"not needed: the critical smoke check {failed[0]} failed"

    tell(f"[3/4] load   profile {options.profile}")
    status = run_stage(
        module="load",
        arguments=[
            *("run", *place, "--profile", options.profile, "--processes", str(options.processes)),
            *(*permissions, "--out", str(paths.out)),
        ],
        environment=environment,
    )
    _require_stage("load", status, good={0})
    return None


def _decide(
    *,
    options: argparse.Namespace,
    environment: Mapping[str, str],
    paths: Paths,
    no_load: str | None,
    started: float,
) -> int:
    tell("[4/4] gate   weighing the evidence")
    evidence = [str(paths.smoke), *(["--no-load", no_load] if no_load else [str(paths.load)])]
    baseline = ["--baseline", str(options.baseline)] if options.baseline else []
    status = run_stage(
        module="load.gate",
        arguments=["decide", *evidence, "--policy", str(POLICY), *baseline, "--out", str(paths.out)],
        environment=environment,
        limit_seconds=GATE_LIMIT_SECONDS,
        # What it prints is told below, as the last words and only once.
        quiet=True,
    )
    _require_stage("gate", status, good=set(WORDS), limit_seconds=GATE_LIMIT_SECONDS)
    try:
        verdict = json.loads(paths.verdict.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HarnessFailure(f"the gate ended with {status} and left no readable verdict: {error}") from error
    if verdict.get("verdict") != WORDS[status]:
        raise HarnessFailure(f"the gate ended with {status}, but its verdict is {verdict.get('verdict')}")
    tell("\n" + conclusion(verdict, paths=paths, seconds=time.monotonic() - started))
    return status


def conclusion(verdict: Mapping[str, Any], *, paths: Paths, seconds: float) -> str:
    """The last lines: the word, each cause with its next step, and where the report lies."""
    # The summary begins with the word, since it is also read where nothing stands before it.
    lines = [str(verdict.get("summary") or verdict["verdict"])]
    for finding in verdict.get("findings", []):
        lines += [f"  {finding['effect']}: {finding['what']} ({finding['by_how_much']})"]
        lines += [f"    next step: {finding['next_step']}"]
    return "\n".join([*lines, f"  report: {paths.report}", f"  took {seconds:.0f} s"])


def environment_of(target: Target) -> dict[str, str]:
    """This process's environment with everything that smoke and load read set to what was resolved here."""
    environment = dict(os.environ)
    for role, account in target.credentials.items():
        environment[f"SMOKE_{ROLES[role]}_USERNAME"] = account.username
        environment[f"SMOKE_{ROLES[role]}_PASSWORD"] = account.password
    environment["SMOKE_BASE_URL"] = target.base_url
    environment["SMOKE_CHANNELS_URL"] = target.channels_url
    environment["SMOKE_CORS_ORIGIN"] = target.cors_origin
    if target.expected_version is not None:
        environment["SMOKE_EXPECT_VERSION"] = target.expected_version
    else:
        environment.pop("SMOKE_EXPECT_VERSION", None)
    return environment


def failed_critical(path: Path) -> list[str]:
    """Ids of the critical checks whose failure speaks against the release.

    Raises HarnessFailure if the evidence cannot be read.
    """
    return [
        str(check["id"])
        for check in _read(path)["checks"]
        if check["severity"] == "critical" and check["outcome"] == "failed" and not check["broken"]
    ]


def require_agreement(status: int, *, path: Path) -> None:
    """Raise HarnessFailure unless the smoke suite's exit status and its evidence tell the same story.

    Also if every answer was kept from it by its own faults or this machine's: then it says nothing at all.
    """
    if not path.exists():
        raise HarnessFailure(f"smoke ended with exit status {status} and left no evidence; its own words are above")
    evidence = _read(path)
    failed = [check for check in evidence["checks"] if check["outcome"] == "failed"]
    broken = [check for check in failed if check["broken"]]
    due = SMOKE_BROKE if broken else SMOKE_PASSED
    if evidence["residue"] or len(broken) < len(failed):
        due = SMOKE_FAILED
    if status != due or evidence["interrupted"]:
        raise HarnessFailure(f"smoke ended with exit status {status}, and its evidence does not agree: see {path}")
    if broken and not evidence["summary"]["passed"]:
        raise HarnessFailure(f"smoke could find out nothing: {broken[0]['id']}: {broken[0]['came']}")


def write_evidence_of_wait(waited: Waited, *, base_url: str, options: argparse.Namespace, paths: Paths) -> None:
    """Leave the wait's finding as smoke evidence, so that the gate judges it by its ordinary rules."""
    evidence = Evidence(
        run_id=f"wait-{options.out.name}",
        base_url=base_url,
        channels_url=options.channels_url or "",
        read_only=options.read_only,
        expected_version=options.expect_version,
    )
    evidence.checks.append(_record_of_wait(waited))
    evidence.finished_at = datetime.now(UTC)
    if waited.answered:
        evidence.target = {"version": waited.last.version, "commit": waited.last.commit, "environment": None}
    write_json(evidence, path=paths.smoke, redaction=Redaction())


def add_to_evidence(record: Record, *, path: Path) -> None:
    """Add one check to evidence that the smoke suite wrote."""
    evidence = _read(path)
    evidence["checks"].append(asdict(record))
    evidence["summary"][record.outcome] += 1
    _write(path, evidence)


def _record_of_wait(waited: Waited) -> Record:
    """The check that the wait amounts to: critical if nothing ever answered, else major."""
    record = Record(
        id="wait.steady",
        title="The release answers steadily",
        severity="major",
        outcome="failed",
        needs=[],
        expected="health answered 3 times in a row, by the version that was to be released",
        came=waited.detail,
        next_step=(
            "Troubleshooting → Health Check Failing: read the log of rotc-django-web for restarts, then run "
            "scripts/verify again."
        ),
        duration_ms=round(waited.seconds * 1000, 1),
    )
    if waited.outcome is Outcome.NEVER_ANSWERED:
        return replace(
            record,
            id="wait.healthy",
            title="The release answers at all",
            severity="critical",
            next_step=(
                "Troubleshooting → Service Won't Start: read the build and deploy logs of rotc-django-web, "
                "and check its environment variables and that it binds 0.0.0.0:$PORT."
            ),
        )
    if waited.outcome is Outcome.OLD_VERSION:
        return replace(
            record,
            id="wait.live",
            title="The release is live",
            next_step=(
                "Deployment Steps → Deploy Services: look in the dashboard whether the deploy still runs or "
                "has failed, then run scripts/verify again with a longer --wait."
            ),
        )
    return record


def _target(options: argparse.Namespace, *, base_url: str) -> Target:
    return resolve_target(
        environment={name: value for name, value in os.environ.items() if name != "SMOKE_EXPECT_VERSION"},
        base_url=base_url,
        channels_url=options.channels_url,
        expected_version=options.expect_version,
        read_only=options.read_only,
        allow_writes=tuple(options.allow_writes),
        state=options.state,
    )


def _require_way_to_channels(target: Target, *, seconds: float) -> None:
    """Raise HarnessFailure if this machine cannot get as far as the channels service's door, for so long."""
    trust = httpx.create_ssl_context()
    deadline = time.monotonic() + seconds
    while (why := obstacle_to(url=target.channels_url, seconds=seconds, trust=trust)) is not None:
        if time.monotonic() >= deadline:
            raise HarnessFailure(f"{target.channels_url} is {Outcome.NOT_REACHABLE}: {why}")
        time.sleep(0.5)


def _require_stage(name: str, status: int, *, good: set[int], limit_seconds: float | None = None) -> None:
    if status in good:
        return
    if status == TIMED_OUT and limit_seconds is not None:
        raise HarnessFailure(f"{name} was still running after {limit_seconds:.0f} s and was stopped")
    raise HarnessFailure(f"{name} ended with exit status {status}; its own words are above")


def _read(path: Path) -> dict[str, Any]:
    try:
        evidence = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HarnessFailure(f"{path} cannot be read: {error}") from error
    if not isinstance(evidence, dict):
        raise HarnessFailure(f"{path} holds no evidence")
    return evidence


def _write(path: Path, document: dict[str, Any]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


def _expectation(text: str) -> str:
    try:
        return normal_expectation(text)
    except WrongUsage as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError("must be a positive number of seconds")
    return seconds


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
