"""Exam scores from files: what becomes of each row, and what is written."""

from decimal import Decimal
from typing import Any

import pytest

from apps.accounts.models import AuditEntry
from apps.cadets.models import Cadet, Enrollment, Term
from apps.cadets.rules import grades_version, standing_version
from apps.cadets.tests import factories as unit
from apps.cadets.tests import tables
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.cadets.tests.tables import Bring
from apps.events.models import Event
from apps.grading import rules
from apps.grading.models import ExamScore
from apps.grading.services.imports import scores_import
from apps.grading.tests import factories
from core.clock import now
from core.errors import Conflict, NotFound

pytestmark = pytest.mark.django_db(transaction=True)

STAFF = ["role:admin", "role:training_staff"]


@pytest.fixture
def bring(instructor: StaffPerson, term: Term) -> Bring:
    actor = instructor.principal  # now: to authenticate takes a query every two seconds

    return tables.bringing(scores_import, rules.SCORE_COLUMNS, actor=actor, term_id=term.pk)


def line(who: CadetPerson | Enrollment, **scores: Any) -> dict[str, Any]:
    return {"student_id": who.cadet.student_id, **scores}


def stored(who: CadetPerson | Enrollment) -> dict[str, Decimal]:
    return dict(ExamScore.objects.filter(enrollment__cadet=who.cadet).values_list("exam", "score"))


def footprint(term: Term, *people: CadetPerson) -> dict[str, Any]:
    versions = [standing_version(who.cadet.pk) for who in people]
    return tables.footprint(ExamScore, grades_version(term.pk), *versions)


# --- What is written --------------------------------------------------------------------------------------------------


def test_rows_become_scores(bring: Bring, instructor: StaffPerson, liza: CadetPerson, omar: CadetPerson) -> None:
    done = bring(line(liza, prelim="85", final=90.5), line(omar, midterm=70))
    assert tables.fates(done) == ["create", "create"]
    assert stored(liza) == {"prelim": Decimal(85), "final": Decimal("90.5")}
    assert stored(omar) == {"midterm": Decimal(70)}
    assert set(ExamScore.objects.values_list("recorded_by", "version")) == {(instructor.user.pk, 1)}
    assert done[0].label == str(liza.cadet)
    assert done[0].changes == {"prelim": (None, "85.00"), "final": (None, "90.50")}


@pytest.mark.parametrize(
    ("cell", "score"),
    [
        ("0", "0"),
        (0, "0"),
        (100, "100"),
        ("100.00", "100"),
        (85.1, "85.1"),
        (87.30000000000001, "87.3"),
        (" 72.25 ", "72.25"),
        (Decimal("66.60"), "66.6"),
    ],
)
def test_a_score_is_taken_as_it_is_meant(bring: Bring, liza: CadetPerson, cell: Any, score: str) -> None:
    bring(line(liza, prelim=cell))
    assert stored(liza) == {"prelim": Decimal(score)}


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("100.01", "out_of_range"),
        (101, "out_of_range"),
        ("-1", "out_of_range"),
        ("85.125", "too_many_decimals"),
        (85.125, "too_many_decimals"),
        ("85,5", "invalid_number"),
        ("INC", "invalid_number"),
        ("n/a", "invalid_number"),
        ("-", "invalid_number"),
        ("1e2", "invalid_number"),
        ("٨٥", "invalid_number"),
        (True, "invalid_number"),
        (float("nan"), "invalid_number"),
        (10**400, "invalid_number"),
    ],
)
def test_a_score_that_cannot_be_is_refused_at_its_column_and_never_rounded(
    bring: Bring, liza: CadetPerson, omar: CadetPerson, cell: Any, code: str
) -> None:
    done = bring(line(omar, prelim=80), line(liza, midterm=cell))
    assert tables.problems(done) == [(3, "F", "midterm", code)]
    assert tables.fates(done) == ["create", "refuse"]
    assert not ExamScore.objects.exists()


