import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet, Enrollment, Term
from apps.cadets.tests import factories as cadets
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event
from apps.training.models import AttendanceRecord, TrainingDay
from apps.training.tests import factories
from apps.training.tests.problems import fields_of, problem_of
from core.clock import iso, now

pytestmark = pytest.mark.django_db(transaction=True)

STAFF = ["role:admin", "role:training_staff"]


def path(day: TrainingDay, who: Cadet | None = None) -> str:
    address = f"/api/v1/training-days/{day.pk}/attendance"
    return address if who is None else f"{address}/{who.pk}"


def mark(person: Person, day: TrainingDay, rows: list[Any]) -> Any:
    return person.client.post(path(day), {"records": rows})


def statuses(day: TrainingDay) -> dict[int, str]:
    return dict(AttendanceRecord.objects.filter(training_day=day).values_list("cadet_id", "status"))


def nothing_was_written() -> bool:
    audited = AuditEntry.objects.filter(action__startswith="attendance").exists()
    return not (AttendanceRecord.objects.exists() or Event.objects.exists() or audited)


@pytest.fixture
def day(db: None) -> TrainingDay:
    return factories.day()


# --- Many at once -----------------------------------------------------------------------------------------------------


def test_staff_mark_a_company_in_one_call(
    instructor: StaffPerson, cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    came = factories.morning(day)
    rows: list[Any] = [
        {"cadet_id": stranger.cadet.pk, "status": "absent", "remarks": "Not seen"},
        {"student_id": cadet.cadet.student_id.lower(), "status": "late", "time_in": came.isoformat()},
    ]
    answer = mark(instructor, day, rows)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["created"], body["changed"], body["unchanged"]) == (2, 0, 0)
    first, second = body["records"]
    assert (first["cadet_id"], first["status"], first["remarks"]) == (stranger.cadet.pk, "absent", "Not seen")
    assert second == {
        "cadet_id": cadet.cadet.pk,
        "status": "late",
        "time_in": iso(came),
        "time_out": None,
        "remarks": "",
        "source": "manual",
        "updated_at": second["updated_at"],
        "recorded_by_id": instructor.user.pk,
    }
    assert statuses(day) == {cadet.cadet.pk: "late", stranger.cadet.pk: "absent"}


