from typing import Any

import pytest
from django.db import connection
from django.db.models import JSONField, Value

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet, Enrollment, Term
from apps.cadets.tests import factories as unit
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event
from apps.grading import rules
from apps.grading.models import Adjustment, ExamScore, GradeSheet, MeritDemerit
from apps.grading.selectors import SheetFinding, sheet_findings
from apps.grading.services import closing
from apps.grading.tests import factories
from apps.training.models import AttendanceRecord
from core.errors import PermissionRefused

pytestmark = pytest.mark.django_db(transaction=True)

OWN = "/api/v1/cadets/me/standing"


def of(term: Term, what: str) -> str:
    return f"/api/v1/terms/{term.pk}/{what}"


def close(person: Person, term: Term) -> Any:
    return person.client.post(of(term, "close"))


def reopen(person: Person, term: Term, reason: str = "A score was recorded late") -> Any:
    return person.client.post(of(term, "reopen"), {"reason": reason})


def graded(person: CadetPerson) -> None:
    """A grade of every kind of row."""
    factories.attend(person.enrollment, factories.days(15), ["present"] * 12 + ["late", "absent", "absent"])
    factories.scores(person.enrollment, "85", "90.5", "95")
    factories.awards(person.enrollment, merits=10, demerits=30)
    factories.adjustment(person.enrollment, "aptitude", "1.25")


def sheet_of(person: CadetPerson) -> GradeSheet:
    return GradeSheet.objects.get(enrollment=person.enrollment, superseded_at=None)


# --- Close ------------------------------------------------------------------------------------------------------------


def test_closing_freezes_every_grade_with_its_inputs(
    admin: Person, instructor: StaffPerson, liza: CadetPerson, omar: CadetPerson, term: Term
) -> None:
    graded(liza)
    former = unit.enroll(liza.cadet, term=unit.former_term())
    before = liza.client.get(OWN).json()
    Event.objects.all().delete()
    answer = close(admin, term)
    body = answer.json()
    assert answer.status_code == 200, answer.content
    assert answer["ETag"] == '"v2"'
    assert (body["sheets"], body["missing_exams"], body["without_attendance"]) == (2, 1, 0)
    assert body["outcomes"] == [
        {"remark": "Passed", "equivalent": "2.00", "count": 1},
        {"remark": "Failed", "equivalent": "5.00", "count": 1},
    ]
    assert body["term"]["closed"] is True
    assert not GradeSheet.objects.filter(enrollment=former).exists()

    sheet = sheet_of(liza)
    assert (sheet.revision, sheet.frozen_by, sheet.superseded_at) == (1, admin.user, None)
    assert sheet.inputs["exams"] == {"prelim": "85.00", "midterm": "90.50", "final": "95.00"}
    assert (sheet.inputs["held"], sheet.inputs["by_status"]["late"]) == (15, 1)
    assert {(kind, points) for _, kind, points in sheet.inputs["awards"]} == {("merit", 10), ("demerit", 30)}
    assert sheet.inputs["adjustments"][0]["points"] == "1.25"
    assert sheet.inputs["policy"]["attendance_weight"] == "30.00"
    assert sheet.digest == rules.sheet_digest(inputs=sheet.inputs, result=sheet.result)

    after = liza.client.get(OWN).json()
    brief = {"id": sheet.pk, "revision": 1, "frozen_at": body["closed_at"], "digest": sheet.digest}
    assert after == {**before, "provisional": False, "sheet": brief, "term": {**before["term"], "closed": True}}

    everybody = ["role:admin", "role:training_staff", "role:cadet"]
    assert [(event.type, event.recipients) for event in Event.objects.order_by("id")] == [
        ("term.closed", everybody),
        ("grade.released", [f"user:{liza.user.pk}"]),
        ("grade.released", [f"user:{omar.user.pk}"]),
    ]
    assert Event.objects.order_by("id")[1].data == {
        "term_id": term.pk,
        "enrollment_id": liza.enrollment.pk,
        "sheet_id": sheet.pk,
        "revision": 1,
    }
    entry = AuditEntry.objects.get(action="term.close")
    assert (entry.actor, entry.target) == (admin.user, f"term:{term.pk}")
    assert (entry.after or {})["sheets"] == 2


