import datetime as dt
import uuid
from typing import Any
from unittest.mock import Mock

import pytest

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet, Enrollment, Term
from apps.cadets.rules import grades_version, standing_version
from apps.cadets.tests import factories as cadets
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event
from apps.training import rules
from apps.training.models import AttendanceRecord, Scan, TrainingDay
from apps.training.services.scans import WORDS
from apps.training.tests import factories
from apps.training.tests.problems import fields_of, problem_of
from core import cache
from core.clock import iso, manila_date, now

pytestmark = pytest.mark.django_db(transaction=True)

STAFF = ["role:admin", "role:training_staff"]
MINUTE = dt.timedelta(minutes=1)


def path(day: TrainingDay) -> str:
    return f"/api/v1/training-days/{day.pk}/scans"


def scan(person: Person, day: TrainingDay, code: Any, **fields: Any) -> Any:
    return person.client.post(path(day), {"scan_id": str(uuid.uuid4()), "code": code, **fields})


def fresh(day: TrainingDay, who: CadetPerson, **fields: Any) -> str:
    return factories.code(day, who.cadet, **{"issued_at": now(), **fields})


def at(day: TrainingDay, minutes: float = 0) -> dt.datetime:
    """So many minutes after 06:30 of the day."""
    return factories.morning(day) + minutes * MINUTE


def scan_at(person: Person, day: TrainingDay, who: CadetPerson, minutes: float, **fields: Any) -> Any:
    """A fresh code, scanned at 06:30 and so many minutes by a scanner that was offline."""
    code = fresh(day, who, issued_at=at(day, minutes) - MINUTE)
    return scan(person, day, code, scanned_at=at(day, minutes).isoformat(), **fields)


def stored(day: TrainingDay, who: CadetPerson) -> AttendanceRecord:
    return AttendanceRecord.objects.get(training_day=day, cadet=who.cadet)


def refusal_entries() -> list[tuple[int | None, str, Any]]:
    rows = AuditEntry.objects.filter(action="scan.refuse").order_by("id")
    return list(rows.values_list("actor_id", "target", "after"))


def nothing_was_taken() -> bool:
    taken = AuditEntry.objects.filter(action__in=["scan.record", "attendance.mark"]).exists()
    return not (Scan.objects.exists() or AttendanceRecord.objects.exists() or Event.objects.exists() or taken)


@pytest.fixture
def day(db: None) -> TrainingDay:
    """Yesterday, so that whatever was scanned on it has been by now."""
    return factories.day(1, late_after=dt.time(7, 0))


@pytest.fixture
def today(db: None) -> TrainingDay:
    return factories.day(0)


# --- Time in ----------------------------------------------------------------------------------------------------------


def test_a_code_from_the_cadets_own_session_gives_the_time_in(
    instructor: StaffPerson, cadet: CadetPerson, today: TrainingDay
) -> None:
    code = cadet.client.get(f"/api/v1/training-days/{today.pk}/attendance-code").json()["code"]
    before, scan_id = now(), str(uuid.uuid4())
    answer = scan(instructor, today, code, scan_id=scan_id)
    assert answer.status_code == 200
    record = stored(today, cadet)
    assert (record.status, record.time_out, record.source, record.remarks) == ("present", None, "scan", "")
    assert record.recorded_by == instructor.user
    assert record.time_in is not None
    assert rules.instant_cut(before) <= record.time_in <= now()
    assert answer.json() == {
        "scan_id": scan_id,
        "result": "recorded",
        "effect": "time_in",
        "cadet": {
            "cadet_id": cadet.cadet.pk,
            "student_id": cadet.cadet.student_id,
            "name": cadet.cadet.full_name,
        },
        "record": {
            "cadet_id": cadet.cadet.pk,
            "status": "present",
            "time_in": iso(record.time_in),
            "time_out": None,
            "remarks": "",
            "source": "scan",
            "updated_at": iso(record.updated_at),
            "recorded_by_id": instructor.user.pk,
        },
    }
    kept = Scan.objects.get()
    assert (kept.training_day, kept.cadet, str(kept.scan_id)) == (today, cadet.cadet, scan_id)
    assert (kept.scanned_by, kept.effect, kept.scanned_at) == (instructor.user, "time_in", record.time_in)
    assert before <= kept.received_at <= now()


