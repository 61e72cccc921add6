"""What a delivery costs beside the least that could do it, and what an idle socket costs.

scripts/benchmark-sockets [--sockets N] [--rate N] [--seconds N] [--idle N] [--out FILE]
"""

import argparse
import contextlib
import json
import os
import platform
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import psutil
import redis

from benchmarks.service import django_started
from scripts.stack.pytest_servers import servers_running

SOCKETS, RATE, SECONDS, IDLE = 200, 50, 20, 1000
SETTLE_SECONDS = 3.0  # for the last events to arrive
GOAL_RATIO, GOAL_P95, GOAL_MEGABYTES = 6.0, 100.0, 512  # what production has room for
_WRITES = "announcement.published"


@dataclass(frozen=True, kw_only=True)
class Delivered:
    title: str
    expected: int
    received: int
    doubled: int
    unordered: int
    cpu_microseconds: float  # of the server, for each delivery
    p50: float  # milliseconds from its cause to its arrival
    p95: float
    p99: float


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    needed = 2 * max(options.idle, options.sockets) + 256
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(needed, hard)), hard))
    with tempfile.TemporaryDirectory(prefix="rgms-sockets-") as folder:
        state = Path(folder)
        state.chmod(0o711)  # PostgreSQL runs as another user when this runs as root
        with servers_running(state=state) as urls:
            django_started(urls, media=state / "media")
            tokens = _tokens(max(options.idle, options.sockets))
            bare = _bare(urls.redis_url, options)
            ours = _ours(state, tokens[: options.sockets], options)
            idle = _idle(state, tokens[: options.idle])
            from django.db import connections

            connections.close_all()
    page = _page(bare, ours, idle, options)
    sys.stdout.write(page)
    if options.out is not None:
        options.out.write_text(page)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/benchmark-sockets", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sockets", type=int, default=SOCKETS, help="sockets in one group")
    parser.add_argument("--rate", type=int, default=RATE, help="events a second")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="how long events are sent")
    parser.add_argument("--idle", type=int, default=IDLE, help="sockets that only stay open")
    parser.add_argument("--out", type=Path, help="also write the table to this file (Markdown)")
    return parser.parse_args(arguments)


def _tokens(count: int) -> list[str]:
    """Access tokens of so many cadets, each with a session of its own."""
    from apps.accounts.tests import factories

    return [factories.signed_in(factories.user(f"cadet{number}")).access for number in range(count)]


def _bare(redis_url: str, options: argparse.Namespace) -> Delivered:
    port = _free_port()
    with _process([sys.executable, "-m", "benchmarks.bare_server", redis_url, str(port)]) as server:
        _await_line(server.stdout, "ready")
        store = redis.Redis.from_url(redis_url)
        at, data = "2026-01-01T00:00:00.000Z", {"id": 1, "kind": "announcement", "date": "2026-01-01", "version": 1}

        def cause(title: str) -> None:
            frame = {"id": None, "type": _WRITES, "at": at, "data": {**data, "title": title}}
            store.publish("bare", json.dumps(frame, separators=(",", ":")))

        urls = [f"ws://127.0.0.1:{port}/"] * options.sockets
        return _delivered("websockets and Redis pub/sub, bare", server.pid, urls, cause, options)


def _ours(state: Path, tokens: Sequence[str], options: argparse.Namespace) -> Delivered:
    import datetime as dt

    from django.db import transaction

    from apps.events.services import publish
    from apps.messaging.events import AnnouncementPublished

    def cause(title: str) -> None:
        event = AnnouncementPublished(id=1, kind="announcement", title=title, date=dt.date(2026, 1, 1), version=1)
        with transaction.atomic():
            publish(event=event, recipients=["role:cadet"])

    with _daphne(state) as (pid, url):
        urls = [f"{url}/ws/updates/?token={token}" for token in tokens]
        return _delivered("the channels service: log, hub, tokens, resume", pid, urls, cause, options)


def _delivered(
    title: str, pid: int, urls: Sequence[str], cause: Callable[[str], None], options: argparse.Namespace
) -> Delivered:
    server = psutil.Process(pid)
    with _clients(urls) as clients:
        before = _cpu(server)
        started = time.perf_counter()
        events = options.rate * options.seconds
        for number in range(events):
            due = started + number / options.rate
            time.sleep(max(0.0, due - time.perf_counter()))
            cause(f"{number} {time.time():.6f}")
        time.sleep(SETTLE_SECONDS)
        cpu = _cpu(server) - before
        heard = _heard(clients)
    lags = heard["milliseconds"]
    return Delivered(
        title=title,
        expected=events * len(urls),
        received=heard["received"],
        doubled=heard["doubled"],
        unordered=heard["unordered"],
        cpu_microseconds=cpu / max(1, heard["received"]) * 1_000_000,
        p50=_share(lags, 0.50),
        p95=_share(lags, 0.95),
        p99=_share(lags, 0.99),
    )