def test_closing_sets_nothing_else(admin: Person, liza: CadetPerson, term: Term) -> None:
    graded(liza)
    before = (
        list(Enrollment.objects.values()),
        list(ExamScore.objects.values()),
        list(AttendanceRecord.objects.values()),
        list(MeritDemerit.objects.values()),
    )
    assert close(admin, term).status_code == 200
    assert before == (
        list(Enrollment.objects.values()),
        list(ExamScore.objects.values()),
        list(AttendanceRecord.objects.values()),
        list(MeritDemerit.objects.values()),
    )
    closed = Term.objects.get(pk=term.pk)
    assert (closed.is_current, closed.closed_by, closed.version) == (True, admin.user, 2)


def test_closing_twice_is_refused_and_changes_nothing(admin: Person, liza: CadetPerson, term: Term) -> None:
    close(admin, term)
    Event.objects.all().delete()
    again = close(admin, term)
    assert (again.status_code, again.json()["code"]) == (409, "term_closed")
    assert GradeSheet.objects.count() == 1
    assert not Event.objects.exists()
    assert AuditEntry.objects.filter(action="term.close").count() == 1


def test_an_empty_term_can_be_closed(admin: Person, term: Term) -> None:
    assert close(admin, term).json()["sheets"] == 0
    assert admin.client.get(of(term, "verification")).json()["sound"]


def test_only_administrators_close_and_reopen(
    admin: Person, instructor: StaffPerson, liza: CadetPerson, term: Term
) -> None:
    for person in (instructor, liza):
        assert close(person, term).status_code == 403
        assert reopen(person, term).status_code == 403
        assert person.client.get(of(term, "verification")).status_code == 403
        with pytest.raises(PermissionRefused):
            closing.term_close(actor=person.principal, term_id=term.pk)
        with pytest.raises(PermissionRefused):
            closing.term_reopen(actor=person.principal, term_id=term.pk, reason="x")
    assert Term.objects.get().closed_at is None
    for path in (f"/api/v1/terms/{2**62}/close", f"/api/v1/terms/{2**62}/reopen"):
        assert admin.client.post(path, {"reason": "x"} if "reopen" in path else None).status_code == 404


def test_a_write_past_the_services_does_not_reach_a_frozen_grade(
    admin: Person, instructor: StaffPerson, liza: CadetPerson, term: Term
) -> None:
    graded(liza)
    close(admin, term)
    frozen = liza.client.get(OWN).json()
    ExamScore.objects.update(score=100)
    factories.cache_emptied()
    assert liza.client.get(OWN).json() == frozen
    line = instructor.client.get(of(term, "grades")).json()["results"][0]
    assert (line["total"], line["equivalent"]) == (frozen["total"], frozen["equivalent"])


@pytest.mark.long
def test_three_thousand_cadets_are_frozen_by_one_call_and_every_sheet_verifies(admin: Person, term: Term) -> None:
    company, held = unit.company(), factories.days(15)
    cadets = Cadet.objects.bulk_create(
        [Cadet(student_id=f"X-{number}", last_name="Cruz", first_name="Ana") for number in range(3000)]
    )
    enrollments = Enrollment.objects.bulk_create(
        [Enrollment(cadet=one, term=term, company=company, enrolled_on=term.starts_on) for one in cadets]
    )
    AttendanceRecord.objects.bulk_create(
        [AttendanceRecord(training_day=day, cadet=one, status="present") for one in cadets for day in held],
        batch_size=5000,
    )
    ExamScore.objects.bulk_create(
        [ExamScore(enrollment=one, exam=exam, score=80) for one in enrollments for exam in rules.EXAMS]
    )
    assert close(admin, term).json()["sheets"] == 3000
    assert GradeSheet.objects.filter(result__equivalent="1.50").count() == 3000
    assert list(sheet_findings(term_id=term.pk)) == []