def test_whoever_is_scanned_after_the_days_limit_comes_late(
    admin: Person, cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    assert scan_at(admin, day, cadet, 30).json()["record"]["status"] == "present"
    assert scan_at(admin, day, stranger, 30.5).json()["record"]["status"] == "late"


def test_without_a_limit_nobody_who_is_scanned_comes_late(admin: Person, cadet: CadetPerson) -> None:
    day = factories.day(1)
    assert scan_at(admin, day, cadet, 900).json()["record"]["status"] == "present"


def test_the_cadet_and_the_staff_hear_of_it_and_the_trail_has_it(
    instructor: StaffPerson, cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    factories.record(day, stranger.cadet, "excused")
    code = fresh(day, cadet, issued_at=at(day))
    scan_id = str(uuid.uuid4())
    scan(instructor, day, code, scanned_at=at(day, 1).isoformat(), scan_id=scan_id)
    own, staffs = Event.objects.order_by("id")
    assert (own.type, own.recipients) == ("attendance.marked", [f"user:{cadet.user.pk}"])
    assert own.data == {
        "training_day_id": day.pk,
        "date": str(day.date),
        "status": "present",
        "time_in": iso(at(day, 1)),
        "time_out": None,
        "remarks": "",
        "source": "scan",
    }
    assert (staffs.type, staffs.recipients) == ("attendance.day_changed", STAFF)
    assert staffs.data == {
        "training_day_id": day.pk,
        "created": 1,
        "changed": 0,
        "removed": 0,
        "by_status": {"present": 1, "late": 0, "excused": 1, "absent": 0},
    }
    entry = AuditEntry.objects.get(action="scan.record")
    assert (entry.actor, entry.target) == (instructor.user, f"training_day:{day.pk}")
    assert entry.before == {"records": []}
    facts = {
        "cadet_id": cadet.cadet.pk,
        "status": "present",
        "time_in": iso(at(day, 1)),
        "time_out": None,
        "source": "scan",
    }
    taken = {"scan_id": scan_id, "cadet_id": cadet.cadet.pk, "scanned_at": iso(at(day, 1)), "effect": "time_in"}
    assert entry.after == {"records": [facts], "scans": [taken]}
    assert code not in str((entry.before, entry.after))
    assert not refusal_entries()


def test_what_the_cadet_fetches_next_is_the_new_record(
    instructor: StaffPerson, cadet: CadetPerson, day: TrainingDay
) -> None:
    own = "/api/v1/cadets/me/attendance"
    assert cadet.client.get(own).json()["totals"]["present"] == 0
    scan_at(instructor, day, cadet, 0)
    answer = cadet.client.get(own)
    assert answer["Cache-Status"] == "rgms; fwd=stale; stored"
    assert answer.json()["totals"]["present"] == 1


def test_the_versions_of_the_cadet_and_of_the_terms_grades_move_and_no_others(
    instructor: StaffPerson, cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    moved, resting = (
        (grades_version(day.term_id), standing_version(cadet.cadet.pk)),
        standing_version(stranger.cadet.pk),
    )

    def outcomes() -> list[bool]:
        fetched: list[bool] = []
        for version in (*moved, resting):
            compute = Mock(return_value=1)
            cache.read_through(key=f"test:{version}", versions=[version], ttl=60, compute=compute)
            fetched.append(compute.called)
        return fetched

    assert outcomes() == [True, True, True]
    scan_at(instructor, day, cadet, 0)
    assert outcomes() == [True, True, False]
    assert problem_of(scan(instructor, day, "forged")) == (409, "code_malformed")
    assert outcomes() == [False, False, False]


# --- Time out ---------------------------------------------------------------------------------------------------------


def test_a_second_code_five_minutes_later_gives_the_time_out(
    instructor: StaffPerson, admin: Person, cadet: CadetPerson, day: TrainingDay
) -> None:
    scan_at(instructor, day, cadet, 0)
    body = scan_at(admin, day, cadet, 5).json()
    assert (body["result"], body["effect"]) == ("recorded", "time_out")
    record = stored(day, cadet)
    assert (record.status, record.time_in, record.time_out) == ("present", at(day), at(day, 5))
    assert (record.version, record.recorded_by) == (2, admin.user)
    assert [event.data["changed"] for event in Event.objects.filter(type="attendance.day_changed")] == [0, 1]


def test_a_second_code_before_that_is_too_soon_and_changes_no_record(
    instructor: StaffPerson, cadet: CadetPerson, day: TrainingDay
) -> None:
    scan_at(instructor, day, cadet, 0)
    events = Event.objects.count()
    scan_id = str(uuid.uuid4())
    answer = scan_at(instructor, day, cadet, 4.99, scan_id=scan_id)
    assert problem_of(answer) == (409, "too_soon")
    record = stored(day, cadet)
    assert (record.time_out, record.version, Event.objects.count()) == (None, 1, events)
    ((actor, target, after),) = refusal_entries()
    assert (actor, target) == (instructor.user.pk, f"training_day:{day.pk}")
    assert after == {
        "code": "too_soon",
        "scan_id": scan_id,
        "cadet_id": cadet.cadet.pk,
        "scanned_at": iso(at(day, 4.99)),
    }


def test_a_third_code_finds_the_cadet_already_out(
    instructor: StaffPerson, cadet: CadetPerson, day: TrainingDay
) -> None:
    for minutes in (0, 240):
        scan_at(instructor, day, cadet, minutes)
    assert problem_of(scan_at(instructor, day, cadet, 300)) == (409, "already_out")
    record = stored(day, cadet)
    assert (record.time_out, record.version) == (at(day, 240), 2)
    assert [after["code"] for _, _, after in refusal_entries()] == ["already_out"]


def test_an_earlier_scan_that_arrives_later_changes_what_the_others_gave(
    instructor: StaffPerson, cadet: CadetPerson, day: TrainingDay
) -> None:
    retried = {"scan_id": str(uuid.uuid4()), "code": fresh(day, cadet, issued_at=at(day, 43))}
    scan_at(instructor, day, cadet, 40)
    too_soon = scan(instructor, day, scanned_at=at(day, 44).isoformat(), **retried)
    assert problem_of(too_soon) == (409, "too_soon")
    assert scan_at(instructor, day, cadet, 10).json()["effect"] == "time_in"
    record = stored(day, cadet)
    assert (record.status, record.time_in, record.time_out) == ("present", at(day, 10), at(day, 40))
    effects = Scan.objects.order_by("scanned_at").values_list("effect", flat=True)
    assert list(effects) == ["time_in", "time_out", "already_out"]
    again = scan(instructor, day, scanned_at=at(day, 44).isoformat(), **retried)
    assert problem_of(again) == (409, "already_out")
    assert len(refusal_entries()) == 1


# --- Retries and replays ----------------------------------------------------------------------------------------------


def test_the_same_scan_again_is_answered_alike_and_changes_nothing(
    instructor: StaffPerson, admin: Person, cadet: CadetPerson, today: TrainingDay
) -> None:
    code, scan_id = fresh(today, cadet), str(uuid.uuid4())
    first = scan(instructor, today, code, scan_id=scan_id).json()
    counts = Event.objects.count(), AuditEntry.objects.count()
    for person in (instructor, admin):
        again = scan(person, today, code, scan_id=scan_id)
        assert again.status_code == 200
        assert again.json() == {**first, "result": "already_recorded"}
    assert (Event.objects.count(), AuditEntry.objects.count()) == counts
    assert (Scan.objects.count(), stored(today, cadet).version) == (1, 1)


def test_a_retry_is_recognised_whatever_has_happened_since(
    instructor: StaffPerson, cadet: CadetPerson, day: TrainingDay
) -> None:
    code, scan_id = fresh(day, cadet, issued_at=at(day)), str(uuid.uuid4())
    sent = {"scan_id": scan_id, "scanned_at": at(day, 1).isoformat()}
    scan(instructor, day, code, **sent)
    without_time = scan(instructor, day, code, scan_id=scan_id)  # by now the code has expired
    assert without_time.json()["result"] == "already_recorded"
    Cadet.objects.update(archived_at=now())
    TrainingDay.objects.update(cancelled_at=now(), cancel_reason="Storm")
    assert scan(instructor, day, code, **sent).json()["result"] == "already_recorded"
    AttendanceRecord.objects.all().delete()
    Enrollment.objects.all().delete()
    body = scan(instructor, day, code, **sent).json()
    assert (body["result"], body["cadet"], body["record"]) == ("already_recorded", None, None)
    assert not refusal_entries()


def test_a_replayed_code_is_refused(instructor: StaffPerson, cadet: CadetPerson, today: TrainingDay) -> None:
    code = fresh(today, cadet)
    assert scan(instructor, today, code).status_code == 200
    events = Event.objects.count()
    assert problem_of(scan(instructor, today, code)) == (409, "code_used")
    assert (Scan.objects.count(), stored(today, cadet).version, Event.objects.count()) == (1, 1, events)
    assert [after["code"] for _, _, after in refusal_entries()] == ["code_used"]


def test_of_two_showings_of_a_code_the_earlier_counts_even_if_it_is_told_later(
    instructor: StaffPerson, admin: Person, cadet: CadetPerson, day: TrainingDay
) -> None:
    code = fresh(day, cadet, issued_at=at(day))
    later = {"scan_id": str(uuid.uuid4()), "scanned_at": at(day, 6).isoformat()}
    assert scan(instructor, day, code, **later).status_code == 200
    assert scan(admin, day, code, scanned_at=at(day, 2).isoformat()).json()["result"] == "recorded"
    assert stored(day, cadet).time_in == at(day, 2)
    assert Scan.objects.get().scanned_by == admin.user
    assert problem_of(scan(instructor, day, code, **later)) == (409, "code_used")
    assert stored(day, cadet).time_in == at(day, 2)


# --- Refusals ---------------------------------------------------------------------------------------------------------


def refused_alike(answer: Any, code: str, person: Person, day: TrainingDay, cadet_id: int | None) -> None:
    """The refusal, its words, its entry in the trail, and nothing else."""
    assert problem_of(answer) == (409, code)
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"] == WORDS[code]
    ((actor, target, after),) = refusal_entries()
    assert (actor, target) == (person.user.pk, f"training_day:{day.pk}")
    assert (after["code"], after["cadet_id"]) == (code, cadet_id)
    assert set(after) == {"code", "scan_id", "cadet_id", "scanned_at"}
    assert nothing_was_taken()


@pytest.mark.parametrize("text", ["", " ", "https://rotc.example", "2025-0118", "nul \x00", "x" * 100_000, "RGMS1."])
def test_what_is_no_code_is_refused(instructor: StaffPerson, today: TrainingDay, text: str) -> None:
    refused_alike(scan(instructor, today, text), "code_malformed", instructor, today, None)


def test_another_spelling_of_a_code_is_refused(instructor: StaffPerson, cadet: CadetPerson, today: TrainingDay) -> None:
    refused_alike(scan(instructor, today, fresh(today, cadet).lower()), "code_malformed", instructor, today, None)


def test_a_code_that_somebody_changed_is_refused(
    instructor: StaffPerson, cadet: CadetPerson, today: TrainingDay
) -> None:
    code = fresh(today, cadet)
    changed = code[:20] + ("B" if code[20] != "B" else "C") + code[21:]
    refused_alike(scan(instructor, today, changed), "code_forged", instructor, today, None)


def test_a_code_of_another_key_is_refused(
    instructor: StaffPerson, cadet: CadetPerson, today: TrainingDay, settings: Any
) -> None:
    for key in (settings.SECRET_KEY, settings.TOKEN_KEY, "0" * 128):
        AuditEntry.objects.filter(action="scan.refuse").delete()
        refused_alike(scan(instructor, today, fresh(today, cadet, key=key)), "code_forged", instructor, today, None)


def test_an_expired_code_is_refused(instructor: StaffPerson, cadet: CadetPerson, today: TrainingDay) -> None:
    code = fresh(today, cadet, issued_at=now() - dt.timedelta(minutes=10, seconds=1))
    refused_alike(scan(instructor, today, code), "code_expired", instructor, today, cadet.cadet.pk)


def test_a_code_of_another_day_is_refused(
    instructor: StaffPerson, cadet: CadetPerson, today: TrainingDay, day: TrainingDay
) -> None:
    other = factories.day(0, title="Afternoon")
    refused_alike(scan(instructor, today, fresh(other, cadet)), "code_of_another_day", instructor, today, None)


def test_a_cadet_who_is_not_enrolled_is_refused(instructor: StaffPerson, today: TrainingDay) -> None:
    nobody = cadets.cadet()
    code = factories.code(today, nobody, issued_at=now())
    refused_alike(scan(instructor, today, code), "not_enrolled", instructor, today, nobody.pk)


def test_an_archived_cadet_is_refused(instructor: StaffPerson, cadet: CadetPerson, today: TrainingDay) -> None:
    Cadet.objects.update(archived_at=now())
    refused_alike(scan(instructor, today, fresh(today, cadet)), "cadet_archived", instructor, today, cadet.cadet.pk)


def test_a_cancelled_day_takes_no_scan(instructor: StaffPerson, cadet: CadetPerson) -> None:
    cancelled = factories.day(0, cancelled_at=now(), cancel_reason="Storm")
    answer = scan(instructor, cancelled, fresh(cancelled, cadet))
    refused_alike(answer, "day_cancelled", instructor, cancelled, cadet.cadet.pk)


@pytest.mark.parametrize(
    ("issued", "scanned"),
    [
        (dt.timedelta(), dt.timedelta(minutes=2, seconds=30)),  # in the future
        (-MINUTE, -MINUTE - dt.timedelta(minutes=2, seconds=1)),  # before the code was made
        (-dt.timedelta(days=7, minutes=1), -dt.timedelta(days=7, seconds=10)),  # too long ago
        (-dt.timedelta(days=2), -dt.timedelta(days=2)),  # not of this day
        (dt.timedelta(), dt.timedelta(days=3000)),
    ],
)
def test_a_time_that_cannot_be_is_refused(
    instructor: StaffPerson, cadet: CadetPerson, issued: dt.timedelta, scanned: dt.timedelta
) -> None:
    day = factories.day(0 if abs(scanned) < dt.timedelta(days=3) or scanned.days > 0 else 7)
    code = fresh(day, cadet, issued_at=now() + issued)
    answer = scan(instructor, day, code, scanned_at=(now() + scanned).isoformat())
    refused_alike(answer, "scanned_at_impossible", instructor, day, cadet.cadet.pk)


def test_nobody_is_scanned_in_a_closed_term_or_before_the_day(instructor: StaffPerson, cadet: CadetPerson) -> None:
    tomorrow = factories.day(-1)
    assert problem_of(scan(instructor, tomorrow, fresh(tomorrow, cadet))) == (409, "day_in_future")
    today = factories.day(0)
    Term.objects.update(closed_at=now())
    assert problem_of(scan(instructor, today, fresh(today, cadet))) == (409, "term_closed")
    assert problem_of(instructor.client.post("/api/v1/training-days/999999/scans", {}))[0] == 400
    assert nothing_was_taken()


def test_there_has_to_be_such_a_day(instructor: StaffPerson) -> None:
    answer = instructor.client.post("/api/v1/training-days/999999/scans", {"scan_id": str(uuid.uuid4()), "code": "x"})
    assert problem_of(answer) == (404, "not_found")
    assert instructor.client.get("/api/v1/training-days/999999/scans").status_code == 404


def test_cadets_scan_nobody(cadet: CadetPerson, stranger: CadetPerson, today: TrainingDay) -> None:
    for answer in (
        scan(cadet, today, fresh(today, cadet)),
        scan(stranger, today, fresh(today, cadet)),
        cadet.client.get(path(today)),
    ):
        assert problem_of(answer) == (403, "permission_denied")
    assert nothing_was_taken()


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"scan_id": "7"}, "scan_id", "invalid"),
        ({"scan_id": None}, "scan_id", "null"),
        ({"scan_id": [1]}, "scan_id", "invalid"),
        ({"scan_id": 2**128}, "scan_id", "invalid"),
        ({"code": 7}, "code", "invalid"),
        ({"code": None}, "code", "null"),
        ({"code": {"a": 1}}, "code", "invalid"),
        ({"scanned_at": "2026-08-22T06:30:00"}, "scanned_at", "offset_missing"),
        ({"scanned_at": "yesterday"}, "scanned_at", "invalid"),
        ({"scanned_at": None}, "scanned_at", "null"),
        ({"scanned_at": 1787348000}, "scanned_at", "invalid"),
        ({"scaned_at": "2026-08-22T06:30:00Z"}, "scaned_at", "unknown_field"),
    ],
)
def test_a_scanners_own_mistake_is_named(
    instructor: StaffPerson, today: TrainingDay, change: dict[str, Any], field: str, code: str
) -> None:
    given = {"scan_id": str(uuid.uuid4()), "code": "x", **change}
    assert fields_of(instructor.client.post(path(today), given)) == {field: code}
    assert not refusal_entries()


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00Z"])
def test_a_time_at_the_end_of_the_calendar_is_refused(
    instructor: StaffPerson, cadet: CadetPerson, today: TrainingDay, time: str
) -> None:
    assert scan(instructor, today, fresh(today, cadet), scanned_at=time).status_code in {400, 409}
    assert nothing_was_taken()


