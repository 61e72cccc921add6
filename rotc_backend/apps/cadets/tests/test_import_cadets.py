"""Cadets from files: what becomes of each row, and what is written."""

import datetime as dt
from typing import Any

import pytest

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets import rules
from apps.cadets.models import Cadet, Company, Enrollment, Platoon, Term
from apps.cadets.rules import grades_version, roster_version, standing_version
from apps.cadets.services import cadets as one_cadet
from apps.cadets.services import enrollments as one_enrollment
from apps.cadets.services.imports import cadets_import
from apps.cadets.tests import factories, tables
from apps.cadets.tests.factories import CadetPerson
from apps.cadets.tests.tables import Bring
from apps.events.models import Event
from core.clock import now
from core.errors import Conflict, NotFound
from core.tables import Row

pytestmark = pytest.mark.django_db(transaction=True)

STAFF = ["role:admin", "role:training_staff"]
LETTERS = {column.field: chr(ord("A") + place) for place, column in enumerate(rules.CADET_COLUMNS)}
NEW = {
    "student_id": "2026-77001",
    "last_name": "Peñaflor",
    "first_name": "María Luisa",
    "middle_name": "de la Cruz",
    "suffix": "III",
    "email": "marilou@example.edu.ph",
    "contact_number": "0917 555 0123",
    "address": "Maigo, Lanao del Norte",
    "gender": "F",
    "birthdate": "March 14, 2006",
    "religion": "Islam",
    "course": "BS Agriculture",
    "year_level": "2nd year",
    "company": "alpha",
    "platoon": "1ST PLATOON",
    "battalion": "1st Battalion",
    "position": "Guidon bearer",
    "rank": "sgt",
    "level": "MS 2",
    "status": "Ongoing",
    "enrolled_on": None,  # the day that the term begins
}


@pytest.fixture(autouse=True)
def _lists(alpha: Company, bravo: Company, first_platoon: Platoon) -> None:
    """Two companies and a platoon."""


@pytest.fixture
def bring(admin: Person, term: Term) -> Bring:
    actor = admin.principal  # now: to authenticate takes a query every two seconds
    return tables.bringing(cadets_import, rules.CADET_COLUMNS, actor=actor, term_id=term.pk)


def new(term: Term, **cells: Any) -> dict[str, Any]:
    return {**NEW, "enrolled_on": term.starts_on, **cells}


def line(who: Cadet, **cells: Any) -> dict[str, Any]:
    return {"student_id": who.student_id, **cells}


def written(term: Term, *people: Cadet) -> dict[str, Any]:
    versions = [roster_version(), grades_version(term.pk), *(standing_version(who.pk) for who in people)]
    return {**tables.footprint(Cadet, *versions), "enrollments": list(Enrollment.objects.order_by("pk").values())}


# --- What is written --------------------------------------------------------------------------------------------------


def test_a_row_becomes_a_cadet_who_is_enrolled(bring: Bring, term: Term, alpha: Company) -> None:
    done = bring(new(term))
    assert tables.fates(done) == ["create"]
    row = Cadet.objects.get(student_id="2026-77001")
    assert done[0].label == str(row) == "2026-77001 Peñaflor, María Luisa de la Cruz III"
    assert (row.gender, row.birthdate, row.year_level) == ("female", dt.date(2006, 3, 14), 2)
    assert (row.email, row.contact_number, row.religion) == ("marilou@example.edu.ph", "0917 555 0123", "Islam")
    assert (row.version, row.archived_at, row.user_id, row.photo) == (1, None, None, "")
    place = Enrollment.objects.get(cadet=row, term=term)
    assert (place.company, place.platoon and place.platoon.name) == (alpha, "1st Platoon")
    assert (place.rank, place.level, place.status, place.position) == ("CDT SGT", "MS2", "ongoing", "Guidon bearer")
    assert (place.enrolled_on, place.version) == (term.starts_on, 1)
    assert done[0].changes["company"] == (None, "Alpha")
    assert done[0].changes["birthdate"] == (None, dt.date(2006, 3, 14))
    assert set(done[0].changes) == set(NEW) - {"student_id"}