def test_each_person_and_the_staff_are_told_once(
    bring: Bring, liza: CadetPerson, omar: CadetPerson, term: Term
) -> None:
    unknown_to_accounts = unit.enrolled()
    factories.scores(omar.enrollment, "80")
    bring(line(liza, prelim=1, midterm=2), line(omar, prelim=80), line(unknown_to_accounts, final=3))
    told = [(event.type, event.recipients) for event in Event.objects.order_by("pk")]
    assert told == [("scores.recorded", STAFF), ("grade.changed", [f"user:{liza.user.pk}"])]
    written = sorted([liza.enrollment.pk, unknown_to_accounts.pk])
    assert Event.objects.get(type="scores.recorded").data == {"term_id": term.pk, "enrollment_ids": written}
    entry = AuditEntry.objects.get(action="score.record_many", target=f"term:{term.pk}")
    assert entry.after == {
        str(liza.enrollment.pk): {"prelim": "1.00", "midterm": "2.00"},
        str(unknown_to_accounts.pk): {"final": "3.00"},
    }
    assert (entry.before or {})[str(liza.enrollment.pk)] == {"prelim": None, "midterm": None}


def test_what_is_cached_of_those_who_changed_moves_and_of_others_stays(
    bring: Bring, liza: CadetPerson, omar: CadetPerson, term: Term
) -> None:
    factories.scores(omar.enrollment, "80")
    before = footprint(term, liza, omar)
    bring(line(liza, prelim=80), line(omar, prelim=80))
    after = footprint(term, liza, omar)
    assert tables.moved(before, after) == {grades_version(term.pk), standing_version(liza.cadet.pk)}


def test_a_status_is_never_touched(bring: Bring, liza: CadetPerson) -> None:
    Enrollment.objects.filter(pk=liza.enrollment.pk).update(status="incomplete")
    before = Enrollment.objects.values().get(pk=liza.enrollment.pk)
    assert tables.fates(bring(line(liza, prelim=1, midterm=2, final=3))) == ["create"]
    assert Enrollment.objects.values().get(pk=liza.enrollment.pk) == before


# --- What stays -------------------------------------------------------------------------------------------------------


def test_the_same_rows_again_change_nothing(bring: Bring, liza: CadetPerson, omar: CadetPerson, term: Term) -> None:
    lines = [line(liza, prelim="85", final=90.5), line(omar, midterm=70), line(unit.enrolled())]
    bring(*lines)
    before = footprint(term, liza, omar)
    for on_duplicate in ("update", "skip"):
        done = bring(*lines, on_duplicate=on_duplicate)
        assert tables.fates(done) == ["unchanged"] * 3
        assert [fate.changes for fate in done] == [{}] * 3
    assert footprint(term, liza, omar) == before


def test_a_blank_cell_keeps_the_score(bring: Bring, liza: CadetPerson) -> None:
    factories.scores(liza.enrollment, "80", "81")
    done = bring(line(liza, prelim=" ", midterm="82"))
    assert (tables.fates(done), done[0].changes) == (["change"], {"midterm": ("81.00", "82.00")})
    assert stored(liza) == {"prelim": Decimal(80), "midterm": Decimal(82)}
    assert dict(ExamScore.objects.values_list("exam", "version")) == {"prelim": 1, "midterm": 2}


def test_with_skip_stored_scores_stay_and_missing_ones_are_added(
    bring: Bring, liza: CadetPerson, omar: CadetPerson
) -> None:
    factories.scores(liza.enrollment, "80")
    factories.scores(omar.enrollment, "80")
    done = bring(line(liza, prelim=1, midterm=75), line(omar, prelim=2), on_duplicate="skip")
    assert tables.fates(done) == ["create", "skip"]
    assert [fate.changes for fate in done] == [{"midterm": (None, "75.00")}, {}]
    assert stored(liza) == {"prelim": Decimal(80), "midterm": Decimal(75)}
    assert stored(omar) == {"prelim": Decimal(80)}


def test_scores_of_another_term_are_left_alone(bring: Bring, liza: CadetPerson) -> None:
    former = unit.enroll(liza.cadet, term=unit.former_term())
    factories.scores(former, "50")
    bring(line(liza, prelim=90))
    assert list(ExamScore.objects.order_by("pk").values_list("enrollment_id", "score")) == [
        (former.pk, Decimal(50)),
        (liza.enrollment.pk, Decimal(90)),
    ]


def test_an_archived_cadet_who_is_enrolled_has_scores_like_others(bring: Bring, liza: CadetPerson) -> None:
    Cadet.objects.update(archived_at=now())
    assert tables.fates(bring(line(liza, prelim=90))) == ["create"]


# --- What is refused --------------------------------------------------------------------------------------------------


