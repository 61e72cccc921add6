"""One process of the generator: sends by schedule, counts, and watches itself and the service."""

import time
from collections.abc import Iterable, Mapping, Sequence

import gevent
from gevent.event import Event
from gevent.pool import Group

from load.generator.arrivals import Arrival
from load.generator.deliveries import DeliveryBook
from load.generator.early_stop import OutageWatch
from load.generator.headers import answer_owner
from load.generator.recorder import Ended, Failure, Recorder, Snapshot
from load.generator.transport import Answer, Transport, UnansweredError
from load.profiles import Profile, RequestKind
from load.results import Owner, ProcessEvidence, slower_add
from load.slo import Policy

# After such a pause of our own loop, answers may be waiting to be read: nothing hangs just then.
_TRUSTED_LAG_MS = 250.0


class Sending:
    """The requests of one process. Times are seconds since `begin`, on a monotonic clock.

    `outage` is set when the CUSUM fires. `tokens` maps accounts to access tokens and may change meanwhile.
    """

    def __init__(
        self,
        *,
        profile: Profile,
        policy: Policy,
        transport: Transport,
        role: str,
        index: int,
        most_under_way: int,
        book: DeliveryBook | None = None,
        recipients: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._profile = profile
        self._policy = policy
        self._transport = transport
        self._role = role
        self.index = index
        self._most_under_way = most_under_way
        self._book = book
        self._recipients = recipients
        self._written = 0
        self._under_way = Group()
        self._pulse: gevent.Greenlet | None = None
        self._origin = 0.0
        self._cpu_at_begin = 0.0
        self._cpu_seconds = 0.0
        self._wall_seconds = 0.0
        self._heartbeats = 0
        self._heartbeats_later = [0] * len(policy.rungs.lag_ms)
        self._longest_lag_ms = 0.0
        self._drained = False
        self.watch = OutageWatch(rule=policy.early_stop)
        self.recorder = Recorder(profile=profile, policy=policy)
        self.tokens: Mapping[str, str] = {}
        self.begun = Event()
        self.outage = Event()
        self.halted = False

    def now(self) -> float:
        return time.perf_counter() - self._origin

    def begin(self, *, tokens: Mapping[str, str], start_in_seconds: float = 0.0) -> None:
        """Start the clock: the first request is due in `start_in_seconds`."""
        self.tokens = tokens
        self._origin = time.perf_counter() + start_in_seconds
        self._cpu_at_begin = time.process_time()
        self._pulse = gevent.spawn(self._beat)
        self.begun.set()

    def dispatch(self, schedule: Iterable[Arrival]) -> None:
        """Send each arrival at its time, answered or not the ones before; returns after the last."""
        for arrival in schedule:
            while not self.halted and (wait := arrival.due_seconds - self.now()) > 0:
                gevent.sleep(min(wait, 0.5))
            if self.halted:
                return
            if len(self._under_way) >= self._most_under_way:
                self.recorder.drop()
            else:
                self._under_way.spawn(self._send, arrival)
                # Behind schedule this loop would otherwise never let a request go.
                gevent.sleep(0)

    def halt(self) -> None:
        """Send nothing more; what is under way may end."""
        self.halted = True

    def drain(self, *, seconds: float) -> None:
        """Wait for what is under way, then close the books of this process. Does it once."""
        if self._drained:
            return
        self._under_way.join(timeout=seconds)
        self._under_way.kill()
        if self._pulse is not None:
            self._pulse.kill()
        self._measure()
        self._drained = True

    def snapshot(self) -> Snapshot:
        if not self._drained:
            self._measure()
        recorder = self.recorder
        return Snapshot(
            final=self._drained,
            requests=recorder.requests,
            failure_kinds=recorder.failure_kinds,
            failure_samples=recorder.failure_samples,
            process=ProcessEvidence(
                role=self._role,
                index=self.index,
                asked=recorder.asked,
                sent=recorder.sent,
                dropped=recorder.dropped,
                sent_later=recorder.sent_later,
                heartbeats=self._heartbeats,
                heartbeats_later=self._heartbeats_later,
                longest_lag_ms=round(self._longest_lag_ms, 1),
                cpu_seconds=round(self._cpu_seconds, 3),
                wall_seconds=round(self._wall_seconds, 3),
            ),
        )

    def probe(self, arrival: Arrival) -> Ended:
        """Send one request outside the books."""
        return self._exchange(arrival)

    def _measure(self) -> None:
        if self.begun.is_set():
            self._cpu_seconds = time.process_time() - self._cpu_at_begin
            self._wall_seconds = max(0.0, self.now())

    def _beat(self) -> None:
        """A heartbeat that does nothing but sleep: how late it wakes is how late everything else is."""
        period = self._policy.generator.heartbeat_ms / 1000
        while True:
            before = time.perf_counter()
            gevent.sleep(period)
            lag_ms = max(0.0, (time.perf_counter() - before - period) * 1000)
            self._heartbeats += 1
            self._longest_lag_ms = max(self._longest_lag_ms, lag_ms)
            slower_add(slower=self._heartbeats_later, rungs=self._policy.rungs.lag_ms, milliseconds=lag_ms)
            if lag_ms < _TRUSTED_LAG_MS and self.watch.look(at=self.now()):
                self.outage.set()

    def _send(self, arrival: Arrival) -> None:
        # The warm-up is there to be slow in: an outage counts from the measured time on.
        watched = self.recorder.slice_of(arrival.due_seconds) is not None
        key = arrival.number if self._profile.requests[arrival.kind].method == "GET" else -1 - arrival.number
        if watched:
            self.watch.sent(number=key, at=self.now())
        ended = self._exchange(arrival)
        self.recorder.end(ended)
        if watched:
            failure = ended.failure
            failed = failure is not None and failure.owner in (Owner.APPLICATION, Owner.EDGE)
            self.watch.ended(number=key, at=ended.ended, failed=failed)
            if self.watch.fired:
                self.outage.set()

    def _exchange(self, arrival: Arrival) -> Ended:
        kind = self._profile.requests[arrival.kind]
        sent = self.now()
        headers: Mapping[str, str] = {}
        try:
            if kind.causes_event:
                answer, failure = self._write(arrival, kind, sent)
            else:
                answer = self._transport.exchange(
                    method=kind.method, path=kind.path, token=self.tokens.get(arrival.account or "")
                )
                failure = failure_of(answer=answer, kind=kind)
            headers = answer.headers
        except UnansweredError as error:
            failure = error.failure
        except Exception as error:  # noqa: BLE001 - a fault of ours must be counted, not end the greenlet
            failure = Failure(owner=Owner.CLIENT, kind=f"generator failed: {type(error).__name__}")
        return Ended(
            kind=arrival.kind,
            due=arrival.due_seconds,
            sent=sent,
            ended=self.now(),
            failure=failure,
            headers=headers,
        )

    def _write(self, arrival: Arrival, kind: RequestKind, sent: float) -> tuple[Answer, Failure | None]:
        if self._book is None or not self._recipients:
            raise RuntimeError("this process has no recipients to write to")
        account, username = self._recipients[self._written % len(self._recipients)]
        self._written += 1
        slice_index = self.recorder.slice_of(arrival.due_seconds)
        correlation_id = self._book.cause(account=account, at=sent, slice_index=slice_index)
        answer = self._transport.exchange(
            method=kind.method,
            path=kind.path,
            token=self.tokens.get(arrival.account or ""),
            document={
                "recipient": username,
                "title": "Load run",
                "body": "Written by a load run, which removes it at its end.",
                "correlation_id": correlation_id,
            },
        )
        failure = failure_of(answer=answer, kind=kind)
        identifier = (answer.document() or {}).get("id")
        if failure is None and isinstance(identifier, int | str):
            self._book.confirm(correlation_id=correlation_id, identifier=identifier)
        return answer, failure


def failure_of(*, answer: Answer, kind: RequestKind) -> Failure | None:
    """Why an answer is not the expected one, None if it is."""
    if answer.status != kind.status:
        told = f"HTTP {answer.status}"
    else:
        document = answer.document()
        missing = kind.expects if document is None else [key for key in kind.expects if key not in document]
        if not missing:
            return None
        told = f"HTTP {answer.status} without {', '.join(missing)}"
    request_id = answer.headers.get("x-request-id")
    return Failure(
        owner=answer_owner(status=answer.status, headers=answer.headers),
        kind=told,
        request_id=request_id[:64] if request_id else None,
    )