def left_by(who: Cadet) -> list[Any]:
    """The audit entries and the events of a cadet and the enrollment, without what tells them from another cadet's."""
    place = Enrollment.objects.get(cadet=who)
    own = {"id", "cadet_id", "student_id"}
    targets = {f"cadet:{who.pk}": "cadet", f"enrollment:{place.pk}": "enrollment"}
    entries = AuditEntry.objects.filter(target__in=targets).order_by("pk")
    audit = [
        (targets[one.target], one.actor_id, one.action, one.before, {**(one.after or {}), **dict.fromkeys(own)})
        for one in entries
    ]
    ids = {("cadet", who.pk), ("enrollment", place.pk)}
    events = [
        (one.type, one.recipients, {**one.data, **dict.fromkeys(own)})
        for one in Event.objects.order_by("pk")
        if (one.type.partition(".")[0], one.data["id"]) in ids
    ]
    return [*audit, *events]


def test_it_leaves_behind_what_the_services_for_one_leave(
    bring: Bring, admin: Person, term: Term, alpha: Company, bravo: Company
) -> None:
    names, place = {"last_name": "Cruz", "first_name": "Ana", "year_level": 2}, {"status": "deferred"}
    since = {"enrolled_on": term.starts_on}
    actor = admin.principal
    by_hand = one_cadet.cadet_create(actor=actor, fields={"student_id": "A-1", **names})
    enrollment = one_enrollment.enrollment_create(
        actor=actor, cadet_id=by_hand.pk, term_id=term.pk, fields={**place, **since, "company_id": alpha.pk}
    )
    one_cadet.cadet_change(actor=actor, cadet_id=by_hand.pk, expected_version=1, changes={"course": "BSA"})
    one_enrollment.enrollment_change(
        actor=actor, enrollment_id=enrollment.pk, expected_version=1, changes={"company_id": bravo.pk}
    )
    bring({"student_id": "A-2", **names, **place, **since, "company": "Alpha"})
    brought = Cadet.objects.get(student_id="A-2")
    bring(line(brought, course="BSA", company="Bravo"))
    assert left_by(brought) == left_by(by_hand)
    assert len(left_by(brought)) == 8


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        ({"name": "Macaraeg, Liza Peña"}, ("Macaraeg", "Liza", "Peña", "")),
        ({"name": "Cruz, Juan P., Jr."}, ("Cruz", "Juan", "P.", "Jr.")),
        ({"name": "DELA CRUZ JR., JUAN"}, ("DELA CRUZ", "JUAN", "", "JR.")),
        ({"name": "Cruz, Ana Maria dela Peña"}, ("Cruz", "Ana Maria", "dela Peña", "")),
        ({"last_name": "Cruz", "first_name": "Ana"}, ("Cruz", "Ana", "", "")),
        ({"name": "Cruz, Ana", "suffix": "II"}, ("Cruz", "Ana", "", "II")),
        ({"name": "Cruz, Ana Maria", "middle_name": "Santos"}, ("Cruz", "Ana Maria", "Santos", "")),
        (
            {"name": "CRUZ, ANA MARIA", "last_name": "Cruz", "first_name": "Ana Maria"},
            ("Cruz", "Ana Maria", "", ""),
        ),
        ({"last_name": "  O'Hara  ", "first_name": "Nin\u0303o\u00a0 Jose"}, ("O'Hara", "Niño Jose", "", "")),
    ],
)
def test_a_name_stands_in_one_column_or_in_several(bring: Bring, cells: dict[str, Any], names: Any) -> None:
    assert tables.fates(bring({"student_id": "N-1", **cells})) == ["create"]
    row = Cadet.objects.get()
    assert (row.last_name, row.first_name, row.middle_name, row.suffix) == names


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        ({"gender": "male"}, {"gender": "male"}),
        ({"gender": "M"}, {"gender": "male"}),
        ({"birthdate": "3/14/2006"}, {"birthdate": dt.date(2006, 3, 14)}),
        ({"birthdate": dt.date(2006, 3, 14)}, {"birthdate": dt.date(2006, 3, 14)}),
        ({"year_level": 3.0}, {"year_level": 3}),
        ({"year_level": "Year 4"}, {"year_level": 4}),
        ({"contact_number": 9175550123.0}, {"contact_number": "9175550123"}),
        ({"course": " BS   Agriculture\n(Crops) "}, {"course": "BS Agriculture (Crops)"}),
    ],
)
def test_values_are_read_as_offices_write_them(bring: Bring, cells: dict[str, Any], found: dict[str, Any]) -> None:
    assert tables.fates(bring({"student_id": "N-1", "name": "Cruz, Ana", **cells})) == ["create"]
    assert Cadet.objects.values(*found).get() == found


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        ({"rank": "CDT 2LT"}, {"rank": "CDT 2LT"}),
        ({"rank": "cdt-2lt"}, {"rank": "CDT 2LT"}),
        ({"rank": "2LT"}, {"rank": "CDT 2LT"}),
        ({"rank": "CDT"}, {"rank": "CDT"}),
        ({"level": "MS-31"}, {"level": "MS31"}),
        ({"level": "ms1"}, {"level": "MS1"}),
        ({"status": "DROPPED"}, {"status": "dropped"}),
        ({"company": "ALPHA"}, {"company__name": "Alpha"}),
        ({"platoon": "1stplatoon"}, {"platoon__name": "1st Platoon"}),
    ],
)
def test_words_of_a_list_may_be_spelled_freely(bring: Bring, cells: dict[str, Any], found: dict[str, Any]) -> None:
    assert tables.fates(bring({"student_id": "N-1", "name": "Cruz, Ana", **cells})) == ["create"]
    assert Enrollment.objects.values(*found).get() == found


