"""python -m load run: one load profile against a base URL; writes load.json.

Exit codes: 0 evidence written, 30 the harness failed, 2 wrong usage.
"""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from load.generator.plan import MissingCredentialsError, credentials_read
from load.profiles import DEFAULT_PROFILES, UnknownProfileError, profile_select, profiles_read
from load.records import RecordError
from load.report import say, show_what_can_be_shown
from load.results import LoadEvidence
from load.run import LoadRunError, Request, load_run
from load.slo import DEFAULT_POLICY

HARNESS_FAILED = 30
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def writes_allowed(*, base_url: str, allowed_hosts: Sequence[str], read_only: bool) -> bool:
    """Whether the run may write: on loopback and on hosts that were named, unless it is read-only."""
    host = urlsplit(base_url).hostname or ""
    return not read_only and (host in LOOPBACK or host in {name.lower() for name in allowed_hosts})


def _url(schemes: Sequence[str], text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in schemes or not parts.hostname:
        raise argparse.ArgumentTypeError(f"must be an address with {' or '.join(schemes)}, not {text!r}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise argparse.ArgumentTypeError("must hold no credentials, query or fragment")
    return text.rstrip("/")


def _http_url(text: str) -> str:
    return _url(("http", "https"), text)


def _socket_url(text: str) -> str:
    return _url(("ws", "wss"), text)


def process_count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to 64, not {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m load",
        description="Load with open arrivals.",
        epilog="Accounts come from SMOKE_ADMIN_*, SMOKE_CADET_* and, if set, SMOKE_STAFF_* (USERNAME and PASSWORD). "
        "No proxy is used.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run one profile and write load.json")
    run.add_argument("--base-url", type=_http_url, default=os.environ.get("SMOKE_BASE_URL") or None)
    run.add_argument("--channels-url", type=_socket_url, default=os.environ.get("SMOKE_CHANNELS_URL") or None)
    run.add_argument("--profile", default="quick")
    run.add_argument("--profiles", type=Path, default=DEFAULT_PROFILES, help="file of profiles")
    run.add_argument("--policy", type=Path, default=DEFAULT_POLICY, help="what the counters count against")
    run.add_argument("--allow-writes", action="append", default=[], metavar="HOST")
    run.add_argument("--read-only", action="store_true")
    run.add_argument("--processes", type=process_count, default=1, metavar="N", help="worker processes")
    run.add_argument("--out", type=Path, required=True, metavar="DIR")
    return parser


def evidence_line(evidence: LoadEvidence) -> str:
    """One line on what was measured; it judges nothing."""
    counts = [one for request in evidence.requests.values() for one in (request.warm_up, *request.slices)]
    sockets = evidence.sockets.total()
    return (
        f"load: {evidence.outcome.value}; {sum(one.sent for one in counts)} requests, "
        f"{sum(one.failed for one in counts)} failed; {sockets.received} of {sockets.sent} events received; "
        f"{'unknown' if evidence.residue is None else evidence.residue} rows left"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    show_what_can_be_shown()
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.base_url is None:
        parser.error("give --base-url or set SMOKE_BASE_URL")
    try:
        profile_select(name=arguments.profile, file=profiles_read(arguments.profiles))
        credentials_read()
    except (UnknownProfileError, MissingCredentialsError, RecordError) as error:
        parser.error(str(error))
    may_write = writes_allowed(
        base_url=arguments.base_url, allowed_hosts=arguments.allow_writes, read_only=arguments.read_only
    )
    if not may_write and not arguments.read_only:
        host = urlsplit(arguments.base_url).hostname
        print(f"load: {host} was not named by --allow-writes, so this run only reads", file=sys.stderr)
    try:
        evidence = load_run(
            Request(
                base_url=arguments.base_url,
                channels_url=arguments.channels_url,
                profile=arguments.profile,
                out=arguments.out,
                read_only=not may_write,
                processes=arguments.processes,
                profiles=arguments.profiles,
                policy=arguments.policy,
            )
        )
    except (LoadRunError, RecordError, OSError) as error:
        print(f"load: {error}", file=sys.stderr)
        return HARNESS_FAILED
    except Exception:  # noqa: BLE001 - a fault in here must not look like evidence
        traceback.print_exc()
        return HARNESS_FAILED
    say(evidence_line(evidence))
    return 0


if __name__ == "__main__":
    sys.exit(main())