# --- Reopen -----------------------------------------------------------------------------------------------------------


def test_reopening_supersedes_the_sheets_and_closing_again_adds_revisions(
    admin: Person, instructor: StaffPerson, liza: CadetPerson, term: Term
) -> None:
    graded(liza)
    close(admin, term)
    first = sheet_of(liza)
    Event.objects.all().delete()
    answer = reopen(admin, term)
    assert (answer.status_code, answer.json()["term"]["closed"]) == (200, False)
    assert not GradeSheet.objects.filter(superseded_at=None).exists()
    event = Event.objects.get()
    assert (event.type, event.data) == ("term.reopened", {"term_id": term.pk, "sheets": 1})
    assert (AuditEntry.objects.get(action="term.reopen").after or {})["reason"] == "A score was recorded late"
    body = liza.client.get(OWN).json()
    assert (body["provisional"], body["sheet"]) == (True, None)

    score = {"score": "95.5"}
    assert instructor.client.put(f"/api/v1/enrollments/{liza.enrollment.pk}/scores/midterm", score).status_code == 200
    assert close(admin, term).status_code == 200
    second = sheet_of(liza)
    assert (second.revision, second.inputs["exams"]["midterm"]) == (2, "95.50")
    first.refresh_from_db()
    assert first.superseded_at is not None
    assert first.inputs["exams"]["midterm"] == "90.50"
    assert liza.client.get(OWN).json()["sheet"]["revision"] == 2

    def revisions(**filters: Any) -> list[int]:
        return [row["revision"] for row in instructor.client.get(of(term, "grade-sheets"), filters).json()["results"]]

    assert (revisions(), revisions(superseded="true")) == ([2], [1])
    found = admin.client.get(of(term, "verification")).json()
    assert (found["sound"], found["in_force"], found["superseded"]) == (True, 1, 1)


def test_reopening_needs_a_reason_and_a_closed_term(admin: Person, term: Term) -> None:
    answer = reopen(admin, term)
    assert (answer.status_code, answer.json()["code"]) == (409, "term_open")
    close(admin, term)
    for reason in ("", "   ", "x" * 256):
        assert reopen(admin, term, reason).status_code == 400
    assert Term.objects.get().closed_at is not None


# --- Sheets -----------------------------------------------------------------------------------------------------------


def test_a_sheet_shows_the_grade_and_the_inputs(admin: Person, instructor: StaffPerson, liza: CadetPerson) -> None:
    graded(liza)
    close(admin, liza.enrollment.term)
    sheet = sheet_of(liza)
    body = instructor.client.get(f"/api/v1/grade-sheets/{sheet.pk}").json()
    standing = liza.client.get(OWN).json()
    for name in ("attendance", "aptitude", "subject", "total", "equivalent", "remark", "provisional", "cadet", "term"):
        assert body[name] == standing[name]
    assert (body["inputs"], body["frozen_by"]["id"], body["digest"]) == (sheet.inputs, admin.user.pk, sheet.digest)
    line = instructor.client.get(of(liza.enrollment.term, "grade-sheets")).json()["results"][0]
    assert line == {name: value for name, value in body.items() if name not in {"inputs", "term", "frozen_by"}}
    assert liza.client.get(f"/api/v1/grade-sheets/{sheet.pk}").json() == body