def test_a_row_that_says_nothing_of_the_term_enrolls_nobody(bring: Bring, term: Term, liza: CadetPerson) -> None:
    outside = factories.cadet()
    done = bring({"student_id": "N-1", "name": "Cruz, Ana"}, line(outside, course="BSA"))
    assert tables.fates(done) == ["create", "change"]
    assert list(Enrollment.objects.values_list("pk", flat=True)) == [liza.enrollment.pk]
    assert not Event.objects.filter(type__startswith="enrollment").exists()


def test_who_exists_and_is_not_enrolled_is_enrolled_from_today(bring: Bring, term: Term) -> None:
    outside = factories.cadet()
    done = bring(line(outside, company="Bravo"))
    assert (tables.fates(done), done[0].changes["company"]) == (["create"], (None, "Bravo"))
    assert Enrollment.objects.get(cadet=outside).enrolled_on == factories.today()
    assert done[0].changes["enrolled_on"] == (None, factories.today())
    assert Cadet.objects.get(pk=outside.pk).version == 1


def test_what_is_stored_is_brought_to_what_the_file_says(bring: Bring, liza: CadetPerson, bravo: Company) -> None:
    done = bring(line(liza.cadet, course="BS Forestry", company="Bravo", status="dropped"))
    assert tables.fates(done) == ["change"]
    assert done[0].changes == {
        "course": (None, "BS Forestry"),
        "company": ("Alpha", "Bravo"),
        "status": ("ongoing", "dropped"),
    }
    row, place = Cadet.objects.get(), Enrollment.objects.get()
    assert (row.course, row.version, row.first_name) == ("BS Forestry", 2, "Liza")
    assert (place.company, place.status, place.version) == (bravo, "dropped", 2)
    assert row.updated_at > liza.cadet.updated_at
    told = {event.type: event for event in Event.objects.all()}
    assert set(told) == {"cadet.changed", "enrollment.changed"}
    assert told["cadet.changed"].recipients == [*STAFF, f"user:{liza.user.pk}"]
    assert told["cadet.changed"].data["version"] == 2
    assert told["enrollment.changed"].recipients == [*STAFF, f"user:{liza.user.pk}"]
    assert told["enrollment.changed"].data["previous_company_id"] == liza.enrollment.company_id
    assert (told["enrollment.changed"].data["company_id"], told["enrollment.changed"].data["version"]) == (bravo.pk, 2)
    entry = AuditEntry.objects.get(action="enrollment.change")
    assert entry.target == f"enrollment:{place.pk}"
    assert entry.before == {"company_id": liza.enrollment.company_id, "status": "ongoing"}
    assert entry.after == {"company_id": bravo.pk, "status": "dropped"}


