"""What the queue costs: tasks that do nothing, drained by one worker as render.yaml starts it; and Redis when idle.

scripts/benchmark-tasks --tasks 2000     on a PostgreSQL and a Valkey of its own, which keep what they are told to disk

1  bare      messages sent as fast as it goes, until the worker has acknowledged the last one
2  outbox    the same as jobs of the outbox: written, sent after the commit, begun and ended by the worker
3  one by one  from the sending of one task to its end, twenty times a second
4  idle      all four services without anything to do: commands that they send to Redis in a minute
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import redis

from benchmarks.scans import percentile
from scripts.stack import plan as planning
from scripts.stack.blueprint_file import blueprint_read
from scripts.stack.postgres import PostgresSettings, postgres_server
from scripts.stack.processes import Launch, launch
from scripts.stack.servers import server_running
from scripts.stack.state import ROOT, State
from scripts.stack.valkey import valkey_server

WORKER = "rotc-celery-worker"
TASKS, ECHOES, ECHOES_PER_SECOND, IDLE_SECONDS = 10_000, 200, 20, 60
WARM_TASKS = 100
_FIRST_PORT, _READY_WITHIN, _SETTLE_SECONDS = 18_800, 60.0, 20.0
_POLL_SECONDS = 0.02
# What one survey of core.broker does inside Redis, beside its one command: Redis counts these, nobody has sent them.
_INSIDE, _GETS_INSIDE = ("lindex", "llen", "hlen", "pttl"), 5


@dataclass(frozen=True, kw_only=True)
class Drained:
    title: str
    tasks: int
    sending_seconds: float
    seconds: float  # from the first one's sending to the last one's end
    cpu_seconds: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    drained: Sequence[Drained]
    echoes: Sequence[float]  # seconds
    idle: Mapping[str, int]  # command -> how often
    idle_seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every task was done, else 1."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="rgms-tasks-") as folder, ExitStack() as stack:
        state = State(Path(folder))
        state.create()
        plan, client = _prepared(state, stack)
        (worker,) = [what for what in plan.services if what.name == WORKER]
        with _running([_with_tasks(worker)], log=state.logs / "worker.log", ready="ready.") as processes:
            _settle(options.tasks)
            drained = [
                _drain("bare", options.tasks, _bare_sender(), processes[0]),
                _drain("outbox", options.tasks, _outbox_sender(), processes[0]),
            ]
            echoes = _echoes(client)
        idle, seconds = _idle(plan, client, state.logs / "idle.log", options.idle)
    page, sound = page_of(Measured(drained=drained, echoes=echoes, idle=idle, idle_seconds=seconds))
    sys.stdout.write(page)
    if options.out is not None:
        options.out.write_text(page)
    return 0 if sound else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/benchmark-tasks", description=(__doc__ or "").splitlines()[0], allow_abbrev=False
    )
    parser.add_argument("--tasks", type=int, default=TASKS, help="how many of each kind")
    parser.add_argument("--idle", type=int, default=IDLE_SECONDS, help="seconds without work; 0 leaves it out")
    parser.add_argument("--out", type=Path, help="also write the table to this file (Markdown)")
    return parser.parse_args(arguments)


# --- The system -------------------------------------------------------------------------------------------------------


def _prepared(state: State, stack: ExitStack) -> tuple[planning.Plan, "redis.Redis"]:
    """Servers that run, this process set up as the worker is, and the plan by which the services start."""
    blueprint = blueprint_read(ROOT / "render.yaml")
    database = next(iter(blueprint.databases.values()))
    postgres = postgres_server(PostgresSettings(state=state.path, database=database.database_name, user=database.user))
    key_value = next(iter(blueprint.key_values.values()))
    valkey = valkey_server(state=state.path, maxmemory_policy=key_value.maxmemory_policy)
    for server in (postgres, valkey):
        stack.enter_context(server_running(server, log=state.logs / f"{server.launch.name}.log"))
    plan = planning.plan_make(
        blueprint=blueprint,
        root=ROOT,
        state=state,
        ports=planning.ports_assign(blueprint, first=_FIRST_PORT),
        database_url=postgres.url,
        redis_url=valkey.url,
        prompted={},
        overrides={},
        without=frozenset(),
        commit=planning.commit_read(ROOT),
    )
    os.environ.update({**plan.environments[WORKER], "LOG_LEVEL": "ERROR"})
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    import benchmarks.no_op  # noqa: F401 - declares the tasks

    stack.callback(connections.close_all)
    call_command("migrate", "--no-input", verbosity=0)
    client = redis.Redis.from_url(valkey.url)
    stack.callback(client.close)
    return plan, client


def _with_tasks(worker: Launch) -> Launch:
    """The worker's own command, told of the tasks of the benchmark."""
    *shell, command = worker.arguments
    return replace(worker, arguments=(*shell, f"{command} --include benchmarks.no_op"))