def test_each_cadet_hears_of_the_own_record_and_the_staff_once_of_the_day(
    instructor: StaffPerson, cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    nobody = cadets.enrolled().cadet  # without an account
    rows = [{"cadet_id": who.pk, "status": "present"} for who in (stranger.cadet, nobody, cadet.cadet)]
    mark(instructor, day, rows)
    told = [(event.type, event.recipients, event.data) for event in Event.objects.order_by("id")]
    own = {
        "training_day_id": day.pk,
        "date": str(day.date),
        "status": "present",
        "time_in": None,
        "time_out": None,
        "remarks": "",
        "source": "manual",
    }
    assert told == [
        ("attendance.marked", [f"user:{cadet.user.pk}"], own),
        ("attendance.marked", [f"user:{stranger.user.pk}"], own),
        (
            "attendance.day_changed",
            STAFF,
            {
                "training_day_id": day.pk,
                "created": 3,
                "changed": 0,
                "removed": 0,
                "by_status": {"present": 3, "late": 0, "excused": 0, "absent": 0},
            },
        ),
    ]


def test_one_audit_entry_holds_the_changed_rows_before_and_after(
    instructor: StaffPerson, cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    kept = cadets.enrolled().cadet
    factories.record(day, cadet.cadet, "absent", remarks="Not seen")
    factories.record(day, kept, "present")
    rows = [{"cadet_id": who.pk, "status": "present"} for who in (cadet.cadet, stranger.cadet, kept)]
    assert mark(instructor, day, rows).json()["unchanged"] == 1
    entry = AuditEntry.objects.get(action="attendance.mark")
    assert (entry.actor, entry.target) == (instructor.user, f"training_day:{day.pk}")
    facts = {"time_in": None, "time_out": None, "remarks": "Not seen"}
    assert entry.before == {"records": [{"cadet_id": cadet.cadet.pk, "status": "absent", **facts}]}
    assert entry.after == {
        "records": [
            {"cadet_id": cadet.cadet.pk, "status": "present", **facts},
            {"cadet_id": stranger.cadet.pk, "status": "present", **facts, "remarks": ""},
        ],
        "source": "manual",
    }


def test_the_same_call_again_changes_nothing_and_tells_nobody(
    instructor: StaffPerson, admin: Person, cadet: CadetPerson, day: TrainingDay
) -> None:
    rows = [{"cadet_id": cadet.cadet.pk, "status": "late", "time_in": factories.morning(day).isoformat()}]
    first = mark(instructor, day, rows).json()
    before = AttendanceRecord.objects.values().get()
    Event.objects.all().delete()
    again = mark(admin, day, rows).json()
    assert (again["created"], again["changed"], again["unchanged"]) == (0, 0, 1)
    assert again["records"] == first["records"]
    assert AttendanceRecord.objects.values().get() == before
    assert not Event.objects.exists()
    assert AuditEntry.objects.filter(action="attendance.mark").count() == 1


def test_a_row_keeps_what_it_does_not_name_and_empties_what_it_sends_empty(
    admin: Person, cadet: CadetPerson, day: TrainingDay
) -> None:
    came = factories.morning(day)
    factories.record(day, cadet.cadet, "late", time_in=came, remarks="Bus")
    assert mark(admin, day, [{"cadet_id": cadet.cadet.pk, "status": "present"}]).json()["changed"] == 1
    record = AttendanceRecord.objects.get()
    assert (record.status, record.time_in, record.remarks, record.version) == ("present", came, "Bus", 2)
    mark(admin, day, [{"cadet_id": cadet.cadet.pk, "status": "present", "time_in": None, "remarks": ""}])
    record.refresh_from_db()
    assert (record.time_in, record.remarks, record.version) == (None, "", 3)


def test_every_row_that_is_wrong_is_named_and_nothing_is_written(admin: Person, day: TrainingDay) -> None:
    fine, twice, late = (cadets.enrolled().cadet for _ in range(3))
    elsewhere = cadets.cadet()
    archived = cadets.enrolled(archived_at=now()).cadet
    rows: list[Any] = [
        {"cadet_id": fine.pk, "status": "present"},
        {"cadet_id": 10**9, "status": "present"},
        {"student_id": "no-such-number", "status": "present"},
        {"cadet_id": elsewhere.pk, "status": "present"},
        {"student_id": archived.student_id, "status": "present"},
        {"cadet_id": twice.pk, "status": "present"},
        {"student_id": twice.student_id.upper(), "status": "present"},
        {
            "cadet_id": late.pk,
            "status": "present",
            "time_in": factories.morning(day, 9).isoformat(),
            "time_out": factories.morning(day, 8).isoformat(),
        },
    ]
    answer = mark(admin, day, rows)
    assert fields_of(answer) == {
        "records.1.cadet_id": "unknown_cadet",
        "records.2.student_id": "unknown_cadet",
        "records.3.cadet_id": "not_enrolled",
        "records.4.student_id": "cadet_archived",
        "records.6.student_id": "duplicate_row",
        "records.7.time_out": "time_out_before_in",
    }
    assert "5" in next(e["detail"] for e in answer.json()["errors"] if e["code"] == "duplicate_row")
    assert nothing_was_written()


@pytest.mark.parametrize(
    ("row", "field", "code"),
    [
        ({"cadet_id": 1, "status": "sick"}, "records.0.status", "invalid_choice"),
        ({"cadet_id": 1}, "records.0.status", "required"),
        ({"status": "present"}, "records.0.cadet_id", "required"),
        ({"cadet_id": 1, "student_id": "x", "status": "present"}, "records.0.student_id", "ambiguous"),
        ({"cadet_id": 2**63, "status": "present"}, "records.0.cadet_id", "max_value"),
        ({"cadet_id": "one", "status": "present"}, "records.0.cadet_id", "invalid"),
        ({"cadet_id": 1, "status": ["present"]}, "records.0.status", "invalid_choice"),
        ({"cadet_id": 1, "status": "present", "remarks": "x" * 256}, "records.0.remarks", "max_length"),
        ({"cadet_id": 1, "status": "present", "remarks": "\x00"}, "records.0.remarks", "null_characters_not_allowed"),
        ({"cadet_id": 1, "status": "present", "time_in": "06:30"}, "records.0.time_in", "invalid"),
        ({"cadet_id": 1, "status": "present", "time_in": "2026-08-22T06:30"}, "records.0.time_in", "offset_missing"),
        ({"cadet_id": 1, "status": "present", "timein": None}, "records.0.timein", "unknown_field"),
        ("present", "records.0", "invalid"),
        (None, "records.0", "null"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(admin: Person, day: TrainingDay, row: Any, field: str, code: str) -> None:
    assert fields_of(mark(admin, day, [row])) == {field: code}
    assert nothing_was_written()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"records": []}, "empty"),
        ({"records": [{"cadet_id": 1, "status": "present"}] * 501}, "max_length"),
        ({"records": {"cadet_id": 1}}, "not_a_list"),
        ({}, "required"),
    ],
)
def test_a_call_has_between_1_and_500_rows(admin: Person, day: TrainingDay, body: dict[str, Any], code: str) -> None:
    assert fields_of(admin.client.post(path(day), body)) == {"records": code}


@pytest.mark.parametrize("offset", [dt.timedelta(days=-2), dt.timedelta(days=2), dt.timedelta(days=3_000_000)])
def test_a_time_far_from_the_day_is_refused(
    admin: Person, cadet: CadetPerson, day: TrainingDay, offset: dt.timedelta
) -> None:
    try:
        instant = (factories.morning(day) + offset).isoformat()
    except OverflowError:
        instant = "9999-12-31T23:59:59-12:00"
    answer = mark(admin, day, [{"cadet_id": cadet.cadet.pk, "status": "present", "time_in": instant}])
    assert fields_of(answer) in ({"records.0.time_in": "time_outside_day"}, {"records.0.time_in": "overflow"})
    answer = admin.client.put(path(day, cadet.cadet), {"status": "present", "time_out": instant})
    assert fields_of(answer) in ({"time_out": "time_outside_day"}, {"time_out": "overflow"})
    assert nothing_was_written()


def test_times_that_are_kept_are_judged_with_those_that_are_sent(
    admin: Person, cadet: CadetPerson, day: TrainingDay
) -> None:
    factories.record(day, cadet.cadet, time_in=factories.morning(day, 8))
    left = {"cadet_id": cadet.cadet.pk, "status": "present", "time_out": factories.morning(day, 7).isoformat()}
    assert fields_of(mark(admin, day, [left])) == {"records.0.time_out": "time_out_before_in"}


def test_times_that_are_stored_outlive_the_moving_of_their_day(
    admin: Person, cadet: CadetPerson, day: TrainingDay
) -> None:
    came = factories.morning(day)
    factories.record(day, cadet.cadet, "present", time_in=came)
    TrainingDay.objects.filter(pk=day.pk).update(date=day.date - dt.timedelta(days=5))
    row = {"cadet_id": cadet.cadet.pk, "status": "late"}
    assert mark(admin, day, [row]).json()["changed"] == 1
    kept = {"status": "excused", "time_in": came.isoformat()}
    assert admin.client.put(path(day, cadet.cadet), kept).status_code == 200
    record = AttendanceRecord.objects.get()
    assert (record.status, record.time_in) == ("excused", came)
    far = (came + dt.timedelta(minutes=1)).isoformat()
    assert fields_of(mark(admin, day, [{**row, "time_in": far}])) == {"records.0.time_in": "time_outside_day"}
    assert fields_of(mark(admin, day, [{**row, "time_out": far}])) == {"records.0.time_out": "time_outside_day"}
    before = factories.morning(TrainingDay.objects.get()).isoformat()  # fits the day, but not the time of coming
    assert fields_of(mark(admin, day, [{**row, "time_out": before}])) == {"records.0.time_out": "time_out_before_in"}


def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(
    admin: Person, day: TrainingDay, django_assert_max_num_queries: Any
) -> None:
    client = admin.client
    for people in (1, 40):
        rows = [{"cadet_id": cadets.enrolled().cadet_id, "status": "present"} for _ in range(people)]
        client.get(f"/api/v1/training-days/{day.pk}")  # reads the revocations, which a process does every two seconds
        with django_assert_max_num_queries(14):
            assert client.post(path(day), {"records": rows}).json()["created"] == people


# --- One --------------------------------------------------------------------------------------------------------------


def test_one_record_is_put_and_replaced_as_a_whole(
    instructor: StaffPerson, cadet: CadetPerson, day: TrainingDay
) -> None:
    address = path(day, cadet.cadet)
    came = factories.morning(day).isoformat()
    first = instructor.client.put(address, {"status": "late", "time_in": came, "remarks": "Bus"})
    assert (first.status_code, first.json()["remarks"]) == (201, "Bus")
    second = instructor.client.put(address, {"status": "present"})
    assert second.status_code == 200
    body = second.json()
    assert (body["status"], body["time_in"], body["remarks"]) == ("present", None, "")
    assert [event.type for event in Event.objects.order_by("id")] == ["attendance.marked", "attendance.day_changed"] * 2
    third = instructor.client.put(address, {"status": "present"})
    assert (third.status_code, third.json()) == (200, body)
    assert Event.objects.count() == 4
    assert AuditEntry.objects.filter(action="attendance.mark").count() == 2


def test_a_record_is_removed_and_the_cadet_hears_it(admin: Person, cadet: CadetPerson, day: TrainingDay) -> None:
    factories.record(day, cadet.cadet, "absent")
    address = path(day, cadet.cadet)
    assert admin.client.delete(address).status_code == 204
    assert statuses(day) == {}
    own, of_day = Event.objects.order_by("id")
    assert (own.type, own.recipients, own.data["status"]) == ("attendance.marked", [f"user:{cadet.user.pk}"], None)
    assert (of_day.data["removed"], of_day.data["created"], of_day.data["changed"]) == (1, 0, 0)
    before = AuditEntry.objects.get(action="attendance.unmark").before or {}
    assert before["records"][0]["status"] == "absent"
    assert problem_of(admin.client.delete(address)) == (404, "not_found")
    assert Event.objects.count() == 2


def test_only_an_enrolled_cadet_who_is_not_archived_is_marked(admin: Person, day: TrainingDay) -> None:
    elsewhere, archived = cadets.cadet(), cadets.enrolled(archived_at=now()).cadet
    body = {"status": "present"}
    assert problem_of(admin.client.put(f"{path(day)}/999999", body)) == (404, "unknown_cadet")
    assert problem_of(admin.client.put(path(day, elsewhere), body)) == (404, "not_enrolled")
    assert problem_of(admin.client.put(path(day, archived), body)) == (409, "cadet_archived")
    both = cadets.cadet(archived_at=now())
    assert problem_of(admin.client.put(path(day, both), body)) == (404, "not_enrolled")
    assert nothing_was_written()


# --- When -------------------------------------------------------------------------------------------------------------


def test_a_coming_a_cancelled_day_and_one_of_a_closed_term_are_not_marked(admin: Person, cadet: CadetPerson) -> None:
    coming = factories.day(-1)
    cancelled = factories.day(3, cancelled_at=now(), cancel_reason="Storm")
    former = cadets.former_term()
    cadets.enroll(cadet.cadet, term=former)
    closed = factories.day(200, term=former)
    Term.objects.filter(pk=former.pk).update(closed_at=now())
    for day, code in ((coming, "day_in_future"), (cancelled, "day_cancelled"), (closed, "term_closed")):
        rows = [{"cadet_id": cadet.cadet.pk, "status": "present"}]
        assert problem_of(mark(admin, day, rows)) == (409, code)
        assert problem_of(admin.client.put(path(day, cadet.cadet), {"status": "present"})) == (409, code)
    assert nothing_was_written()
    for day, code in ((cancelled, "day_cancelled"), (closed, "term_closed")):
        factories.record(day, cadet.cadet)
        assert problem_of(admin.client.delete(path(day, cadet.cadet))) == (409, code)
    assert AttendanceRecord.objects.count() == 2


def test_a_day_that_is_today_in_manila_can_be_marked(admin: Person, cadet: CadetPerson) -> None:
    assert mark(admin, factories.day(0), [{"cadet_id": cadet.cadet.pk, "status": "present"}]).status_code == 200


# --- Roster -----------------------------------------------------------------------------------------------------------


def test_the_roster_has_every_enrolled_cadet_with_the_record_or_null(
    instructor: StaffPerson, cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    factories.record(day, stranger.cadet, "late", remarks="Bus")
    cadets.cadet()  # not enrolled
    cadets.enrolled(archived_at=now())
    kept = cadets.enrolled(archived_at=now(), last_name="Zamora", company=None, platoon=None)
    factories.record(day, kept.cadet, "absent")
    rows = instructor.client.get(path(day)).json()["results"]
    assert [(row["cadet_id"], row["record"] and row["record"]["status"]) for row in rows] == [
        (cadet.cadet.pk, None),
        (stranger.cadet.pk, "late"),
        (kept.cadet_id, "absent"),
    ]
    first = rows[0]
    assert first == {
        "cadet_id": cadet.cadet.pk,
        "student_id": cadet.cadet.student_id,
        "name": cadet.cadet.full_name,
        "company": {"id": cadets.company().pk, "name": "Alpha"},
        "platoon": {"id": cadets.platoon().pk, "name": "1st Platoon"},
        "record": None,
    }
    assert (rows[2]["company"], rows[2]["platoon"]) == (None, None)


def test_the_roster_is_filtered_and_paged(
    instructor: StaffPerson, cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    medic = cadets.enrolled(last_name="Abad", platoon=cadets.platoon("Medics")).cadet
    factories.record(day, stranger.cadet, "late")

    def ids(**query: Any) -> list[int]:
        return [row["cadet_id"] for row in instructor.client.get(path(day), query).json()["results"]]

    assert ids() == [medic.pk, cadet.cadet.pk, stranger.cadet.pk]
    assert ids(company=cadets.company("Bravo").pk) == [stranger.cadet.pk]
    assert ids(platoon=cadets.platoon("Medics").pk) == [medic.pk]
    assert ids(status="late") == [stranger.cadet.pk]
    assert ids(status="unmarked") == [medic.pk, cadet.cadet.pk]
    assert ids(status="absent") == []
    assert ids(page=2, page_size=2) == [stranger.cadet.pk]
    assert fields_of(instructor.client.get(path(day), {"status": "sick"})) == {"status": "invalid_choice"}
    assert fields_of(instructor.client.get(path(day), {"compny": 1})) == {"compny": "unknown_field"}


def test_the_roster_takes_the_same_queries_for_few_and_for_many(
    instructor: StaffPerson, day: TrainingDay, django_assert_num_queries: Any
) -> None:
    client = instructor.client
    for people in (1, 20):
        for _ in range(people):
            factories.record(day, cadets.enrolled().cadet)
        client.get(path(day))  # reads the revocations, which a process does every two seconds
        with django_assert_num_queries(4):
            client.get(path(day), {"page_size": 200})


# --- Own history ------------------------------------------------------------------------------------------------------

OWN = "/api/v1/cadets/me/attendance"


def test_a_cadet_sees_every_day_of_the_term_and_the_totals_of_the_grade(
    cadet: CadetPerson, stranger: CadetPerson
) -> None:
    Enrollment.objects.filter(pk=cadet.enrollment.pk).update(enrolled_on=cadets.today() - dt.timedelta(days=8))
    before = factories.day(9)
    late, cancelled = factories.day(8), factories.day(5, cancelled_at=now(), cancel_reason="Storm")
    unmarked, coming = factories.day(2), factories.day(-2)
    for day in (before, late, cancelled):
        factories.record(day, cadet.cadet, "late", remarks="Bus")
    factories.record(unmarked, stranger.cadet, "absent")
    body = cadet.client.get(OWN).json()
    assert body["term_id"] == cadets.term().pk
    assert body["totals"] == {"held": 2, "present": 0, "late": 1, "excused": 0, "absent": 0, "unmarked": 1}
    assert [(row["training_day_id"], row["counts"], row["cancelled"]) for row in body["days"]] == [
        (before.pk, False, False),
        (late.pk, True, False),
        (cancelled.pk, False, True),
        (unmarked.pk, True, False),
        (coming.pk, False, False),
    ]
    record = body["days"][1]["record"]
    assert set(record) == {"status", "time_in", "time_out", "remarks", "source", "updated_at"}
    assert body["days"][3]["record"] is None


def test_staff_see_what_the_cadet_sees(instructor: StaffPerson, cadet: CadetPerson) -> None:
    factories.record(factories.day(), cadet.cadet, "absent")
    own = cadet.client.get(OWN).json()
    answer = instructor.client.get(f"/api/v1/cadets/{cadet.cadet.pk}/attendance")
    assert answer.json() == own
    assert answer["Cache-Status"] == "rgms; hit"


def test_a_former_term_is_asked_for_by_its_id(cadet: CadetPerson) -> None:
    former = cadets.former_term()
    assert problem_of(cadet.client.get(OWN, {"term": former.pk})) == (404, "not_enrolled")
    cadets.enroll(cadet.cadet, term=former)
    factories.record(factories.day(200, term=former), cadet.cadet)
    assert cadet.client.get(OWN, {"term": former.pk}).json()["totals"]["present"] == 1
    assert problem_of(cadet.client.get(OWN, {"term": 2**62})) == (404, "not_enrolled")


def test_the_history_is_never_stale(admin: Person, cadet: CadetPerson, stranger: CadetPerson) -> None:
    day = factories.day()
    address = f"/api/v1/training-days/{day.pk}"
    one = path(day, cadet.cadet)

    def totals() -> tuple[int, int, int]:
        found = cadet.client.get(OWN).json()["totals"]
        return found["held"], found["present"], found["absent"]

    assert totals() == (1, 0, 0)
    writes: list[tuple[Callable[[], Any], tuple[int, int, int]]] = [
        (lambda: mark(admin, day, [{"cadet_id": cadet.cadet.pk, "status": "present"}]), (1, 1, 0)),
        (lambda: admin.client.put(one, {"status": "absent"}), (1, 0, 1)),
        (lambda: admin.client.post(f"{address}/cancel", {"reason": "Storm"}), (0, 0, 0)),
        (lambda: admin.client.post(f"{address}/reinstate"), (1, 0, 1)),
        (lambda: admin.client.delete(one), (1, 0, 0)),
    ]
    for write, expected in writes:
        assert write().status_code < 300
        assert totals() == expected
        assert cadet.client.get(OWN)["Cache-Status"] == "rgms; hit"
    stranger.client.get(OWN)
    admin.client.put(one, {"status": "late"})
    assert stranger.client.get(OWN)["Cache-Status"] == "rgms; hit"  # another's record does not concern it


def test_a_client_that_folds_the_events_holds_what_it_would_fetch(
    admin: Person, cadet: CadetPerson, stranger: CadetPerson
) -> None:
    days = [factories.day(days_ago) for days_ago in (9, 5, 2)]
    for status in ("late", "present"):
        rows = [{"cadet_id": who.cadet.pk, "status": status} for who in (stranger, cadet)]
        for day in days:
            mark(admin, day, rows)
    admin.client.put(path(days[0], cadet.cadet), {"status": "absent", "remarks": "Not seen"})
    admin.client.delete(path(days[1], cadet.cadet))
    letter = factories.letter(cadet.cadet, days[0].date)
    admin.client.post(f"/api/v1/excuse-letters/{letter.pk}/approve", {})
    state: dict[int, Any] = {}
    for event in Event.objects.filter(type="attendance.marked").order_by("id"):
        if event.recipients == [f"user:{cadet.user.pk}"]:
            record = {name: event.data[name] for name in ("status", "time_in", "time_out", "remarks", "source")}
            state[event.data["training_day_id"]] = record if record["status"] else None
    fetched = {row["training_day_id"]: row["record"] for row in cadet.client.get(OWN).json()["days"]}
    for record in fetched.values():
        if record is not None:
            del record["updated_at"]
    assert state == fetched
    assert [state[day.pk] and state[day.pk]["status"] for day in days] == ["excused", None, "present"]


def test_a_cadet_without_a_record_and_a_stranger_to_the_unit_have_no_history(
    admin: Person, instructor: StaffPerson, cadet: CadetPerson
) -> None:
    for person in (admin, instructor):
        assert problem_of(person.client.get(OWN)) == (403, "permission_denied")
    Cadet.objects.filter(pk=cadet.cadet.pk).update(archived_at=now())
    assert problem_of(cadet.client.get(OWN)) == (404, "no_cadet_record")


def test_a_cadet_reads_and_writes_nobodys_attendance(
    cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    client = cadet.client
    for answer in (
        client.get(path(day)),
        mark(cadet, day, [{"cadet_id": cadet.cadet.pk, "status": "present"}]),
        client.put(path(day, cadet.cadet), {"status": "present"}),
        client.delete(path(day, cadet.cadet)),
        client.get(f"/api/v1/cadets/{stranger.cadet.pk}/attendance"),
        client.get(f"/api/v1/cadets/{cadet.cadet.pk}/attendance"),
    ):
        assert problem_of(answer) == (403, "permission_denied")
    assert nothing_was_written()