def test_what_is_cached_of_those_who_changed_moves_and_of_others_stays(
    bring: Bring, term: Term, liza: CadetPerson, omar: CadetPerson
) -> None:
    before = written(term, liza.cadet, omar.cadet)
    bring(line(liza.cadet, course="BSA"), line(omar.cadet, status="ongoing"))
    after = written(term, liza.cadet, omar.cadet)
    assert tables.moved(before, after) == {roster_version(), standing_version(liza.cadet.pk)}
    bring(line(omar.cadet, status="dropped"))
    last = written(term, liza.cadet, omar.cadet)
    assert tables.moved(after, last) == {roster_version(), grades_version(term.pk), standing_version(omar.cadet.pk)}


# --- What stays -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_duplicate", ["update", "skip"])
def test_the_same_rows_again_change_nothing(bring: Bring, term: Term, on_duplicate: str) -> None:
    lines = [new(term), {"student_id": "n-2", "name": "Cruz, Ana B. Jr.", "status": "deferred"}]
    bring(*lines)
    before = written(term)
    done = bring(*lines, on_duplicate=on_duplicate)
    assert tables.fates(done) == ["unchanged", "unchanged"]
    assert [fate.changes for fate in done] == [{}, {}]
    assert written(term) == before


def test_a_blank_cell_keeps_what_is_stored_and_never_resets_a_status(
    bring: Bring, term: Term, liza: CadetPerson
) -> None:
    Enrollment.objects.update(status="incomplete", rank="CDT SGT", position="Guidon")
    Cadet.objects.update(course="BSA", year_level=3, suffix="II")
    cells: dict[str, Any] = dict.fromkeys([*NEW, "name"], " ")
    assert tables.fates(bring({**cells, "student_id": liza.cadet.student_id, "position": "Colors"})) == ["change"]
    place, row = Enrollment.objects.get(), Cadet.objects.get()
    assert (place.status, place.rank, place.position) == ("incomplete", "CDT SGT", "Colors")
    assert (row.course, row.year_level, row.suffix, row.version) == ("BSA", 3, "II", 1)


def test_a_name_in_one_column_that_is_the_stored_one_is_not_divided_anew(bring: Bring, liza: CadetPerson) -> None:
    stored = {"last_name": "Macaraeg", "first_name": "Liza", "middle_name": "Mae Peña", "suffix": "II"}
    Cadet.objects.update(**stored)
    assert tables.fates(bring(line(liza.cadet, name="Macaraeg, Liza Mae Peña II"))) == ["unchanged"]
    assert tables.fates(bring(line(liza.cadet, name="Macaraeg, Liza Mae Pena"))) == ["change"]
    assert Cadet.objects.values(*stored).get() == {**stored, "middle_name": "Mae Pena"}
    assert tables.fates(bring(line(liza.cadet, name="Reyes, Liza"))) == ["change"]
    assert Cadet.objects.values(*stored).get() == {**stored, "middle_name": "Mae Pena", "last_name": "Reyes"}


def test_a_number_in_any_letter_case_and_form_names_its_cadet_and_never_changes(bring: Bring) -> None:
    letters, digits = factories.cadet("k-17x"), factories.cadet("20260017")
    done = bring({"student_id": "K-17X", "course": "A"}, {"student_id": 20260017.0, "course": "B"})
    assert tables.fates(done) == ["change", "change"]
    assert list(Cadet.objects.order_by("pk").values_list("student_id", "course")) == [
        (letters.student_id, "A"),
        (digits.student_id, "B"),
    ]


