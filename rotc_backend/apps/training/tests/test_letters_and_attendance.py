"""What an approved letter does to attendance, whenever its day comes to take place."""

import datetime as dt
from typing import Any

import pytest

from apps.accounts.models import AuditEntry, Mail
from apps.accounts.tests.factories import Person
from apps.cadets.tests import factories as cadets
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event
from apps.training.models import AttendanceRecord, ExcuseLetter, TrainingDay
from apps.training.selectors import attendance_counts
from apps.training.services.attendance import attendance_mark
from apps.training.tests import factories
from core.clock import now

pytestmark = pytest.mark.django_db(transaction=True)

DAYS = "/api/v1/training-days"


def approve(person: Person, letter: ExcuseLetter) -> Any:
    answer = person.client.post(f"/api/v1/excuse-letters/{letter.pk}/approve", {})
    assert answer.status_code == 200, answer.content
    return answer


def excused(*days: TrainingDay) -> list[bool]:
    marked = set(AttendanceRecord.objects.filter(status="excused").values_list("training_day_id", flat=True))
    return [day.pk in marked for day in days]


def test_every_day_of_the_date_that_takes_place_is_excused(cadet: CadetPerson, commandant: StaffPerson) -> None:
    morning, afternoon = factories.day(3), factories.day(3)
    other = factories.day(2)
    cancelled = factories.day(3, cancelled_at=now(), cancel_reason="Storm")
    approve(commandant, factories.letter(cadet.cadet, morning.date))
    assert excused(morning, afternoon, other, cancelled) == [True, True, False, False]
    record = AttendanceRecord.objects.filter(training_day=morning).get()
    assert (record.cadet, record.source, record.recorded_by) == (cadet.cadet, "sync", commandant.user)
    told = [(event.type, event.data["training_day_id"]) for event in Event.objects.filter(type__startswith="att")]
    assert sorted(told) == sorted(
        (name, day.pk) for day in (morning, afternoon) for name in ("attendance.marked", "attendance.day_changed")
    )


def test_only_the_day_that_the_letter_names_is_excused(cadet: CadetPerson, commandant: StaffPerson) -> None:
    morning, afternoon = factories.day(3), factories.day(3)
    approve(commandant, factories.letter(cadet.cadet, morning.date, training_day=morning))
    assert excused(morning, afternoon) == [True, False]


def test_a_record_that_exists_keeps_its_times_and_the_trail_shows_what_it_was(
    cadet: CadetPerson, stranger: CadetPerson, commandant: StaffPerson
) -> None:
    day = factories.day(3)
    came = factories.morning(day)
    factories.record(day, cadet.cadet, "late", time_in=came, remarks="Left with fever")
    factories.record(day, stranger.cadet, "absent")
    approve(commandant, factories.letter(cadet.cadet, day.date))
    record = AttendanceRecord.objects.get(cadet=cadet.cadet)
    assert (record.status, record.time_in, record.remarks) == ("excused", came, "Left with fever")
    before = AuditEntry.objects.get(action="attendance.mark").before or {}
    assert [(row["cadet_id"], row["status"]) for row in before["records"]] == [(cadet.cadet.pk, "late")]
    assert AttendanceRecord.objects.get(cadet=stranger.cadet).status == "absent"


def test_what_is_excused_already_is_not_written_again(cadet: CadetPerson, commandant: StaffPerson) -> None:
    day = factories.day(3)
    factories.record(day, cadet.cadet, "excused")
    approve(commandant, factories.letter(cadet.cadet, day.date))
    assert AttendanceRecord.objects.get().version == 1
    assert not AuditEntry.objects.filter(action="attendance.mark").exists()
    assert not Event.objects.filter(type__startswith="attendance").exists()


def test_a_coming_day_is_excused_before_it_is_held(cadet: CadetPerson, commandant: StaffPerson) -> None:
    day = factories.day(-3)
    approve(commandant, factories.letter(cadet.cadet, day.date))
    assert excused(day) == [True]
    count = attendance_counts(term_id=day.term_id, today=cadets.today())[cadet.cadet.pk]
    assert (count.held, count.by_status["excused"]) == (0, 0)


def test_the_grade_counts_the_excuse_at_once(cadet: CadetPerson, commandant: StaffPerson) -> None:
    day = factories.day(3)
    own = "/api/v1/cadets/me/attendance"
    assert cadet.client.get(own).json()["totals"]["excused"] == 0
    approve(commandant, factories.letter(cadet.cadet, day.date))
    assert cadet.client.get(own).json()["totals"]["excused"] == 1


# --- Days that come later ---------------------------------------------------------------------------------------------


def test_a_day_added_later_is_excused_when_it_is_added(
    cadet: CadetPerson, stranger: CadetPerson, commandant: StaffPerson
) -> None:
    date = cadets.today() + dt.timedelta(days=4)
    for who, state in ((cadet, "pending"), (stranger, "pending")):
        letter = factories.letter(who.cadet, date, state=state)
    approve(commandant, ExcuseLetter.objects.get(cadet=cadet.cadet))
    assert not AttendanceRecord.objects.exists()
    commandant.client.post(f"/api/v1/excuse-letters/{letter.pk}/reject", {"note": "No"})
    Event.objects.all().delete()
    body = commandant.client.post(DAYS, {"date": str(date), "title": "Bivouac"}).json()
    record = AttendanceRecord.objects.get()
    assert (record.training_day_id, record.cadet, record.status) == (body["id"], cadet.cadet, "excused")
    assert [event.type for event in Event.objects.order_by("id")] == [
        "training_day.created",
        "attendance.marked",
        "attendance.day_changed",
    ]


