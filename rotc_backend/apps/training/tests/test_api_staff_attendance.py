from typing import Any

import pytest

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets.models import StaffProfile
from apps.cadets.tests import factories as cadets
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event
from apps.training.models import StaffAttendanceRecord, TrainingDay
from apps.training.tests import factories
from apps.training.tests.problems import fields_of, problem_of
from core.clock import now

pytestmark = pytest.mark.django_db(transaction=True)

OWN = "/api/v1/staff/me/attendance"


def path(day: TrainingDay, who: StaffProfile | None = None) -> str:
    address = f"/api/v1/training-days/{day.pk}/staff-attendance"
    return address if who is None else f"{address}/{who.pk}"


@pytest.fixture
def day(db: None) -> TrainingDay:
    return factories.day()


def test_staff_are_marked_like_cadets(admin: Person, instructor: StaffPerson, day: TrainingDay) -> None:
    other = cadets.staff_profile()
    rows = [{"staff_id": who.pk, "status": "present"} for who in (other, instructor.profile)]
    body = admin.client.post(path(day), {"records": rows}).json()
    assert (body["created"], body["changed"], body["unchanged"]) == (2, 0, 0)
    assert [row["staff_id"] for row in body["records"]] == [other.pk, instructor.profile.pk]
    own, of_day = Event.objects.order_by("id")
    assert (own.type, own.recipients) == ("staff_attendance.marked", [f"user:{instructor.user.pk}"])
    assert (of_day.type, of_day.recipients) == ("staff_attendance.day_changed", ["role:admin", "role:training_staff"])
    assert of_day.data["by_status"]["present"] == 2
    assert AuditEntry.objects.get(action="staff_attendance.mark").target == f"training_day:{day.pk}"
    assert admin.client.post(path(day), {"records": rows}).json()["unchanged"] == 2
    assert Event.objects.count() == 2


def test_every_row_that_is_wrong_is_named_and_nothing_is_written(admin: Person, day: TrainingDay) -> None:
    fine, archived = cadets.staff_profile(), cadets.staff_profile(archived_at=now())
    rows = [{"staff_id": key, "status": "present"} for key in (fine.pk, 10**9, archived.pk, fine.pk)]
    assert fields_of(admin.client.post(path(day), {"records": rows})) == {
        "records.1.staff_id": "unknown_staff",
        "records.2.staff_id": "staff_archived",
        "records.3.staff_id": "duplicate_row",
    }
    no_cadet = {"records": [{"cadet_id": 1, "status": "present"}]}
    assert fields_of(admin.client.post(path(day), no_cadet)) == {"records.0.cadet_id": "unknown_field"}
    assert not StaffAttendanceRecord.objects.exists()
    assert not Event.objects.exists()


def test_one_of_the_staff_is_marked_and_unmarked(admin: Person, instructor: StaffPerson, day: TrainingDay) -> None:
    address = path(day, instructor.profile)
    assert admin.client.put(address, {"status": "late", "remarks": "Bus"}).status_code == 201
    assert admin.client.put(address, {"status": "present"}).json()["remarks"] == ""
    assert problem_of(admin.client.put(f"{path(day)}/999999", {"status": "late"})) == (404, "unknown_staff")
    assert admin.client.delete(address).status_code == 204
    assert problem_of(admin.client.delete(address)) == (404, "not_found")
    assert [event.data["status"] for event in Event.objects.filter(type="staff_attendance.marked").order_by("id")] == [
        "late",
        "present",
        None,
    ]


def test_the_roster_has_everybody_on_the_staff(admin: Person, instructor: StaffPerson, day: TrainingDay) -> None:
    commandant = cadets.staff_profile(function="commandant", last_name="Abad", rank="MAJ", first_name="Corazon")
    cadets.staff_profile(archived_at=now())
    StaffAttendanceRecord.objects.create(training_day=day, staff_profile=instructor.profile, status="late")

    def rows(**query: Any) -> list[Any]:
        return list(admin.client.get(path(day), query).json()["results"])

    assert [(row["staff_id"], row["record"] and row["record"]["status"]) for row in rows()] == [
        (commandant.pk, None),
        (instructor.profile.pk, "late"),
    ]
    assert rows()[0] == {
        "staff_id": commandant.pk,
        "rank": "MAJ",
        "name": "Abad, Corazon",
        "function": "commandant",
        "record": None,
    }
    assert [row["staff_id"] for row in rows(function="commandant")] == [commandant.pk]
    assert [row["staff_id"] for row in rows(status="unmarked")] == [commandant.pk]
    assert [row["staff_id"] for row in rows(status="late")] == [instructor.profile.pk]


def test_staff_see_their_own_history(admin: Person, instructor: StaffPerson, day: TrainingDay) -> None:
    factories.day(-3)
    StaffAttendanceRecord.objects.create(training_day=day, staff_profile=instructor.profile, status="late")
    body = instructor.client.get(OWN).json()
    assert body["totals"] == {"held": 1, "present": 0, "late": 1, "excused": 0, "absent": 0, "unmarked": 0}
    assert [row["counts"] for row in body["days"]] == [True, False]
    assert problem_of(admin.client.get(OWN)) == (404, "no_staff_profile")
    assert problem_of(instructor.client.get(OWN, {"term": 2**62})) == (404, "not_found")


def test_a_cadet_sees_and_marks_no_staff(cadet: CadetPerson, day: TrainingDay) -> None:
    who = cadets.staff_profile()
    for answer in (
        cadet.client.get(path(day)),
        cadet.client.post(path(day), {"records": [{"staff_id": who.pk, "status": "present"}]}),
        cadet.client.put(path(day, who), {"status": "present"}),
        cadet.client.delete(path(day, who)),
        cadet.client.get(OWN),
    ):
        assert problem_of(answer) == (403, "permission_denied")
    assert not StaffAttendanceRecord.objects.exists()