def test_with_skip_records_stay_whole_and_missing_ones_are_added(bring: Bring, term: Term, liza: CadetPerson) -> None:
    outside = factories.cadet(course="BSA")
    done = bring(
        line(liza.cadet, course="BS Forestry", status="dropped"),
        line(outside, course="BS Forestry", company="Bravo"),
        new(term),
        on_duplicate="skip",
    )
    assert tables.fates(done) == ["skip", "create", "create"]
    assert (done[0].changes, set(done[1].changes)) == ({}, {"company", "enrolled_on"})
    assert not Cadet.objects.filter(course="BS Forestry").exists()
    assert Enrollment.objects.get(cadet=liza.cadet).status == "ongoing"
    assert Enrollment.objects.get(cadet=outside).company == factories.company("Bravo")
    assert set(Cadet.objects.values_list("version", flat=True)) == {1}


def test_an_archived_cadet_may_stand_in_the_file_as_long_as_nothing_changes(bring: Bring, liza: CadetPerson) -> None:
    Cadet.objects.update(archived_at=now())
    outside = factories.cadet(archived_at=now())
    same = line(liza.cadet, first_name="Liza", status="ongoing")
    assert tables.fates(bring(same, line(outside, last_name="Macaraeg"))) == ["unchanged", "unchanged"]
    assert tables.fates(bring(line(liza.cadet, course="BSA"), on_duplicate="skip")) == ["skip"]
    refused = [line(liza.cadet, course="BSA"), line(outside, company="Alpha")]
    for on_duplicate in ("update", "skip"):
        found = tables.problems(bring(*refused, on_duplicate=on_duplicate))
        expected = [(2, "A", "student_id", "cadet_archived"), (3, "A", "student_id", "cadet_archived")]
        assert found == expected[1 if on_duplicate == "skip" else 0 :]


def test_who_is_in_an_archived_company_may_stay_there_and_nobody_else_may_come(
    bring: Bring, liza: CadetPerson, omar: CadetPerson, bravo: Company
) -> None:
    Enrollment.objects.filter(pk=liza.enrollment.pk).update(company=bravo)
    Company.objects.filter(pk=bravo.pk).update(archived_at=now())
    assert tables.fates(bring(line(liza.cadet, company="bravo"))) == ["unchanged"]
    done = bring(line(omar.cadet, company="Bravo"))
    assert tables.problems(done) == [(2, LETTERS["company"], "company", "archived_company")]
    assert tables.fates(bring(line(omar.cadet, company="Bravo"), on_duplicate="skip")) == ["refuse"]


def test_a_value_that_nobody_could_write_anew_is_recognised_as_the_stored_one(bring: Bring, liza: CadetPerson) -> None:
    odd = {"email": "not an address", "contact_number": "ask Ana", "course": "BSA\n(Crops)\u200d"}
    Cadet.objects.update(**odd, birthdate=dt.date(1890, 1, 1))
    Enrollment.objects.update(enrolled_on=liza.enrollment.enrolled_on - dt.timedelta(days=900))
    cells = {**odd, "course": "BSA (Crops)\u200d", "birthdate": "1890-01-01"}
    since = Enrollment.objects.get().enrolled_on
    assert tables.fates(bring(line(liza.cadet, **cells, enrolled_on=since))) == ["unchanged"]
    done = bring(line(liza.cadet, **{name: f"{text}!" for name, text in odd.items()}))
    assert [code for *_, code in tables.problems(done)] == [
        "invalid_email",
        "invalid_contact_number",
        "invisible_characters",
    ]


# --- What is refused --------------------------------------------------------------------------------------------------