@dataclass(frozen=True, kw_only=True)
class Idle:
    sockets: int
    empty_megabytes: float  # PSS before the first socket
    full_megabytes: float
    cpu_share: float  # of one core, while nothing happens


def _idle(state: Path, tokens: Sequence[str]) -> Idle:
    with _daphne(state) as (pid, url):
        server = psutil.Process(pid)
        with _clients([f"{url}/ws/notifications/?token={tokens[0]}"]) as clients:
            _heard(clients)  # what is imported with the first socket is no socket's
        empty = _megabytes(server)
        with _clients([f"{url}/ws/notifications/?token={token}" for token in tokens]) as clients:
            time.sleep(2)
            before, started = _cpu(server), time.perf_counter()
            time.sleep(30)  # longer than between two signs of life
            share = (_cpu(server) - before) / (time.perf_counter() - started)
            full = _megabytes(server)
            _heard(clients)
    return Idle(sockets=len(tokens), empty_megabytes=empty, full_megabytes=full, cpu_share=share)


# --- Processes --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _daphne(state: Path) -> Iterator[tuple[int, str]]:
    """(process id, address) of the channels service, with the stores and the secret of this process."""
    from apps.messaging.tests.daphne_process import daphne_running

    with daphne_running(log=state / "daphne.log", environment={"SOCKETS_OF_AN_ACCOUNT": "2000"}) as daphne:
        yield daphne.process.pid, f"ws://127.0.0.1:{daphne.port}"


@contextlib.contextmanager
def _process(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


@contextlib.contextmanager
def _clients(urls: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A process with a socket to each address, all open."""
    with _process([sys.executable, "-m", "benchmarks.socket_clients"]) as clients:
        _write(clients, json.dumps({"urls": list(urls), "kind": _WRITES, "welcomed": "/ws/" in urls[0]}))
        _await_line(clients.stdout, "ready")
        yield clients


def _heard(clients: subprocess.Popen[str]) -> dict[str, Any]:
    _write(clients, "")
    return cast("dict[str, Any]", json.loads(cast("IO[str]", clients.stdout).readline()))


def _write(process: subprocess.Popen[str], line: str) -> None:
    pipe = cast("IO[str]", process.stdin)
    pipe.write(line + "\n")
    pipe.flush()


def _await_line(pipe: IO[str] | None, expected: str) -> None:
    line = cast("IO[str]", pipe).readline().strip()
    if line != expected:
        raise SystemExit(f"A process said {line!r} instead of {expected!r}")


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _megabytes(process: psutil.Process) -> float:
    return float(process.memory_full_info().pss) / 1_048_576


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _share(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


# --- The page ---------------------------------------------------------------------------------------------------------


def _page(bare: Delivered, ours: Delivered, idle: Idle, options: argparse.Namespace) -> str:
    ratio = ours.cpu_microseconds / bare.cpu_microseconds
    each = (idle.full_megabytes - idle.empty_megabytes) * 1024 / idle.sockets
    lines = [
        (
            f"{options.sockets} sockets in one group, {options.rate} events a second for {options.seconds} s, then "
            f"{idle.sockets:,} idle sockets; one run. Python {platform.python_version()}, {os.cpu_count()} CPUs, which "
            "the clients share."
        ),
        "",
        "| server | delivered | doubled | out of order | CPU per delivery | p50 | p95 | p99 |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {one.title} | {one.received:,} of {one.expected:,} | {one.doubled} | {one.unordered} | "
        f"{one.cpu_microseconds:.1f} µs | {one.p50:.1f} ms | {one.p95:.1f} ms | {one.p99:.1f} ms |"
        for one in (bare, ours)
    ]
    lines += [
        "",
        f"A delivery costs {ratio:.1f} times the bare one (at most {GOAL_RATIO:g}); p95 at most {GOAL_P95:g} ms.",
        (
            f"Idle: {idle.empty_megabytes:.0f} MB before, {idle.full_megabytes:.0f} MB with {idle.sockets:,} sockets "
            f"(at most {GOAL_MEGABYTES}), {each:.1f} KiB each; {idle.cpu_share:.1%} of a core."
        ),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