def test_a_cadet_sees_the_own_sheets_only(admin: Person, liza: CadetPerson, omar: CadetPerson, term: Term) -> None:
    close(admin, term)
    own, other = sheet_of(liza), sheet_of(omar)
    assert liza.client.get(f"/api/v1/grade-sheets/{own.pk}").status_code == 200
    answer = liza.client.get(f"/api/v1/grade-sheets/{other.pk}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert liza.client.get(f"/api/v1/grade-sheets/{2**62}").status_code == 404
    assert liza.client.get(of(term, "grade-sheets")).status_code == 403
    assert liza.client.post(f"/api/v1/grade-sheets/{own.pk}/verify").status_code == 403


def test_sheets_are_listed_by_company(
    admin: Person, instructor: StaffPerson, liza: CadetPerson, omar: CadetPerson, term: Term
) -> None:
    close(admin, term)

    def ids(**filters: Any) -> list[int]:
        return [
            row["cadet"]["id"] for row in instructor.client.get(of(term, "grade-sheets"), filters).json()["results"]
        ]

    assert ids() == [liza.cadet.pk, omar.cadet.pk]
    assert ids(company=unit.company("Bravo").pk) == [omar.cadet.pk]
    assert ids(platoon=2**62) == []
    assert instructor.client.get(f"/api/v1/terms/{2**62}/grade-sheets").status_code == 404
    assert instructor.client.get(of(unit.former_term(), "grade-sheets")).json()["count"] == 0


# --- Verification -----------------------------------------------------------------------------------------------------


def findings(person: Person, term: Term) -> set[tuple[str, str]]:
    body = person.client.get(of(term, "verification")).json()
    assert body["sound"] is not bool(body["findings"])
    assert body["count"] == len(body["findings"])
    return {(one["table"], one["id"]) for one in body["findings"]}


def test_untouched_sheets_are_sound(admin: Person, liza: CadetPerson, omar: CadetPerson, term: Term) -> None:
    graded(liza)
    close(admin, term)
    assert findings(admin, term) == set()
    answer = admin.client.post(f"/api/v1/grade-sheets/{sheet_of(liza).pk}/verify").json()
    assert (answer["sound"], answer["findings"]) == (True, [])
    assert list(sheet_findings()) == []


def test_a_sheet_that_was_changed_by_hand_is_found(admin: Person, liza: CadetPerson, term: Term) -> None:
    graded(liza)
    close(admin, term)
    sheet = sheet_of(liza)
    GradeSheet.objects.filter(pk=sheet.pk).update(result={**sheet.result, "equivalent": "1.00"})
    assert findings(admin, term) == {("grading_gradesheet", str(sheet.pk))}
    found = list(sheet_findings(sheet_id=sheet.pk))
    assert [one.table for one in found] == ["grading_gradesheet"] * 2  # the digest, and the result
    assert all(isinstance(one, SheetFinding) and one.detail and one.remedy for one in found)


def test_a_sheet_that_was_copied_to_another_cadet_is_found(
    admin: Person, liza: CadetPerson, omar: CadetPerson, term: Term
) -> None:
    graded(liza)
    close(admin, term)
    own, other = sheet_of(liza), sheet_of(omar)
    GradeSheet.objects.filter(pk=other.pk).update(inputs=own.inputs, result=own.result, digest=own.digest)
    assert ("grading_gradesheet", str(other.pk)) in findings(admin, term)
    assert not any(one.id == str(own.pk) for one in sheet_findings(sheet_id=own.pk))


def test_live_rows_that_changed_since_are_named(admin: Person, liza: CadetPerson, term: Term) -> None:
    graded(liza)
    close(admin, term)
    enrollment = liza.enrollment.pk
    demerit = MeritDemerit.objects.get(kind="demerit")
    adjustment = Adjustment.objects.get()
    own_attendance = ("training_attendancerecord", f"of cadet {liza.cadet.pk}, enrollment {enrollment}")

    ExamScore.objects.filter(exam="final").update(score=99)
    assert findings(admin, term) == {("grading_examscore", f"final of enrollment {enrollment}")}
    ExamScore.objects.filter(exam="final").update(score=95)
    MeritDemerit.objects.filter(pk=demerit.pk).update(points=29)
    assert findings(admin, term) == {("grading_meritdemerit", str(demerit.pk))}
    MeritDemerit.objects.filter(pk=demerit.pk).update(points=30)
    Adjustment.objects.filter(pk=adjustment.pk).update(points=2)
    assert findings(admin, term) == {("grading_adjustment", str(adjustment.pk))}
    Adjustment.objects.filter(pk=adjustment.pk).update(points="1.25")
    Enrollment.objects.filter(pk=enrollment).update(status="dropped")
    assert findings(admin, term) == {("cadets_enrollment", str(enrollment))}
    Enrollment.objects.filter(pk=enrollment).update(status="ongoing")
    AttendanceRecord.objects.filter(status="late").update(status="absent")
    assert findings(admin, term) == {own_attendance}
    factories.own_policy(term, failing_equivalent="4.00")
    assert findings(admin, term) == {own_attendance, ("grading_gradingpolicy", f"of term {term.pk}")}


def test_an_enrollment_without_a_sheet_and_a_sheet_in_an_open_term_are_found(
    admin: Person, liza: CadetPerson, term: Term
) -> None:
    close(admin, term)
    late = unit.enrolled()
    assert findings(admin, term) == {("cadets_enrollment", str(late.pk))}
    late.delete()
    Term.objects.filter(pk=term.pk).update(closed_at=None)
    assert findings(admin, term) == {("cadets_enrollment", str(liza.enrollment.pk))}


def test_a_sheet_that_cannot_be_read_is_an_error_and_never_a_grade(
    admin: Person, liza: CadetPerson, term: Term
) -> None:
    close(admin, term)
    GradeSheet.objects.update(result={})
    factories.cache_emptied()
    answer = liza.client.get(OWN)
    assert (answer.status_code, answer.json()["code"]) == (503, "sheet_unreadable")
    assert "total" not in answer.json()
    assert findings(admin, term) == {("grading_gradesheet", str(GradeSheet.objects.get().pk))}


OTHERS: list[Any] = [[], None, "text", 7, True, {}, [{"id": 1}]]
OTHER_JSON = [(column, value) for column in ("inputs", "result") for value in OTHERS]


def json_of(value: Any) -> Value:
    return Value(value, JSONField())


@pytest.mark.parametrize("other_json", OTHER_JSON, ids=repr)
def test_a_sheet_that_holds_other_json_is_a_finding_and_hides_no_other(
    admin: Person, liza: CadetPerson, omar: CadetPerson, term: Term, other_json: tuple[str, Any]
) -> None:
    column, value = other_json
    close(admin, term)
    broken, other = sheet_of(liza), sheet_of(omar)
    GradeSheet.objects.filter(pk=broken.pk).update(**{column: json_of(value)})
    GradeSheet.objects.filter(pk=other.pk).update(digest="0" * 64)
    factories.cache_emptied()
    assert findings(admin, term) == {("grading_gradesheet", str(broken.pk)), ("grading_gradesheet", str(other.pk))}
    words = " ".join(one.detail for one in sheet_findings(sheet_id=broken.pk))
    assert f"The frozen {column} cannot be read" in words
    assert admin.client.post(f"/api/v1/grade-sheets/{broken.pk}/verify").json()["sound"] is False
    for path in (of(term, "grade-sheets"), f"/api/v1/grade-sheets/{broken.pk}"):
        answer = admin.client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "sheet_unreadable")
    assert admin.client.get(f"/api/v1/grade-sheets/{other.pk}").status_code == 200


