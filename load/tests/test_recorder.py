import pytest

from load.generator.recorder import (
    OTHER_KINDS,
    Ended,
    Failure,
    Recorder,
    Snapshot,
    snapshot_pack,
    snapshot_unpack,
    snapshots_add,
)
from load.profiles import Profile, profile_select, profiles_read
from load.records import RecordError
from load.results import MOST_FAILURE_KINDS, MOST_FAILURE_SAMPLES, Owner, ProcessEvidence
from load.tests.evidence import POLICY, process

HEADERS = {
    "x-request-id": "abc",
    "cache-status": "rgms; fwd=uri-miss; stored",
    "server-timing": "db;dur=120",
}


@pytest.fixture
def profile() -> Profile:
    return profile_select(name="quick", file=profiles_read())


@pytest.fixture
def recorder(profile: Profile) -> Recorder:
    return Recorder(profile=profile, policy=POLICY)


def ended(
    *,
    due: float = 6.0,
    sent: float | None = None,
    seconds: float = 0.02,
    failure: Failure | None = None,
    headers: dict[str, str] | None = None,
) -> Ended:
    start = due if sent is None else sent
    return Ended("auth_me", due, start, start + seconds, failure, HEADERS if headers is None else headers)


def at(slower: list[int], milliseconds: float, rungs: list[float]) -> int:
    return slower[rungs.index(milliseconds)]


def test_a_success_is_timed_and_its_headers_are_read(recorder: Recorder) -> None:
    recorder.end(ended())
    counts = recorder.requests["auth_me"].slices[0]
    assert (counts.sent, counts.succeeded, counts.timed, counts.identified) == (1, 1, 1, 1)
    assert (counts.cache_reported, counts.cache_missed, counts.database_reported) == (1, 1, 1)
    assert at(counts.database_slower, 100, POLICY.rungs.database_ms) == 1
    assert at(counts.slower, 10, POLICY.rungs.latency_ms) == 1
    assert at(counts.slower, 25, POLICY.rungs.latency_ms) == 0


def test_a_hit_is_no_miss_and_an_absent_header_is_neither(recorder: Recorder) -> None:
    recorder.end(ended(headers={"cache-status": "rgms; hit"}))
    recorder.end(ended(headers={}))
    counts = recorder.requests["auth_me"].slices[0]
    assert (counts.cache_reported, counts.cache_missed, counts.database_reported, counts.identified) == (
        1, 0, 0, 0,
    )  # fmt: skip


def test_latency_counts_from_when_a_request_was_due_and_service_time_from_when_it_left(
    recorder: Recorder,
) -> None:
    recorder.end(ended(due=6.0, sent=6.6, seconds=0.05))
    counts = recorder.requests["auth_me"].slices[0]
    assert at(counts.slower, 600, POLICY.rungs.latency_ms) == 1
    assert at(counts.slower_service, 100, POLICY.rungs.latency_ms) == 0
    assert at(recorder.sent_later, 500, POLICY.rungs.lag_ms) == 1


def test_a_request_without_an_answer_is_an_observation_slower_than_every_rung(recorder: Recorder) -> None:
    unanswered = Failure(owner=Owner.APPLICATION, kind="no answer in time", unanswered=True)
    recorder.end(ended(failure=unanswered, headers={}))
    counts = recorder.requests["auth_me"].slices[0]
    assert (counts.application, counts.unanswered, counts.timed) == (1, 1, 1)
    assert set(counts.slower) == set(counts.slower_service) == {1}


def test_a_quick_refusal_is_an_error_and_no_observation_of_latency(recorder: Recorder) -> None:
    recorder.end(ended(failure=Failure(owner=Owner.APPLICATION, kind="HTTP 500", request_id="r1")))
    counts = recorder.requests["auth_me"].slices[0]
    assert (counts.application, counts.timed, counts.identified, counts.cache_reported) == (1, 0, 0, 0)
    assert recorder.failure_kinds == {"application: HTTP 500": 1}
    assert recorder.failure_samples[0].request_id == "r1"


@pytest.mark.parametrize(
    ("due", "index"), [(0.0, None), (4.99, None), (5.0, 0), (9.99, 0), (10.0, 1), (34.99, 5), (35.0, 5)]
)
def test_a_request_belongs_to_the_slice_in_which_it_was_due(recorder: Recorder, due: float, index: int | None) -> None:
    assert recorder.slice_of(due) == index
    recorder.end(ended(due=due, seconds=30.0))
    request = recorder.requests["auth_me"]
    assert (request.warm_up if index is None else request.slices[index]).sent == 1


def test_a_dropped_request_was_asked_for_and_not_sent(recorder: Recorder) -> None:
    recorder.end(ended())
    recorder.drop()
    assert (recorder.asked, recorder.sent, recorder.dropped) == (2, 1, 1)


def test_a_hundred_kinds_of_failure_stay_small(recorder: Recorder) -> None:
    for number in range(100):
        recorder.end(ended(failure=Failure(owner=Owner.EDGE, kind=f"HTTP {500 + number}")))
    assert len(recorder.failure_kinds) == MOST_FAILURE_KINDS + 1
    assert recorder.failure_kinds[OTHER_KINDS] == 100 - MOST_FAILURE_KINDS
    assert len(recorder.failure_samples) == MOST_FAILURE_SAMPLES


def snapshot(profile: Profile, *, index: int, requests: int) -> Snapshot:
    recorder = Recorder(profile=profile, policy=POLICY)
    for number in range(requests):
        broken = Failure(owner=Owner.APPLICATION, kind="HTTP 500") if number % 10 == 0 else None
        recorder.end(ended(due=number * 35 / requests, failure=broken))
    told: ProcessEvidence = process(role="worker", index=index, asked=requests, sent=requests)
    return Snapshot(True, recorder.requests, recorder.failure_kinds, recorder.failure_samples, told)


def test_workers_add_up_exactly_in_any_order_and_over_the_wire(profile: Profile) -> None:
    parts = [snapshot(profile, index=index, requests=requests) for index, requests in enumerate((70, 35, 140))]
    packed = [snapshot_unpack(snapshot_pack(part)) for part in parts]
    assert packed == parts
    summed = snapshots_add(packed)
    assert summed == snapshots_add(reversed(packed))
    request = summed.requests["auth_me"]
    assert request.warm_up.sent + sum(one.sent for one in request.slices) == 245
    assert summed.failure_kinds == {"application: HTTP 500": 7 + 4 + 14}
    assert [one.index for one in summed.processes] == [0, 1, 2]


def test_a_report_of_another_version_is_refused() -> None:
    with pytest.raises(RecordError, match="worker report"):
        snapshot_unpack({"final": True})