# --- What others wrote ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "source", "then"),
    [
        ("absent", "sync", ("late", "scan")),
        ("absent", "manual", ("late", "scan")),
        ("present", "manual", ("present", "manual")),
        ("excused", "sync", ("excused", "sync")),
        ("excused", "manual", ("excused", "manual")),
        ("late", "import", ("late", "import")),
    ],
)
def test_absent_gives_way_and_another_status_gets_its_times(
    admin: Person, cadet: CadetPerson, status: str, source: str, then: tuple[str, str]
) -> None:
    instructor, day = cadets.staff_person(), factories.day(1, late_after=dt.time(7, 0))
    factories.record(day, cadet.cadet, status, source=source, remarks="Seen", recorded_by=admin.user)
    assert scan_at(instructor, day, cadet, 45).json()["result"] == "recorded"
    record = stored(day, cadet)
    assert (record.status, record.source) == then
    assert (record.time_in, record.time_out, record.remarks, record.version) == (at(day, 45), None, "Seen", 2)
    assert record.recorded_by == (instructor.user if then[1] == "scan" else admin.user)
    before = AuditEntry.objects.get(action="scan.record").before
    assert before is not None
    assert [row["status"] for row in before["records"]] == [status]


def test_a_correction_by_hand_stays_when_the_cadet_is_scanned_out(
    instructor: StaffPerson, admin: Person, cadet: CadetPerson, day: TrainingDay
) -> None:
    scan_at(instructor, day, cadet, 0)
    address = f"/api/v1/training-days/{day.pk}/attendance/{cadet.cadet.pk}"
    corrected = {"status": "absent", "remarks": "A friend held up the telephone", "time_in": iso(at(day))}
    assert admin.client.put(address, corrected).status_code == 200
    assert scan_at(instructor, day, cadet, 240).json()["effect"] == "time_out"
    record = stored(day, cadet)
    assert (record.status, record.source, record.remarks) == ("absent", "manual", corrected["remarks"])
    assert (record.time_in, record.time_out) == (at(day), at(day, 240))