def spoiled_rows(sheet: GradeSheet) -> list[tuple[str, Any]]:
    """(column, what it holds instead): of the right form, but for one entry somewhere inside."""
    inputs, result = sheet.inputs, sheet.result
    (adjustment,) = inputs["adjustments"]
    nameless = {name: value for name, value in adjustment.items() if name != "id"}
    entries = [
        {"adjustments": [nameless]},
        {"adjustments": [adjustment | {"points": "NaN"}]},
        {"adjustments": {}},
        {"adjustments": [7]},
        {"awards": [{"a": 1, "b": 2, "c": 3}]},
        {"awards": ["abc"]},
        {"awards": [[1, "merit"]]},
        {"awards": None},
        {"exams": []},
        {"exams": {"prelim": None}},
        {"exams": {"prelim": "Infinity"}},
        {"by_status": [["present", 3]]},
        {"by_status": {"present": "x"}},
        {"held": "15"},
        {"status": []},
        {"closed": None},
        {"policy": []},
        {"policy": inputs["policy"] | {"bands": [["95.00"]]}},
    ]
    parts = [
        ("attendance", {"held": "x"}),
        ("attendance", {"by_status": {}}),
        ("aptitude", {"adjustments": [nameless]}),
        ("aptitude", {"adjustments": [adjustment | {"points": "NaN"}]}),
        ("subject", {"exams": {"prelim": "NaN", "midterm": None, "final": None}}),
        ("subject", {"points": {}}),
    ]
    return [
        *(("inputs", inputs | entry) for entry in entries),
        *(("result", result | {name: result[name] | change}) for name, change in parts),
        *(("result", result | change) for change in ({"total": None}, {"remark": 1}, {"subject": None})),
    ]


