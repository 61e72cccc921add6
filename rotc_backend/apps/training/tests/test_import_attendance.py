"""Attendance from files: what becomes of each row, and what is written."""

import datetime as dt
from typing import Any

import pytest

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet, Term
from apps.cadets.rules import grades_version, standing_version
from apps.cadets.tests import factories as cadets
from apps.cadets.tests import tables
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.cadets.tests.tables import Bring
from apps.events.models import Event
from apps.training import rules
from apps.training.models import AttendanceRecord, TrainingDay
from apps.training.services.imports import attendance_import
from apps.training.tests import factories
from core.clock import MANILA, now
from core.errors import Conflict, NotFound

pytestmark = pytest.mark.django_db(transaction=True)

STAFF = ["role:admin", "role:training_staff"]


@pytest.fixture
def day(db: None) -> TrainingDay:
    return factories.day()


@pytest.fixture
def bring(instructor: StaffPerson, day: TrainingDay) -> Bring:
    actor = instructor.principal  # now: to authenticate takes a query every two seconds
    return tables.bringing(attendance_import, rules.ATTENDANCE_COLUMNS, actor=actor, training_day_id=day.pk)


def line(who: Cadet, status: Any = None, time_in: Any = None, time_out: Any = None, remarks: Any = None) -> Any:
    cells = {"student_id": who.student_id, "status": status, "time_in": time_in, "time_out": time_out}
    return {name: cell for name, cell in {**cells, "remarks": remarks}.items() if cell is not None}


def stored(who: Cadet) -> AttendanceRecord:
    return AttendanceRecord.objects.get(cadet=who)


def at(day: TrainingDay, *clock: Any) -> dt.datetime:
    return dt.datetime.combine(day.date, dt.time(*clock), tzinfo=MANILA)


def written(day: TrainingDay, *people: Cadet) -> dict[str, Any]:
    versions = [standing_version(who.pk) for who in people]
    return tables.footprint(AttendanceRecord, grades_version(day.term_id), *versions)


def audited(day: TrainingDay) -> list[Any]:
    """The records of the one audit entry that there is."""
    entry = AuditEntry.objects.get(action="attendance.mark", target=f"training_day:{day.pk}")
    return list((entry.after or {})["records"])


# --- What is written --------------------------------------------------------------------------------------------------


