"""What Locust runs: one user per process whose task sends the schedule, and a conductor beside it.

Started by `python -m load run`, never by hand: the plan comes in an environment variable.
"""

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Iterable, Mapping
from typing import Any

import gevent
from locust import User, constant, events, task
from locust.runners import MasterRunner, WorkerRunner

from load.generator.arrivals import Arrival, arrivals
from load.generator.conductor import Conductor
from load.generator.plan import MARGIN_SECONDS, credentials_read, plan_read
from load.generator.recorder import Snapshot, snapshot_pack, snapshot_unpack
from load.generator.sending import Sending
from load.generator.transport import Transport

HARNESS_FAILED = 30
# Linux: prctl(PR_SET_PDEATHSIG, signal). Elsewhere the alarm alone bounds an orphan's life.
_PARENT_DEATH_SIGNAL = 1
_START_IN_SECONDS = 0.3
_CONNECTIONS = 512

PLAN = plan_read()
PROFILE = PLAN.profile_read()
POLICY = PLAN.policy_read()


def process_guard(*, parent_pid: int) -> None:
    """Let no process outlive its parent or its time. Called in each process: a fork inherits neither."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != parent_pid:
            sys.exit(HARNESS_FAILED)  # it died before the kernel was asked to tell
    # The default action of SIGALRM ends the process even if its event loop is stuck.
    signal.alarm(PROFILE.seconds + MARGIN_SECONDS + 10)


class LocalCrew:
    """Standalone Locust: the conductor's own process sends the reads too."""

    expected = 1

    def __init__(self, conductor: Conductor) -> None:
        self._sending = conductor.sending

    def begin(self, tokens: Mapping[str, str]) -> None:
        self._sending.begin(tokens=tokens, start_in_seconds=_START_IN_SECONDS)

    def renew(self, tokens: Mapping[str, str]) -> None:
        self._sending.tokens = tokens

    def halt(self) -> None:
        self._sending.halt()

    def snapshots(self, *, seconds: float) -> list[Snapshot]:
        return [self._sending.snapshot()]


class WorkerCrew:
    """Distributed Locust: workers send the reads; their counters come with Locust's own reports.

    Each report holds everything that the worker counted so far, so a lost one costs nothing.
    """

    def __init__(self, conductor: Conductor, runner: MasterRunner) -> None:
        self._conductor = conductor
        self._runner = runner
        self._reports: dict[str, Snapshot] = {}
        self.expected = PLAN.processes + 1
        runner.register_message("rgms.outage", self._on_outage)

    def begin(self, tokens: Mapping[str, str]) -> None:
        self._conductor.sending.begin(tokens=tokens, start_in_seconds=_START_IN_SECONDS)
        self._runner.send_message("rgms.begin", {"tokens": dict(tokens), "parts": PLAN.processes})

    def renew(self, tokens: Mapping[str, str]) -> None:
        self._conductor.sending.tokens = tokens
        self._runner.send_message("rgms.tokens", {"tokens": dict(tokens)})

    def halt(self) -> None:
        self._runner.send_message("rgms.halt", {})

    def take(self, client_id: str, data: dict[str, Any]) -> None:
        if "rgms" in data:
            self._reports[client_id] = snapshot_unpack(data.pop("rgms"))

    def snapshots(self, *, seconds: float) -> list[Snapshot]:
        begun = self._conductor.sending.begun.is_set()
        with gevent.Timeout(seconds if begun else 0.01, False):
            while sum(report.final for report in self._reports.values()) < PLAN.processes:
                gevent.sleep(0.1)
        final = [report for report in self._reports.values() if report.final]
        return [self._conductor.sending.snapshot(), *final]

    def _on_outage(self, **_: object) -> None:
        self._conductor.outage.set()