def test_an_entry_of_a_sheet_that_is_none_is_a_finding(admin: Person, liza: CadetPerson, term: Term) -> None:
    graded(liza)
    close(admin, term)
    sheet = sheet_of(liza)
    for column, value in spoiled_rows(sheet):
        GradeSheet.objects.update(**{"inputs": sheet.inputs, "result": sheet.result, column: value})
        assert findings(admin, term) == {("grading_gradesheet", str(sheet.pk))}, value
        assert any(f"The frozen {column} cannot be read" in one.detail for one in sheet_findings()), value
        for path in (of(term, "grade-sheets"), f"/api/v1/grade-sheets/{sheet.pk}"):
            answer = admin.client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (503, "sheet_unreadable"), value


def test_sheets_are_verified_in_themselves_without_reading_live_rows(
    admin: Person, liza: CadetPerson, omar: CadetPerson, term: Term, django_assert_num_queries: Any
) -> None:
    graded(liza)
    for _ in range(2):
        close(admin, term)
        reopen(admin, term)
    close(admin, term)
    unit.enrolled()
    ExamScore.objects.filter(exam="final").update(score=99)
    assert len(list(sheet_findings())) == 2  # the score, and the enrollment without a sheet
    with django_assert_num_queries(2):  # one batch, and that there is no further one
        assert list(sheet_findings(live=False)) == []
    GradeSheet.objects.filter(enrollment=liza.enrollment, revision=1).update(digest="0" * 64)
    spoiled = sheet_of(omar)
    GradeSheet.objects.filter(pk=spoiled.pk).update(inputs=sheet_of(liza).inputs)
    found = [one.detail for one in sheet_findings(live=False)]
    assert len(found) == 4  # a digest; and a digest, an owner and a result
    assert len(list(sheet_findings(live=False, sheet_id=spoiled.pk))) == 3


def test_every_sheet_of_a_long_history_is_looked_at(
    admin: Person, liza: CadetPerson, omar: CadetPerson, term: Term, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.grading.selectors import sheets

    for _ in range(3):
        close(admin, term)
        reopen(admin, term)
    last = GradeSheet.objects.order_by("-id").first()
    assert last is not None
    GradeSheet.objects.filter(pk=last.pk).update(digest="0" * 64)
    monkeypatch.setattr(sheets, "_AT_ONCE", 2)
    assert [one.id for one in sheet_findings()] == [str(last.pk)]
    assert connection.in_atomic_block is False