def test_every_mistake_is_told_at_its_row_and_column_and_nothing_is_saved(
    bring: Bring, term: Term, liza: CadetPerson
) -> None:
    before = written(term, liza.cadet)
    done = bring(
        new(term),
        {"student_id": "2026-77001", "name": "Cruz, Ana"},
        {"name": "Cruz, Ana"},
        {"student_id": "N 1", "name": "Cruz, Ana"},
        {"student_id": "N-2"},
        {"student_id": "N-3", "name": "Ana Cruz"},
        {"student_id": "N-4", "name": "Cruz, Ana", "last_name": "Reyes"},
        new(
            term,
            student_id="N-5",
            last_name="x" * 65,
            email="ana@",
            contact_number="call me",
            gender="x",
            birthdate="2006-02-30",
            year_level=6,
            company="Zulu",
            platoon="9th",
            rank="General",
            level="MS9",
            status="passed",
            enrolled_on=term.ends_on + dt.timedelta(days=1),
        ),
        line(liza.cadet, birthdate=factories.today()),
    )
    assert tables.fates(done) == ["create", *["refuse"] * 8]
    assert tables.problems(done) == [
        (3, "A", "student_id", "duplicate_row"),
        (4, "A", "student_id", "required"),
        (5, "A", "student_id", "invalid_student_id"),
        (6, LETTERS["last_name"], "last_name", "required"),
        (6, LETTERS["first_name"], "first_name", "required"),
        (7, LETTERS["name"], "name", "invalid_name"),
        (8, LETTERS["name"], "name", "names_differ"),
        *[
            (9, LETTERS[field], field, code)
            for field, code in (
                ("last_name", "too_long"),
                ("email", "invalid_email"),
                ("contact_number", "invalid_contact_number"),
                ("gender", "invalid_choice"),
                ("birthdate", "invalid_date"),
                ("year_level", "out_of_range"),
                ("company", "unknown_company"),
                ("platoon", "unknown_platoon"),
                ("rank", "invalid_choice"),
                ("level", "invalid_choice"),
                ("status", "invalid_choice"),
                ("enrolled_on", "outside_term"),
            )
        ],
        (10, LETTERS["birthdate"], "birthdate", "out_of_range"),
    ]
    assert "row 2" in done[1].problems[0].detail
    assert written(term, liza.cadet) == before


def test_an_unknown_company_is_told_with_those_that_exist(bring: Bring, bravo: Company) -> None:
    Company.objects.exclude(name__in=["Alpha", "Bravo"]).delete()
    Company.objects.create(name="Former", archived_at=now())
    (problem,) = bring({"student_id": "N-1", "name": "Cruz, Ana", "company": "Zulu"})[0].problems
    assert problem.detail == ("There is no company “Zulu”. Write one of: Alpha, Bravo; or add it to the list first.")


def test_a_company_that_could_be_one_of_two_is_not_guessed(bring: Bring) -> None:
    Company.objects.create(name="A.1")
    Company.objects.create(name="A-1")
    assert tables.problems(bring({"student_id": "N-1", "name": "Cruz, Ana", "company": "A1"})) == [
        (2, LETTERS["company"], "company", "unknown_company")
    ]
    assert tables.fates(bring({"student_id": "N-1", "name": "Cruz, Ana", "company": "a-1"})) == ["create"]
    assert Enrollment.objects.get().company == Company.objects.get(name="A-1")


def test_a_name_that_is_missing_is_asked_for_where_the_file_has_names(bring: Bring) -> None:
    row = Row(sheet="Alpha", row=7, values={"student_id": "N-1"}, letters={"student_id": "B", "name": "D"})
    (problem,) = bring(row)[0].problems
    assert (problem.sheet, problem.row, problem.column, problem.code) == ("Alpha", 7, "D", "required")


@pytest.mark.parametrize("number", ["a\x00b", "ﬀ", "x" * 30_000, "x" * 33, True, float("nan"), "=1", "-1", dt.time(7)])
def test_what_cannot_be_a_number_is_a_mistake_of_its_row(bring: Bring, number: Any) -> None:
    done = bring({"student_id": number, "name": "Cruz, Ana"})
    assert [(one.row, one.field) for one in done[0].problems] == [(2, "student_id")]
    assert len(done[0].label) <= 255