@contextmanager
def _running(launches: Sequence[Launch], *, log: Path, ready: str = "") -> Iterator[list[psutil.Process]]:
    """These processes, once `ready` stands in the log; gone at the end."""
    with log.open("wb") as output:
        processes = [launch(what, output=output) for what in launches]
    try:
        deadline = time.monotonic() + _READY_WITHIN
        while ready not in log.read_text(errors="replace"):
            if time.monotonic() > deadline or any(process.poll() is not None for process in processes):
                raise SystemExit(f"it did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.2)
        yield [psutil.Process(process.pid) for process in processes]
    finally:
        for process in processes:
            process.terminate()
        for process, what in zip(processes, launches, strict=True):
            process.wait(timeout=what.patience + 30)


def _cpu_seconds(root: psutil.Process) -> float:
    times = [process.cpu_times() for process in (root, *root.children(recursive=True))]
    return float(sum(spent.user + spent.system for spent in times))


# --- Measuring --------------------------------------------------------------------------------------------------------


def _bare_sender() -> Callable[[], None]:
    from benchmarks.no_op import no_op

    return lambda: no_op.apply_async(retry=False)


def _outbox_sender() -> Callable[[], None]:
    from benchmarks.no_op import NoOp
    from core.after_commit import enqueue

    return lambda: enqueue(NoOp())


def _settle(tasks: int) -> None:
    send = _bare_sender()
    for _ in range(min(WARM_TASKS, tasks)):
        send()
    _wait_until_drained()


def _wait_until_drained() -> None:
    from core import broker

    while broker.survey().queue.depth:
        time.sleep(_POLL_SECONDS)


def _drain(title: str, tasks: int, send: Callable[[], None], worker: psutil.Process) -> Drained:
    sys.stderr.write(f"{title}: {tasks} tasks …\n")
    cpu, began = _cpu_seconds(worker), time.perf_counter()
    for _ in range(tasks):
        send()
    sent = time.perf_counter()
    _wait_until_drained()
    ended = time.perf_counter()
    return Drained(
        title=title,
        tasks=tasks,
        sending_seconds=sent - began,
        seconds=ended - began,
        cpu_seconds=_cpu_seconds(worker) - cpu,
    )


def _echoes(client: "redis.Redis") -> list[float]:
    from benchmarks import no_op

    sys.stderr.write(f"one by one: {ECHOES} tasks …\n")
    began, found = time.perf_counter(), []
    for number in range(ECHOES):
        due = began + number / ECHOES_PER_SECOND
        time.sleep(max(0.0, due - time.perf_counter()))
        sent = time.perf_counter()
        no_op.echo.apply_async(kwargs={"number": number}, retry=False)
        answer: Any = client.blpop([no_op.ECHOES], timeout=30)
        if answer is None or int(answer[1]) != number:
            raise SystemExit("a task was lost")
        found.append(time.perf_counter() - sent)
    return found


def _idle(plan: planning.Plan, client: "redis.Redis", log: Path, seconds: int) -> tuple[Mapping[str, int], float]:
    """Commands that all four services send to Redis while nothing happens, ours left out."""
    if not seconds:
        return {}, 0.0
    sys.stderr.write(f"idle: {seconds} s …\n")
    with _running(list(plan.services), log=log, ready="ready."):
        time.sleep(_SETTLE_SECONDS)
        before, began = _commands(client), time.perf_counter()
        time.sleep(seconds)
        after, ended = _commands(client), time.perf_counter()
    found = {name: number - before.get(name, 0) for name, number in after.items()}
    found["info"] = found.get("info", 1) - 1
    return {name: number for name, number in found.items() if number > 0}, ended - began


def _commands(client: "redis.Redis") -> dict[str, int]:
    stats: Any = client.info("commandstats")
    return {name.removeprefix("cmdstat_"): int(stat["calls"]) for name, stat in stats.items()}


# --- The page ---------------------------------------------------------------------------------------------------------


def page_of(measured: Measured) -> tuple[str, bool]:
    """The table, and whether it is as it must be."""
    lines = [
        (
            "Tasks that do nothing, one worker with two processes as render.yaml starts it. Sender, worker and servers "
            f"share {os.cpu_count()} CPUs (load {os.getloadavg()[0]:.1f}). Python {platform.python_version()}."
        ),
        "",
        "| messages | tasks | sent/s | done/s | worker CPU ms/task |",
        "| --- |" + " ---: |" * 4,
        *(
            f"| {one.title} | {one.tasks:,} | {one.tasks / one.sending_seconds:,.0f} | "
            f"{one.tasks / one.seconds:,.0f} | {one.cpu_seconds * 1000 / one.tasks:.2f} |"
            for one in measured.drained
        ),
    ]
    if measured.echoes:
        p50, p95, p99 = (percentile(measured.echoes, share) * 1000 for share in (0.5, 0.95, 0.99))
        lines += [
            "",
            f"Round trip of one task, {len(measured.echoes)} times: p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f} ms.",
        ]
    if measured.idle_seconds:
        minute = {name: number * 60 / measured.idle_seconds for name, number in measured.idle.items()}
        most = sorted(minute.items(), key=lambda item: -item[1])
        inside = sum(minute.get(name, 0) for name in _INSIDE) + _GETS_INSIDE * minute.get("llen", 0)
        commands = ", ".join(f"{name} {number:.0f}" for name, number in most)
        lines += [
            "",
            f"Idle, all four services: {sum(minute.values()) - inside:.0f} commands a minute are sent to Redis.",
            f"With what scripts do there it counts {sum(minute.values()):.0f}: {commands}.",
        ]
    return "\n".join(lines) + "\n", bool(measured.drained) and bool(measured.echoes)


if __name__ == "__main__":
    sys.exit(main())
