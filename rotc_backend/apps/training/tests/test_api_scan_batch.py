import datetime as dt
import itertools
import json
import random
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet, Term
from apps.cadets.tests import factories as cadets
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event
from apps.training.models import AttendanceRecord, Scan, TrainingDay
from apps.training.services.scans import WORDS
from apps.training.tests import factories
from apps.training.tests.problems import fields_of, problem_of
from core.clock import now

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = dt.timedelta(minutes=1)


def path(day: TrainingDay) -> str:
    return f"/api/v1/training-days/{day.pk}/scans/batch"


def at(day: TrainingDay, minutes: float = 0) -> dt.datetime:
    return factories.morning(day) + minutes * MINUTE


def scanned(day: TrainingDay, who: Cadet, minutes: float = 0, **fields: Any) -> dict[str, str]:
    """A fresh code as a scanner that is offline keeps it."""
    return {
        "scan_id": str(uuid.uuid4()),
        "code": factories.code(day, who, issued_at=at(day, minutes) - MINUTE),
        "scanned_at": at(day, minutes).isoformat(),
        **fields,
    }


def hand_in(person: Person, day: TrainingDay, scans: list[Any]) -> Any:
    return person.client.post(path(day), {"scans": scans})


def results(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [row["code"] or row["result"] for row in answer.json()["scans"]]


def facts(day: TrainingDay) -> list[tuple[Any, ...]]:
    rows = AttendanceRecord.objects.filter(training_day=day).order_by("cadet_id")
    return list(rows.values_list("cadet_id", "status", "time_in", "time_out", "source"))


@pytest.fixture
def day(db: None) -> TrainingDay:
    return factories.day(1, late_after=dt.time(7, 0))


def test_each_scan_is_answered_on_its_own_and_the_good_ones_are_kept(
    instructor: StaffPerson, cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    archived, nobody = cadets.enrolled(archived_at=now()).cadet, cadets.cadet()
    good, late = scanned(day, cadet.cadet), scanned(day, stranger.cadet, 45)
    other_day = factories.day(1, title="Afternoon")
    batch = [
        good,
        {**scanned(day, cadet.cadet), "code": "https://rotc.example/\x00"},
        {**scanned(day, cadet.cadet), "code": factories.code(day, cadet.cadet, issued_at=at(day), key="f" * 128)},
        {**scanned(day, cadet.cadet), "scanned_at": at(day, 10).isoformat()},
        scanned(other_day, cadet.cadet),
        {**good, "scan_id": str(uuid.uuid4())},
        scanned(day, nobody),
        scanned(day, archived),
        scanned(day, cadet.cadet, 4),
        scanned(day, cadet.cadet, 300),
        scanned(day, cadet.cadet, 301),
        {**scanned(day, cadet.cadet), "scanned_at": at(day, -10).isoformat()},
        late,
        good,
    ]
    answer = hand_in(instructor, day, batch)
    refusals = [
        "code_malformed",
        "code_forged",
        "code_expired",
        "code_of_another_day",
        "code_used",
        "not_enrolled",
        "cadet_archived",
        "too_soon",
    ]
    assert results(answer) == [
        "recorded",
        *refusals,
        "recorded",
        "already_out",
        "scanned_at_impossible",
        "recorded",
        "already_recorded",
    ]
    body = answer.json()
    assert body["counts"] == {"recorded": 3, "already_recorded": 1, "refused": 10}
    assert [row["scan_id"] for row in body["scans"]] == [row["scan_id"] for row in batch]
    assert [row["detail"] for row in body["scans"][1:9]] == [WORDS[code] for code in refusals]
    assert body["scans"][0]["effect"] == "time_in"
    assert body["scans"][0]["record"] == body["scans"][9]["record"]
    assert body["scans"][9]["effect"] == "time_out"
    assert body["scans"][1]["cadet"] is None
    assert body["scans"][3]["cadet"]["cadet_id"] == cadet.cadet.pk
    assert facts(day) == [
        (cadet.cadet.pk, "present", at(day), at(day, 300), "scan"),
        (stranger.cadet.pk, "late", at(day, 45), None, "scan"),
    ]
    entries = AuditEntry.objects.filter(action="scan.refuse").order_by("id").values_list("after", flat=True)
    assert [entry["code"] for entry in entries if entry] == [*refusals, "already_out", "scanned_at_impossible"]
    assert AuditEntry.objects.filter(action="scan.record").count() == 1
    staffs = Event.objects.get(type="attendance.day_changed")
    assert (staffs.data["created"], staffs.data["by_status"]["late"]) == (2, 1)
    own = Event.objects.filter(type="attendance.marked").order_by("id")
    assert [event.recipients for event in own] == [[f"user:{who.user.pk}"] for who in (cadet, stranger)]
    assert not AttendanceRecord.objects.filter(training_day=other_day).exists()


def test_the_same_batch_again_changes_nothing(instructor: StaffPerson, admin: Person, day: TrainingDay) -> None:
    people = [cadets.enrolled().cadet for _ in range(5)]
    batch = [scanned(day, who, minutes) for who in people for minutes in (0, 200)]
    first = hand_in(instructor, day, batch)
    assert set(results(first)) == {"recorded"}
    counts, before = (Event.objects.count(), AuditEntry.objects.count()), facts(day)
    again = hand_in(admin, day, batch[::-1])
    assert set(results(again)) == {"already_recorded"}
    assert (Event.objects.count(), AuditEntry.objects.count()) == counts
    assert (facts(day), set(AttendanceRecord.objects.values_list("version", flat=True))) == (before, {1})
    assert [row["record"] for row in again.json()["scans"]] == [row["record"] for row in first.json()["scans"]][::-1]


def test_where_all_are_refused_nobody_hears_of_it(
    instructor: StaffPerson, cadet: CadetPerson, day: TrainingDay
) -> None:
    batch = [{**scanned(day, cadet.cadet), "code": f"wrong {number}"} for number in range(3)]
    assert results(hand_in(instructor, day, batch)) == ["code_malformed"] * 3
    assert AuditEntry.objects.filter(action="scan.refuse").count() == 3
    assert not AuditEntry.objects.filter(action="scan.record").exists()
    assert not any(model.objects.exists() for model in (Event, Scan, AttendanceRecord))


def test_a_cadet_whom_the_system_marked_absent_meanwhile_was_there(
    instructor: StaffPerson, cadet: CadetPerson, stranger: CadetPerson
) -> None:
    day = factories.day(6, late_after=dt.time(7, 0))
    for who in (cadet, stranger):
        factories.record(day, who.cadet, "absent", source="sync")
    assert results(hand_in(instructor, day, [scanned(day, cadet.cadet)])) == ["recorded"]
    assert facts(day) == [
        (cadet.cadet.pk, "present", at(day), None, "scan"),
        (stranger.cadet.pk, "absent", None, None, "sync"),
    ]


def test_a_scan_of_more_than_seven_days_ago_comes_too_late(instructor: StaffPerson, cadet: CadetPerson) -> None:
    day = factories.day(9)
    assert results(hand_in(instructor, day, [scanned(day, cadet.cadet)])) == ["scanned_at_impossible"]
    assert not AttendanceRecord.objects.exists()


def test_any_order_of_arrival_gives_the_same_records(instructor: StaffPerson, cadet: CadetPerson) -> None:
    """With a code that two scanners saw, one too soon, and one after the time out."""
    found = []
    minutes = (20, 23, 31, 240)
    for order in itertools.permutations(range(5)):
        if order[0] > order[1]:  # half of them are enough
            continue
        day = factories.day(1, late_after=dt.time(7, 0))
        scans = [scanned(day, cadet.cadet, minute) for minute in minutes]
        seen_twice = {**scans[1], "scan_id": str(uuid.uuid4()), "scanned_at": at(day, 29).isoformat()}
        scans.append(seen_twice)
        cut = random.randint(1, 4)
        for part in (order[:cut], order[cut:]):
            assert hand_in(instructor, day, [scans[place] for place in part]).status_code == 200
        times = list(Scan.objects.filter(training_day=day).order_by("scanned_at").values_list("scanned_at", "effect"))
        found.append((facts(day), times))
    assert all(outcome == found[0] for outcome in found)
    day = TrainingDay.objects.latest("id")
    assert facts(day) == [(cadet.cadet.pk, "present", at(day, 20), at(day, 31), "scan")]
    assert [effect for _, effect in found[0][1]] == ["time_in", "too_soon", "time_out", "already_out"]


def test_what_holds_for_the_whole_day_refuses_the_whole_batch(instructor: StaffPerson, cadet: CadetPerson) -> None:
    tomorrow, today = factories.day(-1), factories.day(1)
    assert problem_of(hand_in(instructor, tomorrow, [scanned(tomorrow, cadet.cadet)])) == (409, "day_in_future")
    cancelled = factories.day(1, cancelled_at=now(), cancel_reason="Storm")
    assert results(hand_in(instructor, cancelled, [scanned(cancelled, cadet.cadet)])) == ["day_cancelled"]
    missing = instructor.client.post(
        "/api/v1/training-days/999999/scans/batch", {"scans": [scanned(today, cadet.cadet)]}
    )
    assert problem_of(missing) == (404, "not_found")
    Term.objects.update(closed_at=now())
    assert problem_of(hand_in(instructor, today, [scanned(today, cadet.cadet)])) == (409, "term_closed")
    assert not any(model.objects.exists() for model in (Event, Scan, AttendanceRecord))


def test_cadets_hand_in_nothing(cadet: CadetPerson, day: TrainingDay) -> None:
    assert problem_of(hand_in(cadet, day, [scanned(day, cadet.cadet)])) == (403, "permission_denied")
    assert not Scan.objects.exists()


def test_a_scanners_own_mistakes_are_named_by_place(
    instructor: StaffPerson, cadet: CadetPerson, day: TrainingDay
) -> None:
    good = scanned(day, cadet.cadet)
    without_time = {name: value for name, value in good.items() if name != "scanned_at"}
    assert fields_of(hand_in(instructor, day, [good, without_time])) == {"scans.1.scanned_at": "required"}
    assert fields_of(hand_in(instructor, day, [{**good, "scan_id": "x"}])) == {"scans.0.scan_id": "invalid"}
    assert list(fields_of(hand_in(instructor, day, []))) == ["scans"]
    assert list(fields_of(hand_in(instructor, day, [good] * 501))) == ["scans"]
    assert not Scan.objects.exists()


def test_a_full_batch_costs_as_many_queries_as_a_small_one(instructor: StaffPerson, day: TrainingDay) -> None:
    def queries(size: int) -> int:
        batch = [scanned(day, cadets.enrolled().cadet) for _ in range(size)]
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert set(results(hand_in(instructor, day, batch))) == {"recorded"}
        return len(captured)

    queries(1)
    assert queries(40) == queries(2) <= 15


def test_half_a_character_in_a_code_does_not_hold_up_the_batch(
    instructor: StaffPerson, cadet: CadetPerson, day: TrainingDay
) -> None:
    good, odd = scanned(day, cadet.cadet), {**scanned(day, cadet.cadet), "code": "half \ud83d"}
    body = json.dumps({"scans": [odd, good]})  # escapes it, as a camera's library may
    answer = instructor.client.post(path(day), body, content_type="application/json")
    assert results(answer) == ["code_malformed", "recorded"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
_ROW = st.fixed_dictionaries(
    {},
    optional={
        "scan_id": st.uuids().map(str) | _JSON,
        "code": st.text(max_size=120) | _JSON,
        "scanned_at": st.datetimes().map(lambda moment: moment.isoformat() + "+08:00") | _JSON,
    },
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.fixed_dictionaries({"scans": st.lists(_ROW, max_size=3)}) | _ROW | _JSON)
def test_whatever_a_scanner_sends_is_answered(instructor: StaffPerson, day: TrainingDay, body: Any) -> None:
    for address in (path(day), path(day).removesuffix("/batch")):
        answer = instructor.client.post(address, json.dumps(body), content_type="application/json")
        assert answer.status_code in {200, 400, 409}, (address, body)
    assert not Scan.objects.exists()