def test_a_day_moved_to_the_date_is_excused_and_one_moved_away_keeps_its_records(
    cadet: CadetPerson, commandant: StaffPerson
) -> None:
    away, here = factories.day(3), factories.day(2)
    approve(commandant, factories.letter(cadet.cadet, here.date))
    assert excused(away, here) == [False, True]
    for day, date in ((away, here.date), (here, away.date)):
        answer = commandant.client.patch(f"{DAYS}/{day.pk}", {"date": str(date)}, HTTP_IF_MATCH='"v1"')
        assert answer.status_code == 200
    assert excused(away, here) == [True, True]
    commandant.client.patch(f"{DAYS}/{away.pk}", {"title": "Renamed"}, HTTP_IF_MATCH='"v2"')
    assert AuditEntry.objects.filter(action="attendance.mark").count() == 2


def test_a_letter_that_names_a_day_does_not_follow_it_to_another_date(
    cadet: CadetPerson, commandant: StaffPerson
) -> None:
    day = factories.day(3)
    letter = factories.letter(cadet.cadet, day.date, training_day=day)
    commandant.client.patch(f"{DAYS}/{day.pk}", {"date": str(cadets.today())}, HTTP_IF_MATCH='"v1"')
    assert approve(commandant, letter).json()["state"] == "approved"
    assert excused(day) == [False]
    commandant.client.patch(f"{DAYS}/{day.pk}", {"date": str(letter.date_absent)}, HTTP_IF_MATCH='"v2"')
    assert excused(day) == [True]


def test_a_cancelled_day_is_excused_when_it_is_reinstated(cadet: CadetPerson, commandant: StaffPerson) -> None:
    day = factories.day(3, cancelled_at=now(), cancel_reason="Storm")
    approve(commandant, factories.letter(cadet.cadet, day.date))
    assert excused(day) == [False]
    moved = cadets.today() - dt.timedelta(days=1)
    commandant.client.patch(f"{DAYS}/{day.pk}", {"date": str(moved)}, HTTP_IF_MATCH='"v1"')
    commandant.client.patch(f"{DAYS}/{day.pk}", {"date": str(day.date)}, HTTP_IF_MATCH='"v2"')
    assert excused(day) == [False]
    commandant.client.post(f"{DAYS}/{day.pk}/reinstate")
    assert excused(day) == [True]


@pytest.mark.parametrize("source", ["manual", "scan", "import"])
def test_what_an_officer_corrected_after_the_approval_stays_so(
    cadet: CadetPerson, commandant: StaffPerson, source: str
) -> None:
    day = factories.day(3)
    approve(commandant, factories.letter(cadet.cadet, day.date))
    facts: Any = {"status": "present"}
    attendance_mark(
        actor=commandant.principal, training_day_id=day.pk, cadet_id=cadet.cadet.pk, facts=facts, source=source
    )
    commandant.client.post(f"{DAYS}/{day.pk}/cancel", {"reason": "Storm"})
    assert commandant.client.post(f"{DAYS}/{day.pk}/reinstate").status_code == 200
    for version, date in ((3, cadets.today()), (4, day.date)):
        answer = commandant.client.patch(f"{DAYS}/{day.pk}", {"date": str(date)}, HTTP_IF_MATCH=f'"v{version}"')
        assert answer.status_code == 200
    record = AttendanceRecord.objects.get()
    assert (record.status, record.source, record.version) == ("present", source, 2)


def test_what_was_marked_before_the_approval_is_excused_when_the_day_takes_place(
    cadet: CadetPerson, commandant: StaffPerson
) -> None:
    day = factories.day(3)
    factories.record(day, cadet.cadet, "absent")
    commandant.client.post(f"{DAYS}/{day.pk}/cancel", {"reason": "Storm"})
    approve(commandant, factories.letter(cadet.cadet, day.date))
    assert excused(day) == [False]
    commandant.client.post(f"{DAYS}/{day.pk}/reinstate")
    assert excused(day) == [True]


def test_many_letters_of_a_date_are_applied_in_one_write(
    commandant: StaffPerson, django_assert_max_num_queries: Any
) -> None:
    date = cadets.today()
    client = commandant.client
    cadets.term()
    for _ in range(30):
        approved = {"state": "approved", "decided_by": commandant.user, "decided_at": now()}
        factories.letter(cadets.enrolled().cadet, date, **approved)
    client.get(DAYS)  # reads the revocations, which a process does every two seconds
    with django_assert_max_num_queries(20):
        client.post(DAYS, {"date": str(date), "title": "Drill"})
    assert AttendanceRecord.objects.filter(status="excused").count() == 30
    after = AuditEntry.objects.get(action="attendance.mark").after or {}
    assert len(after["records"]) == 30


@pytest.mark.parametrize(("action", "state"), [("approve", "approved"), ("reject", "rejected")])
def test_the_decision_is_mailed_to_the_cadet_once_and_a_refused_one_is_not(
    cadet: CadetPerson, commandant: StaffPerson, action: str, state: str
) -> None:
    letter = factories.letter(cadet.cadet, factories.day(3).date)
    path = f"/api/v1/excuse-letters/{letter.pk}/{action}"
    assert commandant.client.post(path, {"note": "Seen the certificate."}).status_code == 200
    assert commandant.client.post(path, {"note": "Again."}).status_code == 409
    mail = Mail.objects.get()
    assert (mail.event, mail.kind, mail.state) == (f"letter.decided:{letter.pk}:{state}", "letter_decided", "waiting")
    assert mail.recipient_id == cadet.user.pk
    assert mail.context == {"date_absent": str(letter.date_absent), "state": state, "note": "Seen the certificate."}
