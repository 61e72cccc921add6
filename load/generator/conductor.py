"""One load run from sign-in to evidence, in the process that coordinates it.

    1 note the release, sign in      4 drain; after an outage probe         7 clean up, count what remains
    2 open the sockets               5 late events, integrity, release      8 sign out, collect the counters
    3 begin; poll the queue          6 close the sockets                    9 write load.json

Every step is bounded in time, so a stuck service cannot hold the run. Whatever happens, 6 to 9 follow.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import gevent
from gevent.event import Event
from gevent.pool import Group

from load.generator.arrivals import Arrival, arrivals
from load.generator.cleaning import Cleaning
from load.generator.deliveries import DeliveryBook
from load.generator.listener import Listener, listeners_ready
from load.generator.plan import MARGIN_SECONDS, Credentials, Plan
from load.generator.recorder import Ended, Snapshot, counts_add, snapshots_add
from load.generator.sending import Sending
from load.generator.sessions import Sessions, SignInError, answer_words
from load.generator.transport import Answer, Transport, UnansweredError
from load.profiles import Profile
from load.records import document_replace, record_plain, record_read
from load.results import (
    LOAD_SCHEMA,
    EarlyStopEvidence,
    IntegrityEvidence,
    IntegrityFinding,
    LoadEvidence,
    MachineEvidence,
    Outcome,
    ProfileEvidence,
    QueueEvidence,
    RequestCounts,
    SocketEvidence,
    Target,
    TargetEvidence,
    slices_of,
)
from load.slo import Policy

_READY_SECONDS = 5.0
_WORKERS_SECONDS = 10.0
_CLEANING_SECONDS = 20.0
_CONNECTIONS = 512
_MOST_FINDINGS = 20


class Crew(Protocol):
    """The processes that send reads: this one, or Locust's workers."""

    expected: int

    def begin(self, tokens: Mapping[str, str]) -> None: ...

    def renew(self, tokens: Mapping[str, str]) -> None: ...

    def halt(self) -> None: ...

    def snapshots(self, *, seconds: float) -> list[Snapshot]:
        """The last counters of every process, waiting so long for those that are not final."""
        ...