def test_letters_beyond_ascii_never_name_another_cadet(bring: Bring) -> None:
    factories.cadet("K-17")
    done = bring({"student_id": "\u212a-17", "course": "BSA"})
    assert tables.problems(done) == [(2, "A", "student_id", "invalid_student_id")]


def test_a_closed_term_and_an_unknown_one_refuse_the_file_as_a_whole(bring: Bring, term: Term) -> None:
    with pytest.raises(NotFound):
        bring(new(term), term_id=2**60)
    Term.objects.update(closed_at=now())
    with pytest.raises(Conflict) as refused:
        bring(new(term), dry_run=True)
    assert refused.value.code == "term_closed"
    assert not Cadet.objects.exists()


def test_without_a_term_cadets_are_brought_and_the_columns_of_a_term_are_refused(bring: Bring) -> None:
    assert tables.fates(bring({"student_id": "N-1", "name": "Cruz, Ana"}, term_id=None)) == ["create"]
    done = bring({"student_id": "N-1", "company": "Zulu", "status": "ongoing"}, term_id=None)
    assert [(field, code) for *_, field, code in tables.problems(done)] == [
        ("company", "no_term"),
        ("status", "no_term"),
    ]


def test_only_the_enrollment_in_the_named_term_is_touched(bring: Bring, liza: CadetPerson) -> None:
    former = factories.former_term()
    factories.enroll(liza.cadet, term=former)
    bring(line(liza.cadet, status="completed"), term_id=former.pk)
    assert dict(Enrollment.objects.values_list("term__school_year", "status")) == {
        "2026-2027": "ongoing",
        "2025-2026": "completed",
    }
    outside = factories.cadet()
    bring(line(outside, status="completed"), term_id=former.pk)
    assert Enrollment.objects.get(cadet=outside).enrolled_on == former.ends_on


# --- Dry runs, progress, size -----------------------------------------------------------------------------------------


def test_a_dry_run_tells_the_same_and_writes_nothing(bring: Bring, term: Term, liza: CadetPerson) -> None:
    lines = [new(term), line(liza.cadet, course="BSA", company="Bravo")]
    before = written(term, liza.cadet)
    tried = bring(*lines, dry_run=True)
    assert written(term, liza.cadet) == before
    assert tried == bring(*lines)
    assert tables.fates(tried) == ["create", "change"]


def many(number: int, term: Term, **cells: Any) -> list[dict[str, Any]]:
    return [new(term, student_id=f"2026-{place:05}X", **cells) for place in range(number)]


def test_as_many_queries_for_two_hundred_rows_as_for_twenty(bring: Bring, term: Term) -> None:
    few, more = many(220, term)[:20], many(220, term)[20:]
    first = tables.queries(lambda: bring(*few))
    assert tables.queries(lambda: bring(*more)) == first
    changed = tables.queries(lambda: bring(*many(20, term, course="BSF", company="Bravo")))
    assert tables.queries(lambda: bring(*many(220, term, course="BSN", company="Alpha"))) == changed
    assert tables.queries(lambda: bring(*many(220, term, course="BSN"))) < first
    assert first < 20
    assert set(Cadet.objects.values_list("course", "version")) == {("BSN", 3), ("BSN", 2)}


def test_progress_is_told_while_checking_and_while_writing_and_can_stop_either(bring: Bring, term: Term) -> None:
    lines = many(600, term)
    told: list[int] = []
    bring(*lines, progress=told.append, dry_run=True)
    assert told == [250, 500, 600]
    for calls in (2, 4):
        tables.stops_without_a_trace(bring, lines, calls=calls, written=lambda: written(term))
    told.clear()
    bring(*lines, progress=told.append)
    assert told == [250, 500, 600, 0, 250, 500, 600]
    assert Cadet.objects.count() == Enrollment.objects.count() == 600
    assert AuditEntry.objects.filter(action__in=["cadet.create", "enrollment.create"]).count() == 1200
    assert Event.objects.count() == 1200