def test_every_mistake_is_told_at_its_row_and_column_and_nothing_is_saved(
    bring: Bring, liza: CadetPerson, omar: CadetPerson, term: Term
) -> None:
    elsewhere = unit.enroll(unit.cadet(), term=unit.former_term())
    before = footprint(term, liza, omar)
    done = bring(
        line(liza, prelim=90),
        {"student_id": "2026-99999", "prelim": 1},
        line(elsewhere, prelim=1),
        {"student_id": liza.cadet.student_id.lower(), "final": "ninety"},
        {"prelim": 90},
        line(omar, prelim="101", final="7.777"),
        sheet="Alpha",
    )
    assert tables.problems(done) == [
        (3, "A", "student_id", "unknown_cadet"),
        (4, "A", "student_id", "not_enrolled"),
        (5, "G", "final", "invalid_number"),
        (5, "A", "student_id", "duplicate_row"),
        (6, "A", "student_id", "required"),
        (7, "E", "prelim", "out_of_range"),
        (7, "G", "final", "too_many_decimals"),
    ]
    assert tables.fates(done) == ["create", *["refuse"] * 5]
    assert "row 2 of sheet “Alpha”" in done[3].problems[1].detail
    assert footprint(term, liza, omar) == before


@pytest.mark.parametrize("number", ["a\x00b", "K\u212a", "x" * 30_000, True, float("inf")])
def test_what_cannot_be_a_number_is_a_mistake_of_its_row(bring: Bring, liza: CadetPerson, number: Any) -> None:
    done = bring({"student_id": number, "prelim": 1})
    assert [(one.row, one.field) for one in done[0].problems] == [(2, "student_id")]
    assert len(done[0].label) <= 255


def test_letters_beyond_ascii_never_name_another_cadet(bring: Bring) -> None:
    unit.enrolled("K-17")
    done = bring({"student_id": "k-17", "prelim": 1}, {"student_id": "\u212a-17", "prelim": 1})
    assert tables.problems(done) == [(3, "A", "student_id", "unknown_cadet")]


def test_a_term_that_takes_no_scores_is_refused_as_a_whole(bring: Bring, liza: CadetPerson, term: Term) -> None:
    with pytest.raises(NotFound):
        bring(line(liza, prelim=1), term_id=2**60)
    Term.objects.filter(pk=term.pk).update(closed_at=now())
    for dry_run in (True, False):
        with pytest.raises(Conflict) as refused:
            bring(line(liza, prelim=1), dry_run=dry_run)
        assert refused.value.code == "term_closed"
    assert not ExamScore.objects.exists()


# --- Dry runs, progress, size -----------------------------------------------------------------------------------------


def test_a_dry_run_tells_the_same_and_writes_nothing(
    bring: Bring, liza: CadetPerson, omar: CadetPerson, term: Term
) -> None:
    factories.scores(liza.enrollment, "80")
    lines = [line(liza, prelim=81), line(omar, prelim=70)]
    before = footprint(term, liza, omar)
    tried = bring(*lines, dry_run=True)
    assert footprint(term, liza, omar) == before
    assert tried == bring(*lines)
    assert tables.fates(tried) == ["change", "create"]


def test_as_many_queries_for_three_hundred_rows_as_for_fifty(bring: Bring) -> None:
    people = tables.enrolled(350)
    lines = [line(one, prelim=80, midterm=81, final=82) for one in people]
    first = tables.queries(lambda: bring(*lines[:50]))
    assert tables.queries(lambda: bring(*lines[50:])) == first
    assert tables.queries(lambda: bring(*lines)) < first
    assert ExamScore.objects.count() == 1050


def test_progress_is_told_while_checking_and_while_writing_and_can_stop_either(bring: Bring, term: Term) -> None:
    lines = [line(one, prelim=80) for one in tables.enrolled(1100)]
    told: list[int] = []
    bring(*lines, progress=told.append, dry_run=True)
    assert told == [250, 500, 750, 1000, 1100]
    for calls in (2, 8):
        tables.stops_without_a_trace(bring, lines, calls=calls, written=lambda: footprint(term))
    told.clear()
    bring(*lines, progress=told.append)
    assert told == [250, 500, 750, 1000, 1100, 0, 250, 500, 750, 1000, 1100]
    afters = AuditEntry.objects.filter(action="score.record_many").order_by("pk").values_list("after", flat=True)
    assert [len(after or {}) for after in afters] == [500, 500, 100]
    # An event is no longer than a socket's frame may be.
    told_of = [len(event.data["enrollment_ids"]) for event in Event.objects.order_by("pk")]
    assert told_of == [1000, 100]