# --- The list ---------------------------------------------------------------------------------------------------------


def test_staff_see_the_scans_of_a_day_the_latest_first(
    instructor: StaffPerson, cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    for who, minutes in ((cadet, 0), (stranger, 1), (cadet, 2), (cadet, 200)):
        scan_at(instructor, day, who, minutes)
    other = factories.day(2)
    scan_at(instructor, other, cadet, 0)
    body = instructor.client.get(path(day)).json()
    assert body["count"] == 4
    assert [(row["cadet"]["cadet_id"], row["effect"]) for row in body["results"]] == [
        (cadet.cadet.pk, "time_out"),
        (cadet.cadet.pk, "too_soon"),
        (stranger.cadet.pk, "time_in"),
        (cadet.cadet.pk, "time_in"),
    ]
    last = Scan.objects.filter(training_day=day).order_by("scanned_at").last()
    assert last is not None
    assert body["results"][0] == {
        "scan_id": str(last.scan_id),
        "cadet": {
            "cadet_id": cadet.cadet.pk,
            "student_id": cadet.cadet.student_id,
            "name": cadet.cadet.full_name,
        },
        "scanned_at": iso(at(day, 200)),
        "received_at": iso(last.received_at),
        "scanned_by_id": instructor.user.pk,
        "effect": "time_out",
    }
    assert str(last.nonce) not in str(body)
    only = instructor.client.get(path(day), {"cadet": stranger.cadet.pk, "page_size": 1}).json()
    assert (only["count"], len(only["results"])) == (1, 1)
    for query, field in (({"cadet": 0}, "cadet"), ({"cadet": 2**63}, "cadet"), ({"cadets": 1}, "cadets")):
        assert list(fields_of(instructor.client.get(path(day), query))) == [field]


def test_a_day_is_of_manila(instructor: StaffPerson, cadet: CadetPerson, day: TrainingDay) -> None:
    """06:30 there is the evening before in UTC."""
    scan_at(instructor, day, cadet, 0)
    record = stored(day, cadet)
    assert record.time_in is not None
    assert manila_date(record.time_in) == day.date != record.time_in.date()