class Worker:
    """A worker's part: its share of the schedule, on the master's word."""

    def __init__(self, runner: WorkerRunner, accounts: list[str]) -> None:
        self._runner = runner
        self._accounts = accounts
        self._parts = 1
        self.sending = Sending(
            profile=PROFILE,
            policy=POLICY,
            transport=Transport(
                base_url=PLAN.base_url,
                timeout_seconds=PROFILE.table.request_timeout_seconds,
                connections=_CONNECTIONS,
            ),
            role="worker",
            index=max(0, runner.worker_index),
            most_under_way=_CONNECTIONS,
        )
        runner.register_message("rgms.begin", self._on_begin)
        runner.register_message("rgms.tokens", self._on_tokens)
        runner.register_message("rgms.halt", self._on_halt)

    def schedule(self) -> Iterable[Arrival]:
        kinds = [name for name, kind in PROFILE.requests.items() if not kind.causes_event]
        return arrivals(
            profile=PROFILE,
            kinds=kinds,
            accounts=self._accounts,
            part=self._runner.worker_index,
            parts=self._parts,
        )

    def close(self) -> None:
        self.sending.drain(seconds=PROFILE.table.request_timeout_seconds + 1)

    def _on_begin(self, msg: Any, **_: object) -> None:
        self._parts = int(msg.data["parts"])
        self.sending.index = self._runner.worker_index
        self.sending.begin(tokens=msg.data["tokens"], start_in_seconds=_START_IN_SECONDS)
        gevent.spawn(self._report_outage)

    def _on_tokens(self, msg: Any, **_: object) -> None:
        self.sending.tokens = msg.data["tokens"]

    def _on_halt(self, **_: object) -> None:
        self.sending.halt()

    def _report_outage(self) -> None:
        self.sending.outage.wait()
        self.sending.halt()
        self._runner.send_message("rgms.outage", {})


class OpenArrivals(User):
    """The one user of each process; its only task sends by schedule, whatever the answers do."""

    wait_time = constant(1)

    @task
    def send_by_schedule(self) -> None:
        part = PARTS[0] if PARTS else None
        if part is None or part.sending.halted:
            return
        part.sending.begun.wait()
        part.sending.dispatch(part.schedule())
        if isinstance(part, Worker):
            part.close()
        gevent.sleep(float("1e6"))  # sent everything: stay until Locust ends the user


# The part of this process, filled when Locust knows its role.
PARTS: list[Worker | Conductor] = []


@events.init.add_listener  # type: ignore[untyped-decorator]
def role_take(environment: Any, runner: Any, **_: object) -> None:
    process_guard(parent_pid=PLAN.parent_pid if os.getpid() == FIRST_PID else FIRST_PID)
    credentials = credentials_read()
    if isinstance(runner, WorkerRunner):
        worker_install(environment, Worker(runner, list(credentials)))
        return
    crews: list[WorkerCrew] = []

    def crew(conductor: Conductor) -> LocalCrew | WorkerCrew:
        if not isinstance(runner, MasterRunner):
            PARTS.append(conductor)
            return LocalCrew(conductor)
        crews.append(WorkerCrew(conductor, runner))
        return crews[0]

    conductor = Conductor(
        plan=PLAN,
        profile=PROFILE,
        policy=POLICY,
        credentials=credentials,
        crew=crew,
        role="coordinator" if isinstance(runner, MasterRunner) else "local",
    )
    for one in crews:
        environment.events.worker_report.add_listener(one.take)
    conductor_install(environment, conductor)


def worker_install(environment: Any, worker: Worker) -> None:
    """Let Locust's reports carry the worker's counters."""

    def report(data: dict[str, Any], **_: object) -> None:
        data["rgms"] = snapshot_pack(worker.sending.snapshot())

    PARTS.append(worker)
    environment.events.report_to_master.add_listener(report)


def conductor_install(environment: Any, conductor: Conductor) -> None:
    """Conduct once all users are there; if Locust is told to end before, clean up."""
    conducting: list[gevent.Greenlet] = []

    def conduct(**_: object) -> None:
        if not conducting:
            conducting.append(gevent.spawn(_conduct, conductor, environment))

    def interrupt(**_: object) -> None:
        if environment.process_exit_code is None:
            environment.process_exit_code = HARNESS_FAILED
            for greenlet in conducting:
                greenlet.kill()
            conductor.interrupt("the run was interrupted")

    environment.events.spawning_complete.add_listener(conduct)
    environment.events.quitting.add_listener(interrupt)


def _conduct(conductor: Conductor, environment: Any) -> None:
    code = HARNESS_FAILED
    try:
        conductor.run()
        code = 0
    except Exception:  # noqa: BLE001 - whatever it was, Locust must end, and not with 0
        traceback.print_exc()
    environment.process_exit_code = code
    environment.runner.quit()


# In the first process already here: while Locust reads its options nobody else watches.
FIRST_PID = os.getpid()
process_guard(parent_pid=PLAN.parent_pid)
os.environ.pop("LOCUST_LOCUSTFILE", None)