def test_rows_become_records_that_say_how_they_came_about(
    bring: Bring, instructor: StaffPerson, cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    done = bring(line(cadet.cadet, "Late", "7:05 AM", "11:30", " Second  bus "), line(stranger.cadet, "a"))
    assert tables.fates(done) == ["create", "create"]
    first, second = stored(cadet.cadet), stored(stranger.cadet)
    assert (first.status, first.time_in, first.time_out) == ("late", at(day, 7, 5), at(day, 11, 30))
    assert (first.remarks, first.source, first.recorded_by_id) == ("Second bus", "import", instructor.user.pk)
    assert (second.status, second.time_in, second.remarks, second.version) == ("absent", None, "", 1)
    assert done[0].label == str(cadet.cadet)
    assert done[0].changes == {
        "status": (None, "late"),
        "time_in": (None, "07:05:00"),
        "time_out": (None, "11:30:00"),
        "remarks": (None, "Second bus"),
    }


@pytest.mark.parametrize(
    ("cell", "status"),
    [
        ("p", "present"),
        ("P", "present"),
        ("Present", "present"),
        (" PRESENT ", "present"),
        ("l", "late"),
        ("Tardy", "late"),
        ("E", "excused"),
        ("Excused (letter)", "excused"),
        ("excused", "excused"),
        ("A", "absent"),
        ("absent", "absent"),
    ],
)
def test_a_status_may_be_a_letter_or_a_word_in_any_case(
    bring: Bring, cadet: CadetPerson, cell: str, status: str
) -> None:
    assert tables.fates(bring(line(cadet.cadet, cell))) == ["create"]
    assert stored(cadet.cadet).status == status


@pytest.mark.parametrize("cell", ["x", "✓", "1", "yes", "unmarked", "pre sent late", True, 1, 0.5])
def test_a_status_that_could_mean_anything_is_refused_with_what_may_be_written(
    bring: Bring, cadet: CadetPerson, cell: Any
) -> None:
    done = bring(line(cadet.cadet, cell))
    (problem,) = done[0].problems
    assert (problem.row, problem.column, problem.field) == (2, "E", "status")
    if not isinstance(cell, bool):
        assert "present, late, excused, absent" in problem.detail
    assert not AttendanceRecord.objects.exists()


@pytest.mark.parametrize(
    ("cell", "clock"),
    [
        ("07:05", (7, 5)),
        ("7:05 pm", (19, 5)),
        ("0705H", (7, 5)),
        (dt.time(6, 30, 15), (6, 30, 15)),
        (0.25, (6,)),
        ("23:59:59", (23, 59, 59)),
    ],
)
def test_a_time_is_manilas_on_the_training_day(
    bring: Bring, cadet: CadetPerson, day: TrainingDay, cell: Any, clock: tuple[Any, ...]
) -> None:
    bring(line(cadet.cadet, "p", cell))
    assert stored(cadet.cadet).time_in == at(day, *clock)


def test_a_time_with_a_date_is_of_that_date(bring: Bring, cadet: CadetPerson, day: TrainingDay) -> None:
    after = at(day, 0, 20) + dt.timedelta(days=1)
    bring(line(cadet.cadet, "p", dt.datetime.combine(day.date, dt.time(22)), f"{after:%Y-%m-%d %H:%M}"))
    assert (stored(cadet.cadet).time_in, stored(cadet.cadet).time_out) == (at(day, 22), after)


def test_each_person_and_the_staff_are_told_once(
    bring: Bring, cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    unknown_to_accounts = cadets.enrolled().cadet
    bring(line(cadet.cadet, "p"), line(stranger.cadet, "l"), line(unknown_to_accounts, "a"))
    told = {(event.type, tuple(event.recipients)) for event in Event.objects.all()}
    assert told == {
        ("attendance.marked", (f"user:{cadet.user.pk}",)),
        ("attendance.marked", (f"user:{stranger.user.pk}",)),
        ("attendance.day_changed", tuple(STAFF)),
    }
    changed = Event.objects.get(type="attendance.day_changed").data
    assert (changed["created"], changed["changed"], changed["by_status"]["absent"]) == (3, 0, 1)
    assert len(audited(day)) == 3
    entry = AuditEntry.objects.get(action="attendance.mark")
    assert (entry.after or {}).get("source") == "import"
    assert entry.before == {"records": []}


def test_what_is_cached_of_those_who_changed_moves_and_of_others_stays(
    bring: Bring, cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    factories.record(day, stranger.cadet, "present")
    before = written(day, cadet.cadet, stranger.cadet)
    bring(line(cadet.cadet, "p"), line(stranger.cadet, "p"))
    after = written(day, cadet.cadet, stranger.cadet)
    assert tables.moved(before, after) == {grades_version(day.term_id), standing_version(cadet.cadet.pk)}


# --- What stays -------------------------------------------------------------------------------------------------------


def test_the_same_rows_again_change_nothing(bring: Bring, cadet: CadetPerson, stranger: CadetPerson, day: Any) -> None:
    lines = [line(cadet.cadet, "P", "07:05:30", "11:30", "Bus"), line(stranger.cadet, "Excused")]
    bring(*lines)
    before = written(day, cadet.cadet, stranger.cadet)
    for on_duplicate in ("update", "skip"):
        done = bring(*lines, on_duplicate=on_duplicate)
        assert tables.fates(done) == ["unchanged", "unchanged"]
        assert [fate.changes for fate in done] == [{}, {}]
    assert written(day, cadet.cadet, stranger.cadet) == before


def test_a_blank_cell_keeps_what_is_stored(bring: Bring, cadet: CadetPerson, day: TrainingDay) -> None:
    factories.record(day, cadet.cadet, "late", time_in=at(day, 7, 5), remarks="Bus", source="scan")
    done = bring(line(cadet.cadet, time_out="11:30", remarks=" "))
    assert (tables.fates(done), done[0].changes) == (["change"], {"time_out": (None, "11:30:00")})
    row = stored(cadet.cadet)
    assert (row.status, row.time_in, row.time_out, row.remarks) == ("late", at(day, 7, 5), at(day, 11, 30), "Bus")
    assert (row.source, row.version) == ("import", 2)


def test_a_row_without_anything_leaves_its_cadet_as_he_is(
    bring: Bring, cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    factories.record(day, stranger.cadet, "late")
    before = written(day, cadet.cadet, stranger.cadet)
    assert tables.fates(bring(line(cadet.cadet), line(stranger.cadet))) == ["unchanged", "unchanged"]
    assert written(day, cadet.cadet, stranger.cadet) == before


def test_a_time_that_is_the_stored_one_cut_to_seconds_is_the_stored_one(
    bring: Bring, cadet: CadetPerson, day: TrainingDay
) -> None:
    exactly = at(day, 7, 5, 30, 999_999)
    factories.record(day, cadet.cadet, "present", time_in=exactly, source="scan")
    assert tables.fates(bring(line(cadet.cadet, "present", "07:05:30"))) == ["unchanged"]
    assert bring(line(cadet.cadet, "late", "07:05:30"))[0].changes == {"status": ("present", "late")}
    assert stored(cadet.cadet).time_in == exactly
    assert bring(line(cadet.cadet, "late", "07:05:31"))[0].changes == {"time_in": ("07:05:30", "07:05:31")}


def test_remarks_with_line_breaks_are_recognised_on_one_line(
    bring: Bring, cadet: CadetPerson, day: TrainingDay
) -> None:
    factories.record(day, cadet.cadet, remarks="Came late:\n  second\tbus\x07 ")
    assert tables.fates(bring(line(cadet.cadet, remarks="Came late: second bus"))) == ["unchanged"]
    assert tables.fates(bring(line(cadet.cadet, remarks="Came late: third bus"))) == ["change"]


def test_with_skip_a_record_stays_whole_and_missing_ones_are_added(
    bring: Bring, cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    factories.record(day, cadet.cadet, "excused", time_in=at(day, 9))
    before = stored(cadet.cadet)
    # A time that does not fit to the stored one is no mistake of the file: nothing of the row is taken.
    done = bring(line(cadet.cadet, "absent", time_out="08:00"), line(stranger.cadet, "p"), on_duplicate="skip")
    assert tables.fates(done) == ["skip", "create"]
    assert done[0].changes == {}
    assert (stored(cadet.cadet).status, stored(cadet.cadet).version) == (before.status, before.version)
    assert stored(stranger.cadet).status == "present"
    assert [entry["cadet_id"] for entry in audited(day)] == [stranger.cadet.pk]


def test_an_archived_cadet_may_stand_in_the_file_as_long_as_nothing_changes(
    bring: Bring, cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    factories.record(day, cadet.cadet, "late")
    Cadet.objects.update(archived_at=now())
    assert tables.fates(bring(line(cadet.cadet, "late"), line(stranger.cadet))) == ["unchanged", "unchanged"]
    assert tables.fates(bring(line(cadet.cadet, "absent"), on_duplicate="skip")) == ["skip"]
    assert tables.problems(bring(line(cadet.cadet, "absent"), line(stranger.cadet, "p"))) == [
        (2, "A", "student_id", "cadet_archived"),
        (3, "A", "student_id", "cadet_archived"),
    ]


# --- What is refused --------------------------------------------------------------------------------------------------


def test_every_mistake_is_told_at_its_row_and_column_and_nothing_is_saved(
    bring: Bring, cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    elsewhere, third, fourth = cadets.cadet(), cadets.enrolled().cadet, cadets.enrolled().cadet
    before = written(day, cadet.cadet, stranger.cadet)
    done = bring(
        line(cadet.cadet, "p"),
        {"student_id": "2026-99999", "status": "p"},
        line(elsewhere, "p"),
        {"student_id": cadet.cadet.student_id.lower(), "status": "l"},
        {"status": "p"},
        line(stranger.cadet, "p", "09:00", "08:59"),
        line(third, time_in="25:00"),
        line(fourth, time_in="07:00", remarks="x" * 256),
        line(cadets.enrolled().cadet, "p", dt.datetime.combine(day.date - dt.timedelta(days=2), dt.time(7))),
    )
    assert tables.problems(done) == [
        (3, "A", "student_id", "unknown_cadet"),
        (4, "A", "student_id", "not_enrolled"),
        (5, "A", "student_id", "duplicate_row"),
        (6, "A", "student_id", "required"),
        (7, "G", "time_out", "time_out_before_in"),
        (8, "F", "time_in", "invalid_time"),
        (9, "H", "remarks", "too_long"),
        (9, "E", "status", "required"),
        (10, "F", "time_in", "time_outside_day"),
    ]
    assert tables.fates(done) == ["create", *["refuse"] * 8]
    assert "row 2" in done[3].problems[0].detail
    assert written(day, cadet.cadet, stranger.cadet) == before


def test_times_without_a_status_need_one_as_long_as_nothing_is_recorded(bring: Bring, cadet: CadetPerson) -> None:
    assert tables.problems(bring(line(cadet.cadet, time_in="07:00"))) == [(2, "E", "status", "required")]
    bring(line(cadet.cadet, "p"))
    assert tables.fates(bring(line(cadet.cadet, time_in="07:00"))) == ["change"]


def test_a_number_in_any_form_names_its_cadet(bring: Bring) -> None:
    who = cadets.enrolled("20260017").cadet
    for number in (20260017, 20260017.0, " 20260017 "):
        assert tables.fates(bring({"student_id": number, "status": "p"}))[0] in {"create", "unchanged"}
    assert stored(who).status == "present"


@pytest.mark.parametrize("number", ["a\x00b", "ﬀ", "K", "x" * 30_000, True, float("nan"), dt.time(7)])
def test_what_cannot_be_a_number_is_a_mistake_of_its_row(bring: Bring, cadet: CadetPerson, number: Any) -> None:
    done = bring({"student_id": number, "status": "p"})
    assert [(one.row, one.field) for one in done[0].problems] == [(2, "student_id")]
    assert len(done[0].label) <= 255


def test_letters_beyond_ascii_never_name_another_cadet(bring: Bring) -> None:
    cadets.enrolled("K-17")
    done = bring({"student_id": "K-17", "status": "p"}, {"student_id": "\u212a-17", "status": "a"})
    assert tables.problems(done) == [(3, "A", "student_id", "unknown_cadet")]


def test_a_day_that_cannot_be_marked_is_refused_as_a_whole(bring: Bring, cadet: CadetPerson, day: TrainingDay) -> None:
    coming = factories.day(-1)
    cancelled = factories.day(3, cancelled_at=now(), cancel_reason="Storm")
    for other, code in ((coming, "day_in_future"), (cancelled, "day_cancelled")):
        with pytest.raises(Conflict) as refused:
            bring(line(cadet.cadet, "p"), training_day_id=other.pk, dry_run=True)
        assert refused.value.code == code
    with pytest.raises(NotFound):
        bring(line(cadet.cadet, "p"), training_day_id=2**60)
    Term.objects.filter(pk=day.term_id).update(closed_at=now())
    with pytest.raises(Conflict) as refused:
        bring(line(cadet.cadet, "p"))
    assert refused.value.code == "term_closed"
    assert not AttendanceRecord.objects.exists()


# --- Dry runs, progress, size -----------------------------------------------------------------------------------------


def test_a_dry_run_tells_the_same_and_writes_nothing(
    bring: Bring, cadet: CadetPerson, stranger: CadetPerson, day: TrainingDay
) -> None:
    factories.record(day, cadet.cadet, "present")
    lines = [line(cadet.cadet, "l", "07:10"), line(stranger.cadet, "p")]
    before = written(day, cadet.cadet, stranger.cadet)
    tried = bring(*lines, dry_run=True)
    assert written(day, cadet.cadet, stranger.cadet) == before
    assert tried == bring(*lines)
    assert tables.fates(tried) == ["change", "create"]


def test_as_many_queries_for_three_hundred_rows_as_for_fifty(bring: Bring, day: TrainingDay) -> None:
    people = [one.cadet for one in tables.enrolled(350)]
    few, many = ([line(who, "p", "07:00") for who in part] for part in (people[:50], people[50:]))
    first = tables.queries(lambda: bring(*few))
    assert tables.queries(lambda: bring(*many)) == first
    assert tables.queries(lambda: bring(*many, *few)) < first
    assert AttendanceRecord.objects.count() == 350


def test_progress_is_told_while_checking_and_while_writing_and_can_stop_either(
    bring: Bring, admin: Person, day: TrainingDay
) -> None:
    lines = [line(one.cadet, "p") for one in tables.enrolled(1100)]
    told: list[int] = []
    bring(*lines, progress=told.append, dry_run=True)
    assert told == [250, 500, 750, 1000, 1100]
    for calls in (2, 8):
        tables.stops_without_a_trace(bring, lines, calls=calls, written=lambda: written(day))
    told.clear()
    bring(*lines, progress=told.append)
    assert told == [250, 500, 750, 1000, 1100, 0, 250, 500, 750, 1000, 1100]
    afters = AuditEntry.objects.filter(action="attendance.mark").order_by("pk").values_list("after", flat=True)
    assert [len((after or {})["records"]) for after in afters] == [500, 500, 100]
    assert Event.objects.filter(type="attendance.day_changed").count() == 1