class Conductor:
    """Runs one plan. `sending` is this process's own part of it; `crew` are those that send the reads."""

    def __init__(
        self,
        *,
        plan: Plan,
        profile: Profile,
        policy: Policy,
        credentials: dict[str, Credentials],
        crew: Callable[["Conductor"], Crew],
        role: str,
    ) -> None:
        self._plan = plan
        self._profile = profile
        self._policy = policy
        self._transport = Transport(
            base_url=plan.base_url,
            timeout_seconds=profile.table.request_timeout_seconds,
            connections=_CONNECTIONS,
        )
        self._sessions = Sessions(transport=self._transport, credentials=credentials)
        self._book = DeliveryBook(run_id=plan.run_id)
        self._listeners: list[Listener] = []
        self._sockets_unavailable: str | None = "the run did not come to it"
        self._slices = slices_of(duration_seconds=profile.table.duration_seconds, seconds=policy.slices.seconds)
        self._queue = QueueEvidence(slices=[None] * self._slices)
        self._integrity = IntegrityEvidence(None, 0, [], unavailable="the run did not come to it")
        self._start: Target | None = None
        self._end: Target | None = None
        self._early_stop: EarlyStopEvidence | None = None
        self._outcome = Outcome.NOT_STARTED
        self._incidents: list[str] = []
        self._residue: int | None = 0
        self._started_at = _timestamp()
        self._side_work = Group()
        self._finished = False
        self.accounts = list(credentials)
        self.outage = Event()
        self.sending = Sending(
            profile=profile,
            policy=policy,
            transport=self._transport,
            role=role,
            index=0,
            most_under_way=_CONNECTIONS,
            book=self._book,
            recipients=[(account, credentials[account].username) for account in credentials],
        )
        self.sending.outage = self.outage
        self._crew = crew(self)

    def run(self) -> None:
        """The whole run. Afterwards load.json is there, unless writing it failed (which raises)."""
        deadline = self._profile.seconds + MARGIN_SECONDS - _CLEANING_SECONDS - _WORKERS_SECONDS
        with gevent.Timeout(deadline) as overall:
            try:
                self._conduct()
            except SignInError as error:
                self._incidents.append(str(error))
            except gevent.Timeout as timeout:
                if timeout is not overall:
                    raise
                self._incidents.append(f"the run took longer than {deadline:g} s")
                self._outcome = Outcome.INTERRUPTED
            except Exception as error:
                self.interrupt(f"the generator failed: {type(error).__name__}")
                raise
        self.finish()

    def interrupt(self, reason: str) -> None:
        """End a run from outside: clean up and write what there is."""
        if not self._finished:
            self._incidents.append(reason)
            self._outcome = Outcome.INTERRUPTED
            self.finish()

    def finish(self) -> None:
        """Stop sending, remove what the run wrote, and write the evidence. Does it once."""
        if self._finished:
            return
        self._finished = True
        self.sending.halt()
        self._crew.halt()
        self._side_work.kill()
        for listener in self._listeners:
            listener.stop()
        self.sending.drain(seconds=0)
        if self._book.identifiers or self._writes():
            cleaning = Cleaning(transport=self._transport, sessions=self._sessions, book=self._book)
            self._residue = cleaning.clean(seconds=_CLEANING_SECONDS) if self._sessions.tokens else 0
        with gevent.Timeout(5, False):
            self._sessions.sign_out()
        evidence = self._evidence(self._crew.snapshots(seconds=_WORKERS_SECONDS))
        plain = record_plain(evidence)
        record_read(LoadEvidence, plain, where="load.json")  # evidence that contradicts itself is not written
        document_replace(Path(self._plan.out) / "load.json", json.dumps(plain, separators=(",", ":")) + "\n")

    # --- the steps ---------------------------------------------------------------------------------------

    def _conduct(self) -> None:
        self._start = self._release()
        self._sessions.sign_in()
        self._listen()
        self._outcome = Outcome.INTERRUPTED  # until it is known better
        self._crew.begin(self._sessions.tokens)
        if not self.sending.begun.is_set():
            self.sending.begin(tokens=self._sessions.tokens)
        self._side_work.spawn(self._poll_queue)
        self._side_work.spawn(self._renew_tokens)
        self._side_work.spawn(self._tell)
        if self._writes():
            self._side_work.spawn(self.sending.dispatch, self._own_schedule())
        stopped = self.outage.wait(timeout=max(0.0, self._profile.seconds - self.sending.now()))
        at_seconds = self.sending.now()
        self.sending.halt()
        self._crew.halt()
        # The backlog of an outage must end before the probes, or it would answer in their place.
        self.sending.drain(seconds=self._profile.table.request_timeout_seconds + 1)
        watch = self.sending.watch
        if stopped:
            _say(f"stopped after {at_seconds:.1f} s: this looks like an outage; probing")
            self._early_stop = EarlyStopEvidence(
                at_seconds=round(at_seconds, 3), bad=watch.bad, watched=watch.watched, probes=self._probe()
            )
        self._side_work.kill()
        self._hear_the_rest()
        self._integrity = self._integrity_probe()
        self._end = self._release()
        self._outcome = Outcome.STOPPED_EARLY if stopped else Outcome.COMPLETED

    def schedule(self, *, part: int = 0, parts: int = 1) -> Iterable[Arrival]:
        """The reads of one sending process."""
        kinds = [name for name, kind in self._profile.requests.items() if not kind.causes_event]
        return arrivals(profile=self._profile, kinds=kinds, accounts=self.accounts, part=part, parts=parts)

    def _own_schedule(self) -> Iterable[Arrival]:
        # Writes come from here, where the sockets are: one clock measures both ends of a delivery.
        return arrivals(profile=self._profile, kinds=self._writes(), accounts=self.accounts)

    def _writes(self) -> list[str]:
        if self._plan.read_only:
            return []
        return [name for name, kind in self._profile.requests.items() if kind.causes_event]

    def _listen(self) -> None:
        if self._plan.channels_url is None:
            self._sockets_unavailable = "no address of the channels service was given"
            return
        self._listeners = [
            Listener(
                account=account,
                channels_url=self._plan.channels_url,
                token=lambda account=account: self._sessions.tokens[account],  # type: ignore[misc]
                book=self._book,
                now=self.sending.now,
            )
            for account in self.accounts
        ]
        for listener in self._listeners:
            listener.start()
        self._sockets_unavailable = listeners_ready(self._listeners, seconds=_READY_SECONDS)
        if self._sockets_unavailable is not None:
            self._incidents.append(self._sockets_unavailable)
        elif not self._writes():
            self._sockets_unavailable = "a read-only run causes no events"

    def _hear_the_rest(self) -> None:
        grace = self._profile.table.delivery_grace_seconds
        deadline = time.monotonic() + grace
        while self._sockets_unavailable is None and self._book.outstanding() and time.monotonic() < deadline:
            gevent.sleep(0.05)
        if self._sockets_unavailable is None:
            gevent.sleep(min(0.25, grace))  # a doubled event comes right behind the first

    def _probe(self) -> RequestCounts:
        """The probes after an early stop: reads of the profile, evenly spaced, unmoved by what they find."""
        rule = self._policy.early_stop
        counts = RequestCounts.empty(rungs=self._policy.rungs)
        kinds = [name for name, kind in self._profile.requests.items() if kind.read]
        source = arrivals(profile=self._profile, kinds=kinds, accounts=self.accounts)
        pool = Group()
        started = self.sending.now()

        def ask(arrival: Arrival) -> Ended:
            return self.sending.probe(arrival)

        asked = []
        for number, arrival in enumerate(source):
            if number == rule.probes:
                break
            due = started + number * rule.probe_seconds / rule.probes
            gevent.sleep(max(0.0, due - self.sending.now()))
            asked.append(pool.spawn(ask, Arrival(arrival.number, self.sending.now(), arrival.kind, arrival.account)))
        pool.join(timeout=self._profile.table.request_timeout_seconds + 1)
        for probe in asked:
            if probe.value is not None:
                counts_add(counts=counts, ended=probe.value, policy=self._policy)
        return counts

    def _poll_queue(self) -> None:
        queue = self._queue
        while True:
            at = self.sending.now()
            answer = self._ask("/api/v1/operations/queue", seconds=2)
            depth = (answer.document() or {}).get("depth") if answer is not None else None
            queue.polls += 1
            if answer is not None and answer.status == 200 and type(depth) is int and depth >= 0:
                queue.answered += 1
                queue.maximum = max(queue.maximum or 0, depth)
                index = self.sending.recorder.slice_of(at)
                if index is not None:
                    queue.slices[index] = max(queue.slices[index] or 0, depth)
            gevent.sleep(max(0.05, self._profile.table.queue_poll_seconds - (self.sending.now() - at)))

    def _renew_tokens(self) -> None:
        while True:
            gevent.sleep(self._plan.refresh_seconds)
            self._incidents += self._sessions.refresh()
            self._crew.renew(self._sessions.tokens)

    def _tell(self) -> None:
        while True:
            gevent.sleep(10)
            _say(f"{self.sending.now():.0f} of {self._profile.seconds} s")

    def _release(self) -> Target | None:
        answer = self._ask("/api/health/", seconds=3, token=False)
        document = answer.document() if answer is not None else None
        if document is None:
            return None

        def text(key: str) -> str | None:
            value = document.get(key)
            return value[:100] if isinstance(value, str) else None

        return Target(version=text("version"), commit=text("commit"), environment=text("environment"))

    def _integrity_probe(self) -> IntegrityEvidence:
        answer = self._ask("/api/v1/operations/integrity", seconds=5)
        if answer is None:
            return IntegrityEvidence(None, 0, [], unavailable="the integrity probe did not answer")
        document = answer.document() or {}
        sound, checks, findings = (document.get(key) for key in ("sound", "checks", "findings"))
        if (
            answer.status != 200
            or not isinstance(sound, bool)
            or not isinstance(checks, list)
            or not isinstance(findings, list)
            or (sound and findings)
        ):
            reason = f"the integrity probe answered {answer_words(answer)}"
            return IntegrityEvidence(None, 0, [], unavailable=reason)
        told = [_finding(item) for item in findings[:_MOST_FINDINGS] if isinstance(item, dict)]
        return IntegrityEvidence(sound, len(checks), told, unavailable=None)

    def _ask(self, path: str, *, seconds: float, token: bool = True) -> Answer | None:
        try:
            return self._transport.exchange(
                method="GET",
                path=path,
                token=self._sessions.tokens.get("admin") if token else None,
                timeout_seconds=seconds,
            )
        except UnansweredError:
            return None

    # --- the evidence ------------------------------------------------------------------------------------

    def _evidence(self, snapshots: list[Snapshot]) -> LoadEvidence:
        summed = snapshots_add(snapshots)
        table = self._profile.table
        warm_up, measured = self._book.count(rungs=self._policy.rungs, slices=self._slices)
        return LoadEvidence(
            schema=LOAD_SCHEMA,
            run_id=self._plan.run_id,
            started_at=self._started_at,
            finished_at=_timestamp(),
            base_url=self._plan.base_url,
            channels_url=self._plan.channels_url,
            read_only=self._plan.read_only,
            outcome=self._outcome,
            incidents=self._incidents[:_MOST_FINDINGS],
            profile=ProfileEvidence(
                name=self._profile.name,
                warm_up_seconds=table.warm_up_seconds,
                duration_seconds=table.duration_seconds,
                rate_per_second=round(self._profile.rate_per_second(writes=not self._plan.read_only), 3),
                slice_seconds=self._policy.slices.seconds,
            ),
            rungs=self._policy.rungs,
            target=TargetEvidence(start=self._start, end=self._end),
            requests=summed.requests,
            failure_kinds=summed.failure_kinds,
            failure_samples=summed.failure_samples,
            early_stop=self._early_stop if self._outcome is Outcome.STOPPED_EARLY else None,
            sockets=SocketEvidence(
                unavailable=self._sockets_unavailable,
                listeners=len(self._listeners),
                reconnects=sum(listener.reconnects for listener in self._listeners),
                warm_up=warm_up,
                slices=measured,
            ),
            queue=self._queue,
            integrity=self._integrity,
            processes_expected=self._crew.expected,
            processes=summed.processes,
            residue=self._residue,
            machine=MachineEvidence(
                cpus=os.cpu_count() or 0,
                python=platform.python_version(),
                system=f"{platform.system()} {platform.machine()}",
            ),
        )


def _finding(item: Mapping[str, Any]) -> IntegrityFinding:
    check, table, remedy = (str(item.get(key, ""))[:200] for key in ("check", "table", "remedy"))
    return IntegrityFinding(check=check, table=table, remedy=remedy)


def _timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _say(line: str) -> None:
    print(f"load: {line}", file=sys.stderr, flush=True)
